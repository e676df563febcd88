//! Release files: what a suite consists of, and how old it is.

use std::collections::BTreeMap;
use std::fmt::Write;

use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::format_description::well_known::Rfc2822;
use time::macros::format_description;

use super::paragraph::Paragraph;
use super::path::{ArchivePath, BadPath, archive_path};
pub use crate::domain::checksum::FileEntry;
use crate::repo::compress::Compression;

/// As dak writes it: `Sat, 06 Sep 2025 10:12:53 UTC`.
const DATE: &[BorrowedFormatItem<'_>] =
    format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] UTC");

impl FileEntry {
    /// Where the file is found by its digest: `by-hash/SHA256/<digest>` beside `path`.
    pub fn by_hash(&self, path: &ArchivePath) -> Result<ArchivePath, BadPath> {
        let folder = path.as_str().rsplit_once('/').map_or(String::new(), |(folder, _)| format!("{folder}/"));
        archive_path(&format!("{folder}by-hash/SHA256/{}", self.sha256))
    }
}

/// A parsed Release file. Text fields that are absent are empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// Who made it, such as `Debian`.
    pub origin: String,
    /// Such as `Debian`.
    pub label: String,
    /// Such as `stable`.
    pub suite: String,
    /// Such as `trixie`.
    pub codename: String,
    /// Such as `13.2`.
    pub version: String,
    /// What it is.
    pub description: String,
    /// When it was made.
    pub date: OffsetDateTime,
    /// Until when it may be used. Ubuntu and Debian's main suite have none.
    pub valid_until: Option<OffsetDateTime>,
    /// Such as `main`, `updates/main`; empty in a flat repository.
    pub components: Vec<String>,
    /// Such as `all`, `amd64`; empty in a flat repository.
    pub architectures: Vec<String>,
    /// Files can be fetched as `by-hash/SHA256/<digest>` beside where they are named.
    pub acquire_by_hash: bool,
    /// `No-Support-for-Architecture-all: Packages`: each architecture's index already holds the `all` packages, `binary-all` repeats them.
    pub no_support_for_arch_all: bool,
    /// Files by their path relative to the Release file. Not all exist on the server: the uncompressed ones often do not.
    pub files: BTreeMap<ArchivePath, FileEntry>,
}

/// Why a Release file is refused.
#[derive(Debug, thiserror::Error)]
pub enum ReleaseError {
    /// Not deb822, or a field out of its form.
    #[error("Release file, {field}: {problem}")]
    Malformed {
        /// The field.
        field: String,
        /// What is wrong with it, with the value.
        problem: String,
    },
    /// Files have MD5 or SHA-1 digests only.
    #[error("the Release file has no SHA256 digests, only weaker ones: refused; ask the archive's keeper for SHA256")]
    WeakDigests,
    /// Its Valid-Until has passed.
    #[error(
        "the Release file of {suite} expired at {valid_until} (now {now}): upstream is stale or replayed; check the address and the clock"
    )]
    Expired {
        /// The suite.
        suite: String,
        /// When.
        valid_until: OffsetDateTime,
        /// The time it was checked.
        now: OffsetDateTime,
    },
    /// Older than what is held already.
    #[error("the Release file of {suite} is dated {date}, older than the {held} already held: refused as a rollback")]
    Rollback {
        /// The suite.
        suite: String,
        /// Its date.
        date: OffsetDateTime,
        /// The date of the one held.
        held: OffsetDateTime,
    },
}

impl Release {
    /// Parses the verified text of a Release file.
    pub fn parse(text: &str) -> Result<Self, ReleaseError> {
        let mut fields: BTreeMap<String, &str> = BTreeMap::new();
        let text = text.trim_start();
        for field in Paragraph::of(text).fields() {
            let (name, value) = field.map_err(|error| malformed("text", error))?;
            if fields.insert(name.to_ascii_lowercase(), value).is_some() {
                return Err(malformed(name, "given twice"));
            }
        }
        let get = |name: &str| fields.get(name).copied().unwrap_or_default();
        let words = |name: &str| get(name).split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let weak = ["md5sum", "sha1"].iter().any(|name| !get(name).is_empty());
        if weak && get("sha256").is_empty() {
            return Err(ReleaseError::WeakDigests);
        }
        Ok(Self {
            origin: get("origin").to_owned(),
            label: get("label").to_owned(),
            suite: get("suite").to_owned(),
            codename: get("codename").to_owned(),
            version: get("version").to_owned(),
            description: get("description").to_owned(),
            date: parse_date("Date", fields.get("date").ok_or_else(|| malformed("Date", "missing"))?)?,
            valid_until: fields.get("valid-until").map(|value| parse_date("Valid-Until", value)).transpose()?,
            components: words("components"),
            architectures: words("architectures"),
            acquire_by_hash: get("acquire-by-hash").eq_ignore_ascii_case("yes"),
            no_support_for_arch_all: words("no-support-for-architecture-all").iter().any(|word| word == "Packages"),
            files: parse_files(get("sha256"))?,
        })
    }

    /// The text of a Release file as apt, debootstrap and the Debian installer read it. No line ends in a blank, so that it can be signed.
    pub fn to_text(&self) -> String {
        let yes = |flag: bool, value: &'static str| if flag { value.to_owned() } else { String::new() };
        let fields = [
            ("Origin", self.origin.clone()),
            ("Label", self.label.clone()),
            ("Suite", self.suite.clone()),
            ("Version", self.version.clone()),
            ("Codename", self.codename.clone()),
            ("Date", format_date(self.date)),
            ("Valid-Until", self.valid_until.map(format_date).unwrap_or_default()),
            ("Acquire-By-Hash", yes(self.acquire_by_hash, "yes")),
            ("No-Support-for-Architecture-all", yes(self.no_support_for_arch_all, "Packages")),
            ("Architectures", self.architectures.join(" ")),
            ("Components", self.components.join(" ")),
            ("Description", self.description.clone()),
        ];
        let mut text = String::new();
        for (name, value) in fields {
            let value = value.split_whitespace().collect::<Vec<_>>().join(" ");
            if !value.is_empty() {
                let _ = writeln!(text, "{name}: {value}"); // writing to a String does not fail
            }
        }
        text.push_str("SHA256:\n");
        for (path, file) in &self.files {
            let _ = writeln!(text, " {} {:>8} {path}", file.sha256, file.size);
        }
        text
    }

    /// The `Packages` indices of a component for an architecture, each in the smallest form that the Release names: `binary-<arch>`, and
    /// `binary-all` too unless the former already holds the `all` packages. `component` is the folder (`main`, `main/debian-installer`),
    /// even where the suite calls it `updates/main`. Empty: the suite has no such index.
    pub fn package_indices(&self, component: &str, architecture: &str) -> Vec<(&ArchivePath, FileEntry)> {
        let all = !self.no_support_for_arch_all && architecture != "all";
        let architectures = std::iter::once(architecture).chain(all.then_some("all"));
        architectures.filter_map(|architecture| self.index(&format!("{component}/binary-{architecture}/Packages"))).collect()
    }

    /// The smallest form of an index: xz, zst, bz2, gz, or the uncompressed one, which often does not exist on the server.
    pub fn index(&self, stem: &str) -> Option<(&ArchivePath, FileEntry)> {
        let forms = [Compression::Xz, Compression::Zst, Compression::Bz2, Compression::Gz, Compression::None];
        forms.iter().find_map(|form| {
            let path = archive_path(&format!("{stem}{}", form.suffix())).ok()?;
            self.files.get_key_value(&path).map(|(path, file)| (path, *file))
        })
    }

    /// Refuses a Release past its Valid-Until, or dated before the one already held.
    pub fn check(&self, now: OffsetDateTime, held: Option<OffsetDateTime>) -> Result<(), ReleaseError> {
        let suite = || if self.suite.is_empty() { self.codename.clone() } else { self.suite.clone() };
        match (self.valid_until, held) {
            (Some(valid_until), _) if valid_until < now => Err(ReleaseError::Expired { suite: suite(), valid_until, now }),
            (_, Some(held)) if self.date < held => Err(ReleaseError::Rollback { suite: suite(), date: self.date, held }),
            _ => Ok(()),
        }
    }
}

fn malformed(field: &str, problem: impl std::fmt::Display) -> ReleaseError {
    ReleaseError::Malformed { field: field.chars().take(80).collect(), problem: problem.to_string() }
}

/// Dates end in `UTC` or `+0000`; RFC 2822 knows the latter only.
fn parse_date(field: &str, value: &str) -> Result<OffsetDateTime, ReleaseError> {
    let numeric = ["UTC", "GMT", "Z"].iter().find_map(|zone| Some(format!("{}+0000", value.strip_suffix(zone)?)));
    let bad = |_| malformed(field, format_args!("`{value}` is no date: expected such as `Sat, 06 Sep 2025 10:12:53 UTC`"));
    OffsetDateTime::parse(numeric.as_deref().unwrap_or(value), &Rfc2822).map_err(bad)
}

fn format_date(date: OffsetDateTime) -> String {
    date.to_offset(time::UtcOffset::UTC).format(DATE).unwrap_or_default()
}

/// Lines of digest, size and path.
fn parse_files(lines: &str) -> Result<BTreeMap<ArchivePath, FileEntry>, ReleaseError> {
    let mut files = BTreeMap::new();
    for line in lines.lines().filter(|line| !line.trim().is_empty()) {
        let bad = |problem: &dyn std::fmt::Display| malformed("SHA256", format_args!("`{}`: {problem}", line.trim()));
        let [digest, size, path] = line.split_whitespace().collect::<Vec<_>>()[..] else {
            return Err(bad(&"expected digest, size and path"));
        };
        let path = archive_path(path.strip_prefix("./").unwrap_or(path)).map_err(|error| bad(&error))?;
        let sha256 = digest.parse().map_err(|error| bad(&error))?;
        let size = size.parse().map_err(|_| bad(&"the size is not a number of bytes"))?;
        files.insert(path, FileEntry { size, sha256 });
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use time::macros::datetime;

    use super::*;
    use crate::domain::checksum::Sha256;

    const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn text() -> String {
        format!(
            "Origin: Debian\nLabel: Debian\nSuite: stable\nVersion: 13.2\nCodename: trixie\nDate: Sat, 15 Nov 2025 10:12:53 UTC\n\
             Acquire-By-Hash: yes\nNo-Support-for-Architecture-all: Packages\nArchitectures: all amd64\n\
             Components: main updates/main\nDescription: Debian 13.2\nMD5Sum:\n d41d8cd98f00b204e9800998ecf8427e 0 main/binary-amd64/Packages\n\
             SHA256:\n {EMPTY}        0 main/binary-amd64/Packages\n {EMPTY} 12 main/debian-installer/binary-all/Packages.xz\n"
        )
    }

    #[test]
    fn a_release_with_slashes_in_its_components() {
        let release = Release::parse(&text()).unwrap();
        assert_eq!((release.suite.as_str(), release.codename.as_str(), release.version.as_str()), ("stable", "trixie", "13.2"));
        assert_eq!(release.components, ["main", "updates/main"]);
        assert_eq!(release.date, datetime!(2025-11-15 10:12:53 UTC));
        assert_eq!(release.valid_until, None);
        assert!(release.acquire_by_hash && release.no_support_for_arch_all);
        let file = release.files[&archive_path("main/debian-installer/binary-all/Packages.xz").unwrap()];
        assert_eq!((file.size, file.sha256), (12, Sha256::of(b"")));
    }

    #[test]
    fn a_flat_repository_has_neither_components_nor_architectures() {
        let release = Release::parse(&format!("Date: Sat, 15 Nov 2025 10:12:53 +0000\nSHA256:\n {EMPTY} 0 ./Packages\n")).unwrap();
        assert_eq!((release.components.len(), release.architectures.len()), (0, 0));
        assert_eq!(release.files.keys().map(ArchivePath::as_str).collect::<Vec<_>>(), ["Packages"]);
        assert!(!release.acquire_by_hash && !release.no_support_for_arch_all);
    }

    #[test]
    fn the_index_of_all_is_read_unless_each_architecture_repeats_it() {
        let lines = [
            "main/binary-amd64/Packages.gz",
            "main/binary-amd64/Packages.xz",
            "main/binary-all/Packages",
            "main/debian-installer/binary-all/Packages.xz",
        ];
        let lines: String = lines.iter().map(|path| format!(" {EMPTY} 0 {path}\n")).collect();
        let mut release =
            Release::parse(&format!("Date: Sat, 15 Nov 2025 10:12:53 +0000\nArchitectures: all amd64\nSHA256:\n{lines}")).unwrap();
        let named = |release: &Release, component: &str| {
            release.package_indices(component, "amd64").iter().map(|(path, _)| path.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(named(&release, "main"), ["main/binary-amd64/Packages.xz", "main/binary-all/Packages"]);
        assert_eq!(named(&release, "main/debian-installer"), ["main/debian-installer/binary-all/Packages.xz"]);
        release.no_support_for_arch_all = true;
        assert_eq!(named(&release, "main"), ["main/binary-amd64/Packages.xz"]);
        let (path, file) = release.index("main/binary-all/Packages").unwrap();
        assert_eq!(file.by_hash(path).unwrap().as_str(), format!("main/binary-all/by-hash/SHA256/{EMPTY}"));
    }

    #[test]
    fn dates_end_in_utc_or_an_offset() {
        for date in [
            "Sat, 15 Nov 2025 10:12:53 UTC",
            "Sat, 15 Nov 2025 10:12:53 +0000",
            "Sat, 15 Nov 2025 12:12:53 +0200",
            "Sat, 15 Nov 2025 10:12:53 GMT",
        ] {
            assert_eq!(parse_date("Date", date).unwrap(), datetime!(2025-11-15 10:12:53 UTC), "{date}");
        }
        assert_eq!(parse_date("Date", "Sat, 6 Sep 2025 01:02:03 UTC").unwrap(), datetime!(2025-09-06 01:02:03 UTC));
        let error = parse_date("Date", "yesterday").unwrap_err();
        assert!(error.to_string().starts_with("Release file, Date: `yesterday` is no date"), "{error}");
    }

    #[test]
    fn digests_weaker_than_sha256_are_refused() {
        let (head, _) = text().split_once("SHA256:").map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
        assert!(matches!(Release::parse(&head), Err(ReleaseError::WeakDigests)));
    }

    #[test]
    fn a_path_that_leaves_the_suite_is_refused() {
        let error = Release::parse(&text().replace("main/binary-amd64/Packages\n", "../../etc/passwd\n")).unwrap_err();
        assert!(error.to_string().contains("`..` segment"), "{error}");
    }

    #[test]
    fn stale_and_rolled_back_are_two_errors() {
        let mut release = Release::parse(&text()).unwrap();
        let now = datetime!(2025-11-20 0:00 UTC);
        assert!(release.check(now, None).is_ok());
        assert!(release.check(now, Some(release.date)).is_ok(), "the same date again is no rollback");
        assert!(matches!(release.check(now, Some(datetime!(2025-11-15 10:12:54 UTC))), Err(ReleaseError::Rollback { .. })));
        release.valid_until = Some(datetime!(2025-11-19 23:59:59 UTC));
        assert!(matches!(release.check(now, None), Err(ReleaseError::Expired { .. })));
    }

    #[test]
    fn what_is_written_reads_back_and_holds_no_trailing_blank() {
        let mut release = Release::parse(&text()).unwrap();
        release.valid_until = Some(datetime!(2025-12-01 0:00 +2));
        release.label = "two\nlines ".to_owned();
        let written = release.to_text();
        assert!(written.contains("Valid-Until: Sun, 30 Nov 2025 22:00:00 UTC\n"), "{written}");
        assert!(written.lines().all(|line| line.trim_end() == line));
        release.label = "two lines".to_owned();
        assert_eq!(Release::parse(&written).unwrap(), release);
    }

    proptest! {
        #[test]
        fn noise_never_panics(noise in "((Date|SHA256|Valid-Until|Suite): ?[a-z0-9 ,é]{0,30}\n( [a-f0-9]{0,64} [0-9]{0,25} [a-z/.]{0,9}\n){0,3}){0,5}") {
            let _ = Release::parse(&noise);
        }
    }
}
