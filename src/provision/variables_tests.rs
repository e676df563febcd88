use super::*;
use crate::domain::variables::merge;

fn layer(name: &str, toml: &str) -> Layer {
    Layer { name: name.into(), variables: toml::from_str(toml).unwrap() }
}

fn settings(toml: &str) -> Result<Settings, Vec<BadVariable>> {
    Settings::read(&merge(&[defaults(), layer("node n1", toml)]))
}

fn problem(toml: &str) -> String {
    let wrong = settings(toml).unwrap_err();
    wrong.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_defaults_are_complete_and_right() {
    let defaults = defaults();
    for key in KEYS.iter().filter(|key| !["root_password_hash", "ntp"].contains(key)) {
        assert!(defaults.variables.0.contains_key(*key), "{key}");
    }
    let settings = Settings::read(&merge(&[defaults])).unwrap();
    assert_eq!(settings.timezone.as_str(), "Etc/UTC");
    assert_eq!(settings.swap, Swap::None);
    assert!(Settings::read(&Merged::default()).is_ok(), "an attempt frozen before a variable existed");
}

#[test]
fn everything_can_be_said() {
    let settings = settings(
        r#"
        disk = { pick = "smallest", min_size = "20 GiB", max_size = 100000000000, never = ["sdb"] }
        swap = "ram/2"
        partitions = [ { mount = "/home", size = "5 GiB" }, { mount = "/scratch", size = 1000000, filesystem = "xfs" } ]
        packages = ["htop"]
        root_password_hash = '$6$saltsalt$abcdefgh'
        ntp = ["10.0.0.1"]
        mounts = [ { source = "10.0.0.1:/home", target = "/shared" } ]
        upgrade = "safe"
        when_done = "power-off"
        [users.ada]
        ssh_keys = ["ssh-ed25519 AAAA ada"]
        sudo = true
        groups = ["video"]
        [custom]
        rack = 3
        "#,
    )
    .unwrap();
    assert_eq!(settings.disk.min_size, Some(20 << 30));
    assert_eq!(settings.swap, Swap::Memory(2));
    assert_eq!(settings.partitions[1].filesystem, Filesystem::Xfs);
    assert_eq!(settings.mounts[0].kind.as_str(), "nfs");
    assert!(settings.users.values().all(|user| user.sudo));
    let seen = serde_json::to_string(&settings).unwrap();
    assert!(!seen.contains("saltsalt"), "{seen}");
}

#[test]
fn an_unknown_key_names_its_layer_and_near_misses() {
    let told = problem("pakages = []");
    assert!(told.contains("node n1") && told.contains("did you mean packages"), "{told}");
    let told = problem("disk = { pik = \"smallest\" }");
    assert!(told.contains("`disk.pik` (set by node n1)") && told.contains("pick"), "{told}");
    let told = problem("[users.ada]\nsude = true");
    assert!(told.contains("`users.ada.sude` (set by node n1)"), "{told}");
}

#[test]
fn a_wrong_value_within_a_table_names_its_key() {
    let told = problem("disk = { min_size = \"20 GiB\", pick = \"wrong\" }");
    assert!(told.contains("`disk.pick` (set by node n1): unknown variant `wrong`"), "{told}");
    let told = problem("[users.ada]\nshell = \"/bin/sh\"\nsudo = \"perhaps\"");
    assert!(told.contains("`users.ada.sudo` (set by node n1)"), "{told}");
}

#[test]
fn every_mistake_is_told_at_once() {
    let wrong =
        settings("swap = \"lots\"\ntimezone = \"a b\"\npackages = [\"a;b\"]\ndisk = { min_size = \"3 GiB\", max_size = \"2 GiB\" }")
            .unwrap_err();
    let paths: Vec<&str> = wrong.iter().map(|wrong| wrong.path.as_str()).collect();
    assert_eq!(paths, ["swap", "packages", "timezone", "disk.min_size"]);
}

#[test]
fn a_password_in_the_clear_is_not_repeated() {
    let told = problem("root_password_hash = \"hunter2\"");
    assert!(told.contains("mkpasswd") && !told.contains("hunter2"), "{told}");
}

#[test]
fn root_and_mounts_have_their_own_places() {
    assert!(problem("[users.root]\nsudo = true").contains("root_ssh_keys"));
    assert!(problem("partitions = [ { mount = \"/\", size = 1 } ]").contains("made by itself"));
    assert!(problem("partitions = [ { mount = \"/a\", size = 1 }, { mount = \"/a\", size = 1 } ]").contains("twice"));
}

#[test]
fn secrets_are_known_by_their_paths() {
    for path in ["root_password_hash", "users.ada.password_hash", "secret", "secret.munge.key"] {
        assert!(is_secret(path), "{path}");
    }
    for path in ["packages", "users.ada.ssh_keys", "custom.secret"] {
        assert!(!is_secret(path), "{path}");
    }
}
