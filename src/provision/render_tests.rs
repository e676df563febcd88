use super::*;
use crate::domain::node::Firmware;
use crate::provision::context::{MASK, Secrets};
use crate::provision::fixture::{context, entry, settings, shipped};

fn rendered(library: &Library, name: &str, secrets: bool) -> Result<String, Error> {
    let context = context("root_password_hash = '$6$saltsalt$hashhash'\n[secret]\nkey = 'site-secret'", Firmware::Uefi);
    let secrets = secrets.then(|| Secrets::new(&context.settings, "3-token"));
    let profile = library.iter().last().unwrap().profile.name.clone();
    Renderer::new(library, &profile)?.render(name, context.view(secrets.as_ref()).unwrap())
}

fn one(text: &str) -> Result<String, Error> {
    rendered(&Library::new([entry("p", None, &[("x.hbs", text)])]), "x", false)
}

#[test]
fn a_name_that_means_nothing_is_told_with_file_line_and_snippet() {
    let told = one("first\nsecond {{node.nam}}\n").unwrap_err().to_string();
    assert!(told.starts_with("profiles/p/x.hbs:2: there is no `node.nam`"), "{told}");
    assert!(told.contains("2 | second {{node.nam}}") && told.contains("kickctl explain"), "{told}");
    for missing in ["a\nb\n{{sh nothing}}", "a\nb\n{{#if nothing}}x{{/if}}", "a\nb\n{{join node.nothing}}"] {
        let told = one(missing).expect_err(missing).to_string();
        assert!(told.starts_with("profiles/p/x.hbs:3:"), "{missing}: {told}");
    }
}

#[test]
fn a_template_that_does_not_parse_is_told_with_file_and_line() {
    let told = one("a\n{{#if node.name}}\nb\n").unwrap_err().to_string();
    assert!(told.starts_with("profiles/p/x.hbs:") && told.contains("{{#if}}"), "{told}");
    let told = one("a\n{{nohelper node.name}}").unwrap_err().to_string();
    assert!(told.starts_with("profiles/p/x.hbs:2:") && told.contains("nohelper"), "{told}");
    let told = one("a\n{{> nothing}}").unwrap_err().to_string();
    assert!(told.starts_with("profiles/p/x.hbs:2:") && told.contains("nothing"), "{told}");
}

#[test]
fn an_error_in_an_included_template_names_that_template() {
    let library = Library::new([
        entry("base", None, &[("inner.hbs", "x\n{{nothing}}\n")]),
        entry("p", Some("base"), &[("x.hbs", "a\n{{> inner}}\n")]),
    ]);
    let told = rendered(&library, "x", false).unwrap_err().to_string();
    assert!(told.starts_with("profiles/base/inner.hbs:2:"), "{told}");
}

#[test]
fn helpers_quote_join_and_default() {
    assert!(one("{{join head.nothing_here}}").is_err());
    assert_eq!(one("{{sh \"it's $HOME\"}}").unwrap(), r"'it'\''s $HOME'");
    assert_eq!(one("{{join net.dns \",\"}} {{default net.router \"none\"}} {{default nothing 5}}").unwrap(), "10.0.0.1 none 5");
    assert_eq!(one("{{sh net.dns}}<&>").unwrap(), "'10.0.0.1'<&>");
}

#[test]
fn what_a_profile_lacks_is_found_in_what_it_extends_and_what_it_has_comes_first() {
    let library = Library::new([
        entry("base", None, &[("x.hbs", "base x {{> y}}"), ("y.hbs", "base y")]),
        entry("p", Some("base"), &[("y.hbs", "own y")]),
    ]);
    assert_eq!(rendered(&library, "x", false).unwrap(), "base x own y");
    let told = rendered(&library, "z", false).unwrap_err().to_string();
    assert!(told.contains("no template `z`") && told.contains("x, y"), "{told}");
}

#[test]
fn profiles_that_extend_each_other_or_nobody_are_told() {
    let library = Library::new([entry("a", Some("b"), &[]), entry("b", Some("a"), &[]), entry("c", Some("d"), &[])]);
    let told = library.chain(&"a".parse().unwrap()).unwrap_err().to_string();
    assert!(told.contains("`a` extends itself, by way of a -> b"), "{told}");
    let told = library.chain(&"c".parse().unwrap()).unwrap_err().to_string();
    assert!(told.contains("no profile `d`, which c extends"), "{told}");
    assert!(matches!(library.kind(&"c".parse().unwrap()), Err(LibraryError::Unknown { .. })));
}

#[test]
fn the_digest_follows_every_file_of_the_chain() {
    let digest = |inner: &str| {
        let library = Library::new([entry("base", None, &[("y.hbs", inner)]), entry("p", Some("base"), &[("x.hbs", "x")])]);
        library.digest(&"p".parse().unwrap()).unwrap()
    };
    assert_eq!(digest("a"), digest("a"));
    assert_ne!(digest("a"), digest("b"));
}

#[test]
fn a_boot_file_cannot_hold_a_secret() {
    let library = shipped();
    let preseed = rendered(&library, "preseed.cfg", false).unwrap();
    for secret in ["saltsalt", "site-secret", "3-token", "partman-auto/disk", "partman/confirm", "/dev/"] {
        let found: Vec<&str> = preseed.lines().filter(|line| line.contains(secret) && !line.contains("/dev/console")).collect();
        assert!(found.is_empty(), "{secret}: {found:?}");
    }
    let told = rendered(&library, "late.sh", false).unwrap_err().to_string();
    assert!(told.contains("profiles/base/late.sh.hbs:") && told.contains("secrets"), "{told}");
    let told = one("{{secret.key}}").unwrap_err().to_string();
    assert!(told.contains("secrets are there only"), "{told}");
    assert!(rendered(&library, "late.sh", true).unwrap().contains("saltsalt"));
}

#[test]
fn masked_secrets_have_the_same_shape() {
    let settings = settings("root_password_hash = '$6$saltsalt$hashhash'\n[users.ada]\n[secret]\nmunge = { key = 'x', n = [1] }");
    let secrets = Secrets::new(&settings, "3-token");
    let masked = secrets.masked();
    assert_eq!(masked.report_token, MASK);
    assert_eq!(masked.root_password_hash, MASK);
    assert_eq!(masked.password_hashes[0].hash, "*");
    assert_eq!(serde_json::to_string(&masked.secret).unwrap(), format!(r#"{{"munge":{{"key":"{MASK}","n":["{MASK}"]}}}}"#));
}

#[test]
fn what_a_template_uses_is_seen_through_what_it_includes_and_comments_do_not_count() {
    let library = shipped();
    let profile = "debian-13".parse().unwrap();
    let uses = |template, name| library.uses(&profile, template, &[name]).unwrap();
    assert!(uses("late.sh", "derived.hosts_lines") && uses("late.sh", "secrets"));
    assert!(!uses("preseed.cfg", "hosts") && !uses("takeover.sh", "derived.hosts_lines") && !uses("late.sh", "hosts"));
    let own = Library::new([entry(
        "p",
        None,
        &[("x.hbs", "{{#each hosts}}{{name}}{{/each}}"), ("y.hbs", "{{> x}}"), ("z.hbs", "{{settings.hosts}} hosts")],
    )]);
    let uses = |template| own.uses(&"p".parse().unwrap(), template, &["hosts"]).unwrap();
    assert_eq!([uses("x"), uses("y"), uses("z")], [true, true, false]);
}
