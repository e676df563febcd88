//! The recipes that kickctl ships, from `image/*.toml`.

/// Names and texts.
pub const SHIPPED: &[(&str, &str)] = &[("worker", include_str!("../../image/worker.toml"))];

/// The text of a shipped recipe.
pub fn shipped(name: &str) -> Option<&'static str> {
    SHIPPED.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}
