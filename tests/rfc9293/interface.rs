//! TCP/ALP Interface Services (RFC 9293 §3.9.1).

use session_tcp::tcp::{Config, LocalAddr, TcpClosed};

use super::driver::US;
use super::layers::connected;

#[test]
fn must_43_open_takes_the_local_address() {
    let local = LocalAddr { addr: *US.ip(), port: US.port() };
    assert_eq!(TcpClosed::default().open(local).local(), US);
    // Of the program as well: it is what the SYN,ACK comes from.
    let (peer, _user, _st) = connected(Config::default());
    assert_eq!(peer.wire.lower.address(), *US.ip());
}
