//! What runs on a machine after its loader: an installer, a diskless root, or the system on its disk. Each speaks as kickctl's scripts in it do.

use std::net::SocketAddr;
use std::time::Duration;

use super::dhcp::Program;
use super::fault::Fault;
use super::http::{Answer, Ask};
use super::machine::{Boot, Script, Then};
use super::measure::Kind;

/// What the installer's main menu logs as it begins a step, the head's word for it, and its percent.
const STEPS: [(&str, &str, u8); 5] = [
    ("bootstrap-base", "base-system", 20),
    ("apt-setup-udeb", "apt", 63),
    ("pkgsel", "packages", 70),
    ("grub-installer", "boot-loader", 80),
    ("finish-install", "finish", 90),
];
/// A call home that is not answered is tried again after this time.
const AGAIN: Duration = Duration::from_millis(200);
const LOST: u32 = 10;

/// An installer that has taken over.
struct Installer {
    /// `http://HOST:PORT`.
    head: String,
    token: String,
    /// The snapshot's address, if the answers name one.
    mirror: Option<String>,
    log: Option<SocketAddr>,
}

/// The installer, from its kernel to the end.
pub(super) async fn installer(boot: &mut Boot<'_>, script: &Script) -> Then {
    boot.pauses(boot.world.pace.kernel).await;
    match take_over(boot, script).await {
        Some(installer) => install(boot, &installer).await.unwrap_or(Then::Stands),
        None => Then::Stands,
    }
}

async fn take_over(boot: &mut Boot<'_>, script: &Script) -> Option<Installer> {
    boot.lease(Program::System).await?;
    let url = script.argument("url").or_else(|| script.argument("inst.ks"))?;
    let head = url.split("/boot/").next()?.to_owned();
    let answers = boot.get(Kind::Answers, url, None).await?.text();
    let name = &boot.machine.name;
    if !answers.contains(&format!("# {name}: ")) {
        boot.complain("the answers are another node's".into());
    }
    let take_over = answers.split_whitespace().find(|word| word.starts_with("http://") && word.ends_with("/takeover.sh"))?;
    let text = boot.get(Kind::TakeOver, take_over, None).await?.text();
    if text.lines().last() != Some("# kickctl: end") {
        boot.complain("the take-over's script is not whole".into());
    }
    let Some(token) = report_token(&text) else {
        boot.complain("the take-over has no report token".into());
        return None;
    };
    {
        let mut memory = boot.machine.memory();
        memory.tokens.push(token.clone());
    }
    let host = script.argument("log_host").unwrap_or_default();
    let log = format!("{host}:{}", script.argument("log_port").unwrap_or("514")).parse().ok();
    Some(Installer { mirror: mirror(&answers), head, token, log })
}

/// The token in the line that gives it to wget or curl: an attempt's number, a hyphen, and 40 hexadecimal digits.
fn report_token(script: &str) -> Option<String> {
    let line = script.lines().find(|line| line.contains("Authorization: Bearer"))?;
    let mut words = line.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
    words.find(|word| word.split_once('-').is_some_and(|(_, digits)| digits.len() == 40)).map(str::to_owned)
}

/// Where a preseed or a kickstart file says that packages come from.
fn mirror(answers: &str) -> Option<String> {
    let value = |key: &str| answers.lines().find_map(|line| Some(line.strip_prefix(key)?.trim().to_owned()));
    if let (Some(host), Some(path)) = (value("d-i mirror/http/hostname string"), value("d-i mirror/http/directory string")) {
        return Some(format!("http://{host}{path}"));
    }
    value("url --url=")
}

/// `None` if an answer did not come.
async fn install(boot: &mut Boot<'_>, own: &Installer) -> Option<Then> {
    let step = boot.world.pace.step;
    boot.get(Kind::Key, &format!("{}/key.gpg", own.head), None).await?;
    say(boot, own, &["kickctl: the installer has taken over".to_owned(), menu("choose-mirror")]).await;
    post(boot, own, "step", "step=network&percent=3&units=0").await?;
    if boot.machine.suffers(Fault::EarlyReboot) {
        return Some(Then::Restarts);
    }
    if boot.machine.memory().installers == 2 && boot.machine.fault == Some(Fault::Stale) {
        stale(boot, own).await;
    }
    boot.pauses(step).await;
    while boot.machine.suffers(Fault::GateNeverAsked) {
        // From the moment at which the head orders another try it is refused; the machine lives until it is switched off.
        reported(boot, own, Kind::Report, "heartbeat", "").await?;
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    let inventory = boot.machine.disks();
    let answer = reported(boot, own, Kind::Gate, "gate", inventory).await?;
    if answer.status != 200 || answer.text().lines().last() != Some("# kickctl: yes") {
        say(boot, own, &[format!("kickctl: write gate: no: {}", answer.text().trim())]).await;
        if boot.machine.disks() == super::machine::BLANK {
            boot.complain(format!("the write gate said no: {}", answer.text().trim()));
        }
        // As the gate's script: it shows it for ever.
        return Some(Then::Stands);
    }
    for (at, (item, word, percent)) in STEPS.into_iter().enumerate() {
        say(boot, own, &[menu(item), format!("debootstrap: Unpacking step {at}")]).await;
        post(boot, own, "step", &format!("step={word}&percent={percent}&units={}", at * 100 + 1)).await?;
        if at == 1 && (boot.machine.suffers(Fault::Killed) || boot.machine.suffers(Fault::Hangs) || boot.machine.suffers(Fault::Stale)) {
            return Some(Then::Stands);
        }
        let failed = [
            (Fault::MirrorBusy, "debootstrap: http://mirror/pool/x.deb: HTTP 503 Service Unavailable"),
            (Fault::PackageMissing, "the installer's step pkgsel failed: package nosuch is not available"),
        ];
        if let Some((_, why)) = failed.iter().find(|(fault, _)| at == 2 && boot.machine.suffers(*fault)) {
            reported(boot, own, Kind::Report, "logs", "the end of the installer's own log").await?;
            post(boot, own, "failed", why).await?;
            return Some(Then::Stands);
        }
        fetch(boot, own, at).await?;
        boot.pauses(step).await;
    }
    let late = boot.get(Kind::Late, &format!("{}/report/late.sh", own.head), Some(&own.token)).await?;
    if late.text().lines().last() != Some("# kickctl: end") {
        boot.complain("the end of the installation is not whole".into());
    }
    boot.machine.memory().disk = Some(format!("{} {}", own.head, own.token));
    if !boot.machine.suffers(Fault::LostDone) {
        post(boot, own, "done", "").await?;
    }
    Some(Then::Restarts)
}

/// This step's share of the packages.
async fn fetch(boot: &Boot<'_>, own: &Installer, step: usize) -> Option<()> {
    let Some(mirror) = &own.mirror else { return Some(()) };
    for (path, expected) in boot.world.files.packages.iter().skip(step).step_by(STEPS.len()) {
        let package = boot.get(Kind::Package, &format!("{mirror}/{path}"), None).await?;
        boot.expect(path, &package.body, expected);
    }
    Some(())
}

/// What the first attempt had still to say arrives now.
async fn stale(boot: &Boot<'_>, own: &Installer) {
    let old = boot.machine.memory().tokens.iter().rev().filter(|token| **token != own.token).nth(1).cloned();
    let Some(old) = old else { return boot.complain("it has no old token".into()) };
    let of_old = Installer { head: own.head.clone(), token: old, mirror: None, log: None };
    for event in ["step", "done", "home"] {
        let answer = reported(boot, &of_old, Kind::Report, event, "step=finish&percent=99&units=9000").await;
        match answer.map(|answer| answer.status) {
            Some(403) => boot.machine.memory().refused += 1,
            other => boot.complain(format!("an old attempt's `{event}` was answered {other:?}")),
        }
    }
}

fn menu(item: &str) -> String {
    format!("main-menu[310]: INFO: Menu item '{item}' selected")
}

async fn say(boot: &Boot<'_>, own: &Installer, lines: &[String]) {
    if let Some(log) = own.log {
        boot.logs(log, lines).await;
    }
}

/// A report that the head has to take.
async fn post(boot: &Boot<'_>, own: &Installer, event: &str, body: &str) -> Option<()> {
    let answer = reported(boot, own, Kind::Report, event, body).await?;
    if answer.status != 200 {
        boot.complain(format!("`{event}` was answered {}", answer.status));
    }
    Some(())
}

async fn reported(boot: &Boot<'_>, own: &Installer, kind: Kind, event: &str, body: &str) -> Option<Answer> {
    let url = format!("{}/report/{event}", own.head);
    let ask = Ask { kind, url: &url, token: Some(&own.token), body: Some(body.as_bytes()), deaf: false };
    let answer = boot.ask(ask).await?;
    if boot.twice() {
        let again = boot.ask(ask).await?;
        if again.status != answer.status || again.body != answer.body {
            boot.complain(format!("`{event}` was answered {} first and {} then", answer.status, again.status));
        }
    }
    Some(answer)
}

/// The machine boots what is on its disk: nothing, or a system that calls home until it is heard.
pub(super) async fn local_disk(boot: &mut Boot<'_>) -> Then {
    let disk = boot.machine.memory().disk.clone();
    let Some((head, token)) = disk.as_deref().and_then(|disk| disk.split_once(' ')) else { return Then::Stands };
    let own = Installer { head: head.to_owned(), token: token.to_owned(), mirror: None, log: None };
    boot.pauses(boot.world.pace.kernel).await;
    let Some(lease) = boot.lease(Program::System).await else { return Then::Stands };
    boot.address = lease.address;
    if boot.machine.fault == Some(Fault::HomeLost) {
        return Then::Stands;
    }
    if boot.machine.fault == Some(Fault::HomeLate) {
        tokio::time::sleep(boot.world.pace.late).await;
    }
    calls_home(boot, &own).await;
    Then::Stands
}

async fn calls_home(boot: &Boot<'_>, own: &Installer) {
    let url = format!("{}/report/home", own.head);
    let body = format!("hostname={}&os=Storm%201&packages=412&packages_sha256=5a", boot.machine.name);
    let ask = Ask { kind: Kind::Home, url: &url, token: Some(&own.token), body: Some(body.as_bytes()), deaf: false };
    if boot.machine.fault == Some(Fault::HomeTwice) {
        // The line is dead: nothing of these is ever sent.
        tokio::time::sleep(AGAIN * LOST).await;
        // This one arrives, and its answer is lost.
        boot.ask(Ask { deaf: true, ..ask }).await;
        tokio::time::sleep(AGAIN).await;
    }
    let Some(answer) = boot.ask(ask).await else { return };
    match answer.status {
        200 => boot.is_home(),
        status => return boot.complain(format!("the call home was answered {status}")),
    }
    if boot.twice() {
        boot.ask(ask).await;
    }
    let packages = "format deb\nbase-files 13.8 amd64\nbash 5.2.37-2 amd64\nopenssh-server 1:10.0p1-7 amd64\n";
    let told = reported(boot, own, Kind::Packages, "packages", packages).await;
    if told.is_some_and(|answer| answer.status != 200) {
        boot.complain("the list of packages was not taken".into());
    }
}

/// A diskless root in memory, from its kernel to the call home.
pub(super) async fn diskless(boot: &mut Boot<'_>, script: &Script) -> Then {
    boot.pauses(boot.world.pace.kernel).await;
    // What is missing was complained of.
    let _ = runs_diskless(boot, script).await;
    Then::Stands
}

async fn runs_diskless(boot: &mut Boot<'_>, script: &Script) -> Option<()> {
    boot.lease(Program::System).await?;
    let base = script.kernel.strip_suffix("/vmlinuz")?.to_owned();
    let own = boot.get(Kind::Initrd, &format!("{base}/node.cpio"), None).await?;
    boot.get(Kind::Initrd, &format!("{base}/root.squashfs"), None).await?;
    let url = format!("{base}/takeover");
    let archive = boot.ask(Ask { kind: Kind::TakeOver, url: &url, token: None, body: Some(b""), deaf: false }).await?;
    let Some(token) = member(&archive.body, "token") else {
        boot.complain(format!("the diskless take-over was answered {}", archive.status));
        return None;
    };
    let head = base.split("/boot/").next()?.to_owned();
    let own_report = Installer { head, token: token.trim().to_owned(), mirror: None, log: None };
    let body = format!("hostname={}&kind=ram&uptime=12", boot.machine.name);
    let answer = reported(boot, &own_report, Kind::Home, "home", &body).await?;
    if answer.status != 200 {
        boot.complain(format!("the diskless call home was answered {}", answer.status));
    }
    if String::from_utf8_lossy(&own.body).contains("KICKCTL_RESCUE='yes'") {
        post(boot, &own_report, "rescue", "== disks\nvda 64G\n== SMART of vda\nPASSED\n").await?;
    }
    boot.machine.memory().diskless = true;
    Some(())
}

/// The text of a file in a cpio archive (newc): a header of 110 characters, the name, the content, each to a multiple of four.
fn member(archive: &[u8], wanted: &str) -> Option<String> {
    let mut rest = archive;
    loop {
        let field = |at: usize| usize::from_str_radix(std::str::from_utf8(rest.get(6 + 8 * at..14 + 8 * at)?).ok()?, 16).ok();
        let (size, length) = (field(6)?, field(11)?);
        let name = rest.get(110..(110 + length).checked_sub(1)?)?;
        let start = (110 + length).next_multiple_of(4);
        let content = rest.get(start..start.checked_add(size)?)?;
        if name == wanted.as_bytes() || name.ends_with(format!("/{wanted}").as_bytes()) {
            return Some(String::from_utf8_lossy(content).into_owned());
        }
        rest = rest.get((start + size).next_multiple_of(4)..)?;
    }
}
