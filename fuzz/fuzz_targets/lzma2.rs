//! The chunks of a short xz stream.

#![no_main]

use kickctl_fuzz::repo::lzma2::Decoder;

const LIMIT: usize = 1 << 20;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut decoder = Decoder::new(data, LIMIT);
    // The first byte says how far to go at first.
    let some = decoder.until(data.first().map_or(0, |byte| usize::from(*byte) * 16)).map(<[u8]>::to_vec);
    if let Some(text) = decoder.until(usize::MAX) {
        assert!(text.len() <= LIMIT && some.is_some_and(|some| text.starts_with(&some)));
    }
});
