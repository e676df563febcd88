//! Small things as people read them.

use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

use crate::domain::variables::Variables;

/// A moment to the second, RFC 3339, UTC.
pub fn moment(at: OffsetDateTime) -> String {
    let whole = at.replace_nanosecond(0).unwrap_or(at);
    whole.to_offset(time::UtcOffset::UTC).format(&Rfc3339).unwrap_or_default()
}

/// A span in its two largest units: `41 s`, `4 min 10 s`, `2 h 5 min`, `3 d 1 h`.
pub fn span(span: Duration) -> String {
    let seconds = span.whole_seconds().max(0);
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3600..86400 => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86400, seconds / 3600 % 24),
    }
}

/// Variables, one a line: `swap = "none"`.
pub fn assignments(variables: &Variables) -> String {
    let lines: Vec<String> = variables.0.iter().map(|(key, value)| format!("{key} = {value}")).collect();
    lines.join("\n")
}

/// Text from a node, made harmless: its control characters would reach the terminal.
pub fn harmless(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn moments_and_spans_are_short() {
        assert_eq!(moment(datetime!(2026-11-21 12:00:00.123 +2)), "2026-11-21T10:00:00Z");
        for (seconds, expected) in [(-1, "0 s"), (59, "59 s"), (250, "4 min 10 s"), (7500, "2 h 5 min"), (262_800, "3 d 1 h")] {
            assert_eq!(span(Duration::seconds(seconds)), expected);
        }
        assert_eq!(harmless("a\x1b[31mb"), "a\u{fffd}[31mb");
    }
}
