//! TCP Options (RFC 9293 §3.1, §3.2, §3.7.1).

use session_tcp::tcp::Config;
use session_tcp::tcp::segment::Segment;
use smoltcp::time::Duration;
use smoltcp::wire::TcpPacket;

use super::driver::{ACK, Craft, Driver, FIN, PEER, PSH, SYN, State, US, configured, in_state, in_states};

const EOL: u8 = 0;
const NOP: u8 = 1;
const MSS: u8 = 2;
/// Kinds set aside for experiments (RFC 4727): nobody implements these.
const UNKNOWN: u8 = 253;

/// The octets of a segment from the peer with these options, padded to a word boundary with `pad`.
fn with_options(segment: &Segment, options: &[u8], pad: u8) -> Vec<u8> {
    let mut octets = segment.emit(*PEER.ip(), *US.ip());
    let words = options.len().div_ceil(4);
    let padded = options.iter().copied().chain(core::iter::repeat_n(pad, words * 4 - options.len()));
    octets.splice(20..20, padded);
    octets[12] = u8::try_from(5 + words).unwrap() << 4;
    let mut packet = TcpPacket::new_unchecked(&mut octets[..]);
    packet.fill_checksum(&(*PEER.ip()).into(), &(*US.ip()).into());
    octets
}

/// The options of a segment of ours as they are on the wire: kinds and values, and what is behind the end.
fn options_on_the_wire(segment: &Segment) -> (Vec<(u8, Vec<u8>)>, Vec<u8>) {
    let octets = segment.emit(*US.ip(), *PEER.ip());
    let header_len = usize::from(octets[12] >> 4) * 4;
    let mut rest = &octets[20..header_len];
    let mut options = Vec::new();
    while let [kind, tail @ ..] = rest {
        rest = match *kind {
            EOL => return (options, tail.to_vec()),
            NOP => tail,
            kind => {
                let length = usize::from(tail[0]);
                options.push((kind, rest[2..length].to_vec()));
                &rest[length..]
            }
        };
    }
    (options, Vec::new())
}

/// SND.MSS that the peer's SYN with these options makes.
fn mss_of_a_syn_with(options: &[u8]) -> u32 {
    let mut tcp = Driver::new(Config::default());
    tcp.listen();
    let syn = with_options(&tcp.syn(), options, EOL);
    let answers = tcp.octets_arrive(&syn);
    assert_eq!((answers.len(), tcp.state()), (1, State::SynReceived));
    tcp.status().unwrap().mss
}

/// The MSS that we name in answer to a SYN, or in a SYN of our own.
fn mss_named(config: &Config) -> [Option<u16>; 2] {
    let mut passive = Driver::new(config.clone());
    passive.listen();
    let syn_ack = passive.arrives(passive.syn());
    let mut active = Driver::new(config.clone());
    active.connect();
    let (_, syn) = active.next_segment(Duration::ZERO).unwrap();
    [syn_ack[0].options.mss, syn.options.mss]
}

#[test]
fn must_4_end_no_operation_and_mss_are_known() {
    assert_eq!(mss_of_a_syn_with(&[MSS, 4, 2, 0]), 512);
    assert_eq!(mss_of_a_syn_with(&[NOP, NOP, MSS, 4, 2, 0, NOP]), 512);
    assert_eq!(mss_of_a_syn_with(&[MSS, 4, 2, 0, EOL, MSS, 4, 1, 0]), 512);
    assert_eq!(mss_of_a_syn_with(&[EOL, MSS, 4, 2, 0]), 536);
    // An MSS option of another length is none.
    assert_eq!(mss_of_a_syn_with(&[MSS, 3, 2]), 536);
    assert_eq!(mss_of_a_syn_with(&[MSS, 5, 2, 0, 0]), 536);
}

#[test]
fn must_5_options_are_received_in_any_segment() {
    in_states(&[State::SynReceived, State::Established], |_, tcp| {
        let data = with_options(&tcp.in_order(ACK).text(b"text"), &[NOP, UNKNOWN, 4, 1, 2], NOP);
        tcp.octets_arrive(&data);
        assert_eq!((tcp.state(), tcp.receive()), (State::Established, b"text".to_vec()));
        let fin = with_options(&tcp.in_order(FIN | ACK), &[MSS, 4, 2, 0], NOP);
        tcp.octets_arrive(&fin);
        assert_eq!(tcp.state(), State::CloseWait);
    });
    // An MSS option without SYN means nothing (MUST-65 forbids it).
    in_state(State::Established, |tcp| {
        let ack = with_options(&tcp.in_order(ACK), &[MSS, 4, 0, 100], NOP);
        assert_eq!(tcp.octets_arrive(&ack), []);
        assert_eq!(tcp.status().unwrap().mss, 1460);
    });
}

#[test]
fn must_6_unknown_options_are_skipped_by_their_length() {
    for length in 2..=30_u8 {
        let mut options = vec![UNKNOWN, length];
        options.extend(core::iter::repeat_n(MSS, usize::from(length) - 2));
        options.extend([MSS, 4, 2, 0]);
        assert_eq!(mss_of_a_syn_with(&options), 512, "length {length}");
    }
}

#[test]
fn must_7_an_illegal_option_length_is_survived() {
    // The rest of the options is ignored, the segment counts.
    for illegal in
        [[UNKNOWN, 0], [UNKNOWN, 1], [UNKNOWN, 3], [MSS, 0], [MSS, 1], [MSS, 255], [NOP, MSS], [NOP, UNKNOWN]]
    {
        let mut states = vec![State::Listen, State::SynSent];
        states.extend(State::NUMBERED);
        in_states(&states, |state, tcp| {
            let segment = if state == State::Listen { tcp.syn() } else { tcp.neutral(ACK) };
            tcp.octets_arrive(&with_options(&segment, &[&[NOP, NOP][..], &illegal].concat(), EOL));
            assert_ne!(tcp.state(), State::Closed);
        });
        in_state(State::Established, |tcp| {
            tcp.octets_arrive(&with_options(&tcp.data(b"text"), &[&[NOP, NOP][..], &illegal].concat(), EOL));
            assert_eq!((tcp.state(), tcp.receive()), (State::Established, b"text".to_vec()));
        });
    }
}

#[test]
fn must_14_the_mss_option_is_sent_and_received() {
    assert_eq!(mss_named(&Config::default()), [Some(1460); 2]);
    in_state(State::Listen, |listening| {
        let mut tcp = Driver::numbered(Config::default(), listening.iss(), listening.irs());
        let syn = tcp.syn().mss(700);
        tcp.bring_to_with(State::Established, syn);
        let sent = tcp.send(&[b'x'; 1400]);
        assert_eq!(sent.iter().map(|s| s.payload.len()).collect::<Vec<_>>(), [700, 700]);
    });
    in_state(State::SynSent, |tcp| {
        tcp.arrives(tcp.in_order(SYN | ACK).mss(700));
        assert_eq!(tcp.send(&[b'x'; 1400])[0].payload.len(), 700);
    });
}

#[test]
fn must_15_536_is_assumed_without_an_mss_option() {
    in_state(State::Listen, |listening| {
        let mut tcp = Driver::numbered(Config::default(), listening.iss(), listening.irs());
        let syn = tcp.syn();
        tcp.bring_to_with(State::Established, syn);
        let sent = tcp.send(&[b'x'; 1072]);
        assert_eq!(sent.iter().map(|s| s.payload.len()).collect::<Vec<_>>(), [536, 536]);
    });
}

#[test]
fn must_16_no_segment_is_longer_than_the_peer_and_the_device_take() {
    // (the peer's MSS, our MTU, octets of text and options in the longest segment)
    for (mss, mtu_bytes, longest) in [
        (1460, 1500, 1460),
        (1461, 1500, 1460),
        (1459, 1500, 1459),
        (9000, 1500, 1460),
        (1460, 576, 536),
        (48, 1500, 48),
    ] {
        in_state(State::Listen, |listening| {
            let config = Config { mtu_bytes, ..Config::default() };
            let mut tcp = Driver::numbered(config, listening.iss(), listening.irs());
            let syn = tcp.syn().mss(mss);
            tcp.bring_to_with(State::Established, syn);
            let sent = tcp.send(&[b'x'; 3000]);
            let length = |s: &Segment| s.payload.len() + s.options.encoded_len();
            assert_eq!(sent.iter().map(length).max(), Some(longest), "mss {mss} mtu {mtu_bytes}");
        });
    }
}

#[test]
fn must_16_an_absurd_mss_is_raised_to_the_least_we_honour() {
    for mss in [1, 47, 48] {
        assert_eq!(mss_of_a_syn_with(&[MSS, 4, 0, mss]), 48);
    }
    assert_eq!(mss_of_a_syn_with(&[MSS, 4, 0, 49]), 49);
}

#[test]
fn must_64_options_need_no_word_boundary() {
    for before in 0..4 {
        let options = [&vec![NOP; before][..], &[MSS, 4, 2, 0], &[UNKNOWN, 3, 9]].concat();
        assert_eq!(mss_of_a_syn_with(&options), 512, "after {before} octets");
    }
}

#[test]
fn must_65_no_mss_option_without_syn() {
    // `Driver` asserts it of every segment; here a whole life.
    in_state(State::TimeWait, |tcp| _ = tcp.arrives(tcp.fin_again()));
    in_state(State::Established, |tcp| {
        let mut sent = tcp.send(&[b'x'; 5000]);
        sent.extend(tcp.arrives(tcp.data(b"ab")));
        sent.extend(tcp.wait(Duration::from_secs(5)));
        assert!(sent.len() > 4 && sent.iter().all(|s| s.options.mss.is_none()));
    });
}

#[test]
fn must_67_the_mss_we_name_leaves_room_for_both_headers() {
    for (mtu_bytes, mss) in [(1500, 1460), (576, 536), (68, 28), (9000, 8960), (65_535, 65_495)] {
        assert_eq!(mss_named(&Config { mtu_bytes, ..Config::default() }), [Some(mss); 2]);
    }
    // And what fits into the MTU is taken whole.
    configured(&Config::default(), State::Established, |tcp| {
        tcp.arrives(tcp.data(&[b'x'; 1460]));
        assert_eq!(tcp.receive().len(), 1460);
    });
}

#[test]
fn must_68_every_option_but_end_and_no_operation_has_a_length() {
    // Ours; `options_on_the_wire` would stumble over one without.
    let mut tcp = Driver::new(Config::default());
    tcp.listen();
    let syn_ack = tcp.arrives(tcp.syn().mss(1460).window_scale(7));
    let (options, _) = options_on_the_wire(&syn_ack[0]);
    assert!(options.contains(&(MSS, vec![5, 180])), "{options:?}");
    // The peer's: none is taken to be without.
    assert_eq!(mss_of_a_syn_with(&[UNKNOWN, MSS, 4, 2, 0, 0, 0]), 536);
}

#[test]
fn must_69_behind_the_end_there_are_zeros() {
    for window_scale in [None, Some(7)] {
        let mut tcp = Driver::new(Config::default());
        tcp.listen();
        let mut syn = tcp.syn().mss(1460);
        syn.options.window_scale = window_scale;
        let syn_ack = tcp.arrives(syn);
        let (_, behind) = options_on_the_wire(&syn_ack[0]);
        assert!(behind.iter().all(|octet| *octet == 0), "{behind:?}");
    }
    // What a peer puts there is not read.
    assert_eq!(mss_of_a_syn_with(&[NOP, EOL, MSS, 4, 2, 0, UNKNOWN, 0]), 536);
}

#[test]
fn shld_5_an_mss_that_is_not_the_default_is_named_in_every_syn() {
    for mtu_bytes in [577, 1500, 9000] {
        let [syn_ack, syn] = mss_named(&Config { mtu_bytes, ..Config::default() });
        assert!(syn_ack.is_some() && syn.is_some());
    }
    // In those sent again, too.
    in_states(&[State::SynSent, State::SynReceived, State::SynCrossed], |_, tcp| {
        let (_, again) = tcp.next_segment(Duration::from_secs(2)).unwrap();
        assert_eq!(again.options.mss, Some(1460));
    });
}

#[test]
fn may_3_the_mss_is_named_even_when_it_is_the_default() {
    assert_eq!(mss_named(&Config { mtu_bytes: 576, ..Config::default() }), [Some(536); 2]);
}

#[test]
fn no_segment_of_ours_has_reserved_bits_or_an_odd_data_offset() {
    in_state(State::Listen, |tcp| {
        let syn_ack = tcp.arrives(tcp.syn().and(PSH).mss(1460).window_scale(2));
        let octets = syn_ack[0].emit(*US.ip(), *PEER.ip());
        assert_eq!((octets[12] & 0x0f, usize::from(octets[12] >> 4) * 4), (0, octets.len()));
    });
}
