//! A mirror's sync.
