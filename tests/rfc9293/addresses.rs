//! Address Validation (RFC 9293 §3.9.2.3).

use session_tcp::smol_lower::LowerConfig;

use super::driver::{ACK, PEER, SYN, US};
use super::layers::{Wire, from_peer};

#[test]
fn must_63_a_syn_from_what_is_no_hosts_address_is_ignored() {
    let wire = Wire::new(&LowerConfig::default());
    let backlog = wire.lower.listen(555).unwrap();
    let sources =
        ["0.0.0.0", "0.1.2.3", "127.0.0.1", "192.0.2.0", "192.0.2.255", "224.0.0.1", "240.0.0.1", "255.255.255.255"];
    for source in sources {
        for control in [SYN, ACK] {
            wire.send_between(source.parse().unwrap(), *US.ip(), &from_peer(control));
        }
    }
    // Nor is our own address another host's.
    wire.send_between(*US.ip(), *US.ip(), &from_peer(SYN));
    wire.is_quiet();
    assert!(backlog.receiver().is_empty());
    for source in ["192.0.2.1", "192.0.2.254", "1.0.0.1", "223.255.255.254"] {
        wire.send_between(source.parse().unwrap(), *US.ip(), &from_peer(SYN));
        assert_eq!(backlog.receiver().recv().unwrap().remote.to_string(), format!("{source}:{}", PEER.port()));
    }
}
