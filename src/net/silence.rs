//! Peers that vanish: a machine whose power was cut says no goodbye, and its connections would stay for ever.

use std::io;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};

/// Has the kernel break the connection when nothing is heard from the peer's kernel for about `limit`, whether the peer's program is silent or not.
///
/// # Errors
/// If the socket does not take the options.
pub(super) fn break_after(socket: SockRef<'_>, limit: Duration) -> io::Result<()> {
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(limit / 2).with_interval(limit / 8).with_retries(4))?;
    socket.set_tcp_user_timeout(Some(limit))
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn the_kernel_asks_after_the_peer_and_gives_up_within_the_limit() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let limit = Duration::from_secs(120);
        break_after(SockRef::from(&stream), limit).unwrap();
        let socket = SockRef::from(&stream);
        assert!(socket.keepalive().unwrap());
        let asked =
            socket.tcp_keepalive_time().unwrap() + socket.tcp_keepalive_interval().unwrap() * socket.tcp_keepalive_retries().unwrap();
        assert_eq!((asked, socket.tcp_user_timeout().unwrap()), (limit, Some(limit)));
    }
}
