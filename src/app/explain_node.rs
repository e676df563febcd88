//! Why a node is what it is: each variable with the layer that set it, and what the node would boot now.

use serde::Serialize;

use super::boot_diskless::{Plan, plan_boot};
use super::preflight::Bench;
use super::show_profile::{Explained, explained};
use super::{Error, Head, Result};
use crate::domain::attempt::Order;
use crate::domain::name::{NodeName, ProfileName};
use crate::provision::decide::{Answer, Asker, Request, decide};
use crate::provision::variables::Settings;

/// What is known of a node's future. Its JSON form is part of the output contract.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explanation {
    /// The node.
    pub node: NodeName,
    /// Its profile.
    pub profile: ProfileName,
    /// The profile and what it extends, the most general first.
    pub chain: Vec<ProfileName>,
    /// What a network boot would lead to now: `installer`, `local disk`, or the image with its version and kind.
    pub boots: String,
    /// Why.
    pub because: String,
    /// Every variable, secrets masked.
    pub variables: Vec<Explained>,
    /// What is wrong with the variables.
    pub problems: Vec<String>,
}

/// Explains a node under the profile it is assigned, or under another one.
///
/// # Errors
/// If there is no such node, or it has no profile and none is given.
pub async fn explain_node(head: &Head, name: &NodeName, profile: Option<&ProfileName>) -> Result<Explanation> {
    let node = head.store.node(name).await?.ok_or_else(|| crate::store::Error::NoNode(name.clone()))?;
    let assigned = head.store.assignment(name).await?.map(|assignment| assignment.profile);
    let profile = profile.cloned().or(assigned).ok_or_else(|| {
        Error::Usage(format!("{name} has no profile: `kickctl profile assign {name} PROFILE` gives it one, or --profile tries one"))
    })?;
    let bench = Bench::new(head).await?;
    let merged = bench.variables(&node, &profile).await?;
    let attempt = head.last_attempt(&node).await?;
    let asker = attempt.as_ref().map_or(Asker::Idle, |attempt| Asker::Attempt(&attempt.state));
    let stands = attempt.as_ref().map_or_else(
        || "nothing was ever ordered for it".to_owned(),
        |attempt| format!("attempt {} is {}", attempt.number, attempt.state.name()),
    );
    let root =
        |order: &Order| order.image.as_ref().map_or_else(|| "installer".to_owned(), |image| format!("image {image} as {}", order.kind));
    let (boots, because) = match (plan_boot(head, &node).await?, decide(asker, Request::Script)) {
        (Plan::Arm(order, _), _) => (root(&order), format!("it is assigned; {stands}")),
        (Plan::Cannot(why), _) => ("local disk".to_owned(), why),
        (Plan::Last, Answer::Installer) => (attempt.as_ref().map_or_else(String::new, |attempt| root(&attempt.order)), stands),
        (Plan::Last, _) => ("local disk".to_owned(), stands),
    };
    let chain = bench.library.chain(&profile).map_err(|error| Error::Usage(error.to_string()))?;
    Ok(Explanation {
        node: node.name,
        chain: chain.iter().map(|entry| entry.profile.name.clone()).collect(),
        profile,
        boots,
        because,
        variables: explained(&merged),
        problems: Settings::read(&merged).err().unwrap_or_default().iter().map(ToString::to_string).collect(),
    })
}
