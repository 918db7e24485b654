//! TCP/ALP Interface Services (RFC 9293 §3.9.1).

use session_tcp::UserOpen;
use session_tcp::calls::{Data, Set};
use session_tcp::tcp::{Advice, Config, DiffServ, ErrorReports, IcmpKind, LocalAddr, Setting, TcpClosed};
use smoltcp::time::Duration;
use smoltcp::wire::Ipv4Packet;

use super::driver::{State, US, in_states};
use super::layers::{Peer, connected, connected_with};

/// The DiffServ codepoint of the next packet.
fn codepoint(peer: &Peer) -> u8 {
    let (packet, _) = peer.wire.next_packet();
    Ipv4Packet::new_checked(&packet[..]).unwrap().dscp()
}

/// A setting of this codepoint.
fn diff_serv(codepoint: u8) -> Setting {
    Setting::DiffServ(DiffServ::new(codepoint).unwrap())
}

#[test]
fn must_47_errors_that_end_nothing_are_reported() {
    in_states(&[State::Established, State::CloseWait], |state, tcp| {
        tcp.send(b"text");
        tcp.icmp(IcmpKind::Unreachable(1), tcp.snd_una());
        assert_eq!(tcp.advice(), Some(Advice::Network(IcmpKind::Unreachable(1))));
        tcp.wait(Duration::from_secs(10));
        assert_eq!(tcp.advice(), Some(Advice::Undelivered { retransmissions: 3 }));
        assert_eq!((tcp.advice(), tcp.state()), (None, state));
    });
}

#[test]
fn must_48_the_user_sets_the_diffserv_field() {
    let (mut peer, _user, _st) = connected_with(Config::default(), &[diff_serv(46)]);
    peer.send(b"text");
    assert_eq!(codepoint(&peer), 46);
}

#[test]
fn shld_20_error_reports_can_be_disabled() {
    in_states(&[State::Established, State::CloseWait], |_, tcp| {
        tcp.set(Setting::ErrorReports(ErrorReports::Off));
        tcp.send(b"text");
        tcp.icmp(IcmpKind::Unreachable(1), tcp.snd_una());
        tcp.wait(Duration::from_secs(100));
        assert_eq!(tcp.advice(), None);
    });
}

#[test]
fn shld_21_the_diffserv_field_may_change_during_the_connection() {
    let (peer, mut user, mut st) = connected(Config::default());
    for value in [0, 1, 10, 63] {
        st = user.select(st, UserOpen::Set(Set(diff_serv(value)))).unwrap();
        st = user.select(st, UserOpen::Send(Data::new(vec![b'x'; 1460]).unwrap())).unwrap();
        assert_eq!(codepoint(&peer), value);
    }
}

#[test]
fn shld_22_the_diffserv_field_goes_to_ip_unchanged() {
    for value in [1, 2, 32, 63] {
        let (mut peer, _user, _st) = connected_with(Config::default(), &[diff_serv(value)]);
        peer.send(b"text");
        let (packet, _) = peer.wire.next_packet();
        // The octet that it shares with ECN, whose two bits are not its.
        assert_eq!(packet[1] >> 2, value);
    }
}

#[test]
fn must_43_open_takes_the_local_address() {
    let local = LocalAddr { addr: *US.ip(), port: US.port() };
    assert_eq!(TcpClosed::default().open(local).local(), US);
    // Of the program as well: it is what the SYN,ACK comes from.
    let (peer, _user, _st) = connected(Config::default());
    assert_eq!(peer.wire.lower.address(), *US.ip());
}
