//! What can go wrong inside, before it is told where.

use crate::store::Error;

/// A failure that does not know its place yet.
#[derive(Debug)]
pub enum Fault {
    /// Already in the words of the trait.
    Told(Error),
    /// SQLite, or a column of a wrong type.
    Sql(rusqlite::Error),
    /// The file or its folder.
    Io(std::io::Error),
    /// A record that does not read back.
    Record(&'static str, serde_json::Error),
    /// The tables are of a newer kickctl.
    Newer {
        /// Their version.
        found: i64,
        /// The newest version known here.
        known: i64,
    },
}

impl Fault {
    /// Adds the place.
    pub fn at(self, place: &str) -> Error {
        let place = place.to_owned();
        match self {
            Self::Told(error) => error,
            Self::Sql(error) => Error::Database { place, source: Box::new(error) },
            Self::Io(error) => Error::Database { place, source: Box::new(error) },
            Self::Record(what, source) => Error::Record { what, place, source },
            Self::Newer { found, known } => Error::Newer { place, found, known },
        }
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Told(error)
    }
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<std::io::Error> for Fault {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error)
    }
}
