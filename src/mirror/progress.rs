//! What a sync tells while it runs.

/// Something that happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A new stage begins: such as `reading indices`.
    Stage(&'a str),
    /// Files are about to be fetched.
    Fetching {
        /// How many.
        files: u64,
        /// Their sizes together.
        bytes: u64,
    },
    /// So many bytes came (fewer than none: what had come must be fetched again).
    Received(i64),
    /// One file ended, well or not.
    FileDone,
    /// All files of the last `Fetching` ended.
    Fetched,
    /// Something a person should know, which stops nothing.
    Note(&'a str),
}

/// Hears of a sync's progress; the command line draws bars from it.
pub trait Progress: Send + Sync {
    /// Something happened.
    fn event(&self, event: Event<'_>);
}

/// Says nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {
    fn event(&self, _: Event<'_>) {}
}
