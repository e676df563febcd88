//! modules.yaml.

#![no_main]

use kickctl_fuzz::repo::rpm::modules::{newest, parse};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(modules) = parse(data) {
        assert!(newest(&modules).len() <= modules.len());
    }
});
