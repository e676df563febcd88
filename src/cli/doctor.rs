//! `kickctl doctor`.

use clap::Args;

use super::output::{self, Record};
use super::{Exit, Globals};
use crate::app::doctor::{Finding, Level, doctor};
use crate::app::place::Place;
use crate::{app, daemon};

/// Find what will not work on this head, with the remedy
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kickctl doctor                                        as root, or it cannot see who holds a port
  kickctl doctor --no-probe                             does not ask the network for other DHCP servers
  kickctl doctor -o json | jq '.[] | select(.level != \"ok\")'

Ends with code 1 if anything will not work; warnings alone end with 0.")]
pub struct Doctor {
    /// Send nothing: do not ask for other DHCP servers on the segment
    #[arg(long)]
    no_probe: bool,
}

impl Record for Finding {
    const COLUMNS: &'static [&'static str] = &["", "check", "seen", "remedy"];
    fn cells(&self) -> Vec<String> {
        let level = match self.level {
            Level::Ok => "ok",
            Level::Warn => "warn",
            Level::Fail => "FAIL",
        };
        vec![level.into(), self.check.clone(), self.told.clone(), self.remedy.clone().unwrap_or_default()]
    }
    fn name(&self) -> String {
        self.check.clone()
    }
}

pub(super) async fn run(globals: &Globals, args: Doctor) -> app::Result<Exit> {
    let place = Place::find(globals.config.as_deref(), globals.data.as_deref())?;
    let others = if args.no_probe { None } else { Some(daemon::other_servers(&place.config).await) };
    let findings = doctor(&place, others).await;
    let shown: Vec<&Finding> = findings.iter().filter(|finding| !globals.quiet || finding.level != Level::Ok).collect();
    output::list(globals.output, &shown).map_err(super::no_output)?;
    Ok(if findings.iter().any(|finding| finding.level == Level::Fail) { Exit::Failed } else { Exit::Done })
}
