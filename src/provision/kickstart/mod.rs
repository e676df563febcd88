//! Kickstart: what Anaconda is given, and a look at it before any node reboots for it.

pub mod answer;
pub mod lint;
pub mod release;
mod syntax;

pub use answer::kickstart_answer;
pub use lint::lint;
pub use release::Release;
