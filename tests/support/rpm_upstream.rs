//! RPM repositories of a test's own: signed packages by the `rpm` crate, metadata by the real createrepo_c and modifyrepo_c, served over HTTP.
#![allow(dead_code, reason = "each test file uses its own part of this")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use kickctl::repo::openpgp::SigningKey;
use rpm::signature::pgp::Signer;
use rpm::{BuildConfig, CompressionType, Dependency, FileOptions, PackageBuilder};
use time::OffsetDateTime;

use super::upstream::{Site, run};

/// Repositories and their server.
pub struct RpmUpstream {
    folder: tempfile::TempDir,
    /// Its key.
    pub key: SigningKey,
    /// Its server.
    pub site: Site,
}

/// A package to be built.
pub struct Rpm<'a> {
    /// Name.
    pub name: &'a str,
    /// Version; the release is 1.
    pub version: &'a str,
    /// Requires, as names, paths or rich dependencies.
    pub requires: &'a [&'a str],
    /// Bytes of its file, which do not compress.
    pub size: usize,
}

impl RpmUpstream {
    /// Without a repository.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = SigningKey::generate("a distribution of a test", OffsetDateTime::now_utc() - Duration::from_secs(90 * 86400)).unwrap();
        fs::write(folder.path().join("key.asc"), key.public_armoured().unwrap()).unwrap();
        let site = Site::of(folder.path());
        Self { folder, key, site }
    }

    /// With a repository `base`: `app` needs `lib` and `/usr/share/deep/data` (in `deep`, which only filelists.xml tells); nobody needs `other`.
    pub fn with_packages() -> Self {
        let upstream = Self::new();
        upstream.add("base", "app", "1.0", &["lib", "/usr/share/deep/data"]);
        upstream.add("base", "lib", "1.0", &[]);
        upstream.add("base", "deep", "1.0", &[]);
        upstream.add("base", "other", "1.0", &[]);
        upstream.publish("base");
        upstream
    }

    /// The served folder.
    pub fn root(&self) -> &Path {
        self.folder.path()
    }

    /// The public key.
    pub fn keyring(&self) -> PathBuf {
        self.root().join("key.asc")
    }

    /// The address of a repository.
    pub fn url(&self, repository: &str) -> String {
        format!("{}/{repository}", self.site.url)
    }

    /// A `[[repository]]` table. `more`: further keys.
    pub fn table(&self, repository: &str, more: &str) -> String {
        let (url, key) = (self.url(repository), self.keyring().display().to_string());
        format!("[[repository]]\nname = \"{repository}\"\nbaseurl = [\"{url}\"]\nkeys = [\"{key}\"]\n{more}\n")
    }

    /// Adds a package with a file `/usr/share/NAME/data` of 2 kB.
    pub fn add(&self, repository: &str, name: &str, version: &str, requires: &[&str]) -> PathBuf {
        self.build(repository, &Rpm { name, version, requires, size: 2_000 })
    }

    /// Builds a package, signed with the key.
    pub fn build(&self, repository: &str, rpm: &Rpm<'_>) -> PathBuf {
        let signer = Signer::from_asc_bytes(&self.key.to_bytes().unwrap()).unwrap();
        self.write(repository, rpm, |builder| builder.build_and_sign(signer).unwrap())
    }

    /// Builds a package that nobody signed.
    pub fn build_unsigned(&self, repository: &str, rpm: &Rpm<'_>) -> PathBuf {
        self.write(repository, rpm, |builder| builder.build().unwrap())
    }

    fn write(&self, repository: &str, rpm: &Rpm<'_>, build: impl FnOnce(&mut PackageBuilder) -> rpm::Package) -> PathBuf {
        let folder = self.root().join(repository).join("Packages");
        fs::create_dir_all(&folder).unwrap();
        let mut state = 0x9e37_79b9_7f4a_7c15_u64 ^ rpm.name.len() as u64 ^ rpm.version.len() as u64;
        let noise = std::iter::repeat_with(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as u8
        });
        let noise: Vec<u8> = noise.take(rpm.size).collect();
        let mut builder = PackageBuilder::new(rpm.name, rpm.version, "MIT", "x86_64", "a package of a test");
        builder.using_config(BuildConfig::v4().compression(CompressionType::Gzip).source_date(1_700_000_000_u32));
        builder.release("1").description("Made for a test.");
        for required in rpm.requires {
            builder.requires(Dependency::any(*required));
        }
        builder.with_file_contents(noise, FileOptions::new(format!("/usr/share/{}/data", rpm.name))).unwrap();
        let file = folder.join(format!("{}-{}-1.x86_64.rpm", rpm.name, rpm.version));
        build(&mut builder).write_to(&file).unwrap();
        file
    }

    /// Makes a repository's metadata with the real createrepo_c, and signs it.
    pub fn publish(&self, repository: &str) {
        run(Command::new("createrepo_c").args(["-q", "--general-compress-type=gz"]).arg(self.root().join(repository)));
        self.sign(repository);
    }

    /// Adds a further record with the real modifyrepo_c, and signs anew.
    pub fn add_record(&self, repository: &str, kind: &str, name: &str, text: &str) {
        let file = self.root().join(name);
        fs::write(&file, text).unwrap();
        run(Command::new("modifyrepo_c").arg(format!("--mdtype={kind}")).arg(&file).arg(self.repodata(repository)));
        self.sign(repository);
    }

    /// Signs a repository's root as it is.
    pub fn sign(&self, repository: &str) {
        let repomd = self.repodata(repository).join("repomd.xml");
        let signature = self.key.sign_detached(&fs::read(&repomd).unwrap(), OffsetDateTime::now_utc()).unwrap();
        fs::write(repomd.with_extension("xml.asc"), signature).unwrap();
    }

    /// The folder of a repository's metadata.
    pub fn repodata(&self, repository: &str) -> PathBuf {
        self.root().join(repository).join("repodata")
    }
}

/// The real dnf with a root of its own, and repositories: name, folder of the repository, key files.
pub struct Dnf {
    home: tempfile::TempDir,
}

impl Dnf {
    /// Of repositories that are checked in every way: `gpgcheck=1`, `repo_gpgcheck=1`.
    pub fn of(repositories: &[(&str, &Path, &[&Path])]) -> Self {
        let home = tempfile::tempdir().unwrap();
        let place = |name: &str| home.path().join(name).display().to_string();
        let mut text = format!(
            "[main]\ncachedir={}\npersistdir={}\nlogdir={}\nreposdir={}\nvarsdir={}\ngpgcheck=1\nrepo_gpgcheck=1\nplugins=1\n\
             assumeyes=1\nzchunk=0\nmodule_platform_id=platform:el9\n",
            place("cache"),
            place("persist"),
            place("log"),
            place("repos"),
            place("vars")
        );
        for (name, folder, keys) in repositories {
            let keys: Vec<String> = keys.iter().map(|key| format!("file://{}", key.display())).collect();
            text += &format!("[{name}]\nname={name}\nbaseurl=file://{}\ngpgkey={}\n", folder.display(), keys.join(" "));
        }
        fs::write(home.path().join("dnf.conf"), text).unwrap();
        Self { home }
    }

    /// Runs dnf. Returns whether it succeeded, and both outputs.
    pub fn run(&self, args: &[&str]) -> (bool, String) {
        let root = self.home.path().join("root");
        fs::create_dir_all(&root).unwrap();
        let output = Command::new("dnf")
            .arg("-c")
            .arg(self.home.path().join("dnf.conf"))
            .arg("--installroot")
            .arg(&root)
            .args(["--releasever=9", "--forcearch=x86_64", "--disableplugin=local", "-y"])
            .args(args)
            .env("LC_ALL", "C.UTF-8")
            .env("HOME", self.home.path())
            .output()
            .unwrap();
        (output.status.success(), format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)))
    }

    /// Runs dnf, which must succeed.
    pub fn ok(&self, args: &[&str]) -> String {
        let (ok, told) = self.run(args);
        assert!(ok, "dnf {args:?}: {told}");
        told
    }

    /// True if this path is in the root after an installation.
    pub fn has(&self, path: &str) -> bool {
        self.home.path().join("root").join(path).exists()
    }
}
