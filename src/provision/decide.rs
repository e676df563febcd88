//! The boot decision: what a machine that asks right now is told. One table, *who asks* x *what it asks*, for every protocol.
//!
//! `docs/lifecycle.md` prints the table from here. What happens to the attempt because of the request is
//! [`crate::domain::attempt::step()`]'s business; a test holds the two together.

use crate::domain::attempt::{BootStage, Class, Gate, State};

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asker<'a> {
    /// A machine that no node's addresses name.
    Unknown,
    /// A node without an attempt.
    Idle,
    /// A node whose last attempt stands here; token requests carry this attempt's token.
    Attempt(&'a State),
    /// A token request with the token of an attempt that is not the node's last one, or from an address that is not the node's.
    Stranger,
}

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Request {
    /// DHCP from firmware that wants a network boot program.
    DhcpFirmware,
    /// DHCP from a loader (iPXE) that wants its script.
    DhcpLoader,
    /// DHCP from an installer or a running system.
    DhcpSystem,
    /// TFTP: the network boot program.
    LoaderFile,
    /// HTTP: the loader's script.
    Script,
    /// HTTP, boot token: kernel, initial RAM disk or preseed file.
    BootFile,
    /// HTTP, boot token: installer or diskless root takes over and is handed the report token.
    TakeOver,
    /// NFS: mount or read the version of an image that the attempt names.
    Mount,
    /// HTTP, report token: step, heartbeat, logs, packages, done, failed.
    Report,
    /// HTTP, report token: may I write, and where?
    Gate,
    /// HTTP, report token: what is set up at the end of the installation, secrets included.
    LateScript,
    /// HTTP, report token: the installed system calls home.
    Home,
}

/// All requests, in the order of the table's columns.
pub const REQUESTS: [Request; 12] = [
    Request::DhcpFirmware,
    Request::DhcpLoader,
    Request::DhcpSystem,
    Request::LoaderFile,
    Request::Script,
    Request::BootFile,
    Request::TakeOver,
    Request::Mount,
    Request::Report,
    Request::Gate,
    Request::LateScript,
    Request::Home,
];

/// What is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    /// An address and nothing to boot.
    Address,
    /// An address and the name of the network boot program.
    AddressAndLoader,
    /// An address and the URL of the loader's script.
    AddressAndScript,
    /// The network boot program. Also where the local disk is the decision: a firmware that is given no file may wait for
    /// minutes or stop (EDK2 retries DHCP for about a minute), while the loader goes on to the disk at once.
    Loader,
    /// A script that loads what was ordered: the installer, or the diskless root.
    Installer,
    /// A script that goes on to the local disk.
    LocalDisk,
    /// Yes: the file, or the request is taken.
    Granted,
    /// No, and nothing is told.
    Refused,
}

/// Decides.
pub fn decide(asker: Asker<'_>, request: Request) -> Answer {
    match request {
        Request::DhcpFirmware => Answer::AddressAndLoader,
        Request::DhcpLoader => Answer::AddressAndScript,
        Request::DhcpSystem => Answer::Address,
        Request::LoaderFile => Answer::Loader,
        Request::Script => match asker {
            Asker::Attempt(state) if state.serves_installer() => Answer::Installer,
            _ => Answer::LocalDisk,
        },
        Request::BootFile | Request::TakeOver | Request::Mount | Request::Report | Request::Gate | Request::LateScript | Request::Home => {
            match asker {
                Asker::Attempt(state) if grants(state, request) => Answer::Granted,
                _ => Answer::Refused,
            }
        }
    }
}

fn grants(state: &State, request: Request) -> bool {
    let script_served = matches!(state, State::Booting { fetches: 1.., stage: BootStage::Loader | BootStage::Kernel | BootStage::Root });
    match request {
        Request::BootFile => script_served,
        // Once more if the answer was lost, until the report token is used.
        Request::TakeOver => script_served || matches!(state, State::Installing { heard: false, .. }),
        // Late reports are welcome: they say what became of an attempt that was given up.
        // What runs from a root needs it for as long as it runs, whatever became of its attempt.
        Request::Mount => script_served || matches!(state, State::Starting | State::Verified) || state.failure().is_some(),
        Request::Report => {
            matches!(state, State::Starting | State::Installing { .. } | State::Finishing { .. } | State::Verified)
                || state.failure().is_some()
        }
        Request::Gate => matches!(state, State::Installing { .. }),
        // A deadline does not stop the installer: what it has begun after a yes it shall be able to end.
        Request::LateScript => match state {
            State::Installing { gate: Gate::Open { .. }, .. } => true,
            other => other.failure().is_some_and(|failure| failure.wrote && failure.class == Class::Transient),
        },
        Request::Home => state.may_call_home(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::attempt::{Event, state::MAX_FETCHES, step};

    #[test]
    fn every_asker_times_every_token_request() {
        use Answer::{Granted as Y, Installer as I, LocalDisk as L, Refused as N};
        // script, boot file, take-over, mount, report, gate, late script, home
        let expected = [
            /* armed                  */ [I, N, N, N, N, N, N, N],
            /* booting/dhcp           */ [I, N, N, N, N, N, N, N],
            /* booting/loader         */ [I, Y, Y, Y, N, N, N, N],
            /* booting/kernel, 3rd    */ [L, Y, Y, Y, N, N, N, N],
            /* booting/root           */ [I, Y, Y, Y, N, N, N, N],
            /* starting               */ [L, N, N, Y, Y, N, N, Y],
            /* installing, unheard    */ [L, N, Y, N, Y, Y, N, N],
            /* installing, gate shut  */ [L, N, N, N, Y, Y, N, N],
            /* installing, gate open  */ [L, N, N, N, Y, Y, Y, Y],
            /* finishing              */ [L, N, N, N, Y, N, N, Y],
            /* finishing/first-boot   */ [L, N, N, N, Y, N, N, Y],
            /* verified               */ [L, N, N, Y, Y, N, N, Y],
            /* failed, nothing written*/ [L, N, N, Y, Y, N, N, N],
            /* failed, wrote          */ [L, N, N, Y, Y, N, Y, Y],
            /* failed for good, wrote */ [L, N, N, Y, Y, N, N, Y],
            /* aborted, wrote         */ [L, N, N, Y, Y, N, N, Y],
            /* failed while starting  */ [L, N, N, Y, Y, N, N, Y],
            /* fallback, clean        */ [L, N, N, Y, Y, N, N, N],
            /* fallback, wrote        */ [L, N, N, Y, Y, N, Y, Y],
            /* held, clean            */ [L, N, N, Y, Y, N, N, N],
            /* held, wrote            */ [L, N, N, Y, Y, N, Y, Y],
            /* held, no call home     */ [L, N, N, Y, Y, N, Y, Y],
        ];
        let columns = [
            Request::Script,
            Request::BootFile,
            Request::TakeOver,
            Request::Mount,
            Request::Report,
            Request::Gate,
            Request::LateScript,
            Request::Home,
        ];
        let states = State::every_kind();
        assert_eq!(states.len(), expected.len());
        for ((name, state), row) in states.iter().zip(expected) {
            assert_eq!(columns.map(|request| decide(Asker::Attempt(state), request)), row, "{name}");
        }
        for nobody in [Asker::Unknown, Asker::Idle, Asker::Stranger] {
            assert_eq!(columns.map(|request| decide(nobody, request)), [L, N, N, N, N, N, N, N], "{nobody:?}");
        }
    }

    #[test]
    fn the_script_is_the_installers_exactly_when_the_attempt_moves_to_booting() {
        for fetches in 0..=MAX_FETCHES {
            let state = State::Booting { stage: BootStage::Loader, fetches };
            let (next, _) = step(&state, &Event::LoaderAsked).unwrap();
            let installer = decide(Asker::Attempt(&state), Request::Script) == Answer::Installer;
            assert_eq!(installer, matches!(next, State::Booting { .. }), "{fetches}");
        }
    }

    #[test]
    fn dhcp_and_tftp_answer_everybody_alike_and_never_name_the_installer() {
        for asker in [Asker::Unknown, Asker::Idle, Asker::Attempt(&State::Verified), Asker::Attempt(&State::Armed)] {
            assert_eq!(decide(asker, Request::DhcpFirmware), Answer::AddressAndLoader);
            assert_eq!(decide(asker, Request::DhcpLoader), Answer::AddressAndScript);
            assert_eq!(decide(asker, Request::DhcpSystem), Answer::Address);
            assert_eq!(decide(asker, Request::LoaderFile), Answer::Loader);
        }
    }
}
