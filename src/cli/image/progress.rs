//! How a build's progress is drawn: a spinner with the last line of the log on a terminal, a line for each stage elsewhere.

use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::app::{BuildProgress, SilentBuild};
use crate::cli::output::is_interactive;

/// The progress that fits where standard error goes.
pub fn progress(name: &str, quiet: bool) -> Arc<dyn BuildProgress> {
    if quiet {
        Arc::new(SilentBuild)
    } else if is_interactive() {
        Arc::new(Spinner::new(name))
    } else {
        Arc::new(Lines(name.to_owned()))
    }
}

struct Spinner(ProgressBar);

impl Spinner {
    fn new(name: &str) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template("{spinner} {prefix}, {elapsed}: {wide_msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
        bar.set_prefix(name.to_owned());
        Self(bar)
    }
}

impl BuildProgress for Spinner {
    fn stage(&self, number: usize, count: usize, text: &str) {
        let name = self.0.prefix();
        let name = name.split(' ').next().unwrap_or_default();
        self.0.set_prefix(format!("{name} {number}/{count} {text}"));
        self.0.set_message("");
        self.0.enable_steady_tick(Duration::from_millis(120));
    }

    fn line(&self, text: &str) {
        self.0.set_message(text.to_owned());
    }

    fn pause(&self) {
        self.0.disable_steady_tick();
        self.0.finish_and_clear();
        self.0.reset();
    }
}

impl Drop for Spinner {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

struct Lines(String);

impl BuildProgress for Lines {
    fn stage(&self, number: usize, count: usize, text: &str) {
        anstream::eprintln!("{}: {number}/{count} {text}", self.0);
    }

    fn line(&self, _: &str) {}

    fn pause(&self) {}
}
