//! When something is to happen again and again: `hourly`, `daily 03:30`, `sunday 03:30`. Times are UTC, as everywhere.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime, Time, UtcOffset, Weekday};

/// A schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Schedule {
    /// At each full hour.
    Hourly,
    /// Each day at a time.
    Daily(Time),
    /// Once a week at a time.
    Weekly(Weekday, Time),
}

/// What a schedule may look like.
pub const ALLOWED: &str = "`hourly`, `daily HH:MM`, or a day of the week and a time such as `sunday 03:30`; times are UTC";

const DAYS: [(&str, Weekday); 7] = [
    ("monday", Weekday::Monday),
    ("tuesday", Weekday::Tuesday),
    ("wednesday", Weekday::Wednesday),
    ("thursday", Weekday::Thursday),
    ("friday", Weekday::Friday),
    ("saturday", Weekday::Saturday),
    ("sunday", Weekday::Sunday),
];

impl Schedule {
    /// The last time at or before `now` at which it was due.
    pub fn last_due(self, now: OffsetDateTime) -> OffsetDateTime {
        let now = now.to_offset(UtcOffset::UTC);
        let (before, step) = match self {
            Self::Hourly => (now.replace_time(Time::from_hms(now.hour(), 0, 0).unwrap_or(Time::MIDNIGHT)), Duration::HOUR),
            Self::Daily(time) => (now.replace_time(time), Duration::DAY),
            Self::Weekly(day, time) => {
                let since = i64::from(now.weekday().number_days_from_monday()) - i64::from(day.number_days_from_monday());
                (now.replace_time(time) - Duration::days(since.rem_euclid(7)), Duration::WEEK)
            }
        };
        if before > now { before - step } else { before }
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hourly => f.write_str("hourly"),
            Self::Daily(time) => write!(f, "daily {:02}:{:02}", time.hour(), time.minute()),
            Self::Weekly(day, time) => write!(f, "{} {:02}:{:02}", day.to_string().to_lowercase(), time.hour(), time.minute()),
        }
    }
}

impl FromStr for Schedule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no schedule: {ALLOWED}");
        let text = text.trim().to_ascii_lowercase();
        if text == "hourly" {
            return Ok(Self::Hourly);
        }
        let (day, time) = text.split_once(' ').ok_or_else(wrong)?;
        let time = clock(time.trim()).ok_or_else(wrong)?;
        match day {
            "daily" => Ok(Self::Daily(time)),
            day => DAYS.iter().find(|(name, _)| *name == day).map(|(_, day)| Self::Weekly(*day, time)).ok_or_else(wrong),
        }
    }
}

fn clock(text: &str) -> Option<Time> {
    let (hour, minute) = text.split_once(':')?;
    let two = |part: &str| if part.len() == 2 { part.parse::<u8>().ok() } else { None };
    Time::from_hms(two(hour)?, two(minute)?, 0).ok()
}

impl From<Schedule> for String {
    fn from(schedule: Schedule) -> Self {
        schedule.to_string()
    }
}

impl TryFrom<String> for Schedule {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn the_last_due_time_is_never_in_the_future() {
        let cases = [
            ("hourly", datetime!(2026-11-25 10:00 UTC)),
            ("daily 03:30", datetime!(2026-11-25 3:30 UTC)),
            ("daily 10:15", datetime!(2026-11-25 10:15 UTC)),
            ("daily 10:16", datetime!(2026-11-24 10:16 UTC)),
            // The 25th is a Wednesday.
            ("wednesday 10:00", datetime!(2026-11-25 10:00 UTC)),
            ("wednesday 11:00", datetime!(2026-11-18 11:00 UTC)),
            ("sunday 03:30", datetime!(2026-11-22 3:30 UTC)),
            ("monday 23:59", datetime!(2026-11-23 23:59 UTC)),
        ];
        for (text, expected) in cases {
            let schedule: Schedule = text.parse().unwrap();
            assert_eq!(schedule.last_due(datetime!(2026-11-25 10:15:00 UTC)), expected, "{text}");
            assert_eq!(schedule.to_string(), text);
        }
        assert_eq!("daily 01:00".parse::<Schedule>().unwrap().last_due(datetime!(2026-11-25 2:30 +2)), datetime!(2026-11-24 1:00 UTC));
    }

    #[test]
    fn what_is_no_schedule_is_told_with_what_is() {
        for text in ["", "daily", "daily 25:00", "daily 3:30", "someday 03:30", "daily 03:30:00"] {
            assert!(text.parse::<Schedule>().unwrap_err().contains("daily HH:MM"), "{text}");
        }
    }
}
