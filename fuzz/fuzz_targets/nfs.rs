//! What a client sends to the NFS server: records, calls, arguments, handles; and datagrams to the portmapper.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = kickctl_fuzz::net::nfs::calls_in(data);
});
