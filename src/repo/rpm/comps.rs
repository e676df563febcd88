//! Reading comps.xml: groups of packages, environments and categories. The file itself is carried unchanged.

use super::xml::{Tag, Xml, XmlError};

/// The most bytes that a comps.xml may have decompressed; Fedora's has 3 MB.
pub const MAX_COMPS: u64 = 64 << 20;

/// What comps.xml says, as far as a mirror and a check of profiles need it: translations are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comps {
    /// Groups: what `@name` in a kickstart file installs.
    pub groups: Vec<Group>,
    /// Environments: what `@^name` installs.
    pub environments: Vec<Environment>,
    /// Categories, by identifier, with the groups in them.
    pub categories: Vec<(String, Vec<String>)>,
}

/// A group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// Identifier, such as `core`.
    pub id: String,
    /// Name in English.
    pub name: String,
    /// Description in English.
    pub description: String,
    /// Installed without being asked for.
    pub default: bool,
    /// Shown to a user.
    pub user_visible: bool,
    /// Its packages.
    pub packages: Vec<GroupPackage>,
}

/// A package of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupPackage {
    /// Name.
    pub name: String,
    /// How it belongs to the group.
    pub kind: PackageKind,
    /// The package that a conditional one needs.
    pub requires: String,
    /// Only for these architectures; empty: for all.
    pub arches: Vec<String>,
}

/// How a package belongs to its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PackageKind {
    /// Always installed with it.
    Mandatory,
    /// Installed with it unless deselected.
    Default,
    /// Installed on request.
    Optional,
    /// Installed if another package is.
    Conditional,
}

/// An environment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    /// Identifier, such as `server-product-environment`.
    pub id: String,
    /// Name in English.
    pub name: String,
    /// Its groups.
    pub groups: Vec<String>,
    /// Groups that are offered with it.
    pub options: Vec<String>,
}

impl Comps {
    /// Reads comps.xml. The caller bounds its size by [`MAX_COMPS`]. Groups without an identifier are left out.
    pub fn parse(bytes: &[u8]) -> Result<Self, XmlError> {
        let (mut xml, _) = Xml::open(bytes, "comps")?;
        let mut comps = Self::default();
        let depth = xml.depth();
        while let Some(tag) = xml.child(depth)? {
            match tag.name() {
                "group" => comps.groups.push(group(&mut xml)?),
                "environment" => comps.environments.push(environment(&mut xml)?),
                "category" => {
                    let (category, groups) = category(&mut xml)?;
                    comps.categories.push((category, groups));
                }
                _ => {}
            }
        }
        xml.end()?;
        comps.groups.retain(|group| !group.id.is_empty());
        comps.environments.retain(|environment| !environment.id.is_empty());
        Ok(comps)
    }

    /// The group of an identifier, or of its English name, as a kickstart file may name it. Case does not matter.
    pub fn group(&self, name: &str) -> Option<&Group> {
        let by = |key: fn(&Group) -> &str| self.groups.iter().find(|group| key(group).eq_ignore_ascii_case(name));
        by(|group| &group.id).or_else(|| by(|group| &group.name))
    }

    /// The environment of an identifier, or of its English name.
    pub fn environment(&self, name: &str) -> Option<&Environment> {
        let by = |key: fn(&Environment) -> &str| self.environments.iter().find(|environment| key(environment).eq_ignore_ascii_case(name));
        by(|environment| &environment.id).or_else(|| by(|environment| &environment.name))
    }
}

fn group(xml: &mut Xml<'_>) -> Result<Group, XmlError> {
    let mut group = Group { user_visible: true, ..Group::default() };
    let depth = xml.depth();
    while let Some(tag) = xml.child(depth)? {
        match tag.name() {
            "id" => group.id = xml.text()?.trim().to_owned(),
            "name" if untranslated(&tag)? => group.name = xml.text()?,
            "description" if untranslated(&tag)? => group.description = xml.text()?,
            "default" => group.default = xml.text()?.trim() == "true",
            "uservisible" => group.user_visible = xml.text()?.trim() != "false",
            "packagelist" => {
                let depth = xml.depth();
                while let Some(tag) = xml.child(depth)? {
                    if tag.name() == "packagereq" {
                        group.packages.push(package(xml, &tag)?);
                    }
                }
            }
            _ => {}
        }
    }
    Ok(group)
}

fn package(xml: &mut Xml<'_>, tag: &Tag<'_>) -> Result<GroupPackage, XmlError> {
    Ok(GroupPackage {
        kind: match tag.attribute("type")?.as_str() {
            "mandatory" => PackageKind::Mandatory,
            "optional" => PackageKind::Optional,
            "conditional" => PackageKind::Conditional,
            // dnf and yum take a missing type for this one.
            _ => PackageKind::Default,
        },
        requires: tag.attribute("requires")?,
        arches: tag.attribute("arch")?.split(',').map(str::trim).filter(|arch| !arch.is_empty()).map(str::to_owned).collect(),
        name: xml.text()?.trim().to_owned(),
    })
}

fn environment(xml: &mut Xml<'_>) -> Result<Environment, XmlError> {
    let mut environment = Environment::default();
    let depth = xml.depth();
    while let Some(tag) = xml.child(depth)? {
        match tag.name() {
            "id" => environment.id = xml.text()?.trim().to_owned(),
            "name" if untranslated(&tag)? => environment.name = xml.text()?,
            "grouplist" => environment.groups = group_ids(xml)?,
            "optionlist" => environment.options = group_ids(xml)?,
            _ => {}
        }
    }
    Ok(environment)
}

fn category(xml: &mut Xml<'_>) -> Result<(String, Vec<String>), XmlError> {
    let (mut id, mut groups) = (String::new(), vec![]);
    let depth = xml.depth();
    while let Some(tag) = xml.child(depth)? {
        match tag.name() {
            "id" => id = xml.text()?.trim().to_owned(),
            "grouplist" => groups = group_ids(xml)?,
            _ => {}
        }
    }
    Ok((id, groups))
}

fn group_ids(xml: &mut Xml<'_>) -> Result<Vec<String>, XmlError> {
    let depth = xml.depth();
    let mut ids = vec![];
    while let Some(tag) = xml.child(depth)? {
        if tag.name() == "groupid" {
            ids.push(xml.text()?.trim().to_owned());
        }
    }
    Ok(ids)
}

/// True for text that is not a translation.
fn untranslated(tag: &Tag<'_>) -> Result<bool, XmlError> {
    Ok(tag.attribute("lang")?.is_empty())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn groups_environments_and_categories_are_read_without_translations() {
        let comps = Comps::parse(
            br#"<?xml version='1.0'?><!DOCTYPE comps PUBLIC "-//Red Hat, Inc.//DTD Comps info//EN" "comps.dtd"><comps>
            <group><id>core</id><name>Core</name><name xml:lang="de">Kern</name><description>The smallest</description><default>true</default>
              <uservisible>false</uservisible><packagelist><packagereq type="mandatory">bash</packagereq>
              <packagereq type="conditional" requires="x">y</packagereq><packagereq arch="x86_64,i686">z</packagereq></packagelist></group>
            <group><name>no id</name></group>
            <environment><id>minimal</id><name>Minimal Install</name><grouplist><groupid>core</groupid></grouplist>
              <optionlist><groupid default="true">guest</groupid></optionlist></environment>
            <category><id>base</id><grouplist><groupid>core</groupid></grouplist></category></comps>"#,
        )
        .unwrap();
        assert_eq!(comps.groups.len(), 1);
        let core = comps.group("CORE").unwrap();
        assert_eq!((core.name.as_str(), core.default, core.user_visible), ("Core", true, false));
        let kinds: Vec<_> = core.packages.iter().map(|package| package.kind).collect();
        assert_eq!(kinds, [PackageKind::Mandatory, PackageKind::Conditional, PackageKind::Default]);
        assert_eq!((core.packages[1].requires.as_str(), core.packages[2].arches.len()), ("x", 2));
        assert_eq!(comps.environment("Minimal install").unwrap().options, ["guest"]);
        assert_eq!(comps.categories, [("base".to_owned(), vec!["core".to_owned()])]);
    }

    proptest! {
        #[test]
        fn noise_never_panics(noise in "(<(group|environment|category|id|packagelist|packagereq|grouplist|groupid)( type=\"[a-z]{0,9}\")?/?>|</[a-z]{2,12}>|[a-z,]{0,6}){0,25}") {
            let _ = Comps::parse(format!("<comps>{noise}</comps>").as_bytes());
        }
    }
}
