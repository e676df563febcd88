//! `kickctl serve`.

mod other_servers;

pub use other_servers::other_servers;
