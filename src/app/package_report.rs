//! A node's list of packages, as its report has it.

use super::take_report::Report;
use crate::domain::mirror::PackageFormat;
use crate::domain::package::{Installed, Package};

/// Most packages that a node may report; all of Debian's main are 63,000 and no node has them.
const MAX_PACKAGES: usize = 30_000;
/// The longest name, architecture, version or module.
const MAX_WORD: usize = 255;

/// Reads a report: `format deb` or `format rpm`, then a package a line, `NAME VERSION ARCH` and in RPM its module, `NAME:STREAM:VERSION:CONTEXT` or
/// `(none)`. `None`: it is none, or too long.
pub fn package_report(body: &[u8]) -> Option<Report> {
    let text = std::str::from_utf8(body).ok()?;
    let mut lines = text.lines();
    let format: PackageFormat = lines.next()?.strip_prefix("format ")?.trim().parse().ok()?;
    let mut packages = Vec::new();
    for line in lines.filter(|line| !line.trim().is_empty()) {
        packages.push(installed(line)?);
        if packages.len() > MAX_PACKAGES {
            return None;
        }
    }
    packages.sort();
    packages.dedup();
    Some(Report::Packages(format, packages))
}

fn installed(line: &str) -> Option<Installed> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let good = |word: &str| word.len() <= MAX_WORD && word.bytes().all(|byte| byte.is_ascii_graphic());
    if !words.iter().all(|word| good(word)) {
        return None;
    }
    let (name, version, arch, module) = match words[..] {
        [name, version, arch] => (name, version, arch, None),
        [name, version, arch, module] => (name, version, arch, stream(module)),
        _ => return None,
    };
    // rpm writes the epoch of packages that have none as 0 or `(none)`.
    let version = version.strip_prefix("0:").or_else(|| version.strip_prefix("(none):")).unwrap_or(version);
    let package = Package { name: name.to_owned(), arch: arch.to_owned(), version: version.to_owned() };
    Some(Installed { package, module })
}

/// `nodejs:18` of `nodejs:18:9020230825081254:rhel9`.
fn stream(module: &str) -> Option<String> {
    let mut parts = module.split(':');
    match (parts.next(), parts.next()) {
        (Some(name), Some(stream)) if !name.is_empty() && !stream.is_empty() => Some(format!("{name}:{stream}")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_either_format_is_read_and_anything_else_refused() {
        let Some(Report::Packages(format, packages)) =
            package_report(b"format rpm\nb 0:2-1 noarch (none)\na 1:1-1.el9 x86_64 nodejs:18:902:rhel9\nb 0:2-1 noarch (none)\n")
        else {
            panic!("is a report")
        };
        let found: Vec<_> =
            packages.iter().map(|own| (own.package.name.as_str(), own.package.version.as_str(), own.module.as_deref())).collect();
        assert_eq!((format, found), (PackageFormat::Rpm, vec![("a", "1:1-1.el9", Some("nodejs:18")), ("b", "2-1", None)]));
        assert!(matches!(package_report(b"format deb\n"), Some(Report::Packages(PackageFormat::Deb, none)) if none.is_empty()));
        for bad in
            [&b""[..], b"a 1 amd64\n", b"format deb\na 1\n", b"format deb\na 1 amd64 x y\n", b"format odd\n", b"format deb\n\xff 1 amd64\n"]
        {
            assert!(package_report(bad).is_none());
        }
        let many = format!("format deb\n{}", (0..30_001).map(|n| format!("p{n} 1 amd64\n")).collect::<String>());
        assert!(package_report(many.as_bytes()).is_none());
    }
}
