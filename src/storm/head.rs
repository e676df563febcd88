//! The head of a storm: a data folder with a mirror of small files, nodes and their orders, and the real `kickctl serve` over it.

use std::fmt::Write as _;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;

use super::ground::{Ground, HEAD, INTERFACE, SUBNET};
use super::machine::{Files, Machine};

/// The mirror's name, and the profile's that installs from it.
pub const PROFILE: &str = "debian-13";
const SNAPSHOT: &str = "20261121T060000Z-3f9a2c41";
const KERNEL_RELEASE: &str = "6.12.94+deb13-amd64";
const STARTING: Duration = Duration::from_secs(30);

/// Installer packages that the preflight of an installation asks for; those with a kernel in their names are added.
const UDEBS: &[&str] = &[
    "base-installer",
    "bootstrap-base",
    "finish-install",
    "apt-setup-udeb",
    "grub-installer",
    "partman-auto",
    "partman-base",
    "partman-target",
    "pkgsel",
    "user-setup-udeb",
    "partman-ext3",
];

/// How large the files are that are served.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// The loader.
    pub loader: usize,
    /// The installer's kernel.
    pub kernel: usize,
    /// Its initial RAM disk.
    pub initrd: usize,
    /// Each package.
    pub package: usize,
    /// How many packages a node fetches.
    pub packages: usize,
}

/// A head's folder, and the program that works on it.
#[derive(Debug)]
pub struct Head {
    program: PathBuf,
    /// The data folder.
    pub data: PathBuf,
    /// What it serves.
    pub files: Files,
}

/// `kickctl serve` under way; it is stopped when this is dropped.
#[derive(Debug)]
pub struct Serving(Child);

impl Head {
    /// Makes one in a folder. `program` is kickctl; `more` is what its configuration has besides.
    ///
    /// # Errors
    /// If a file cannot be written, or kickctl refuses.
    pub fn make(program: &Path, data: &Path, more: &str, sizes: Sizes) -> io::Result<Self> {
        let head = Self { program: program.to_owned(), data: data.to_owned(), files: files(sizes) };
        head.ok(&["init", "--interface", INTERFACE, "--subnet", SUBNET, "--address", &HEAD.to_string()])?;
        let loaders = data.join("loaders");
        std::fs::create_dir_all(&loaders)?;
        std::fs::write(loaders.join("undionly.kpxe"), &head.files.loader)?;
        let file = data.join("kickctl.toml");
        let text = std::fs::read_to_string(&file)?;
        std::fs::write(&file, format!("nfs = \"off\"\n{text}\n{more}\n"))?;
        Ok(head)
    }

    /// Writes the mirror's snapshot as a sync leaves it. `packages`: the names that its index offers.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn publish(&self, packages: &[&str]) -> io::Result<()> {
        let mirror = self.data.join("mirrors").join(PROFILE);
        let folder = mirror.join("snapshots").join(SNAPSHOT);
        let put = |path: &str, content: &[u8]| {
            let path = folder.join("tree").join(path);
            std::fs::create_dir_all(path.parent().unwrap_or(&folder))?;
            std::fs::write(path, content)
        };
        put("images/linux", &self.files.kernel)?;
        put("images/initrd.gz", &self.files.initrd)?;
        for (path, content) in &self.files.packages {
            put(path, content)?;
        }
        let modules = ["scsi-modules", "ext4-modules"].map(|modules| format!("{modules}-{KERNEL_RELEASE}-di"));
        let udebs: Vec<&str> = UDEBS.iter().copied().chain(modules.iter().map(String::as_str)).collect();
        put("dists/trixie/main/binary-amd64/Packages", index(packages).as_bytes())?;
        put("dists/trixie/main/debian-installer/binary-amd64/Packages", index(&udebs).as_bytes())?;
        let record = json!({
            "id": SNAPSHOT, "mirror": PROFILE, "made": "2026-11-21T06:00:00Z", "upstream": [],
            "suites": [{"suite": "trixie", "codename": "trixie", "components": ["main"], "rebuilt": true}],
            "repositories": [], "packages": packages.len(), "udebs": udebs.len(), "files": 4, "bytes": 0,
            "installers": [{"arch": "amd64", "kernel": "images/linux", "initrd": "images/initrd.gz", "kernel_release": KERNEL_RELEASE,
                            "tree": null, "live": null}],
            "left_out": [], "input": "",
        });
        std::fs::write(folder.join("snapshot.json"), record.to_string())?;
        symlink(format!("snapshots/{SNAPSHOT}"), mirror.join("current"))
    }

    /// Adds machines as nodes, the address of each after its place in the list, and assigns the profile.
    ///
    /// # Errors
    /// If kickctl refuses.
    pub fn add(&self, machines: &[Arc<Machine>], variables: impl Fn(&Machine) -> String) -> io::Result<()> {
        let mut list = String::from("name,mac,address,arch,firmware,variables\n");
        for (at, machine) in (10_u16..).zip(machines) {
            let [high, low] = at.to_be_bytes();
            // A write to a String cannot fail.
            let _ = writeln!(list, "{},{},10.99.{high}.{low},amd64,bios,{}", machine.name, machine.mac(), variables(machine));
        }
        let file = self.data.join("nodes.csv");
        std::fs::write(&file, list)?;
        self.ok(&["node", "import", &file.to_string_lossy()])?;
        self.ok(&["profile", "assign", "all", PROFILE]).map(|_| ())
    }

    /// kickctl over this data folder.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("--data").arg(&self.data).args(arguments).env_remove("KICKCTL_CONFIG").stdin(Stdio::null());
        command
    }

    /// Runs kickctl, which has to succeed, and gives what it printed.
    ///
    /// # Errors
    /// If it fails; with what it said.
    pub fn ok(&self, arguments: &[&str]) -> io::Result<String> {
        let output = self.command(arguments).output()?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        Err(io::Error::other(format!("`kickctl {}`: {}", arguments.join(" "), said(&output))))
    }

    /// Starts `kickctl serve` on the head's side, and waits until it answers DHCP. Its log goes to `serve.log` in the data folder.
    ///
    /// # Errors
    /// If it does not start.
    pub fn serve(&self, ground: &Ground) -> io::Result<Serving> {
        let log = self.data.join("serve.log");
        let file = std::fs::File::create(&log)?;
        let mut command = ground.on_head(self.program.as_os_str());
        command.arg("--data").arg(&self.data).arg("serve").env_remove("KICKCTL_CONFIG");
        let mut serving = Serving(command.stdout(file.try_clone()?).stderr(file).spawn()?);
        let begun = Instant::now();
        loop {
            let text = std::fs::read_to_string(&log).unwrap_or_default();
            if text.contains("DHCP is being served") {
                return Ok(serving);
            }
            if begun.elapsed() > STARTING || serving.0.try_wait()?.is_some() {
                return Err(io::Error::other(format!("`kickctl serve` did not start: {text}")));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Serving {
    /// Its process.
    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// Stops it at once, as a loss of power would.
    ///
    /// # Errors
    /// If it cannot be waited for.
    pub fn kill(&mut self) -> io::Result<()> {
        self.0.kill()?;
        self.0.wait().map(|_| ())
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.kill();
    }
}

fn said(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).trim().to_owned()).join("\n")
}

fn index(names: &[&str]) -> String {
    names.iter().map(|name| format!("Package: {name}\nVersion: 1\nArchitecture: amd64\n\n")).collect()
}

/// Content that differs from file to file and from place to place.
fn content(salt: u8, size: usize) -> Arc<[u8]> {
    (0..size).map(|at| salt ^ (at % 251) as u8 ^ (at / 251 % 253) as u8).collect()
}

fn files(sizes: Sizes) -> Files {
    let package =
        |number: usize| (format!("pool/main/s/storm/storm-{number:02}_1_amd64.deb"), content(16 + (number % 200) as u8, sizes.package));
    Files {
        loader: content(1, sizes.loader),
        kernel: content(2, sizes.kernel),
        initrd: content(3, sizes.initrd),
        packages: (0..sizes.packages).map(package).collect(),
    }
}
