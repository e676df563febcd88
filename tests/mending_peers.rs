//! What the head does outside because of a failure, against programs that others wrote: OpenIPMI's simulated controller through ipmitool, OpenStack's
//! Redfish emulator, and Python's HTTP server as the service that is told. `tests/lab/setup.sh test` installs them.
#![allow(clippy::unwrap_used, clippy::panic, reason = "test helpers")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use kickctl::app::carry_out::{carry_out, due_work};
use kickctl::app::{DataDir, Head, SqliteStore};
use kickctl::config::{Config, Source};
use kickctl::domain::name::NodeName;
use kickctl::domain::occurrence::{Occurrence, What};
use kickctl::domain::power::{BootFrom, Controller, Password, Power, PowerState};
use kickctl::sys::power::Switch;
use tempfile::TempDir;
use time::OffsetDateTime;

/// A program that runs as long as this lives.
struct Running(Child);

impl Running {
    fn start(command: &mut Command) -> Self {
        Self(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn program(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

fn node() -> NodeName {
    "node07".parse().unwrap()
}

fn controller(address: String, password: &str) -> Controller {
    Controller { address, user: "head".into(), password: Password::new(password), system: None, insecure: false }
}

/// A program of the folder into which setup.sh installs the emulator.
fn sushy(program: &str) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target"), PathBuf::from);
    let path = target.join("sushy-tools/bin").join(program);
    assert!(path.exists(), "{} is not there: run tests/lab/setup.sh test", path.display());
    path
}

/// Until the controller answers, which it does a moment after its start.
async fn answering(switch: &Switch<'_>) -> PowerState {
    let begun = Instant::now();
    loop {
        match switch.state().await {
            Ok(state) => return state,
            Err(error) if begun.elapsed() > Duration::from_secs(60) => panic!("{error}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
        }
    }
}

/// OpenIPMI's controller; what it switches is a program that keeps the machine's power and boot device in files.
fn ipmi_sim(folder: &Path) -> (Running, u16) {
    let port = free_port();
    let place = folder.display();
    let auths = ["callback", "user", "operator", "admin"].map(|level| format!("allowed_auths_{level} none md2 md5 straight\n")).concat();
    let lan = format!(
        "name \"lab\"\nset_working_mc 0x20\nstartlan 1\naddr 127.0.0.1 {port}\npriv_limit admin\n{auths}\
         guid a123456789abcdefa123456789abcdef\nendlan\nchassis_control \"{place}/chassis\"\n\
         user 2 true \"head\" \"secret\" admin 10 none md2 md5 straight\n"
    );
    fs::write(folder.join("lan.conf"), lan).unwrap();
    let commands = "mc_setbmc 0x20\nmc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02 persist_sdr\nmc_enable 0x20\n";
    fs::write(folder.join("sim.cmd"), commands).unwrap();
    fs::create_dir(folder.join("sim")).unwrap();
    let chassis = format!(
        "#!/bin/sh\ncd {place}\ncase $1 in\nget) shift; for name; do echo \"$name:$(cat $name)\"; done ;;\n\
         set) shift; while [ $# -gt 0 ]; do echo $2 >$1; shift 2; done ;;\nesac\n"
    );
    program(&folder.join("chassis"), &chassis);
    fs::write(folder.join("power"), "1\n").unwrap();
    fs::write(folder.join("boot"), "none\n").unwrap();
    let mut command = Command::new("ipmi_sim");
    command.current_dir(folder).args(["-c", "lan.conf", "-f", "sim.cmd", "-s", "sim", "-n"]);
    (Running::start(&mut command), port)
}

/// This simulator does not answer `Get Channel Cipher Suites`, so that ipmitool asks for ten seconds before each command, as it does with old controllers.
#[tokio::test]
async fn a_controller_is_told_once_by_ipmi_from_where_to_boot() {
    let folder = TempDir::new().unwrap();
    let (_running, port) = ipmi_sim(folder.path());
    let (node, power) = (node(), Power::Ipmi(controller(format!("127.0.0.1:{port}"), "secret")));
    let switch = Switch { node: &node, power: &power, uefi: true };
    assert_eq!(answering(&switch).await, PowerState::On);
    switch.boot_once(BootFrom::Network).await.unwrap();
    assert_eq!(fs::read_to_string(folder.path().join("boot")).unwrap(), "pxe\n");
}

#[test]
fn the_command_line_switches_by_ipmi_and_shows_nobody_the_password() {
    let folder = TempDir::new().unwrap();
    let (_running, port) = ipmi_sim(folder.path());
    let data = folder.path().join("data");
    fs::create_dir(&data).unwrap();
    fs::write(data.join("kickctl.toml"), "interface = \"lo\"\naddress = \"10.0.0.1\"\nsubnet = \"10.0.0.0/24\"\n").unwrap();
    fs::write(folder.path().join("password"), "secret\n").unwrap();
    // What any user of the head could see in the list of processes. Cipher suite 3 is what the simulator has; being told so, ipmitool need not ask.
    let seen = folder.path().join("seen");
    fs::create_dir(folder.path().join("bin")).unwrap();
    let real = String::from_utf8(Command::new("sh").args(["-c", "command -v ipmitool"]).output().unwrap().stdout).unwrap();
    program(
        &folder.path().join("bin/ipmitool"),
        &format!("#!/bin/sh\necho \"$*\" >>{}\nexec {} -C 3 \"$@\"\n", seen.display(), real.trim()),
    );
    let path = format!("{}:{}", folder.path().join("bin").display(), std::env::var("PATH").unwrap());
    let kickctl = |line: &[&str]| {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin!("kickctl"));
        let output = command.args(line).env("KICKCTL_DATA", &data).env_remove("KICKCTL_CONFIG").env("PATH", &path).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
    };
    let good = |line: &[&str]| {
        let (code, told, error) = kickctl(line);
        assert_eq!(code, 0, "{line:?}: {told}{error}");
        told
    };
    good(&["node", "add", "node07", "--mac", "52:54:00:00:00:07"]);
    let (code, told, _) = kickctl(&["power", "node07", "status"]);
    assert!(code == 1 && told.contains("it is switched by hand"), "{told}");
    let address = format!("127.0.0.1:{port}");
    let password = folder.path().join("password");
    let set = ["node", "set", "node07", "--power", "ipmi", "--bmc-address", &address, "--bmc-user", "head", "--bmc-password-file"];
    good(&[&set[..], &[password.to_str().unwrap()]].concat());
    let state = |told: &str| serde_json::from_str::<serde_json::Value>(told).unwrap()[0]["state"].as_str().unwrap().to_owned();
    for (verb, after, told) in [("status", "on", "1"), ("off", "off", "0"), ("off", "off", "0"), ("on", "on", "1"), ("cycle", "on", "1")] {
        assert_eq!(state(&good(&["power", "node07", verb, "-o", "json"])), after);
        assert_eq!(fs::read_to_string(folder.path().join("power")).unwrap().trim(), told);
    }
    fs::write(&password, "guessed\n").unwrap();
    good(&[&set[..], &[password.to_str().unwrap()]].concat());
    let (code, told, _) = kickctl(&["power", "node07", "status"]);
    assert!(code == 1 && told.contains("node07 (ipmi): ipmitool: ") && !told.contains("guessed"), "{told}");
    let seen = fs::read_to_string(seen).unwrap();
    assert!(seen.contains("chassis power off") && !seen.contains("secret") && !seen.contains("guessed"), "{seen}");
    let shown = [good(&["node", "show", "node07", "-o", "json"]), good(&["node", "export"])].concat();
    assert!(!shown.contains("secret"), "{shown}");
}

/// OpenStack's emulator with its simulated machine, which takes seconds to switch as machines do.
fn redfish(folder: &Path) -> (Running, u16) {
    let port = free_port();
    let hash = "import bcrypt; print('head:' + bcrypt.hashpw(b'secret', bcrypt.gensalt(4)).decode())";
    let account = Command::new(sushy("python")).args(["-c", hash]).output().unwrap();
    fs::write(folder.join("accounts"), account.stdout).unwrap();
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=bmc", "-keyout", "key.pem", "-out", "cert.pem"])
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let place = folder.display();
    let settings = format!("SUSHY_EMULATOR_AUTH_FILE = '{place}/accounts'\nSUSHY_EMULATOR_STATE_DIR = '{place}'\n");
    fs::write(folder.join("settings.py"), settings).unwrap();
    let mut command = Command::new(sushy("sushy-emulator"));
    command.current_dir(folder).args(["--fake", "--config", "settings.py", "-i", "127.0.0.1", "-p", &port.to_string()]);
    command.args(["--ssl-certificate", "cert.pem", "--ssl-key", "key.pem"]);
    (Running::start(&mut command), port)
}

#[tokio::test]
async fn a_node_is_switched_by_redfish_and_told_once_from_where_to_boot() {
    let folder = TempDir::new().unwrap();
    let (_running, port) = redfish(folder.path());
    let node = node();
    let at = Controller { insecure: true, ..controller(format!("127.0.0.1:{port}"), "secret") };
    let power = Power::Redfish(at.clone());
    let switch = Switch { node: &node, power: &power, uefi: true };
    assert_eq!(answering(&switch).await, PowerState::Off);
    for to in [PowerState::On, PowerState::On, PowerState::Off] {
        switch.turn(to).await.unwrap();
        assert_eq!(switch.state().await.unwrap(), to);
    }
    let boot = async || {
        let client = reqwest::Client::builder().tls_danger_accept_invalid_certs(true).no_proxy().build().unwrap();
        let systems = format!("https://127.0.0.1:{port}/redfish/v1/Systems");
        let get = async |url: String| -> serde_json::Value {
            client.get(url).basic_auth("head", Some("secret")).send().await.unwrap().json().await.unwrap()
        };
        let first = get(systems).await["Members"][0]["@odata.id"].as_str().unwrap().to_owned();
        get(format!("https://127.0.0.1:{port}{first}")).await["Boot"].clone()
    };
    for (from, target) in [(BootFrom::Network, "Pxe"), (BootFrom::Disk, "Hdd")] {
        switch.boot_once(from).await.unwrap();
        let told = boot().await;
        assert_eq!((told["BootSourceOverrideTarget"].as_str(), told["BootSourceOverrideMode"].as_str()), (Some(target), Some("UEFI")));
    }
    let error = async |at: Controller| {
        let power = Power::Redfish(at);
        Switch { node: &node, power: &power, uefi: true }.state().await.unwrap_err().to_string()
    };
    let told = error(Controller { insecure: false, ..at.clone() }).await;
    assert!(told.starts_with("node07 (redfish): GET /redfish/v1/Systems: ") && told.contains("certificate"), "{told}");
    let told = error(Controller { password: Password::new("guessed"), ..at.clone() }).await;
    assert!(told.contains("answered 401") && !told.contains("guessed"), "{told}");
    let told = error(Controller { system: Some("/redfish/v1/Systems/none".into()), ..at }).await;
    assert!(told.contains("GET /redfish/v1/Systems/none: answered 404"), "{told}");
}

/// A service that is out of order for the first two times, then keeps what it is told: `NUMBER.body` and `NUMBER.signature`.
const RECEIVER: &str = "
import http.server, sys
calls = 0
class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        global calls
        calls += 1
        body = self.rfile.read(int(self.headers['Content-Length']))
        self.send_response(503 if calls < 3 else 204)
        self.end_headers()
        if calls >= 3:
            open(f'{calls}.body', 'wb').write(body)
            open(f'{calls}.signature', 'w').write(self.headers['X-Kickctl-Signature'])
http.server.HTTPServer(('127.0.0.1', int(sys.argv[1])), Receiver).serve_forever()
";

async fn telling(folder: &Path, port: u16) -> Head {
    let place = folder.display();
    program(&folder.join("tell"), &format!("#!/bin/sh\necho \"$KICKCTL_EVENT $KICKCTL_NODE $1\" >>{place}/told\ncat >>{place}/told\n"));
    fs::write(folder.join("key"), "a key of the site\n").unwrap();
    let text = format!(
        "interface = \"lo\"\naddress = \"10.0.0.1\"\nsubnet = \"10.0.0.0/24\"\n[notify]\nwebhook = \"http://127.0.0.1:{port}/hook\"\n\
         secret_file = \"{place}/key\"\ncommand = [\"{place}/tell\", \"site\"]\non = [\"held\", \"breaker\"]\n"
    );
    let config = Config::parse(&Source::new("kickctl.toml", text)).unwrap();
    let data = DataDir::new(folder);
    let store = Arc::new(SqliteStore::open(&data.state()).await.unwrap());
    Head::new(config, data, store, [7; 32])
}

#[tokio::test]
async fn a_service_that_was_away_is_told_later_signed_and_once() {
    let folder = TempDir::new().unwrap();
    let port = free_port();
    let head = telling(folder.path(), port).await;
    let now = OffsetDateTime::now_utc();
    let event = |what, text: &str| Occurrence { seq: 0, at: now, node: Some(node()), attempt: Some(2), what, text: text.into() };
    head.store.add_events(&[event(What::Verified, "not asked for"), event(What::Held, "no disk matches")], now).await.unwrap();
    // Nobody listens at first; then somebody does, who is out of order twice.
    let mut running = None;
    for round in 0..5 {
        // The pauses between the tries are not waited for.
        for outgoing in due_work(&head, now + time::Duration::hours(1)).await.unwrap() {
            carry_out(&head, outgoing).await.unwrap();
        }
        if round == 0 {
            assert_eq!(due_work(&head, now + time::Duration::hours(1)).await.unwrap()[0].tries, 1);
            let mut receiver = Command::new("python3");
            receiver.current_dir(folder.path()).args(["-c", RECEIVER, &port.to_string()]);
            running = Some(Running::start(&mut receiver));
            while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    drop(running);
    assert!(due_work(&head, now + time::Duration::hours(1)).await.unwrap().is_empty());
    let body = fs::read(folder.path().join("3.body")).unwrap();
    assert!(!folder.path().join("4.body").exists(), "told twice");
    let told: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((told["seq"].as_u64(), told["what"].as_str(), told["node"].as_str()), (Some(2), Some("held"), Some("node07")));
    let judged =
        Command::new("openssl").current_dir(folder.path()).args(["dgst", "-sha256", "-hmac", "a key of the site", "3.body"]).output();
    let judged = String::from_utf8(judged.unwrap().stdout).unwrap();
    let signature = fs::read_to_string(folder.path().join("3.signature")).unwrap();
    assert_eq!(signature.strip_prefix("sha256="), judged.trim().rsplit(' ').next());
    let told = fs::read_to_string(folder.path().join("told")).unwrap();
    assert_eq!(told, format!("held node07 site\n{}", String::from_utf8(body).unwrap()));
}
