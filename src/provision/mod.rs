//! What to serve, decided purely.
