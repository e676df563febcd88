//! The definitions that kickctl ships, from `mirror/*.toml`. They name no host: the address comes from the head or the command line.

/// Names and texts.
pub const SHIPPED: &[(&str, &str)] =
    &[("debian-13", include_str!("../../mirror/debian-13.toml")), ("debian-12", include_str!("../../mirror/debian-12.toml"))];

/// The text of a shipped definition.
pub fn shipped(name: &str) -> Option<&'static str> {
    SHIPPED.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}
