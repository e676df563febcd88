//! Natural order: runs of digits compare as numbers, so that `node9` comes before `node10`.

use std::cmp::Ordering;

/// Compares two texts naturally. Texts that differ only in zero padding (`node7`, `node07`) still have an order: the shorter
/// run first. A total order over all texts.
pub fn compare(a: &str, b: &str) -> Ordering {
    let (mut left, mut right) = (a, b);
    loop {
        let (text_a, rest_a) = split(left, |c| !c.is_ascii_digit());
        let (text_b, rest_b) = split(right, |c| !c.is_ascii_digit());
        let (number_a, next_a) = split(rest_a, |c| c.is_ascii_digit());
        let (number_b, next_b) = split(rest_b, |c| c.is_ascii_digit());
        let order = text_a.cmp(text_b).then_with(|| compare_numbers(number_a, number_b));
        if order != Ordering::Equal {
            return order;
        }
        if next_a.is_empty() || next_b.is_empty() {
            return next_a.len().cmp(&next_b.len()).then_with(|| a.len().cmp(&b.len())).then_with(|| a.cmp(b));
        }
        (left, right) = (next_a, next_b);
    }
}

/// Splits off the longest start whose characters all fit.
fn split(text: &str, fits: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !fits(c)).unwrap_or(text.len()))
}

/// Of any length: no digits become an integer.
fn compare_numbers(a: &str, b: &str) -> Ordering {
    let (a, b) = (a.trim_start_matches('0'), b.trim_start_matches('0'));
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_count_and_padding_breaks_ties() {
        let mut names = ["node10", "node9", "node09", "rack2-n1", "rack10-n1", "node", "a", "rack2-n10", "rack2-n9"];
        names.sort_by(|a, b| compare(a, b));
        assert_eq!(names, ["a", "node", "node9", "node09", "node10", "rack2-n1", "rack2-n9", "rack2-n10", "rack10-n1"]);
    }

    proptest! {
        #[test]
        fn it_is_a_total_order(a in "[ab0-2]{0,6}", b in "[ab0-2]{0,6}", c in "[ab0-2]{0,6}") {
            prop_assert_eq!(compare(&a, &b), compare(&b, &a).reverse());
            prop_assert_eq!(compare(&a, &b) == Ordering::Equal, a == b);
            if compare(&a, &b).is_le() && compare(&b, &c).is_le() {
                prop_assert!(compare(&a, &c).is_le());
            }
        }
    }
}
