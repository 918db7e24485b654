//! The CLOSED state's answer, until `tcp::TcpClosed` is there to give it.

use crate::tcp::segment::{Control, Options, Segment};
use crate::tcp::seq::SeqNum;

/// Stands in for the state.
pub(super) struct TcpClosed;

impl TcpClosed {
    /// RFC 9293 §3.10.7.1.
    pub(super) fn answer(segment: &Segment) -> Option<Segment> {
        if segment.control.rst() {
            return None;
        }
        let (seq, ack, control) = if segment.control.ack() {
            (segment.ack, SeqNum::new(0), Control::RST)
        } else {
            (
                SeqNum::new(0),
                segment.end(),
                Control::RST.with(Control::ACK),
            )
        };
        Some(Segment {
            src_port: segment.dst_port,
            dst_port: segment.src_port,
            seq,
            ack,
            control,
            wnd: 0,
            up: 0,
            options: Options::default(),
            payload: Vec::new(),
        })
    }
}
