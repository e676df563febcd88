//! Which mirrors are to be refreshed now, by their own schedule or the head's.

use time::OffsetDateTime;

use super::add_mirror::read_mirror;
use super::refresh_mirror::last_refresh;
use super::{Head, Result};
use crate::domain::name::MirrorName;
use crate::mirror::Error;
use crate::mirror::layout;

/// The mirrors that have published something and whose last refresh (or, before the first, newest snapshot) is older than the last time that
/// one was due. What was missed while the head was off is due at once; what failed is due again at its next time.
///
/// # Errors
/// If the mirrors cannot be listed. A mirror whose definition does not read is told in the log and left out.
pub fn due_refreshes(head: &Head, now: OffsetDateTime) -> Result<Vec<MirrorName>> {
    let mut due = Vec::new();
    for dir in layout::mirrors(&head.data).map_err(Error::from)? {
        let name = dir.name();
        let found = read_mirror(&head.data, name).and_then(|mirror| Ok((mirror.refresh.or(head.config.refresh), last_refresh(&dir)?)));
        let (schedule, last) = match found {
            Ok((Some(schedule), last)) => (schedule, last),
            Ok((None, _)) => continue,
            Err(error) => {
                tracing::error!(%error, "mirror {name} cannot be refreshed");
                continue;
            }
        };
        let last = match last {
            Some(refresh) => Some(refresh.at),
            None => dir.list().map_err(Error::from)?.last().map(|snapshot| snapshot.made),
        };
        if last.is_some_and(|last| last < schedule.last_due(now)) && dir.published().is_some() {
            due.push(name.clone());
        }
    }
    Ok(due)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::Arc;

    use time::Duration;

    use super::*;
    use crate::app::fixture::{NOW, fresh};
    use crate::app::refresh_mirror::Refresh;
    use crate::config::{Config, Source};
    use crate::sys::data_dir::DataDir;

    fn last(name: &str, at: OffsetDateTime) -> Refresh {
        Refresh {
            name: name.parse().unwrap(),
            at,
            result: "failed".to_owned(),
            problem: Some("no network".to_owned()),
            snapshot: None,
            former: None,
            added: 0,
            superseded: 0,
            advisories: Default::default(),
            fetched_files: 0,
            fetched_bytes: 0,
        }
    }

    #[tokio::test]
    async fn a_mirror_is_due_by_its_own_schedule_or_the_heads_and_once_each_time() {
        let (folder, store) = fresh().await;
        let data = DataDir::new(folder.path());
        for (name, schedule) in [("own", "refresh = \"hourly\"\n"), ("heads", ""), ("unpublished", "refresh = \"hourly\"\n")] {
            let place = data.mirror(&name.parse().unwrap());
            fs::create_dir_all(place.join("snapshots/20261101T000000Z-00000000/tree")).unwrap();
            fs::write(place.join("definition.toml"), format!("{schedule}[directory]\npath = \"/srv/x\"\npackages = \"deb\"\n")).unwrap();
            if name != "unpublished" {
                std::os::unix::fs::symlink("snapshots/20261101T000000Z-00000000", place.join("current")).unwrap();
            }
            fs::write(place.join("refresh.json"), serde_json::to_vec(&last(name, NOW - Duration::minutes(90))).unwrap()).unwrap();
        }
        let text = "interface = \"eth1\"\naddress = \"10.0.0.1\"\nsubnet = \"10.0.0.0/24\"\n";
        let head = |more: &str| {
            let config = Config::parse(&Source::new("kickctl.toml", format!("{text}{more}"))).unwrap();
            Head::new(config, data.clone(), Arc::new(store.clone()), [0; 32])
        };
        let due = |head: &Head| due_refreshes(head, NOW).unwrap().iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(due(&head("")), ["own"]);
        // It is noon, and an hour and a half ago it was half past ten.
        assert_eq!(due(&head("[refresh]\nat = \"daily 11:00\"\n")), ["heads", "own"]);
        assert_eq!(due(&head("[refresh]\nat = \"daily 10:00\"\n")), ["own"]);
        let place = data.mirror(&"own".parse().unwrap());
        fs::write(place.join("refresh.json"), serde_json::to_vec(&last("own", NOW)).unwrap()).unwrap();
        assert!(due(&head("")).is_empty());
    }
}
