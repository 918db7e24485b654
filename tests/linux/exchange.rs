//! What the tests have in common: one exchange with the echo server, and what a capture says of it.

use crate::common::capture::Capture;
use crate::common::client::{Client, assert_same};
use crate::common::namespace::set_sysctl;
use crate::common::random::{Random, reversed};
use crate::common::segment::{SYN, Segment};
use crate::common::socket::{SocketOption, connect_with};
use crate::common::{PORT, SERVER};
use core::net::SocketAddrV4;

/// Where the server is.
pub(super) const SERVER_SOCKET: SocketAddrV4 = SocketAddrV4::new(SERVER, PORT);

/// The kind of the window scale option (RFC 7323 §2.2).
pub(super) const WINDOW_SCALE: u8 = 3;

/// Sends lines through a socket with these options and asserts that all come back.
pub(super) fn exchange(options: &[SocketOption], octets: usize) {
    exchange_over(connect_with(SERVER_SOCKET, options), octets);
}

/// Sends lines and asserts that all come back.
pub(super) fn exchange_over(client: Client, octets: usize) {
    let text = Random::new(octets as u64).lines(octets, 120);
    assert_same(&client.send_all_and_receive_all(&text), &reversed(&text));
}

/// As [`exchange`], and gives what crossed the device.
pub(super) fn captured(options: &[SocketOption], octets: usize) -> Vec<Segment> {
    let capture = Capture::start();
    exchange(options, octets);
    capture.stop()
}

/// Lets Linux have these settings.
pub(super) fn set_tcp(settings: &[(&str, &str)]) {
    for (name, value) in settings {
        set_sysctl(&format!("net.ipv4.tcp_{name}"), value);
    }
}

/// The segments that the server sent.
pub(super) fn from_server(segments: &[Segment]) -> impl Iterator<Item = &Segment> {
    segments.iter().filter(|segment| *segment.source.ip() == SERVER)
}

/// The segments that the client sent.
pub(super) fn from_client(segments: &[Segment]) -> impl Iterator<Item = &Segment> {
    segments.iter().filter(|segment| *segment.destination.ip() == SERVER)
}

/// The SYN of the connection, and its SYN,ACK.
pub(super) fn handshake(segments: &[Segment]) -> (&Segment, &Segment) {
    let syn = from_client(segments).find(|segment| segment.has(SYN)).unwrap();
    let syn_ack = from_server(segments).find(|segment| segment.has(SYN)).unwrap();
    (syn, syn_ack)
}

/// Asserts that the server sent nothing past the right edge that the client had announced, but probes of a closed window.
pub(super) fn assert_within_the_window(segments: &[Segment]) {
    let (syn, syn_ack) = handshake(segments);
    let both_scale = syn.option(WINDOW_SCALE).zip(syn_ack.option(WINDOW_SCALE));
    let shift = both_scale.map_or(0, |(theirs, _)| theirs[0]);
    let mut edge = syn_ack.seq.wrapping_add(1).wrapping_add(u32::from(syn.window));
    for segment in segments {
        if *segment.source.ip() == SERVER {
            let past = segment.seq.wrapping_add(segment.len()).wrapping_sub(edge);
            let is_past = past > 0 && past < 1 << 31;
            assert!(!is_past || segment.payload.len() <= 1, "{past} octets past the window: {segment}");
        } else if !segment.has(SYN) {
            let announced = segment.ack.wrapping_add(u32::from(segment.window) << shift);
            if announced.wrapping_sub(edge) < 1 << 31 {
                edge = announced;
            }
        }
    }
}
