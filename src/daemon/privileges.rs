//! What the daemon may do once its sockets are bound: nothing that an ordinary process may not.
//!
//! Binding ports 67, 69 and 514 needs `CAP_NET_BIND_SERVICE`, and binding DHCP to one interface `CAP_NET_RAW`. Afterwards no
//! capability is needed: TFTP transfers use unprivileged ports, and the data folder belongs to the user that the daemon runs as.

use std::io;

use caps::CapSet;

/// Gives up every capability for good, for this thread and the threads it starts.
///
/// # Errors
/// If the kernel refuses.
pub(super) fn drop_all() -> io::Result<()> {
    // The bounding set can only be lowered with CAP_SETPCAP; without it there is nothing to lose there.
    if caps::has_cap(None, CapSet::Effective, caps::Capability::CAP_SETPCAP).map_err(io::Error::other)? {
        caps::clear(None, CapSet::Bounding).map_err(io::Error::other)?;
    }
    for set in [CapSet::Ambient, CapSet::Inheritable, CapSet::Effective, CapSet::Permitted] {
        caps::clear(None, set).map_err(io::Error::other)?;
    }
    Ok(())
}
