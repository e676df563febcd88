//! Versions of packages, ordered as rpm orders them (`rpm-version(7)`, rpm's `rpmio/rpmvercmp.cc`).

use std::cmp::Ordering;
use std::fmt;

/// `[epoch:]version[-release]`. Not ordered by derived traits: [`Evr::compare`] knows the rules.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Evr {
    /// Decimal digits; empty counts as 0.
    pub epoch: String,
    /// Version, such as `1.0~rc1`.
    pub version: String,
    /// Release, such as `3.el9`; empty in a dependency that names none.
    pub release: String,
}

impl Evr {
    /// Reads `[epoch:]version[-release]`; what is before a colon and no number counts as part of the version.
    pub fn of(text: &str) -> Self {
        let (epoch, rest) = match text.split_once(':') {
            Some((epoch, rest)) if epoch.bytes().all(|byte| byte.is_ascii_digit()) => (epoch, rest),
            _ => ("", text),
        };
        let (version, release) = rest.rsplit_once('-').unwrap_or((rest, ""));
        Self { epoch: epoch.to_owned(), version: version.to_owned(), release: release.to_owned() }
    }

    /// Orders two packages' versions: by epoch, version, release.
    pub fn compare(&self, other: &Self) -> Ordering {
        compare_epochs(self.epoch.as_bytes(), other.epoch.as_bytes())
            .then_with(|| compare(self.version.as_bytes(), other.version.as_bytes()))
            .then_with(|| compare(self.release.as_bytes(), other.release.as_bytes()))
    }

    /// The same, for a dependency's side: a release is looked at only where both have one.
    pub fn compare_in_dependency(&self, other: &Self) -> Ordering {
        let order = compare_epochs(self.epoch.as_bytes(), other.epoch.as_bytes())
            .then_with(|| compare(self.version.as_bytes(), other.version.as_bytes()));
        if self.release.is_empty() || other.release.is_empty() {
            return order;
        }
        order.then_with(|| compare(self.release.as_bytes(), other.release.as_bytes()))
    }
}

impl fmt::Display for Evr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !matches!(self.epoch.as_str(), "" | "0") {
            write!(f, "{}:", self.epoch)?;
        }
        f.write_str(&self.version)?;
        if !self.release.is_empty() {
            write!(f, "-{}", self.release)?;
        }
        Ok(())
    }
}

/// Takes `[epoch:]version[-release]` apart as metadata writes it: the epoch `0` if there is none, the release behind the first hyphen.
/// `None` if what stands before a colon is not a number.
pub(super) fn split(evr: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (epoch, rest): (&[u8], _) = match evr.iter().position(|byte| *byte == b':') {
        Some(0) => (b"0", &evr[1..]),
        Some(at) if evr[..at].iter().all(u8::is_ascii_digit) => (&evr[..at], &evr[at + 1..]),
        Some(_) => return None,
        None => (b"0", evr),
    };
    let at = rest.iter().position(|byte| *byte == b'-');
    Some(match at {
        Some(at) => (epoch, &rest[..at], &rest[at + 1..]),
        None => (epoch, rest, b""),
    })
}

/// Orders epochs by number, of any length.
fn compare_epochs(left: &[u8], right: &[u8]) -> Ordering {
    compare_numbers(left, right)
}

/// Orders two versions (or two releases): `~` before everything, even the end; `^` after the end and before anything else; runs of
/// digits by number, runs of letters by their bytes, digits above letters. Everything else only separates.
pub fn compare(mut left: &[u8], mut right: &[u8]) -> Ordering {
    if left == right {
        return Ordering::Equal;
    }
    loop {
        left = skip_separators(left);
        right = skip_separators(right);
        match (left.first(), right.first()) {
            (Some(b'~'), Some(b'~')) | (Some(b'^'), Some(b'^')) => {
                left = &left[1..];
                right = &right[1..];
                continue;
            }
            (Some(b'~'), _) => return Ordering::Less,
            (_, Some(b'~')) => return Ordering::Greater,
            (Some(b'^'), None) => return Ordering::Greater,
            (None, Some(b'^')) => return Ordering::Less,
            (Some(b'^'), Some(_)) => return Ordering::Less,
            (Some(_), Some(b'^')) => return Ordering::Greater,
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(a), Some(b)) => match (a.is_ascii_digit(), b.is_ascii_digit()) {
                (true, false) => return Ordering::Greater,
                (false, true) => return Ordering::Less,
                (digits, _) => {
                    let alike: fn(&u8) -> bool = if digits { u8::is_ascii_digit } else { u8::is_ascii_alphabetic };
                    let (a, left_rest) = left.split_at(run(left, alike));
                    let (b, right_rest) = right.split_at(run(right, alike));
                    let order = if digits { compare_numbers(a, b) } else { a.cmp(b) };
                    if order != Ordering::Equal {
                        return order;
                    }
                    (left, right) = (left_rest, right_rest);
                }
            },
        }
    }
}

fn skip_separators(text: &[u8]) -> &[u8] {
    &text[run(text, |byte| !byte.is_ascii_alphanumeric() && !matches!(byte, b'~' | b'^'))..]
}

fn run(text: &[u8], alike: impl Fn(&u8) -> bool) -> usize {
    text.iter().position(|byte| !alike(byte)).unwrap_or(text.len())
}

/// Decimal numbers of any length, leading zeros ignored.
fn compare_numbers(left: &[u8], right: &[u8]) -> Ordering {
    let bare = |digits: &'_ [u8]| run(digits, |byte| *byte == b'0');
    let (left, right) = (&left[bare(left)..], &right[bare(right)..]);
    left.len().cmp(&right.len()).then_with(|| left.cmp(right))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use proptest::prelude::*;
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;

    use super::*;

    /// What rpm's own `rpm.vercmp` says of each pair.
    fn asked_of_rpm(pairs: &[(String, String)]) -> Option<Vec<i32>> {
        // A macro holds no more than some kilobytes.
        if pairs.len() > 100 {
            return pairs.chunks(100).map(asked_of_rpm).collect::<Option<Vec<_>>>().map(|answers| answers.concat());
        }
        let table: String = pairs.iter().map(|(a, b)| format!("{{[==[{a}]==],[==[{b}]==]}},")).collect();
        let script = format!("%{{lua: for _,p in ipairs({{{table}}}) do print(rpm.vercmp(p[1], p[2])..' ') end}}");
        let output = Command::new("rpm").args(["--eval", &script]).output().ok()?;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        Some(text.split_whitespace().map(|word| word.parse().unwrap()).collect())
    }

    #[test]
    fn versions_are_ordered_as_rpm_orders_them() {
        let mut runner = TestRunner::deterministic();
        let strategy = ("[0-9a-z~^._+]{1,10}", "[0-9a-z~^._+]{1,10}", "[019az~^.]{0,4}", any::<bool>());
        let mut pairs = vec![];
        for _ in 0..1500 {
            let (a, b, tail, share) = strategy.new_tree(&mut runner).unwrap().current();
            // Half of the pairs share a beginning, since random ones differ at their first character.
            pairs.push(if share { (a.clone(), format!("{a}{tail}")) } else { (a, b) });
        }
        for (a, b) in [
            ("1.0", "1.0"),
            ("1.0~rc1", "1.0"),
            ("1.0^git1", "1.0"),
            ("1.0^git1", "1.0.1"),
            ("1.0~rc1^git1", "1.0~rc1"),
            ("2.0a", "2.0.a"),
            ("1.0^20210501", "1.0^20210502"),
            ("00010", "10"),
            ("99999999999999999999999", "100000000000000000000000"),
            ("a", "1"),
            ("1..0", "1.0"),
        ] {
            pairs.push((a.into(), b.into()));
        }
        let Some(expected) = asked_of_rpm(&pairs) else {
            eprintln!("skipped: rpm is not installed");
            return;
        };
        assert_eq!(expected.len(), pairs.len());
        for ((a, b), expected) in pairs.iter().zip(expected) {
            let order = compare(a.as_bytes(), b.as_bytes());
            assert_eq!(order as i32, expected, "{a:?} against {b:?}");
            assert_eq!(compare(b.as_bytes(), a.as_bytes()), order.reverse(), "{b:?} against {a:?}");
        }
    }

    #[test]
    fn nothing_is_above_a_tilde_and_below_a_caret() {
        assert_eq!(compare(b"", b"~"), Ordering::Greater);
        assert_eq!(compare(b"", b"^"), Ordering::Less);
    }

    #[test]
    fn an_epoch_outweighs_and_a_missing_one_is_zero() {
        let evr = |text: &str| {
            let (epoch, version, release) = split(text.as_bytes()).unwrap();
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            Evr { epoch: text(epoch), version: text(version), release: text(release) }
        };
        assert_eq!(evr("1:0.1-1").compare(&evr("9.9-9")), Ordering::Greater);
        assert_eq!(evr("0:1-1").compare(&evr("1-1")), Ordering::Equal);
        assert_eq!(evr("1-1").compare_in_dependency(&evr("1")), Ordering::Equal);
        assert_eq!(evr("1-2").compare_in_dependency(&evr("1-1")), Ordering::Greater);
        assert_eq!(split(b"abc:1-1"), None);
        assert_eq!(split(b":1-1"), Some((&b"0"[..], &b"1"[..], &b"1"[..])));
        assert_eq!(evr("2:1.0-3").to_string(), "2:1.0-3");
    }

    proptest! {
        #[test]
        fn ordering_never_panics_and_is_antisymmetric(a: Vec<u8>, b: Vec<u8>) {
            prop_assert_eq!(compare(&a, &b), compare(&b, &a).reverse());
        }
    }
}
