//! What to serve, decided purely: the boot decision, the loader table, loader scripts, rendering, tokens.

pub mod arguments;
pub mod autoinstall;
pub mod choices;
pub mod context;
pub mod cpio;
pub mod decide;
pub mod diskless;
#[cfg(test)]
mod fixture;
pub mod gate;
pub mod hosts;
pub mod inventory;
pub mod kickstart;
pub mod library;
pub mod loader;
pub mod node_archive;
pub mod packages;
pub mod preseed;
pub mod render;
pub mod repositories;
pub mod script;
pub mod tokens;
pub mod values;
pub mod variables;

pub use arguments::kernel_args;
pub use gate::{Machine, choose_disk, gate_answer};
pub use variables::Settings;
