//! TCP/ALP Interface Services (RFC 9293 §3.9.1).

use std::net::{Ipv4Addr, SocketAddrV4};

use session_tcp::calls::{Data, NotOpened, Set};
use session_tcp::smol_lower::{ConnectError, LowerConfig};
use session_tcp::tcp::{Advice, Config, DiffServ, ErrorReports, IcmpKind, LocalAddr, Setting, TcpClosed};
use session_tcp::{ConnectingEvent, UserOpen};
use smoltcp::time::Duration;
use smoltcp::wire::Ipv4Packet;

use super::driver::{PEER, SYN, State, US, in_states};
use super::layers::{Peer, Wire, connected, connected_with, opened};

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

#[test]
fn must_44_an_active_open_without_a_local_address_comes_from_ours() {
    let wire = Wire::new(&LowerConfig::default());
    let unspecified = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0);
    let mut ports = Vec::new();
    for _ in 0..3 {
        let (_user, ConnectingEvent::TcbCreated(..)) = opened(&wire, unspecified, PEER) else { panic!("it opens") };
        let (packet, syn) = wire.next_packet();
        let packet = Ipv4Packet::new_checked(&packet[..]).unwrap();
        assert_eq!((packet.src_addr(), packet.dst_addr()), (*US.ip(), *PEER.ip()));
        assert_eq!((syn.control, syn.dst_port), (SYN, PEER.port()));
        assert!(syn.src_port >= 49_152 && !ports.contains(&syn.src_port), "{} after {ports:?}", syn.src_port);
        ports.push(syn.src_port);
    }
    // One that is given is taken, once, and one that is not ours is not.
    let (_user, ConnectingEvent::TcbCreated(..)) = opened(&wire, US, PEER) else { panic!("it opens") };
    assert_eq!(wire.next().src_port, US.port());
    let refused = |local| match opened(&wire, local, PEER) {
        (_, ConnectingEvent::NotOpened(NotOpened(cause), st)) => (cause, st.end()).0,
        (_, event @ ConnectingEvent::TcbCreated(..)) => panic!("{event:?}"),
    };
    assert_eq!(refused(US), ConnectError::Exists { local: US, remote: PEER });
    let other = SocketAddrV4::new(*PEER.ip(), 7);
    assert_eq!(refused(other), ConnectError::NotOurs { address: *PEER.ip() });
    wire.is_quiet();
}

#[test]
fn must_46_an_active_open_to_broadcast_or_multicast_is_an_error() {
    let wire = Wire::new(&LowerConfig::default());
    let us = US.ip().to_string();
    for address in
        ["224.0.0.1", "239.255.255.255", "255.255.255.255", "192.0.2.255", "192.0.2.0", "0.0.0.0", "127.0.0.1", &us]
    {
        let remote = SocketAddrV4::new(address.parse().unwrap(), 7);
        let (_user, ConnectingEvent::NotOpened(NotOpened(cause), st)) = opened(&wire, US, remote) else {
            panic!("{remote} is no peer");
        };
        assert_eq!(cause, ConnectError::NoHost { remote });
        let _end = st.end();
    }
    wire.is_quiet();
    for address in ["192.0.2.1", "192.0.2.254", "223.255.255.254"] {
        let remote = SocketAddrV4::new(address.parse().unwrap(), 7);
        let (_user, ConnectingEvent::TcbCreated(..)) = opened(&wire, US, remote) else { panic!("{remote} is a peer") };
        assert_eq!(wire.next().control, SYN);
    }
}
