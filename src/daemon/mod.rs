//! `kickctl serve`.
