//! The printed types, in the order of the text.
#![expect(unreachable_pub, reason = "as printed")]

use session_tcp::calls::{Close, Connected, Data, Open, TcbCreated};
use session_tcp::smol_channel::{Ack, FinAck, Rst, Syn, SynAck};
use session_tcp::st::{
    Action, Either, End, Graph, Kind, Message, Name, NestRole, OfferOne, OfferTwo, Role, SelectOne, SelectTwo, Token,
};
use session_tcp::{Rec, St};

use super::{RoleClientSystem, RoleServerUser, same, unfolds};

/// Defines roles and messages that are only names.
macro_rules! names {
    ($($kind:ident: $($name:ident)+;)+) => {$($(
        #[derive(Debug)]
        pub(super) enum $name {}
        impl $kind for $name {}
    )+)+};
}

names! {
    Role: Client Server R1 R2;
    Message: Request Request1 Request2 Request3 Response Response1 Response2 Response3 M1 M2;
}

/// The virtual message of §3.3.7. (Today's [`Timeout`](session_tcp::st::Timeout) is a role, and what is due its label.)
#[derive(Debug)]
pub enum Timeout {}
impl Message for Timeout {}

/// §2.2, eq. 2.2 as the first role of eq. 2.3: the typing context Γ. A label is its message here.
mod eq_2_3 {
    use super::*;

    // s[R1] : μT.R2 ⊕ {l1(M1).T, l2(M2).end}
    Rec!(S1, [(R2 + { M1.S1, M2.end })]);
    // s[R2] : μT.R1 & {l1(M1).T, l2(M2).end}
    Rec!(S2, [(R1 & { M1.S2, M2.end })]);

    const _: () = unfolds::<S1, SelectTwo<R2, M1, M2, S1, End>>();
    const _: () = unfolds::<S2, OfferTwo<R1, M1, M2, S2, End>>();
}

/// §3.1.1: the building blocks are zero-sized, and so is what a program holds of them.
mod building_blocks {
    use super::*;

    macro_rules! zero_sized {
        ($($block:ty),+ $(,)?) => {$(
            const _: () = assert!(size_of::<$block>() == 0 && size_of::<Token<Server, $block>>() == 0);
        )+};
    }
    zero_sized!(
        End,
        OfferOne<Client, Request, End>,
        SelectOne<Client, Request, End>,
        OfferTwo<Client, Request1, Request2, End, End>,
        SelectTwo<Client, Request1, Request2, End, End>,
    );
}

/// §3.1.1: a client and a server, written out.
mod client_server {
    use super::*;

    type ServerSt = OfferOne<Client, Request, SelectOne<Client, Response, End>>;
    type ClientSt = SelectOne<Server, Request, OfferOne<Server, Response, End>>;

    /// The same in the notation of `St!`. (A misprint: the `;` after the bracket is missing.)
    mod notation {
        use super::*;

        #[rustfmt::skip]
        pub(super) type ServerSt = St![
            (Client & Request).
            (Client + Response).
            end
        ];

        /// Not printed: the other side.
        pub(super) type ClientSt = St![(Server + Request).(Server & Response).end];
    }

    const _: () = same::<notation::ServerSt, ServerSt>();
    const _: () = same::<notation::ClientSt, ClientSt>();
}

/// §3.1.1: two branches.
mod two_branches {
    use super::*;

    #[rustfmt::skip]
    type Printed = St![(Client & {
        Request1.(Client + Response1).end,
        Request2.(Client + Response2).end
    })];
    // (A misprint: the expanded type ends in a semicolon.)
    type Expanded =
        OfferTwo<Client, Request1, Request2, SelectOne<Client, Response1, End>, SelectOne<Client, Response2, End>>;

    const _: () = same::<Printed, Expanded>();
}

/// §3.1.2: three branches, nested. (A misprint: `}]]:` for `})];`.)
mod three_branches {
    use super::*;

    #[rustfmt::skip]
    type A = St![(Client & {
        Request1.(Client + Response1).end,
        Request2.(Client + Response2).end,
        Request3.(Client + Response3).end
    })];
    #[rustfmt::skip]
    type Expanded = OfferTwo<Client,
        Request1,
        Either<Request2, Request3>,
        SelectOne<Client, Response1, End>,
        OfferTwo<NestRole,
            Request2,
            Request3,
            SelectOne<Client, Response2, End>,
            SelectOne<Client, Response3, End>
        >
    >;

    const _: () = same::<A, Expanded>();
}

/// §3.1.3: recursion, by hand and by `Rec!`. The text leaves role and message open (`_`).
mod recursion {
    use super::*;

    /// "One can write `struct A(SelectOne<_, _, A>);`", with the implementation that the text leaves to the macro.
    mod by_hand {
        use super::*;
        use session_tcp::st::{Node, Recursive};

        pub(super) struct A(SelectOne<Client, Request, A>);

        impl Action for A {
            fn node(graph: &mut Graph) -> Node {
                SelectOne::<Client, Request, A>::node(graph)
            }
        }
        impl Recursive for A {
            type Inner = SelectOne<Client, Request, A>;
        }
    }

    Rec!(A, SelectOne<Client, Request, A>);

    const _: () = unfolds::<by_hand::A, SelectOne<Client, Request, by_hand::A>>();
    const _: () = unfolds::<A, SelectOne<Client, Request, A>>();
}

/// Listing 3.2, whole.
#[rustfmt::skip]
pub type ServerSystemSessionType = St! [
  (RoleServerUser & Open).
  (RoleServerUser + TcbCreated).
  (RoleClientSystem & Syn).
  (RoleClientSystem + SynAck).
  ServerSystemSynRcvd
];

// (A misprint: `})` and `}` for `})` at the end.)
Rec!(pub ServerSystemSynRcvd, [
  (RoleClientSystem & {
    Ack. // acceptable
        (RoleServerUser + Connected).
        ServerSystemCommLoop,
    Ack. // unacceptable
        (RoleClientSystem + {
            Ack.ServerSystemSynRcvd,
            Rst.(RoleServerUser + Close).end
        })
  })
]);

// §3.3.6
Rec!(pub ServerSystemCommLoop, [
  (RoleClientSystem & {
  // Acceptable with payload
  Ack.
  (RoleClientSystem + Ack /* empty */).
  (RoleServerUser + Data).
  (RoleServerUser & {
      Data.
      (RoleClientSystem + Ack /* with data */).
      ServerSystemCommLoop,
  Close.
      (RoleClientSystem + FinAck).
      ServerSystemFinWait1
  }),
  // Acceptable without payload
  Ack. ServerSystemCommLoop,
  // FIN ACK
  FinAck.
    (RoleClientSystem + Ack /* we ACK the FIN */).
    (RoleServerUser + Close).
    ServerSystemCloseWait,
  // Unacceptable
  Ack.
    (RoleClientSystem + Ack).
    ServerSystemCommLoop,
  // Timeout
  Timeout.
    (RoleClientSystem + Ack /* retransmission */).
    ServerSystemCommLoop
})
]);

// §3.3.8
Rec!(pub ServerSystemCloseWait, [
  (RoleServerUser & {
    Data.
      (RoleClientSystem + Ack).
      (RoleClientSystem & Ack /* empty ack */).
      ServerSystemCloseWait,
    Close.
      (RoleClientSystem + FinAck).
      (RoleClientSystem & Ack).
      end
  })
]);

/// §3.3.8. (Misprints: `}` for `})`, `]];` for `];`.)
#[rustfmt::skip]
pub type ServerSystemFinWait1 = St![
  (RoleClientSystem & {
    Ack. // ACK of FIN
      ServerSystemFinWait2,
    FinAck. // FIN and ACK of our FIN at the same time
      (RoleClientSystem + Ack).
        end
    })
  ];

Rec!(pub ServerSystemFinWait2, [
  (RoleClientSystem & {
    Ack. // data we don't care about
      (RoleClientSystem + Ack).
      ServerSystemFinWait2,
    FinAck. // other peer is closing as well
      (RoleClientSystem + Ack).
      end
  })
]);

/// What the text says of the server system's types.
mod server_system {
    use super::*;

    type Net = RoleClientSystem;
    type User = RoleServerUser;

    const _: () = same::<
        ServerSystemSessionType,
        OfferOne<
            User,
            Open,
            SelectOne<User, TcbCreated, OfferOne<Net, Syn, SelectOne<Net, SynAck, ServerSystemSynRcvd>>>,
        >,
    >();

    // Both branches have the same message type; the second answers or resets.
    const _: () = unfolds::<
        ServerSystemSynRcvd,
        OfferTwo<
            Net,
            Ack,
            Ack,
            SelectOne<User, Connected, ServerSystemCommLoop>,
            SelectTwo<Net, Ack, Rst, ServerSystemSynRcvd, SelectOne<User, Close, End>>,
        >,
    >();

    type WithPayload = SelectOne<Net, Ack, SelectOne<User, Data, Response>>;
    type Response = OfferTwo<
        User,
        Data,
        Close,
        SelectOne<Net, Ack, ServerSystemCommLoop>,
        SelectOne<Net, FinAck, ServerSystemFinWait1>,
    >;
    type PeerCloses = SelectOne<Net, Ack, SelectOne<User, Close, ServerSystemCloseWait>>;
    type AckAndBack = SelectOne<Net, Ack, ServerSystemCommLoop>;

    // Five branches are four forks.
    type Five = OfferTwo<Net, Ack, Either<Ack, Either<FinAck, Either<Ack, Timeout>>>, WithPayload, Four>;
    type Four = OfferTwo<NestRole, Ack, Either<FinAck, Either<Ack, Timeout>>, ServerSystemCommLoop, Three>;
    type Three = OfferTwo<NestRole, FinAck, Either<Ack, Timeout>, PeerCloses, Two>;
    type Two = OfferTwo<NestRole, Ack, Timeout, AckAndBack, AckAndBack>;
    const _: () = unfolds::<ServerSystemCommLoop, Five>();

    const _: () = unfolds::<
        ServerSystemCloseWait,
        OfferTwo<
            User,
            Data,
            Close,
            SelectOne<Net, Ack, OfferOne<Net, Ack, ServerSystemCloseWait>>,
            SelectOne<Net, FinAck, OfferOne<Net, Ack, End>>,
        >,
    >();
    const _: () =
        same::<ServerSystemFinWait1, OfferTwo<Net, Ack, FinAck, ServerSystemFinWait2, SelectOne<Net, Ack, End>>>();
    const _: () = unfolds::<
        ServerSystemFinWait2,
        OfferTwo<Net, Ack, FinAck, SelectOne<Net, Ack, ServerSystemFinWait2>, SelectOne<Net, Ack, End>>,
    >();
}

#[test]
fn the_server_system_is_one_graph_that_reaches_its_end() {
    let graph = Graph::of::<ServerSystemSessionType>();
    let names: Vec<_> = graph.states().map(|(_, name, _)| name).collect();
    for name in [
        Name::of::<ServerSystemSynRcvd>(),
        Name::of::<ServerSystemCommLoop>(),
        Name::of::<ServerSystemCloseWait>(),
        Name::of::<ServerSystemFinWait1>(),
        Name::of::<ServerSystemFinWait2>(),
        Name::of::<End>(),
    ] {
        assert_eq!(names.iter().filter(|&&other| other == name).count(), 1, "{name}");
    }
    assert_eq!(names.len(), 26);
}

#[test]
fn six_of_the_seven_offers_to_the_network_have_no_timeout() {
    let graph = Graph::of::<ServerSystemSessionType>();
    let network = Name::of::<RoleClientSystem>();
    let timeout = Name::of::<Timeout>();
    let offers: Vec<_> = graph
        .states()
        .map(|(_, _, node)| node)
        .filter(|node| node.kind == Kind::Offer && node.edges.iter().any(|edge| edge.role == network))
        .collect();
    assert_eq!(offers.len(), 7);
    let timed = offers.iter().filter(|node| node.edges.iter().any(|edge| edge.messages.contains(&timeout)));
    assert_eq!(timed.count(), 1);
}
