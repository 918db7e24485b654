//! Explicit congestion notification (RFC 9293 §3.8.2, RFC 3168).

use session_tcp::smol_channel::Syn;
use session_tcp::tcp::segment::{Control, Options, Segment};
use session_tcp::tcp::seq::SeqNum;
use session_tcp::tcp::{
    Config, Due, Ecn, Established, EstablishedVerdict, LocalAddr, Poll, Reaction, SynReceivedVerdict, Tcp, TcpClosed,
};
use smoltcp::time::Instant;

const ISS: SeqNum = SeqNum::new(1000);
const IRS: SeqNum = SeqNum::new(u32::MAX);
const NOW: Instant = Instant::from_millis_const(1_000_000);

/// A segment of the peer that acknowledges so many octets.
fn from_peer(control: Control, acked: u32) -> Segment {
    let (seq, ack) = (IRS + 1, ISS + 1 + acked);
    Segment { src_port: 40_000, dst_port: 555, seq, ack, control, wnd: 65_535, ..Segment::default() }
}

/// A connection with a peer whose SYN has these bits, and the bits of the SYN,ACK.
fn connected(bits: Control) -> (Tcp<Established>, Control) {
    let options = Options { mss: Some(1460), ..Options::default() };
    let syn = Segment { seq: IRS, options, ..from_peer(Control::SYN | bits, 0) };
    let syn = Syn::try_from(syn).unwrap();
    let listen = TcpClosed::new(Config::default()).open(LocalAddr { addr: [192, 0, 2, 2].into(), port: 555 });
    let (tcp, syn_ack) = listen.recv_syn("192.0.2.1:40000".parse().unwrap(), syn, ISS, NOW);
    let Reaction::Acceptable(SynReceivedVerdict::Acked(acked)) = tcp.judge(from_peer(Control::ACK, 0), NOW) else {
        panic!("the handshake is complete");
    };
    (tcp.established(acked, NOW), syn_ack.segment().control)
}

fn due(tcp: &mut Tcp<Established>) -> Vec<Segment> {
    let mut segments = Vec::new();
    while tcp.poll(NOW) == Poll::Now(Due::Segment) {
        segments.push(tcp.transmit(NOW).into());
    }
    segments
}

fn arrives(tcp: &mut Tcp<Established>, segment: Segment) {
    let Reaction::Acceptable(EstablishedVerdict::Acceptable(segment)) = tcp.judge(segment, NOW) else {
        panic!("it is acceptable");
    };
    tcp.accept(segment, NOW);
}

#[test]
fn shld_8_congestion_is_notified_both_ways_where_both_ends_want_it() {
    let (mut tcp, syn_ack) = connected(Control::ECE | Control::CWR);
    assert_eq!(syn_ack, Control::SYN | Control::ACK | Control::ECE);
    // What we send is marked: we slow down and say so once.
    tcp.send(&[7; 14_600], NOW);
    assert!(due(&mut tcp).iter().all(|segment| segment.carriage.ecn == Ecn::Ect0));
    let before = tcp.status().cwnd;
    arrives(&mut tcp, from_peer(Control::ACK | Control::ECE, 14_600));
    assert!(tcp.status().cwnd < before);
    tcp.send(&[7; 2920], NOW);
    let cwr: Vec<bool> = due(&mut tcp).iter().map(|segment| segment.control.cwr()).collect();
    assert_eq!(cwr, [true, false]);
    // What the peer sends is marked: it hears so at once.
    let mut marked = Segment { payload: b"text".to_vec(), ..from_peer(Control::ACK, 14_600) };
    marked.carriage.ecn = Ecn::Ce;
    arrives(&mut tcp, marked);
    assert!(due(&mut tcp)[0].control.ece());

    // A peer that does not want it gets none of this.
    let (mut tcp, syn_ack) = connected(Control::NONE);
    assert_eq!(syn_ack, Control::SYN | Control::ACK);
    tcp.send(b"text", NOW);
    assert_eq!(due(&mut tcp)[0].carriage.ecn, Ecn::NotEct);
}
