//! With gpg and gpgv at the other end, and with Debian's own signatures.

use std::path::Path;
use std::process::{Command, Output};

use proptest::prelude::*;
use time::Duration;

use super::*;

const TEXT: &str = "Origin: kickctl\nSuite: stable\n-dash: first\n\nSHA256:\n abc 1 x\n";

fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}

/// A GnuPG home of its own; its agent is ended when it goes.
struct Gpg(tempfile::TempDir);

impl Gpg {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn run(&self, args: &[&str]) -> Output {
        let base = ["--batch", "--yes", "--quiet", "--pinentry-mode", "loopback", "--passphrase", ""];
        let output = Command::new("gpg").args(base).args(args).env("GNUPGHOME", self.0.path()).current_dir(self.0.path()).output().unwrap();
        assert!(output.status.success(), "gpg {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        output
    }

    fn key(&self, user: &str, algorithm: &str, expires: &str) {
        self.run(&["--quick-generate-key", user, algorithm, "sign", expires]);
    }

    fn fingerprint(&self) -> String {
        let listed = String::from_utf8(self.run(&["--list-keys", "--with-colons"]).stdout).unwrap();
        listed.lines().find_map(|line| line.strip_prefix("fpr:")).unwrap().trim_matches(':').to_owned()
    }

    fn ring(&self) -> Keyring {
        Keyring::from_bytes(&self.run(&["--export"]).stdout).unwrap()
    }

    fn clearsign(&self, extra: &[&str]) -> Vec<u8> {
        std::fs::write(self.0.path().join("text"), TEXT).unwrap();
        self.run(&[extra, &["--output", "-", "--clearsign", "text"]].concat()).stdout
    }
}

impl Drop for Gpg {
    fn drop(&mut self) {
        let _ = Command::new("gpgconf").args(["--kill", "all"]).env("GNUPGHOME", self.0.path()).status();
    }
}

fn gpgv(folder: &Path, args: &[&str]) -> Output {
    Command::new("gpgv").args(["--homedir", "."]).args(args).current_dir(folder).output().unwrap()
}

#[test]
fn gpgv_believes_what_we_sign() {
    let key = SigningKey::generate("kickctl test", now()).unwrap();
    let key = SigningKey::from_bytes(&key.to_bytes().unwrap()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
    write("ring.gpg", &key.public_bytes().unwrap());
    // Trailing blanks and CR LF: signed as they stand they give BADSIG elsewhere.
    let text = TEXT.replace("kickctl\n", "kickctl \t\n").replace("stable\n", "stable\r\n");
    let inrelease = key.sign_cleartext(&text, now()).unwrap();
    write("InRelease", inrelease.as_bytes());
    write("Release", TEXT.as_bytes());
    write("Release.gpg", key.sign_detached(TEXT.as_bytes(), now()).unwrap().as_bytes());
    let clear = gpgv(folder.path(), &["--keyring", "./ring.gpg", "--output", "out", "InRelease"]);
    assert!(clear.status.success(), "{}", String::from_utf8_lossy(&clear.stderr));
    let out = std::fs::read_to_string(folder.path().join("out")).unwrap();
    assert_eq!(out, TEXT);
    let detached = gpgv(folder.path(), &["--keyring", "./ring.gpg", "Release.gpg", "Release"]);
    assert!(detached.status.success(), "{}", String::from_utf8_lossy(&detached.stderr));

    let ring = Keyring::from_bytes(key.public_armoured().unwrap().as_bytes()).unwrap();
    assert_eq!(ring.fingerprints(), [key.fingerprint()]);
    let verified = verify_cleartext(inrelease.as_bytes(), &ring, now()).unwrap();
    assert_eq!((verified.text.as_str(), verified.signers), (TEXT, vec![key.fingerprint()]));
}

#[test]
fn we_believe_what_gpg_signs_with_a_primary_key_or_a_subkey() {
    let gpg = Gpg::new();
    gpg.key("primary", "rsa2048", "1y");
    let verified = verify_cleartext(&gpg.clearsign(&[]), &gpg.ring(), now()).unwrap();
    assert_eq!((verified.text.as_str(), verified.signers), (TEXT, vec![gpg.fingerprint()]));
    gpg.run(&["--quick-add-key", &gpg.fingerprint(), "ed25519", "sign", "1y"]);
    // gpg now signs with the subkey.
    let by_subkey = gpg.clearsign(&[]);
    let verified = verify_cleartext(&by_subkey, &gpg.ring(), now()).unwrap();
    assert_eq!(verified.signers, [gpg.fingerprint()]);
    // Release.gpg may be binary or armoured.
    for armour in ["--no-armor", "--armor"] {
        let signature = gpg.run(&[armour, "--output", "-", "--detach-sign", "text"]).stdout;
        assert_eq!(verify_detached(TEXT.as_bytes(), &signature, &gpg.ring(), now()).unwrap().text, TEXT);
        let other = verify_detached(b"other", &signature, &gpg.ring(), now());
        assert!(matches!(other, Err(Rejected::BadSignature { .. })), "{other:?}");
    }
    // The subkey is revoked: what it signed is no longer believed. Keys: 1 is the first subkey.
    let commands = gpg.0.path().join("commands");
    std::fs::write(&commands, "key 1\nrevkey\ny\n0\n\ny\nsave\n").unwrap();
    gpg.run(&["--command-file", commands.to_str().unwrap(), "--no-tty", "--edit-key", &gpg.fingerprint()]);
    let rejected = verify_cleartext(&by_subkey, &gpg.ring(), now());
    assert!(matches!(rejected, Err(Rejected::Revoked { .. })), "{rejected:?}");
}

#[test]
fn an_expired_key_is_told_apart() {
    let gpg = Gpg::new();
    gpg.key("short", "ed25519", "1d");
    let signed = gpg.clearsign(&[]);
    assert!(verify_cleartext(&signed, &gpg.ring(), now()).is_ok());
    let later = verify_cleartext(&signed, &gpg.ring(), now() + Duration::days(2));
    assert!(matches!(&later, Err(Rejected::Expired { key, .. }) if *key == gpg.fingerprint()), "{later:?}");
    let earlier = verify_cleartext(&signed, &gpg.ring(), now() - Duration::days(1));
    assert!(matches!(earlier, Err(Rejected::NotYet { .. })), "{earlier:?}");
}

#[test]
fn an_expired_subkey_is_told_apart() {
    let gpg = Gpg::new();
    gpg.key("primary", "ed25519", "0");
    gpg.run(&["--quick-add-key", &gpg.fingerprint(), "ed25519", "sign", "1d"]);
    let signed = gpg.clearsign(&[]);
    assert!(verify_cleartext(&signed, &gpg.ring(), now()).is_ok());
    let later = verify_cleartext(&signed, &gpg.ring(), now() + Duration::days(2));
    assert!(matches!(later, Err(Rejected::Expired { .. })), "{later:?}");
}

#[test]
fn an_expired_signature_of_a_valid_key_is_told_apart() {
    let gpg = Gpg::new();
    gpg.key("primary", "ed25519", "0");
    let signed = gpg.clearsign(&["--default-sig-expire", "1d"]);
    assert!(verify_cleartext(&signed, &gpg.ring(), now()).is_ok());
    let later = verify_cleartext(&signed, &gpg.ring(), now() + Duration::days(2));
    assert!(matches!(later, Err(Rejected::Expired { .. })), "{later:?}");
}

#[test]
fn a_critical_part_that_is_not_understood_makes_the_signature_void() {
    let gpg = Gpg::new();
    gpg.key("primary", "ed25519", "0");
    assert!(verify_cleartext(&gpg.clearsign(&["--sig-notation", "a@example.org=b"]), &gpg.ring(), now()).is_ok());
    let rejected = verify_cleartext(&gpg.clearsign(&["--sig-notation", "!a@example.org=b"]), &gpg.ring(), now());
    assert!(matches!(rejected, Err(Rejected::Malformed(_))), "{rejected:?}");
}

#[test]
fn a_revoked_key_is_told_apart() {
    let gpg = Gpg::new();
    gpg.key("gone", "ed25519", "1y");
    let signed = gpg.clearsign(&[]);
    // gpg keeps a revocation certificate for every key, disarmed by a colon.
    let certificate = gpg.0.path().join("openpgp-revocs.d").join(format!("{}.rev", gpg.fingerprint()));
    let armed = std::fs::read_to_string(&certificate).unwrap().replace(":-----BEGIN", "-----BEGIN");
    std::fs::write(&certificate, armed).unwrap();
    gpg.run(&["--import", certificate.to_str().unwrap()]);
    let rejected = verify_cleartext(&signed, &gpg.ring(), now());
    assert_eq!(rejected, Err(Rejected::Revoked { key: gpg.fingerprint() }));
}

#[test]
fn weak_digests_and_keys_are_told_apart() {
    let gpg = Gpg::new();
    gpg.key("rsa", "rsa2048", "1y");
    let signed = gpg.clearsign(&["--digest-algo", "SHA1", "--allow-weak-digest-algos"]);
    assert_eq!(verify_cleartext(&signed, &gpg.ring(), now()), Err(Rejected::WeakDigest { alg: "SHA1".into() }));

    let small = Gpg::new();
    small.key("small", "rsa1024", "1y");
    let rejected = verify_cleartext(&small.clearsign(&[]), &small.ring(), now());
    assert!(matches!(&rejected, Err(Rejected::WeakKey { why, .. }) if why.contains("1024 bits")), "{rejected:?}");
}

#[test]
fn an_unknown_key_is_named() {
    let (gpg, other) = (Gpg::new(), Gpg::new());
    gpg.key("one", "ed25519", "1y");
    other.key("other", "ed25519", "1y");
    let rejected = verify_cleartext(&gpg.clearsign(&[]), &other.ring(), now());
    assert_eq!(rejected, Err(Rejected::UnknownKey { ids: vec![gpg.fingerprint()] }));
    // Several armoured keys in one file are one ring.
    let both = [gpg.run(&["--armor", "--export"]).stdout, other.run(&["--armor", "--export"]).stdout].concat();
    let ring = Keyring::from_bytes(&both).unwrap();
    assert_eq!(ring.len(), 2);
    assert!(verify_cleartext(&gpg.clearsign(&[]), &ring, now()).is_ok());
}

#[test]
fn only_the_signed_bytes_count() {
    let key = SigningKey::generate("kickctl test", now()).unwrap();
    let ring = Keyring::from_bytes(&key.public_bytes().unwrap()).unwrap();
    let good = key.sign_cleartext(TEXT, now()).unwrap();
    let verify = |text: &str| verify_cleartext(text.as_bytes(), &ring, now());
    assert_eq!(verify(&format!("Origin: evil\n\n{good}")), Err(Rejected::TextOutsideSignature));
    assert_eq!(verify(&format!("{good}\nOrigin: evil\n")), Err(Rejected::TextOutsideSignature));
    assert_eq!(verify(&format!("{good}{good}")), Err(Rejected::TextOutsideSignature));
    assert!(matches!(verify(&good.replace("stable", "evil")), Err(Rejected::BadSignature { .. })));
    assert!(matches!(verify(&good.replace("Hash: SHA512\n", "Hash: SHA512\nOrigin: evil\n")), Err(Rejected::Malformed(_))));
    assert!(matches!(verify(&good.replace("- -dash", "-dash")), Err(Rejected::Malformed(_))));
    assert!(matches!(verify(TEXT), Err(Rejected::Malformed(_))));
    assert!(matches!(verify(&good[..good.len() - 40]), Err(Rejected::Malformed(_))));
    assert!(verify(&good.replace('\n', "\r\n")).is_ok(), "line ends may change on the way");
}

#[test]
fn an_empty_or_foreign_keyring_is_refused() {
    for noise in [&b""[..], b"hello", b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nAAAA\n", &[0x99, 1, 2, 3]] {
        assert!(Keyring::from_bytes(noise).is_err(), "{noise:?}");
    }
}

/// The machine's own Debian source: the archive's real signatures by primary keys and subkeys, with third-party certifications in the ring.
#[test]
fn debians_own_inrelease_is_believed() {
    let Some((file, keyring)) = debian_inrelease() else {
        eprintln!("skipped: no Debian source of this machine is reachable");
        return;
    };
    let ring = Keyring::from_bytes(&std::fs::read(keyring).unwrap()).unwrap();
    let verified = verify_cleartext(&file, &ring, now()).unwrap();
    assert!(!verified.signers.is_empty());
    let release = crate::repo::deb::release::Release::parse(&verified.text).unwrap();
    assert_eq!(release.origin, "Debian");
    assert!(release.files.len() > 100);
    let mut changed = file.clone();
    let at = changed.windows(14).position(|bytes| bytes == b"Origin: Debian").unwrap();
    changed[at + 9] = b'd';
    let rejected = verify_cleartext(&changed, &ring, now());
    assert!(matches!(rejected, Err(Rejected::BadSignature { .. })), "{rejected:?}");
}

fn debian_inrelease() -> Option<(Vec<u8>, String)> {
    let sources =
        std::fs::read_dir("/etc/apt/sources.list.d").ok()?.flatten().filter_map(|entry| std::fs::read_to_string(entry.path()).ok());
    let stanzas: Vec<String> = sources.flat_map(|text| text.split("\n\n").map(str::to_owned).collect::<Vec<_>>()).collect();
    let stanza = stanzas.iter().find(|stanza| stanza.contains("debian-archive-keyring"))?;
    let field = |name: &str| stanza.lines().find_map(|line| Some(line.strip_prefix(name)?.split_whitespace().next()?.to_owned()));
    let url = format!("{}/dists/{}/InRelease", field("URIs:")?, field("Suites:")?);
    let output = Command::new("curl").args(["-fsSL", "--max-time", "20", &url]).output().ok()?;
    output.status.success().then_some((output.stdout, field("Signed-By:")?))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn noise_never_panics(noise in proptest::collection::vec(any::<u8>(), 0..300), tag in 0x80u8..=0xff) {
        let _ = Keyring::from_bytes(&noise);
        let binary = [&[tag], noise.as_slice()].concat();
        let _ = Keyring::from_bytes(&binary);
        let _ = verify_detached(b"text", &binary, &Keyring::default(), OffsetDateTime::UNIX_EPOCH);
        let _ = verify_cleartext(&noise, &Keyring::default(), OffsetDateTime::UNIX_EPOCH);
    }

    #[test]
    fn a_damaged_key_or_signature_never_panics(at in 0usize..400, value: u8) {
        let key = SigningKey::generate("kickctl test", OffsetDateTime::UNIX_EPOCH + Duration::days(20_000)).unwrap();
        let mut ring = key.public_bytes().unwrap();
        let at = at % ring.len();
        ring[at] = value;
        let inrelease = key.sign_cleartext(TEXT, OffsetDateTime::UNIX_EPOCH + Duration::days(20_000)).unwrap();
        if let Ok(ring) = Keyring::from_bytes(&ring) {
            let _ = verify_cleartext(inrelease.as_bytes(), &ring, OffsetDateTime::UNIX_EPOCH + Duration::days(20_001));
        }
    }
}
