//! What a build tells while it runs.

/// Hears of a build's progress; the command line draws a spinner from it, or writes lines.
pub trait Progress: Send + Sync {
    /// Stage `number` of `count` begins: such as `installing packages`.
    fn stage(&self, number: usize, count: usize, text: &str);
    /// A program wrote this line.
    fn line(&self, text: &str);
    /// The terminal belongs to a person until the next stage: nothing is to be drawn.
    fn pause(&self);
}

/// Says nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {
    fn stage(&self, _: usize, _: usize, _: &str) {}
    fn line(&self, _: &str) {}
    fn pause(&self) {}
}
