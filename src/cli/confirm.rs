//! The guard before what touches many nodes: their number must be said.

use std::io::{IsTerminal, Write};

use crate::app;

/// Passes if at most one node is concerned, if `--yes=N` says their number, or if a person types it. `what` completes
/// "this would …", such as `remove node[01-03]`.
///
/// # Errors
/// [`app::Error::Refused`].
pub fn confirm(what: &str, count: usize, yes: Option<usize>) -> app::Result<()> {
    let refuse = |told: String| Err(app::Error::Refused(told));
    match yes {
        Some(said) if said == count => Ok(()),
        Some(said) => refuse(format!("this would {what}: that is {count}, and --yes says {said}; nothing was changed")),
        None if count <= 1 => Ok(()),
        None if !std::io::stdin().is_terminal() => refuse(format!("this would {what}: confirm with --yes={count}; nothing was changed")),
        None if ask(what)?.trim() == count.to_string() => Ok(()),
        None => refuse(format!("that is not the number of nodes, {count}; nothing was changed")),
    }
}

fn ask(what: &str) -> app::Result<String> {
    let failed = |source| app::Error::Io { what: "cannot ask on the terminal".into(), source };
    anstream::eprint!("This would {what}. Type the number of nodes to go on: ");
    anstream::stderr().flush().map_err(failed)?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).map_err(failed)?;
    Ok(answer)
}
