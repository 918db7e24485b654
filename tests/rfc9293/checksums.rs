//! TCP Checksums (RFC 9293 §3.1).

use session_tcp::tcp::segment::{Options, Segment};
use smoltcp::wire::TcpPacket;

use super::driver::{ACK, Craft, FIN, PEER, PSH, RST, SYN, State, US, in_states};

#[test]
fn must_2_every_segment_has_the_right_checksum() {
    // By another implementation's reckoning, which is not ours.
    for control in [SYN, SYN | ACK, ACK, ACK | PSH, FIN | ACK, RST, RST | ACK] {
        for length in [0, 1, 2, 3, 4, 1459, 1460] {
            for options in [Options::default(), Options { mss: Some(1460), ..Options::default() }] {
                let text = vec![0xf1; length];
                let segment = Segment { src_port: 555, dst_port: 40_000, control, options, ..Segment::default() };
                let octets = segment.text(&text).emit(*US.ip(), *PEER.ip());
                let packet = TcpPacket::new_checked(&octets[..]).unwrap();
                assert!(packet.verify_checksum(&(*US.ip()).into(), &(*PEER.ip()).into()), "{control} {length}");
            }
        }
    }
}

#[test]
fn must_3_a_segment_with_a_wrong_checksum_is_dropped_in_silence() {
    let mut states = vec![State::Closed, State::Listen, State::SynSent];
    states.extend(State::NUMBERED);
    in_states(&states, |state, tcp| {
        for control in [SYN, ACK, FIN | ACK, RST, SYN | ACK, RST | ACK] {
            let intact = tcp.in_order(control).text(b"text").emit(*PEER.ip(), *US.ip());
            let before = tcp.status();
            for bit in (0..intact.len() * 8).step_by(5) {
                let mut damaged = intact.clone();
                damaged[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(tcp.octets_arrive(&damaged), []);
            }
            // For another pair of addresses the same octets are wrong, too.
            let elsewhere = tcp.in_order(control).emit(*PEER.ip(), *PEER.ip());
            assert_eq!(tcp.octets_arrive(&elsewhere), []);
            assert_eq!((tcp.state(), tcp.status(), tcp.told()), (state, before, vec![]));
        }
    });
}
