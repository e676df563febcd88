//! Exit codes, decided in one place.

use crate::{app, store};

/// How a command ended, for scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// Failed; nothing or not enough was done.
    Failed = 1,
    /// The command line makes no sense.
    Usage = 2,
    /// Some parts were done and some were not.
    Partly = 3,
    /// A guard refused; nothing was changed.
    Refused = 4,
    /// Waited for too long.
    TimedOut = 5,
}

impl From<&app::Error> for Exit {
    fn from(error: &app::Error) -> Self {
        match error {
            app::Error::Usage(_) => Self::Usage,
            app::Error::Partly(_) => Self::Partly,
            app::Error::Refused(_)
            | app::Error::Rejected(_)
            | app::Error::Store(store::Error::Busy { .. } | store::Error::Taken { .. }) => Self::Refused,
            app::Error::TimedOut(_) => Self::TimedOut,
            _ => Self::Failed,
        }
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
