//! `docs/lifecycle.md` shows the tables that the code acts by and `docs/lifecycle.svg` the same as a picture, printed from that code.
//! `KICKCTL_WRITE_DOCS=1 cargo test --test lifecycle_doc` writes them anew.
#![allow(clippy::expect_used, reason = "test helpers")]

#[path = "lifecycle_support/diagram.rs"]
mod diagram;

use std::fmt::Write as _;

use diagram::{Arrows, diagram};
use kickctl::domain::attempt::{Event, Limits, State, step};
use kickctl::provision::decide::{Answer, Asker, REQUESTS, Request, decide};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/lifecycle.md");
const PICTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/lifecycle.svg");

fn events() -> Vec<Event> {
    let text = || String::from("...");
    vec![
        Event::DhcpAsked,
        Event::LoaderAsked,
        Event::Unservable { reason: text() },
        Event::KernelServed,
        Event::RootAsked,
        Event::Started,
        Event::Replaced { reason: text() },
        Event::TookOver,
        Event::Reported { step: "packages".into(), percent: 60, units: 0 },
        Event::GateOpened { disk: "/dev/vda".into() },
        Event::GateRefused { reason: text() },
        Event::Done,
        Event::GaveUp { reason: text() },
        Event::CalledHome,
        Event::Overdue { reason: text() },
        Event::Aborted,
        Event::FellBack { reason: text() },
        Event::Held { reason: text() },
    ]
}

fn transition(state: &State, event: &Event) -> String {
    match step(state, event) {
        Err(_) => String::new(),
        Ok((next, _)) if next == *state => "=".into(),
        Ok((State::Failed(failure), _)) => format!("failed ({})", failure.class),
        Ok((next, _)) => next.name(),
    }
}

fn row(cells: impl IntoIterator<Item = String>) -> String {
    cells.into_iter().fold(String::from("|"), |mut row, cell| {
        let _ = write!(row, " {cell} |");
        row
    }) + "\n"
}

fn table(titles: Vec<String>, rows: impl Iterator<Item = Vec<String>>) -> String {
    let rule = titles.iter().map(|_| "---".to_owned()).collect::<Vec<_>>();
    [titles, rule].into_iter().chain(rows).map(row).collect()
}

fn transitions() -> String {
    let titles = ["state".to_owned()].into_iter().chain(events().iter().map(|event| event.name().to_owned())).collect();
    let rows = State::every_kind()
        .into_iter()
        .map(|(name, state)| std::iter::once(name.to_owned()).chain(events().iter().map(|event| transition(&state, event))).collect());
    table(titles, rows)
}

/// The state's name without its detail.
fn coarse(state: &State) -> &'static str {
    match state {
        State::Armed => "armed",
        State::Booting { .. } => "booting",
        State::Starting => "starting",
        State::Installing { .. } => "installing",
        State::Finishing { .. } => "finishing",
        State::Verified => "verified",
        State::Failed(_) => "failed",
        State::Fallback(_) => "fallback",
        State::Held(_) => "held",
    }
}

/// Every step that leads from one state to another, with the events that it is taken for.
fn arrows() -> Arrows {
    let mut arrows = Arrows::new();
    for (_, state) in State::every_kind() {
        for event in events() {
            let Ok((next, _)) = step(&state, &event) else { continue };
            let (from, to) = (coarse(&state), coarse(&next));
            if from == to {
                continue;
            }
            let words = arrows.entry((from, to)).or_default();
            if !words.iter().any(|word| word == event.name()) {
                words.push(event.name().to_owned());
            }
        }
    }
    arrows
}

fn request(request: Request) -> &'static str {
    match request {
        Request::DhcpFirmware => "DHCP, firmware",
        Request::DhcpLoader => "DHCP, iPXE",
        Request::DhcpSystem => "DHCP, system",
        Request::LoaderFile => "TFTP loader",
        Request::Script => "script",
        Request::BootFile => "boot files",
        Request::TakeOver => "take-over",
        Request::Mount => "NFS",
        Request::Report => "report",
        Request::Gate => "gate",
        Request::LateScript => "late script",
        Request::Home => "call home",
    }
}

fn answer(answer: Answer) -> &'static str {
    match answer {
        Answer::Address => "address",
        Answer::AddressAndLoader => "address, loader",
        Answer::AddressAndScript => "address, script URL",
        Answer::Loader => "loader",
        Answer::Installer => "**installer**",
        Answer::LocalDisk => "local disk",
        Answer::Granted => "yes",
        Answer::Refused => "no",
    }
}

fn answers() -> String {
    let titles = ["who asks".to_owned()].into_iter().chain(REQUESTS.map(request).map(str::to_owned)).collect();
    let states = State::every_kind();
    let askers =
        [("unknown machine", Asker::Unknown), ("node without an attempt", Asker::Idle), ("stale attempt, wrong address", Asker::Stranger)];
    let attempts = states.iter().map(|(name, state)| (*name, Asker::Attempt(state)));
    let rows = askers.into_iter().chain(attempts).map(|(name, asker)| {
        std::iter::once(name.to_owned()).chain(REQUESTS.map(|request| answer(decide(asker, request)).to_owned())).collect()
    });
    table(titles, rows)
}

fn limits() -> String {
    let limits = Limits::default();
    let rows = [
        ("limits.power", limits.power, "from the head's switching the node on to its first DHCP request"),
        ("limits.loader", limits.loader, "from the DHCP answer to the loader's script"),
        ("limits.kernel", limits.kernel, "from the script to the kernel"),
        ("limits.installer", limits.installer, "from the kernel to the installer's first word, or to a diskless root's mount or fetch"),
        ("limits.root", limits.root, "from there to the diskless root's take-over"),
        ("limits.stall", limits.stall, "without progress while installing; a heartbeat is no progress"),
        ("limits.install", limits.install, "for the whole installation"),
        ("limits.first_boot", limits.first_boot, "from the installer's end, or the diskless root's take-over, to the call home"),
    ];
    let titles = ["setting", "seconds", "what"].map(str::to_owned).to_vec();
    table(titles, rows.into_iter().map(|(key, seconds, what)| vec![format!("`{key}`"), seconds.to_string(), what.to_owned()]))
}

fn with_section(text: &str, name: &str, content: &str) -> String {
    let (begin, end) = (format!("<!-- {name}: printed by tests/lifecycle_doc.rs -->\n"), format!("<!-- end of {name} -->"));
    let from = text.find(&begin).expect("the section begins") + begin.len();
    let to = text.find(&end).expect("the section ends");
    format!("{}{content}{}", &text[..from], &text[to..])
}

#[test]
fn the_picture_shows_every_step_that_the_code_takes() {
    let expected = diagram(&arrows(), ("failed", "armed", ["the next", "attempt"]));
    if std::env::var_os("KICKCTL_WRITE_DOCS").is_some() {
        std::fs::write(PICTURE, &expected).expect("docs/lifecycle.svg can be written");
        return;
    }
    let picture = std::fs::read_to_string(PICTURE).expect("docs/lifecycle.svg");
    assert!(picture == expected, "docs/lifecycle.svg is behind the code: KICKCTL_WRITE_DOCS=1 cargo test --test lifecycle_doc");
}

#[test]
fn the_page_shows_the_tables_that_the_code_acts_by() {
    let page = std::fs::read_to_string(FILE).expect("docs/lifecycle.md");
    let mut expected = page.clone();
    for (name, content) in [("transitions", transitions()), ("answers", answers()), ("limits", limits())] {
        expected = with_section(&expected, name, &content);
    }
    if std::env::var_os("KICKCTL_WRITE_DOCS").is_some() {
        std::fs::write(FILE, &expected).expect("docs/lifecycle.md can be written");
        return;
    }
    assert!(page == expected, "docs/lifecycle.md is behind the code: KICKCTL_WRITE_DOCS=1 cargo test --test lifecycle_doc");
}
