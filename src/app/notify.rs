//! Tells the site's hooks of what has happened.

use std::time::Duration;

use crate::config::Notify;
use crate::domain::occurrence::Occurrence;
use crate::sys::run::run;
use crate::sys::webhook;

const LIMIT: Duration = Duration::from_secs(30);

/// Tells those hooks that are not among `told` already.
///
/// # Errors
/// The hooks that have been told by now, and why the first of the others was not.
pub(super) async fn notify(hooks: &Notify, event: &Occurrence, mut told: Vec<String>) -> Result<(), (Vec<String>, String)> {
    if !hooks.on.contains(&event.what) {
        return Ok(());
    }
    let body = match serde_json::to_vec(event) {
        Ok(body) => body,
        Err(error) => return Err((told, error.to_string())),
    };
    if let Some(url) = hooks.webhook.as_ref().filter(|_| !told.iter().any(|hook| hook == "webhook")) {
        let key = match hooks.secret_file.as_ref().map(std::fs::read_to_string).transpose() {
            Ok(key) => key,
            Err(error) => return Err((told, format!("notify.secret_file: {error}"))),
        };
        match webhook::post(url, key.as_deref().map(|key| key.trim().as_bytes()), body.clone()).await {
            Ok(()) => told.push("webhook".into()),
            Err(problem) => return Err((told, problem)),
        }
    }
    if !hooks.command.is_empty() && !told.iter().any(|hook| hook == "command") {
        let node = event.node.as_ref().map(ToString::to_string).unwrap_or_default();
        let seq = event.seq.to_string();
        let env: [(&str, &str); 4] =
            [("KICKCTL_EVENT", event.what.word()), ("KICKCTL_NODE", &node), ("KICKCTL_SEQ", &seq), ("KICKCTL_TEXT", &event.text)];
        if let Err(problem) = run(&hooks.command, &env, &body, LIMIT).await {
            return Err((told, problem));
        }
    }
    Ok(())
}
