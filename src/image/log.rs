//! A build's log: all that its programs said, and the end of it for a message.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use super::{Error, Progress, Result};
use crate::sys::atomic::named;

/// Lines that a message shows.
const TAIL: usize = 15;
/// Longest line that is kept for a message or shown, in characters; the log has all of it.
const SHOWN: usize = 300;

/// The log of a build that is under way.
pub struct Log {
    file: File,
    /// Where a failed build's log is kept.
    kept: PathBuf,
    tail: VecDeque<String>,
    progress: Arc<dyn Progress>,
    stages: usize,
    number: usize,
    stage: String,
}

impl Log {
    /// Begins a log of a build that goes through `stages` stages. `kept`: where the caller keeps it if the build fails.
    ///
    /// # Errors
    /// If the file cannot be made.
    pub fn create(path: &Path, kept: PathBuf, progress: Arc<dyn Progress>, stages: usize) -> Result<Self> {
        let file = File::create_new(path).map_err(|error| named(error, "create", path))?;
        Ok(Self { file, kept, tail: VecDeque::new(), progress, stages, number: 0, stage: String::new() })
    }

    /// A new stage begins.
    ///
    /// # Errors
    /// If the log cannot be written.
    pub fn stage(&mut self, text: &str) -> Result<()> {
        self.number += 1;
        text.clone_into(&mut self.stage);
        self.progress.stage(self.number, self.stages, text);
        Ok(writeln!(self.file, "== {}/{} {text}", self.number, self.stages)?)
    }

    /// Runs a program to its end; what it says goes to the log. `input`: its standard input.
    ///
    /// # Errors
    /// [`Error::Stage`] if it fails.
    pub fn run(&mut self, name: &str, command: &mut Command, input: Option<File>) -> Result<()> {
        let (reader, writer) = io::pipe()?;
        command.stdout(writer.try_clone()?).stderr(writer).stdin(input.map_or_else(Stdio::null, Stdio::from));
        let mut child = command.spawn().map_err(|error| io::Error::new(error.kind(), format!("cannot start {name}: {error}")))?;
        // Our own ends of the pipe: the reader would wait for them.
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let told = self.take_lines(reader);
        let ended = child.wait()?;
        told?;
        if ended.success() { Ok(()) } else { Err(self.failed(&format!("{name} ended with {ended}"))) }
    }

    /// The error of the stage that is under way.
    pub fn failed(&self, problem: &str) -> Error {
        let tail: Vec<String> = self.tail.iter().map(|line| format!("  {line}")).collect();
        Error::Stage { stage: self.stage.clone(), problem: problem.to_owned(), log: self.kept.clone(), tail: tail.join("\n") }
    }

    fn take_lines(&mut self, reader: io::PipeReader) -> io::Result<()> {
        let mut reader = BufReader::new(reader);
        let mut line = Vec::new();
        while read_line(&mut reader, &mut line)? > 0 {
            self.file.write_all(&line)?;
            let text: String = String::from_utf8_lossy(&line).chars().filter(|c| !c.is_control()).take(SHOWN).collect();
            line.clear();
            if text.trim().is_empty() {
                continue;
            }
            self.progress.line(&text);
            self.tail.push_back(text);
            if self.tail.len() > TAIL {
                self.tail.pop_front();
            }
        }
        Ok(())
    }
}

/// A line, or as much of it as is bounded: a program that never ends a line fills no memory.
fn read_line(reader: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<usize> {
    io::Read::take(reader, 64 * 1024).read_until(b'\n', line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Silent;

    #[test]
    fn what_a_program_said_is_kept_and_its_end_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("build.log");
        let mut log = Log::create(&path, "/kept".into(), Arc::new(Silent), 1).unwrap();
        log.stage("counting").unwrap();
        let error = log.run("seq", Command::new("sh").args(["-c", "seq 100; echo no >&2; exit 3"]), None).unwrap_err().to_string();
        assert!(error.starts_with("counting: seq ended with exit status: 3. No version was made. The whole log: /kept"), "{error}");
        assert!(error.ends_with("  99\n  100\n  no") && !error.contains("\n  85"), "{error}");
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("== 1/1 counting\n1\n2\n") && text.ends_with("100\nno\n"), "{text}");
    }
}
