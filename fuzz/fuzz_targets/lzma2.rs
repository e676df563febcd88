//! The chunks of a short xz stream.

#![no_main]

use kickctl_fuzz::repo::lzma2::decompress;

const LIMIT: usize = 1 << 20;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Some((text, length)) = decompress(data, LIMIT) {
        assert!(text.len() <= LIMIT && length <= data.len());
    }
});
