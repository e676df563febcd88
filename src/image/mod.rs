//! Images: roots of diskless nodes, built from a mirror's snapshot, versioned, published.

pub mod guest;
pub mod layout;
