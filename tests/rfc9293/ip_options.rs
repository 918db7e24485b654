//! IP Options (RFC 9293 §3.9.2.1).

use session_tcp::smol_lower::LowerConfig;
use smoltcp::wire::Ipv4Packet;

use super::driver::{PEER, SYN, US};
use super::layers::{Wire, from_peer, packet};

#[test]
fn must_50_ip_options_are_ignored() {
    let wire = Wire::new(&LowerConfig::default());
    let backlog = wire.lower.listen(555).unwrap();
    // Kinds: experiments (RFC 4727), timestamp, record route, router alert; four octets each.
    for (n, option) in [[0x1e, 4, 0, 0], [68, 4, 5, 0], [7, 3, 4, 0], [148, 4, 0, 0]].into_iter().enumerate() {
        let mut syn = from_peer(SYN);
        syn.src_port += u16::try_from(n).unwrap();
        let mut octets = packet(*PEER.ip(), *US.ip(), &syn);
        octets.splice(20..20, option);
        octets[0] = 0x46;
        let length = u16::try_from(octets.len()).unwrap();
        let mut ip = Ipv4Packet::new_unchecked(&mut octets[..]);
        ip.set_total_len(length);
        ip.fill_checksum();
        wire.send_packet(octets);
        assert_eq!(backlog.receiver().recv().unwrap().segment, syn, "with option {option:?}");
    }
}
