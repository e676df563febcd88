//! Repository formats, pure.
