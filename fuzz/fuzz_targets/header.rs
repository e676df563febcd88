//! A package file's header, and the metadata made of it, which has to be well-formed.

#![no_main]

use kickctl_fuzz::domain::checksum::Sha256;
use kickctl_fuzz::repo::rpm::filelists::FileList;
use kickctl_fuzz::repo::rpm::fragment::{FileFacts, Fragments};
use kickctl_fuzz::repo::rpm::header::Header;
use kickctl_fuzz::repo::rpm::other::Changelog;
use kickctl_fuzz::repo::rpm::primary::Package;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(header) = Header::read(&mut &*data) {
        let facts = FileFacts { size: data.len() as u64, mtime: 1, sha256: Sha256::new([7; 32]), location: "a&b.rpm" };
        let fragments = Fragments::of(&header, &facts);
        let _ = Package::parse(&fragments.primary);
        FileList::parse(&fragments.filelists).expect("filelists");
        Changelog::parse(&fragments.other).expect("other");
    }
});
