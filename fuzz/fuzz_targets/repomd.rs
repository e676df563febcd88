//! repomd.xml: what was read is written and read again the same.

#![no_main]

use kickctl_fuzz::repo::rpm::repomd::Repomd;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(repomd) = Repomd::parse(data) {
        let again = Repomd::parse(&repomd.to_xml()).expect("what was written is read");
        assert_eq!(again.records.len(), repomd.records.len());
    }
});
