//! Metalinks and mirror lists.

#![no_main]

use kickctl_fuzz::repo::rpm::metalink::Metalink;
use kickctl_fuzz::repo::rpm::mirrorlist;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = mirrorlist::parse(data);
    if let Ok(metalink) = Metalink::parse(data) {
        assert!(!metalink.urls.is_empty());
        let _ = metalink.version_of(data);
    }
});
