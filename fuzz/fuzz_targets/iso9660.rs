//! The file system of an installation medium, from its first volume descriptor on: what stands before that is not looked at.

#![no_main]

use std::io::Cursor;

use kickctl_fuzz::repo::iso9660::files;

/// The system area of the medium (ECMA-119, section 6.2.1).
const BEFORE: usize = 16 * 2048;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut image = vec![0; BEFORE];
    image.extend_from_slice(data);
    let _ = files(&mut Cursor::new(image));
});
