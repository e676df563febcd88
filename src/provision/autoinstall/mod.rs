//! Ubuntu's autoinstall: what its installer is given, and a look at it before any node reboots for it.

mod answer;
mod archive;
mod lint;
mod schema;
mod shape;
mod storage;

pub use answer::autoinstall_answer;
pub use archive::Archive;
pub use lint::lint;
