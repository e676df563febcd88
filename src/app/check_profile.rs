//! Looks at a profile before anybody is assigned to it, and at the nodes that are.

use super::preflight::{Finding, examine};
use super::{Error, Head, Result};
use crate::app::list_profiles::list_profiles;
use crate::domain::name::{NodeName, ProfileName};
use crate::domain::profile::Assignment;
use crate::domain::variables::merge;
use crate::provision::Settings;
use crate::provision::render::Renderer;
use crate::sys::data_dir::DataDir;

/// What can be told without a node: the chain ends, every template parses, the variables so far make sense.
///
/// # Errors
/// If there is no such profile, or a site's profile is wrong.
pub fn check_profile(data: &DataDir, name: &ProfileName) -> Result<Vec<Finding>> {
    let library = list_profiles(data)?;
    let layers = library.layers(name, &Default::default(), None).map_err(|error| Error::Usage(error.to_string()))?;
    let finding = |place: &str, problem: String| Finding {
        concerns: format!("profile {name}"),
        place: place.into(),
        problem,
        remedy: String::new(),
        warning: false,
    };
    let wrong = Settings::read(&merge(&layers)).err().unwrap_or_default();
    let mut findings: Vec<Finding> = wrong.iter().map(|wrong| finding("variables", wrong.to_string())).collect();
    findings.extend(Renderer::new(&library, name).err().map(|error| finding("templates", error.to_string())));
    Ok(findings)
}

/// The preflight of nodes under a profile, whatever they are assigned; without a list, of those that are assigned it.
///
/// # Errors
/// If the state cannot be read.
pub async fn check_nodes(head: &Head, name: &ProfileName, nodes: Option<Vec<NodeName>>) -> Result<(usize, Vec<Finding>)> {
    let assigned = head.store.assignments().await?;
    let assignments: Vec<Assignment> = match nodes {
        None => assigned.into_iter().filter(|assignment| assignment.profile == *name).collect(),
        Some(nodes) => nodes.into_iter().map(|node| Assignment { node, profile: name.clone(), snapshot: None }).collect(),
    };
    let (_, findings) = examine(head, &assignments).await?;
    Ok((assignments.len(), findings))
}
