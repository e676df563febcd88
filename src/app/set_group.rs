//! Groups: which nodes are in them, and the layer of variables that each gives to its nodes.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::Result;
use super::plan_nodes::check_variables;
use super::set_nodes::{VariablePath, change_variables};
use crate::domain::name::{GroupName, NodeName};
use crate::domain::nodeset::fold;
use crate::domain::variables::Variables;
use crate::store::Store;

/// A group.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GroupReport {
    /// Its name.
    pub name: GroupName,
    /// How many nodes are in it.
    pub count: usize,
    /// Which, folded to a node set; empty if none is.
    pub nodes: String,
    /// The variables that it gives them.
    pub variables: Variables,
}

/// Lists every group that has nodes or variables.
///
/// # Errors
/// If the state cannot be read.
pub async fn list_groups(store: &dyn Store) -> Result<Vec<GroupReport>> {
    let mut members: BTreeMap<GroupName, Vec<NodeName>> = BTreeMap::new();
    for node in store.nodes().await? {
        for group in &node.groups {
            members.entry(group.clone()).or_default().push(node.name.clone());
        }
    }
    for group in store.groups_with_variables().await? {
        members.entry(group).or_default();
    }
    let mut reports = Vec::with_capacity(members.len());
    for (name, nodes) in members {
        let variables = store.group_variables(&name).await?;
        reports.push(GroupReport { name, count: nodes.len(), nodes: fold(&nodes), variables });
    }
    Ok(reports)
}

/// Changes the variables of a group, which need not have nodes yet. Returns what they come to.
///
/// # Errors
/// [`super::Error::Usage`] for variables that no profile could use.
pub async fn set_group(
    store: &dyn Store,
    group: &GroupName,
    set: &[(VariablePath, Value)],
    unset: &[VariablePath],
    dry_run: bool,
) -> Result<Variables> {
    let mut variables = store.group_variables(group).await?;
    change_variables(&mut variables, set, unset)?;
    check_variables(&format!("group {group}"), &variables)?;
    if !dry_run {
        store.set_group_variables(group, &variables).await?;
    }
    Ok(variables)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::fixture::{fresh, node};
    use crate::app::setting;
    use crate::domain::node::Node;

    #[tokio::test]
    async fn a_group_has_variables_before_it_has_nodes() {
        let (_folder, store) = fresh().await;
        let rack: GroupName = "rack1".parse().unwrap();
        let set = [setting("swap=ram/2").unwrap()];
        let planned = set_group(&store, &rack, &set, &[], true).await.unwrap();
        assert_eq!((planned.0.len(), list_groups(&store).await.unwrap()), (1, vec![]));
        set_group(&store, &rack, &set, &[], false).await.unwrap();
        store.add_nodes(&[Node { groups: [rack.clone()].into(), ..node("n2", 2) }, node("n1", 1)]).await.unwrap();
        let reports = list_groups(&store).await.unwrap();
        assert_eq!((reports.len(), reports[0].nodes.as_str(), reports[0].variables.0["swap"].as_str()), (1, "n2", Some("ram/2")));
        let wrong = set_group(&store, &rack, &[setting("swpa=none").unwrap()], &[], false).await.unwrap_err().to_string();
        assert!(wrong.contains("group rack1") && wrong.contains("did you mean swap"), "{wrong}");
        assert!(set_group(&store, &rack, &[], &["swap".parse().unwrap()], false).await.unwrap().0.is_empty());
    }
}
