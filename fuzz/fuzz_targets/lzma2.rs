//! The chunks of a short xz stream.

#![no_main]

use kickctl_fuzz::repo::lzma2::Decoder;

const LIMIT: usize = 1 << 20;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((step, data)) = data.split_first() else { return };
    // As far as the first byte says, then to the end; or all at once.
    let mut decoder = Decoder::new(data, LIMIT);
    let some = decoder.until(usize::from(*step) * 16).map(<[u8]>::to_vec);
    let all = decoder.until(usize::MAX).map(<[u8]>::to_vec);
    assert_eq!(all.as_deref(), Decoder::new(data, LIMIT).until(usize::MAX));
    if let Some(text) = all {
        assert!(text.len() <= LIMIT && some.is_some_and(|some| text.starts_with(&some)));
    }
});
