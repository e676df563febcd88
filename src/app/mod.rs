//! The use cases, one verb a file. The command line, the web server and the protocol servers all call these.

mod abort_attempts;
pub mod add_mirror;
pub mod answer_dhcp;
pub mod answer_gate;
pub mod answer_script;
mod approve_nodes;
pub mod assign_profile;
mod authorize;
pub mod boot_file;
mod change_attempt;
pub mod doctor;
mod error;
pub mod expire_attempts;
pub mod export_dhcp;
pub mod find_loader;
#[cfg(test)]
mod fixture;
mod head;
pub mod head_keys;
mod import_nodes;
pub mod init_head;
pub mod late_script;
mod list_attempts;
pub mod list_mirrors;
mod list_nodes;
pub mod list_profiles;
mod material;
mod order;
pub mod place;
mod plan_nodes;
pub mod preflight;
pub mod prune_mirror;
pub mod publish_mirror;
pub mod reinstall;
mod remove_nodes;
pub mod rollback_mirror;
mod select_nodes;
mod set_nodes;
mod show_status;
pub mod sync_mirror;
pub mod take_log_lines;
pub mod take_over;
pub mod take_report;
pub mod verify_mirror;

pub use abort_attempts::abort_attempts;
pub use approve_nodes::{Approval, approve_nodes};
pub use change_attempt::{change_attempt, update_attempt};
pub use error::{Error, Result};
pub use head::Head;
pub use import_nodes::{COLUMNS as CSV_COLUMNS, ListFormat, export_nodes, import_nodes};
pub use list_attempts::{AttemptReport, AttemptSummary, PassedStage, find_attempt, list_attempts};
pub use list_nodes::{NodeReport, list_nodes, show_node};
pub use plan_nodes::{Change, Difference, Plan};
pub use remove_nodes::remove_nodes;
pub use select_nodes::select_nodes;
pub use set_nodes::{Settings, VariablePath, add_node, set_nodes};
pub use show_status::{StateLine, Status, show_status};

/// What the use cases take and return, for those who may call them but not know the rooms below.
pub use crate::store::{LogLine, SqliteStore, Store};
pub use crate::sys::data_dir::DataDir;
