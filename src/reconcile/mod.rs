//! Small loops without input.
