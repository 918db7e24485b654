//! The network channel: segments as typed messages.

use crate::tcp::segment::{Control, Segment};

/// A segment that is not of the message type asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotThatMessage {
    /// The segment, given back.
    pub segment: Segment,
    /// The name of the message that it is not.
    pub wanted: &'static str,
}

impl core::fmt::Display for NotThatMessage {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "segment {} is no {}", self.segment, self.wanted)
    }
}

impl core::error::Error for NotThatMessage {}

/// Defines a message: a segment in which each control bit marked `+` is set, each marked `-` is not, and others may be.
macro_rules! smol_message {
    ($name:ident { $($sign:tt $bit:ident)* }) => {
        #[doc = concat!("A segment with the control bits `", $(stringify!($sign), stringify!($bit), " ",)* "`.")]
        #[derive(Clone, Debug, PartialEq, Eq)]
        #[must_use]
        pub struct $name(Segment);

        impl $name {
            /// The segment that the message is.
            #[must_use]
            pub const fn segment(&self) -> &Segment {
                &self.0
            }

            /// Makes the message of a segment of our own by setting and clearing its control bits, so that it cannot fail.
            #[allow(dead_code, reason = "not every message is one that we send")]
            pub(crate) fn mark(mut segment: Segment) -> Self {
                $(segment.control = smol_message!(@mark $sign $bit segment.control);)*
                Self(segment)
            }
        }

        impl TryFrom<Segment> for $name {
            type Error = NotThatMessage;

            fn try_from(segment: Segment) -> Result<Self, NotThatMessage> {
                if $(smol_message!(@check $sign $bit segment.control))&&* {
                    Ok(Self(segment))
                } else {
                    Err(NotThatMessage { segment, wanted: stringify!($name) })
                }
            }
        }

        impl From<$name> for Segment {
            fn from(message: $name) -> Self {
                message.0
            }
        }
    };
    (@check + $bit:ident $control:expr) => { $control.$bit() };
    (@check - $bit:ident $control:expr) => { !$control.$bit() };
    (@mark + $bit:ident $control:expr) => { $control.with(smol_message!(@bit $bit)) };
    (@mark - $bit:ident $control:expr) => { $control.without(smol_message!(@bit $bit)) };
    (@bit syn) => { Control::SYN };
    (@bit ack) => { Control::ACK };
    (@bit fin) => { Control::FIN };
    (@bit rst) => { Control::RST };
}

smol_message!(Syn { +syn -ack -fin -rst });
smol_message!(SynAck { +syn +ack -fin -rst });
smol_message!(Ack { -syn +ack -fin -rst });
smol_message!(FinAck { -syn +ack +fin -rst });
smol_message!(Rst { -syn -ack -fin +rst });
smol_message!(RstAck { -syn +ack -fin +rst });

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(control: Control) -> Segment {
        Segment { control, ..Segment::default() }
    }

    #[test]
    fn each_message_takes_its_bits_only() {
        let psh = Control::PSH | Control::URG;
        for bits in 0..32 {
            let control = Control::from_bits(bits);
            let (syn, ack, fin, rst) = (control.syn(), control.ack(), control.fin(), control.rst());
            let of = |control| segment(control);
            assert_eq!(Syn::try_from(of(control)).is_ok(), syn && !ack && !fin && !rst);
            assert_eq!(SynAck::try_from(of(control)).is_ok(), syn && ack && !fin && !rst);
            assert_eq!(Ack::try_from(of(control | psh)).is_ok(), !syn && ack && !fin && !rst);
            assert_eq!(FinAck::try_from(of(control | psh)).is_ok(), !syn && ack && fin && !rst);
            assert_eq!(Rst::try_from(of(control)).is_ok(), !syn && !ack && !fin && rst);
            assert_eq!(RstAck::try_from(of(control)).is_ok(), !syn && ack && !fin && rst);
        }
    }

    #[test]
    fn a_refused_segment_is_given_back() {
        let refused = Syn::try_from(segment(Control::RST)).unwrap_err();
        assert_eq!(refused.segment, segment(Control::RST));
        assert_eq!(refused.wanted, "Syn");
    }

    #[test]
    fn marking_makes_a_segment_the_message() {
        for bits in 0..=u8::MAX {
            let marked = FinAck::mark(segment(Control::from_bits(bits)));
            assert!(FinAck::try_from(Segment::from(marked)).is_ok());
        }
    }
}
