//! comps.xml.

#![no_main]

use kickctl_fuzz::repo::rpm::comps::Comps;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(comps) = Comps::parse(data) {
        let _ = (comps.group("core"), comps.environment("minimal"));
    }
});
