//! The definitions that kickctl ships, from `mirror/*.toml`. Those of Debian name no host: the address comes from the head or the command
//! line. Those of RPM distributions name their public addresses.

/// Names and texts.
pub const SHIPPED: &[(&str, &str)] = &[
    ("debian-13", include_str!("../../mirror/debian-13.toml")),
    ("debian-12", include_str!("../../mirror/debian-12.toml")),
    ("rocky-9", include_str!("../../mirror/rocky-9.toml")),
    ("almalinux-9", include_str!("../../mirror/almalinux-9.toml")),
    ("centos-stream-10", include_str!("../../mirror/centos-stream-10.toml")),
    ("fedora", include_str!("../../mirror/fedora.toml")),
];

/// The text of a shipped definition.
pub fn shipped(name: &str) -> Option<&'static str> {
    SHIPPED.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}
