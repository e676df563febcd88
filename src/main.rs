//! Parses, runs, prints the error chain, chooses the exit code.

use std::error::Error;
use std::process::ExitCode;

use clap::Parser;
use kickctl::cli::{self, Cli, Exit};

fn main() -> ExitCode {
    let cli = Cli::parse();
    match cli::run(cli) {
        Ok(exit) => exit.into(),
        Err(error) => {
            report(&error);
            Exit::from(&error).into()
        }
    }
}

/// Prints what failed and its causes, skipping a cause that the line above already told.
fn report(error: &dyn Error) {
    let mut told = error.to_string();
    anstream::eprintln!("kickctl: {told}");
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !told.contains(&text) {
            anstream::eprintln!("  caused by: {text}");
        }
        told = text;
        cause = error.source();
    }
}
