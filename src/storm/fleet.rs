//! Many machines, and who switches them.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::unix::pipe;
use tokio::task::{JoinHandle, JoinSet};

use super::machine::{From, Machine, World};

/// Machines on one segment.
#[derive(Debug)]
pub struct Fleet {
    /// What they have around them.
    pub world: Arc<World>,
    /// The machines in the order of their names.
    pub machines: Vec<Arc<Machine>>,
}

impl Fleet {
    /// Switches all of them on within `spread`, one after the other, and waits until each stands still, or `limit` has passed.
    pub async fn storm(&self, spread: Duration, limit: Duration) {
        let mut lives = JoinSet::new();
        let count = u32::try_from(self.machines.len()).unwrap_or(u32::MAX).max(1);
        for (at, machine) in (0..).zip(&self.machines) {
            let (machine, world) = (Arc::clone(machine), Arc::clone(&self.world));
            let wait = spread.mul_f64(f64::from(at) / f64::from(count));
            lives.spawn(async move {
                tokio::time::sleep(wait).await;
                machine.live(&world).await;
            });
        }
        let _ = tokio::time::timeout(limit, async { while lives.join_next().await.is_some() {} }).await;
    }

    /// Does what [`switch_program`] is told to, for as long as it is polled.
    ///
    /// # Errors
    /// If the folder's pipe cannot be opened.
    pub async fn obey(&self, folder: &Path) -> io::Result<()> {
        // Open for writing too: else the pipe would end with the first program that closes it.
        let pipe = pipe::OpenOptions::new().read_write(true).open_receiver(folder.join(PIPE))?;
        let mut lines = BufReader::new(pipe).lines();
        let by_name: BTreeMap<&str, &Arc<Machine>> = self.machines.iter().map(|machine| (machine.name.as_str(), machine)).collect();
        let mut lives: BTreeMap<String, JoinHandle<()>> = BTreeMap::new();
        while let Some(line) = lines.next_line().await? {
            let mut words = line.split(' ');
            let (Some(name), Some(verb)) = (words.next(), words.next()) else { continue };
            let Some(&machine) = by_name.get(name) else { continue };
            match verb {
                "on" => {
                    let (own, world) = (Arc::clone(machine), Arc::clone(&self.world));
                    let life = tokio::spawn(async move { own.live(&world).await });
                    if let Some(before) = lives.insert(name.to_owned(), life) {
                        before.abort();
                    }
                }
                "off" => {
                    if let Some(life) = lives.remove(name) {
                        life.abort();
                    }
                }
                "boot" => {
                    machine.memory().once = match words.next() {
                        Some("network") => Some(From::Network),
                        Some("disk") => Some(From::Disk),
                        _ => None,
                    };
                }
                _ => {}
            }
        }
        Ok(())
    }
}

const PIPE: &str = "told";

/// Makes the program in `folder` that a site would give kickctl as its power command, for `PROGRAM NODE on|off|status|boot network|boot disk`, and the
/// pipe by which the fleet is told. The folder keeps whether each machine is on.
///
/// # Errors
/// If a file cannot be made.
pub fn switch_program(folder: &Path) -> io::Result<PathBuf> {
    std::fs::create_dir_all(folder)?;
    let pipe = folder.join(PIPE);
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, rustix::fs::Mode::from_raw_mode(0o600), 0)?;
    let program = folder.join("switch");
    // Built-in commands of the shell only: it runs thousands of times.
    let text = format!(
        "#!/bin/sh\ncd '{}' || exit 1\ncase $2 in\nstatus)\n\tstate=off\n\t[ ! -e \"$1\" ] || read -r state <\"$1\"\n\techo \"$state\"\n\t;;\n\
         on | off)\n\techo \"$2\" >\"$1\"\n\techo \"$1 $2\" >{PIPE}\n\t;;\nboot) echo \"$1 boot $3\" >{PIPE} ;;\n*) exit 2 ;;\nesac\n",
        folder.display()
    );
    std::fs::write(&program, text)?;
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755))?;
    Ok(program)
}
