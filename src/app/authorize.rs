//! Who may have what a token opens.

use std::net::Ipv4Addr;

use super::Result;
use super::head::Head;
use crate::domain::attempt::Attempt;
use crate::domain::node::Node;
use crate::provision::decide::{Answer, Asker, Request, decide};
use crate::provision::tokens::{self, Purpose};

/// A request that was granted: whose it is.
#[derive(Clone, Debug)]
pub struct Granted {
    /// The node.
    pub node: Node,
    /// Its last attempt, which the token belongs to.
    pub attempt: Attempt,
}

/// Grants a request that carries a token, or not: `None` for a forged token, one of another purpose, one of an attempt that
/// is not the node's last, one from an address that is not the node's, and where the boot table says no. The log says which;
/// the client is not told.
pub(super) async fn authorize(head: &Head, token: &str, request: Request, peer: Ipv4Addr) -> Result<Option<Granted>> {
    let refuse = |why: &str| {
        tracing::warn!(%peer, ?request, "refused: {why}");
        Ok(None)
    };
    let Some((id, purpose)) = tokens::check(&head.token_secret, token) else { return refuse("the token is not one of this head's") };
    if purpose != purpose_of(request) {
        return refuse("the token is for something else");
    }
    let Some(attempt) = head.store.last_attempt_beside(id).await? else { return refuse("its attempt was removed") };
    if attempt.id != id {
        return refuse("a newer attempt has taken its place");
    }
    let Some(node) = head.store.node(&attempt.node).await? else { return refuse("its node was removed") };
    if !head.addresses_of(&node).await?.contains(&peer) {
        return refuse("it comes from an address that is not the node's");
    }
    match decide(Asker::Attempt(&attempt.state), request) {
        Answer::Granted => Ok(Some(Granted { node, attempt })),
        _ => refuse(&format!("{} is {}", node.name, attempt.state.name())),
    }
}

fn purpose_of(request: Request) -> Purpose {
    match request {
        Request::BootFile | Request::TakeOver => Purpose::Boot,
        _ => Purpose::Report,
    }
}
