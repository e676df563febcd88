//! What to serve, decided purely: the boot decision, the loader table, loader scripts, rendering, tokens.

pub mod decide;
pub mod loader;
pub mod script;
