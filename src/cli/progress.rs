//! How a sync's progress is drawn: a bar with rate and time left on a terminal, plain lines elsewhere, nothing when asked to be quiet.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use indicatif::{BinaryBytes, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::output::is_interactive;
use crate::app::{Event, Progress, Silent};

/// How often a plain line tells how far a fetch is.
const PLAIN_EVERY: Duration = Duration::from_secs(10);

/// The progress that fits where standard error goes.
pub fn progress(name: &str, quiet: bool) -> Arc<dyn Progress> {
    if quiet {
        Arc::new(Silent)
    } else if is_interactive() {
        Arc::new(Bar::new(name))
    } else {
        Arc::new(Lines { name: name.to_owned(), fetch: Mutex::new(None), received: AtomicU64::new(0) })
    }
}

/// A size in binary units.
pub fn size(bytes: u64) -> String {
    BinaryBytes(bytes).to_string()
}

struct Bar {
    bar: ProgressBar,
    files: AtomicU64,
}

impl Bar {
    fn new(name: &str) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        bar.set_prefix(name.to_owned());
        bar.set_style(spinner());
        bar.enable_steady_tick(Duration::from_millis(120));
        Self { bar, files: AtomicU64::new(0) }
    }
}

fn spinner() -> ProgressStyle {
    ProgressStyle::with_template("{spinner} {prefix}: {msg}").unwrap_or_else(|_| ProgressStyle::default_spinner())
}

fn download() -> ProgressStyle {
    let template = "{prefix}: {bar:30} {binary_bytes} of {binary_total_bytes}, {binary_bytes_per_sec}, {eta} left, {msg}";
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> ")
}

impl Progress for Bar {
    fn event(&self, event: Event<'_>) {
        match event {
            Event::Stage(text) => self.bar.set_message(text.to_owned()),
            Event::Fetching { files, bytes } => {
                self.files.store(files, Ordering::Relaxed);
                self.bar.set_style(download());
                self.bar.set_message(format!("{files} files"));
                self.bar.set_length(bytes);
                self.bar.reset();
            }
            Event::Received(bytes) if bytes >= 0 => self.bar.inc(bytes.unsigned_abs()),
            Event::Received(bytes) => self.bar.set_position(self.bar.position().saturating_sub(bytes.unsigned_abs())),
            Event::FileDone => {
                let left = self.files.fetch_sub(1, Ordering::Relaxed).saturating_sub(1);
                self.bar.set_message(format!("{left} files left"));
            }
            Event::Fetched => {
                self.bar.set_style(spinner());
                self.bar.set_message("");
            }
            Event::Note(text) => {
                // Asked for before: the bar is locked while it is suspended.
                let name = self.bar.prefix();
                self.bar.suspend(|| anstream::eprintln!("{name}: {text}"));
            }
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// A fetch that is under way.
struct Fetch {
    bytes: u64,
    since: Instant,
    told: Instant,
}

struct Lines {
    name: String,
    fetch: Mutex<Option<Fetch>>,
    received: AtomicU64,
}

impl Lines {
    fn say(&self, text: &str) {
        anstream::eprintln!("{}: {text}", self.name);
    }

    fn advance(&self, bytes: i64) {
        let received = if bytes >= 0 {
            self.received.fetch_add(bytes.unsigned_abs(), Ordering::Relaxed).saturating_add(bytes.unsigned_abs())
        } else {
            self.received.fetch_sub(bytes.unsigned_abs().min(self.received.load(Ordering::Relaxed)), Ordering::Relaxed)
        };
        let Ok(mut fetch) = self.fetch.lock() else { return };
        let Some(fetch) = fetch.as_mut().filter(|fetch| fetch.told.elapsed() >= PLAIN_EVERY) else { return };
        fetch.told = Instant::now();
        let rate = received as f64 / fetch.since.elapsed().as_secs_f64().max(0.001);
        let left = (fetch.bytes.saturating_sub(received) as f64 / rate.max(1.0)).round();
        self.say(&format!("{} of {}, {}/s, {left} s left", size(received), size(fetch.bytes), size(rate as u64)));
    }
}

impl Progress for Lines {
    fn event(&self, event: Event<'_>) {
        match event {
            Event::Fetching { files, bytes } => {
                self.say(&format!("fetching {files} files, {}", size(bytes)));
                self.received.store(0, Ordering::Relaxed);
                if let Ok(mut fetch) = self.fetch.lock() {
                    *fetch = Some(Fetch { bytes, since: Instant::now(), told: Instant::now() });
                }
            }
            Event::Received(bytes) => self.advance(bytes),
            Event::Note(text) => self.say(text),
            Event::Stage(_) | Event::FileDone | Event::Fetched => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_told_while_the_bar_is_drawn() {
        let (told, wait) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let bar = Bar::new("debian-13");
            bar.event(Event::Stage("choosing the installer"));
            bar.event(Event::Note("upstream lacks something"));
            bar.event(Event::Fetching { files: 1, bytes: 10 });
            bar.event(Event::Received(10));
            bar.event(Event::FileDone);
            bar.event(Event::Note("another"));
            bar.event(Event::Fetched);
            drop(bar);
            told.send(())
        });
        assert_eq!(wait.recv_timeout(Duration::from_secs(60)), Ok(()), "the bar waits for itself");
    }
}
