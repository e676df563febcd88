//! Debian versions, ordered as `dpkg --compare-versions` orders them (deb-version(7)).

use std::cmp::Ordering;

/// Compares two versions. Total: text that is no version is compared by the same rules.
pub fn compare(left: &str, right: &str) -> Ordering {
    let (left_epoch, left_upstream, left_revision) = split(left.trim());
    let (right_epoch, right_upstream, right_revision) = split(right.trim());
    compare_numbers(left_epoch.as_bytes(), right_epoch.as_bytes())
        .then_with(|| compare_part(left_upstream.as_bytes(), right_upstream.as_bytes()))
        .then_with(|| compare_part(left_revision.as_bytes(), right_revision.as_bytes()))
}

/// `[epoch:]upstream[-revision]`. No epoch counts as 0, no revision as empty (which equals `0`).
fn split(version: &str) -> (&str, &str, &str) {
    let (epoch, rest) = version.split_once(':').unwrap_or(("", version));
    let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, ""));
    (epoch, upstream, revision)
}

/// Alternates between a part without digits, compared by [`weight`], and a number of any length.
fn compare_part(mut left: &[u8], mut right: &[u8]) -> Ordering {
    while !left.is_empty() || !right.is_empty() {
        loop {
            let (a, b) = (weight(left.first()), weight(right.first()));
            if a != b {
                return a.cmp(&b);
            }
            if a == 0 {
                break;
            }
            left = left.get(1..).unwrap_or_default();
            right = right.get(1..).unwrap_or_default();
        }
        let (left_digits, right_digits) = (digits(left), digits(right));
        let order = compare_numbers(&left[..left_digits], &right[..right_digits]);
        if order != Ordering::Equal {
            return order;
        }
        left = &left[left_digits..];
        right = &right[right_digits..];
    }
    Ordering::Equal
}

/// `~` sorts before the end, the end (or a digit) before letters, letters before everything else.
fn weight(byte: Option<&u8>) -> i32 {
    match byte {
        None => 0,
        Some(b) if b.is_ascii_digit() => 0,
        Some(b'~') => -1,
        Some(b) if b.is_ascii_alphabetic() => i32::from(*b),
        Some(b) => i32::from(*b) + 256,
    }
}

fn digits(text: &[u8]) -> usize {
    text.iter().take_while(|b| b.is_ascii_digit()).count()
}

/// Numbers may exceed 64 bits: without leading zeros the longer one is larger.
fn compare_numbers(left: &[u8], right: &[u8]) -> Ordering {
    let stripped = |number: &[u8]| number.iter().position(|b| *b != b'0').unwrap_or(number.len());
    let (left, right) = (&left[stripped(left)..], &right[stripped(right)..]);
    left.len().cmp(&right.len()).then_with(|| left.cmp(right))
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;
    use std::process::Command;

    use proptest::prelude::*;
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;

    use super::*;

    #[test]
    fn a_tilde_sorts_before_the_end() {
        // debian-packaging 0.18.0 has this the wrong way round.
        assert_eq!(compare("1.2-3+b1", "1.2-3~bpo12+1"), Ordering::Greater);
        assert_eq!(compare("1.0~rc1", "1.0"), Ordering::Less);
        assert_eq!(compare("1.0~~", "1.0~"), Ordering::Less);
    }

    #[test]
    fn numbers_may_exceed_64_bits() {
        assert_eq!(compare("1.99999999999999999999999999", "1.100000000000000000000000000"), Ordering::Less);
        assert_eq!(compare("0.20250803000000000000000001", "0.20250803000000000000000002"), Ordering::Less);
    }

    #[test]
    fn epochs_count_first_and_a_missing_revision_is_zero() {
        assert_eq!(compare("1:1.0", "2.0"), Ordering::Greater);
        assert_eq!(compare("0:1.0", "1.0-0"), Ordering::Equal);
        assert_eq!(compare("1.00", "1.0"), Ordering::Equal);
    }

    #[test]
    fn the_order_is_that_of_dpkg() {
        let mut runner = TestRunner::deterministic();
        // Few symbols, so that pairs differ late and often not at all. dpkg demands a digit in front.
        let part = "[0-9][0-9a-b.+~]{0,7}(-[0-9a-b+.~]{1,4})?";
        let version = (prop_oneof![Just(String::new()), "[0-2]:".prop_map(String::from)], part, proptest::bool::ANY)
            .prop_map(|(epoch, rest, long)| format!("{epoch}{rest}{}", if long { "9223372036854775809" } else { "" }));
        let pairs: Vec<(String, String)> = (0..800)
            .map(|_| (version.new_tree(&mut runner).unwrap().current(), version.new_tree(&mut runner).unwrap().current()))
            .collect();
        let order = |left: &str, right: &str| match compare(left, right) {
            Ordering::Less => "lt",
            Ordering::Equal => "eq",
            Ordering::Greater => "gt",
        };
        // One shell asks the real dpkg about each pair and names those that it disagrees on.
        let mut script = String::new();
        for (left, right) in &pairs {
            let ours = order(left, right);
            writeln!(script, "dpkg --compare-versions '{left}' {ours} '{right}' || echo '{left} {ours} {right}'").unwrap();
        }
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), script).unwrap();
        let output = Command::new("sh").arg(file.path()).output().unwrap();
        assert!(output.status.success());
        assert_eq!(String::from_utf8_lossy(&output.stdout), "", "dpkg disagrees");
    }

    proptest! {
        #[test]
        fn comparing_is_an_order_and_never_panics(a in ".{0,12}", b in "[0-9a-z.~+:-]{0,12}", c in "[0-9.~]{0,6}") {
            prop_assert_eq!(compare(&a, &b), compare(&b, &a).reverse());
            if compare(&b, &c).is_le() && compare(&c, &a).is_le() {
                prop_assert!(compare(&b, &a).is_le());
            }
        }
    }
}
