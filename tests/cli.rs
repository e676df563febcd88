//! What holds of every command.

#[path = "support/folder.rs"]
mod folder;

use folder::{Head, told};

#[test]
fn every_command_shows_examples_and_wrong_usage_is_exit_2() {
    let head = Head::new();
    for line in ["node add", "node list", "node show", "node set", "node remove", "node import", "node export", "node approve"] {
        let help = head.good(&line.split(' ').chain(["--help"]).collect::<Vec<_>>());
        assert!(help.contains("Examples:") && help.contains(&format!("kickctl {line}")), "{line}: {help}");
    }
    for line in ["attempt list", "attempt show", "attempt abort", "status", "logs"] {
        let help = head.good(&line.split(' ').chain(["--help"]).collect::<Vec<_>>());
        assert!(help.contains("Examples:"), "{line}: {help}");
    }
    assert!(head.run(&["node"]).starts_with("exit 2"));
    assert!(head.run(&["node", "add", "a", "--mac", "02:00:00:00:00:01", "--set", "nothing"]).starts_with("exit 2"));
    assert!(!head.path().join("state.db").exists());
}

#[tokio::test]
async fn a_table_without_lines_says_so_on_standard_error() {
    let head = Head::new();
    head.store().await.close().await;
    let blank = head.write("blank", "# nobody yet\n");
    for (line, said) in [
        ("node list", "no nodes yet: kickctl node add"),
        ("node show all", "no nodes yet: kickctl node add"),
        ("node list --discovered", "no discovered machines"),
        ("attempt list", "no attempts yet"),
        ("mirror list", "no mirrors yet: kickctl mirror add"),
        (&format!("node import {blank}"), "nothing was changed"),
    ] {
        let words: Vec<&str> = line.split(' ').collect();
        let output = head.command(&words).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && output.stdout.is_empty(), "{line}: {}", self::told(&output));
        assert!(told.contains(said) && told.lines().count() == 1, "{line}: {told}");
        let quiet = head.command(&[&words[..], &["-o", "json"]].concat()).output().unwrap();
        assert_eq!((&*quiet.stdout, quiet.stderr.len()), (&b"[]\n"[..], 0), "{line}");
    }
}

#[test]
fn looking_into_a_folder_that_is_not_there_makes_none() {
    let head = Head::new();
    let misspelt = head.path().join("misspelt");
    let state = misspelt.join("state.db");
    for line in ["node list", "node list --discovered", "node show a", "node export", "attempt list", "attempt show a", "logs a", "status"]
    {
        let words: Vec<&str> = line.split(' ').chain(["--data", misspelt.to_str().unwrap()]).collect();
        let told = head.run(&words);
        assert!(told.starts_with(&format!("exit 1\nkickctl: there is no state at {}: `kickctl init`", state.display())), "{line}: {told}");
        assert!(told.contains("--data"), "{told}");
        assert!(!misspelt.exists(), "{line}");
    }
}
