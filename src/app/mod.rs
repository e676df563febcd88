//! The use cases, one verb a file. The command line, the web server and the protocol servers all call these.

mod error;

pub use error::{Error, Result};
