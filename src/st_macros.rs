//! The notation: `St!` and `Rec!` of the dissertation, `Offer!` and `Select!` for labelled choices, `branches!` to take a
//! nested one apart.
//!
//! `&` offers, `+` selects, `.` sequences, `end` ends (dissertation §3.1.1). A role is a name or, in a type that is
//! generic over its side, an associated type (`S::Peer`).

/// Writes a session type in the notation of the dissertation's listings.
///
/// ```
/// use session_tcp::{St, st::*};
/// # enum Client {} impl Role for Client {}
/// # struct Request; impl Message for Request {}
/// # struct Response; impl Message for Response {}
/// type Server = St![(Client & Request).(Client + Response).end];
/// type Expanded = OfferOne<Client, Request, SelectOne<Client, Response, End>>;
/// fn same(st: Server) -> Expanded { st }
/// ```
#[macro_export]
macro_rules! St {
    // Branches: collect `message . continuation` up to each comma, then build the nested type.
    (@split $op:tt [$($role:tt)*] [$($done:tt)*] ) => {
        $crate::St!(@nest $op [$($role)*] $($done)*)
    };
    (@split $op:tt [$($role:tt)*] [$($done:tt)*] $msg:ident $(< $($arg:ident),+ >)? . $($rest:tt)+) => {
        $crate::St!(@until $op [$($role)*] [$($done)*] [$msg $(< $($arg),+ >)?] [] $($rest)+)
    };
    (@until $op:tt $role:tt [$($done:tt)*] $msg:tt [$($cont:tt)*] , $($rest:tt)*) => {
        $crate::St!(@split $op $role [$($done)* { $msg [$($cont)*] }] $($rest)*)
    };
    (@until $op:tt $role:tt [$($done:tt)*] $msg:tt [$($cont:tt)*]) => {
        $crate::St!(@split $op $role [$($done)* { $msg [$($cont)*] }])
    };
    (@until $op:tt $role:tt $done:tt $msg:tt [$($cont:tt)*] $next:tt $($rest:tt)*) => {
        $crate::St!(@until $op $role $done $msg [$($cont)* $next] $($rest)*)
    };

    (@nest & [$($role:tt)*] { [$($m:tt)*] [$($c:tt)*] }) => {
        $crate::st::OfferOne<$($role)*, $($m)*, $crate::St![$($c)*]>
    };
    (@nest + [$($role:tt)*] { [$($m:tt)*] [$($c:tt)*] }) => {
        $crate::st::SelectOne<$($role)*, $($m)*, $crate::St![$($c)*]>
    };
    (@nest & [$($role:tt)*] { [$($m1:tt)*] [$($c1:tt)*] } { [$($m2:tt)*] [$($c2:tt)*] }) => {
        $crate::st::OfferTwo<$($role)*, $($m1)*, $($m2)*, $crate::St![$($c1)*], $crate::St![$($c2)*]>
    };
    (@nest + [$($role:tt)*] { [$($m1:tt)*] [$($c1:tt)*] } { [$($m2:tt)*] [$($c2:tt)*] }) => {
        $crate::st::SelectTwo<$($role)*, $($m1)*, $($m2)*, $crate::St![$($c1)*], $crate::St![$($c2)*]>
    };
    (@nest & [$($role:tt)*] { [$($m:tt)*] [$($c:tt)*] } $($rest:tt)+) => {
        $crate::st::OfferTwo<
            $($role)*, $($m)*, $crate::St!(@either $($rest)+),
            $crate::St![$($c)*], $crate::St!(@nest & [$crate::st::NestRole] $($rest)+)
        >
    };
    (@nest + [$($role:tt)*] { [$($m:tt)*] [$($c:tt)*] } $($rest:tt)+) => {
        $crate::st::SelectTwo<
            $($role)*, $($m)*, $crate::St!(@either $($rest)+),
            $crate::St![$($c)*], $crate::St!(@nest + [$crate::st::NestRole] $($rest)+)
        >
    };
    (@either { [$($m:tt)*] $c:tt }) => { $($m)* };
    (@either { [$($m:tt)*] $c:tt } $($rest:tt)+) => {
        $crate::st::Either<$($m)*, $crate::St!(@either $($rest)+)>
    };

    // Actions.
    (end) => { $crate::st::End };
    (($role:ident $(:: $of:ident)? & { $($branches:tt)+ })) => {
        $crate::St!(@split & [$role $(:: $of)?] [] $($branches)+)
    };
    (($role:ident $(:: $of:ident)? + { $($branches:tt)+ })) => {
        $crate::St!(@split + [$role $(:: $of)?] [] $($branches)+)
    };
    (($role:ident $(:: $of:ident)? & $msg:ty) . $($rest:tt)+) => {
        $crate::st::OfferOne<$role $(:: $of)?, $msg, $crate::St![$($rest)+]>
    };
    (($role:ident $(:: $of:ident)? + $msg:ty) . $($rest:tt)+) => {
        $crate::st::SelectOne<$role $(:: $of)?, $msg, $crate::St![$($rest)+]>
    };
    ($named:ty) => { $named };
}

/// Names a session type that may refer to itself (dissertation §3.1.3).
///
/// The body stands in brackets in the notation of [`St!`](crate::St), or is written out as a type.
#[macro_export]
macro_rules! Rec {
    ($(#[$meta:meta])* $vis:vis $name:ident $(< $g:ident : $bound:path >)?, [ $($body:tt)+ ]) => {
        $crate::Rec!(
            $(#[$meta])* $vis $name $(< $g : $bound >)?, $crate::St![$($body)+]
        );
    };
    ($(#[$meta:meta])* $vis:vis $name:ident $(< $g:ident : $bound:path >)?, $body:ty) => {
        $(#[$meta])*
        #[must_use = "a session type is used through its token"]
        $vis struct $name $(< $g : $bound >)? {
            phantom: ::std::marker::PhantomData<fn() -> ($($g,)?)>,
        }
        impl $(< $g : $bound >)? $crate::st::Action for $name $(< $g >)? {
            fn node(graph: &mut $crate::st::Graph) -> $crate::st::Node {
                <$body as $crate::st::Action>::node(graph)
            }
        }
        impl $(< $g : $bound >)? $crate::st::Recursive for $name $(< $g >)? {
            type Inner = $body;
        }
    };
}

/// Names an undirected, labelled offer and makes the enum that a program matches.
///
/// `Offer!(pub Type => Event { Role & Label(Message). continuation, Timeout & Label. continuation, … });` makes the
/// session type `Type`, the enum `Event` with a variant for each label, and for each label a constructor
/// `Type::Label(message)` with which a picker answers. Labels are distinct: a repeated one does not compile.
#[macro_export]
macro_rules! Offer {
    (
        $(#[$meta:meta])*
        $vis:vis $name:ident $(< $g:ident : $bound:path >)? => $event:ident {
            $(
                $(#[$doc:meta])*
                $role:ident $(:: $of:ident)? & $label:ident $( ( $msg:ty ) )? .
                $( ( $($act:tt)+ ) . )* $next:ident $(< $arg:ident >)?
            ),+ $(,)?
        }
    ) => {
        $(#[$meta])*
        #[must_use = "a session type is used through its token"]
        $vis struct $name $(< $g : $bound >)? {
            phantom: ::std::marker::PhantomData<fn() -> ($($g,)?)>,
        }

        #[doc = concat!("What may come in [`", stringify!($name), "`]: the label, its message, and how the session goes on.")]
        #[must_use = "each branch carries the only token of its session"]
        $vis enum $event<Me: $crate::st::Role $(, $g : $bound)?> {
            $(
                $(#[$doc])*
                #[doc = concat!("`", stringify!($role), $("::", stringify!($of),)? " & ", stringify!($label), "`")]
                $label(
                    $($msg,)?
                    $crate::st::Token<Me, $crate::St![$( ( $($act)+ ) . )* $next $(< $arg >)?]>,
                ),
            )+
        }

        impl<Me: $crate::st::Role $(, $g : $bound)?> ::std::fmt::Debug for $event<Me $(, $g)?> {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.write_str(match self {
                    $($event::$label(..) => stringify!($label),)+
                })
            }
        }

        const _: () = {
            /// The labels by number.
            #[allow(clippy::enum_variant_names, reason = "the labels are the protocol's")]
            enum Label {
                $($label,)+
            }

            #[expect(non_snake_case, reason = "a constructor is the label that it picks")]
            impl $(< $g : $bound >)? $name $(< $g >)? {
                $(
                    #[doc = concat!("Picks the label `", stringify!($label), "`.")]
                    #[allow(dead_code, reason = "a label whose message is its type is picked by that type")]
                    $vis fn $label($(message: $msg)?) -> $crate::st::Picked<Self, $role $(:: $of)?> {
                        $crate::st::Picked::label::<{ Label::$label as usize }>(
                            $crate::__carried!($($msg, message)?)
                        )
                    }
                )+
            }

            $crate::__labelled!(
                [$(< $g : $bound >)?] [$name $(< $g >)?] $event
                $({
                    [Label::$label as usize] $label [$role $(:: $of)?] [$($msg)?]
                    [$( ( $($act)+ ) . )* $next $(< $arg >)?]
                })+
            );

            impl $(< $g : $bound >)? $crate::st::Action for $name $(< $g >)? {
                fn node(graph: &mut $crate::st::Graph) -> $crate::st::Node {
                    let edges = vec![$(
                        $crate::st::Edge::of_label::<Self, { Label::$label as usize }>(graph, stringify!($label))
                    ),+];
                    $crate::st::Node::new($crate::st::Kind::Offer, edges)
                }
            }

            impl $(< $g : $bound >)? $crate::st::Offer for $name $(< $g >)? {
                type Branch<Me: $crate::st::Role> = $event<Me $(, $g)?>;

                fn proceed<Me: $crate::st::Role>(
                    branch: Self::Branch<$crate::st::Nobody>,
                    permit: $crate::st::Permit<Me>,
                ) -> Self::Branch<Me> {
                    match branch {
                        $(
                            $event::$label($($crate::__second!($msg, message),)? st) => {
                                $event::$label($($crate::__second!($msg, message),)? permit.grant(st))
                            }
                        )+
                    }
                }

                fn by_message<R: $crate::st::Role>(
                    message: $crate::st::Envelope,
                ) -> Result<$crate::st::Picked<Self, R>, $crate::st::Envelope> {
                    $(
                        let message = match $crate::st::Picked::by_message::<{ Label::$label as usize }>(message) {
                            Ok(picked) => return Ok(picked),
                            Err(message) => message,
                        };
                    )+
                    Err(message)
                }

                fn on_crash<R: $crate::st::Role>() -> Option<$crate::st::Picked<Self, R>> {
                    None
                        $(.or_else($crate::st::Picked::on_crash::<{ Label::$label as usize }>))+
                }
            }
        };
    };
}

/// Names a labelled selection: `Select!(pub Type : Role + { Label(Message). continuation, … });`.
///
/// A program picks a label by its constructor, `channel.select(st, Type::Label(message))`, whatever the number of
/// branches. Labels are distinct: a repeated one does not compile.
#[macro_export]
macro_rules! Select {
    (
        $(#[$meta:meta])*
        $vis:vis $name:ident $(< $g:ident : $bound:path >)? : $role:ident $(:: $of:ident)? + {
            $(
                $(#[$doc:meta])*
                $label:ident ( $msg:ident ) . $( ( $($act:tt)+ ) . )* $next:ident $(< $arg:ident >)?
            ),+ $(,)?
        }
    ) => {
        $(#[$meta])*
        #[must_use = "a session type is used through its token"]
        $vis struct $name $(< $g : $bound >)? {
            phantom: ::std::marker::PhantomData<fn() -> ($($g,)?)>,
        }

        impl $(< $g : $bound >)? $crate::st::Selection for $name $(< $g >)? {
            type Role = $role $(:: $of)?;
            type Tree = $crate::St![($role $(:: $of)? + {
                $( $msg . $( ( $($act)+ ) . )* $next $(< $arg >)? ),+
            })];
        }

        impl $(< $g : $bound >)? $crate::st::Action for $name $(< $g >)? {
            fn node(graph: &mut $crate::st::Graph) -> $crate::st::Node {
                let edges = vec![$(
                    $crate::st::Edge::labelled::<
                        <Self as $crate::st::Selection>::Role,
                        $crate::St![$( ( $($act)+ ) . )* $next $(< $arg >)?]
                    >(graph, stringify!($label), <$msg as $crate::st::Message>::wire())
                ),+];
                $crate::st::Node::new($crate::st::Kind::Select, edges)
            }
        }

        #[expect(non_snake_case, reason = "a constructor is the label that it picks")]
        impl $(< $g : $bound >)? $name $(< $g >)? {
            $crate::Select!(@labels $vis [] $( { [$(#[$doc])*] $label $msg } )+);
        }
    };

    (@labels $vis:vis [] { $doc:tt $label:ident $msg:ident }) => {
        $crate::Select!(@label $vis $crate::st::Last, $doc $label $msg);
    };
    (@labels $vis:vis [] { $doc:tt $label:ident $msg:ident } $($rest:tt)+) => {
        $crate::Select!(@label $vis $crate::st::First, $doc $label $msg);
        $crate::Select!(@labels $vis [+] $($rest)+);
    };
    (@labels $vis:vis [+ $($up:tt)*] { $doc:tt $label:ident $msg:ident }) => {
        $crate::Select!(@label $vis $crate::Select!(@nth $crate::st::Last, $($up)*), $doc $label $msg);
    };
    (@labels $vis:vis [$($up:tt)+] { $doc:tt $label:ident $msg:ident } $($rest:tt)+) => {
        $crate::Select!(@label $vis $crate::Select!(@nth $crate::st::First, $($up)+), $doc $label $msg);
        $crate::Select!(@labels $vis [$($up)+ +] $($rest)+);
    };
    (@nth $at:ty, ) => { $at };
    (@nth $at:ty, + $($up:tt)*) => { $crate::Select!(@nth $crate::st::Next<$at>, $($up)*) };
    (@label $vis:vis $at:ty, [$($doc:tt)*] $label:ident $msg:ident) => {
        $($doc)*
        #[doc = concat!("Picks the label `", stringify!($label), "`.")]
        $vis fn $label(message: $msg) -> $crate::st::Choice<Self, $at, $msg> {
            $crate::st::Choice::new(message)
        }
    };
}

/// Matches the result of an offer with any number of branches as if it were flat: one arm a branch, in the order in
/// which [`St!`](crate::St) lists them.
///
/// `branches!(channel.offer_two(st, picker)? => { (m, st) => …, (m, st) => …, (m, st) => … })`
#[macro_export]
macro_rules! branches {
    ($taken:expr => { $left:pat => $a:expr, $right:pat => $b:expr $(,)? }) => {
        match $taken {
            $crate::st::Branch::Left($left) => $a,
            $crate::st::Branch::Right($right) => $b,
        }
    };
    ($taken:expr => { $left:pat => $a:expr, $($rest:tt)+ }) => {
        match $taken {
            $crate::st::Branch::Left($left) => $a,
            $crate::st::Branch::Right((either, st)) => {
                $crate::branches!(st.unnest(either) => { $($rest)+ })
            }
        }
    };
}

/// Its second argument: binds a name once for each time the first one is there.
#[doc(hidden)]
#[macro_export]
macro_rules! __second {
    ($first:ty, $second:ident) => {
        $second
    };
}

/// Binds each label of an offer to its role, its message and its continuation.
#[doc(hidden)]
#[macro_export]
macro_rules! __labelled {
    ($generics:tt $name:tt $event:ident $($label:tt)+) => {
        $($crate::__labelled!(@one $generics $name $event $label);)+
    };
    (@one
        [$($generics:tt)*] [$($name:tt)+] $event:ident
        { [$($number:tt)+] $label:ident [$($role:tt)+] [$($msg:ty)?] [$($next:tt)+] }
    ) => {
        impl $($generics)* $crate::st::Labelled<{ $($number)+ }> for $($name)+ {
            type From = $($role)+;
            type Message = $crate::__carried!($($msg)?);
            type Next = $crate::St![$($next)+];

            #[allow(unused_variables, reason = "a label without a message drops what stands for it")]
            fn branch(
                message: Self::Message,
                st: $crate::st::Token<$crate::st::Nobody, Self::Next>,
            ) -> Self::Branch<$crate::st::Nobody> {
                $event::$label($($crate::__second!($msg, message),)? st)
            }
        }
    };
}

/// What a label carries, as a type or as the name it is bound to; [`Nothing`](crate::st::Nothing) where it carries none.
#[doc(hidden)]
#[macro_export]
macro_rules! __carried {
    () => {
        $crate::st::Nothing
    };
    ($message:ty) => {
        $message
    };
    ($message:ty, $name:ident) => {
        $name
    };
}

#[cfg(test)]
mod tests {
    use crate::st::*;

    macro_rules! names {
        ($($kind:ident: $($name:ident)+;)+) => {$($(
            #[derive(PartialEq, Eq, Debug)]
            struct $name;
            impl $kind for $name {}
        )+)+};
    }
    names! {
        Role: Me Peer;
        Message: M1 M2 M3 M4 M5;
    }

    /// Holds where two types are one.
    trait Is<T> {}
    impl<T> Is<T> for T {}
    fn same<A: Action + Is<B>, B: Action>() {}

    type Nested<M, A, B> = OfferTwo<NestRole, M, B, A, End>;

    #[test]
    fn one_message_is_an_action_in_braces_or_without() {
        same::<St![(Peer & M1).end], OfferOne<Peer, M1, End>>();
        same::<St![(Peer + M1).(Peer & M2).end], SelectOne<Peer, M1, OfferOne<Peer, M2, End>>>();
        same::<St![(Peer & { M1.end })], OfferOne<Peer, M1, End>>();
        same::<St![(Peer + { M1.(Peer & M2).end })], SelectOne<Peer, M1, OfferOne<Peer, M2, End>>>();
    }

    #[test]
    fn more_branches_nest_to_the_right() {
        same::<St![(Peer & { M1.end, M2.end })], OfferTwo<Peer, M1, M2, End, End>>();
        same::<St![(Peer + { M1.end, M2.end, })], SelectTwo<Peer, M1, M2, End, End>>();
        same::<
            St![(Peer & { M1.end, M2.(Peer + M5).end, M3.end })],
            OfferTwo<Peer, M1, Either<M2, M3>, End, Nested<M2, SelectOne<Peer, M5, End>, M3>>,
        >();
        same::<
            St![(Peer + { M1.end, M2.end, M3.end, M4.end })],
            SelectTwo<
                Peer,
                M1,
                Either<M2, Either<M3, M4>>,
                End,
                SelectTwo<NestRole, M2, Either<M3, M4>, End, SelectTwo<NestRole, M3, M4, End, End>>,
            >,
        >();
    }

    #[test]
    fn a_choice_may_stand_in_the_branch_of_a_choice() {
        same::<
            St![(Peer & { M1.(Peer + { M2.end, M3.end }), M4.(Me & { M5.end }) })],
            OfferTwo<Peer, M1, M4, SelectTwo<Peer, M2, M3, End, End>, OfferOne<Me, M5, End>>,
        >();
    }

    /// A side, for types that are generic over it.
    trait Side: Role {
        /// The other side.
        type Peer: Role;
    }
    impl Side for Me {
        type Peer = Peer;
    }

    Rec!(Loop<S: Side>, [(S::Peer + { M1.Loop<S>, M2.end })]);
    Offer!(
        Wait<S: Side> => Event {
            S::Peer & One(M1). (S::Peer + M2). Wait<S>,
            Timeout & Late. Loop<S>,
        }
    );
    Select!(
        Pick<S: Side>: S::Peer + {
            One(M1). Wait<S>,
            Two(M1). Pick<S>,
            Three(M2). (S::Peer & M3). end,
            Four(M1). Loop<S>,
            Five(M5). end,
        }
    );

    #[test]
    fn a_type_may_be_generic_over_its_side() {
        same::<<Loop<Me> as Recursive>::Inner, SelectTwo<Peer, M1, M2, Loop<Me>, End>>();
        same::<<Wait<Me> as Labelled<0>>::Next, SelectOne<Peer, M2, Wait<Me>>>();
        same::<<Wait<Me> as Labelled<1>>::Next, Loop<Me>>();
        let _: Picked<Wait<Me>, Peer> = Wait::One(M1);
        let _: Picked<Wait<Me>, Timeout> = Wait::Late();
    }

    #[test]
    fn a_labelled_selection_is_the_nested_one_of_its_messages() {
        fn tree<A: Selection<Role = Peer, Tree: Is<T>>, T>() {}
        tree::<Pick<Me>, St![(Peer + { M1.Wait<Me>, M1.Pick<Me>, M2.(Peer & M3).end, M1.Loop<Me>, M5.end })]>();
    }

    /// What a label leads to.
    fn after<A: Selection, I: Position, M>(_: Choice<A, I, M>) -> Option<After<Me, A, I, M>>
    where
        A::Tree: At<I, M>,
    {
        None
    }

    #[test]
    fn each_of_five_labels_leads_to_its_own_continuation() {
        let _: Option<Token<Me, Wait<Me>>> = after(Pick::<Me>::One(M1));
        let _: Option<Token<Me, Pick<Me>>> = after(Pick::<Me>::Two(M1));
        let _: Option<Token<Me, St![(Peer & M3).end]>> = after(Pick::<Me>::Three(M2));
        let _: Option<Token<Me, Loop<Me>>> = after(Pick::<Me>::Four(M1));
        let _: Option<Token<Me, End>> = after(Pick::<Me>::Five(M5));
    }

    #[test]
    fn of_two_labels_and_of_one_as_well() {
        Select!(Two: Peer + { Go(M1). Two, Stop(M1). end });
        Select!(One: Peer + { Stop(M1). end });
        let _: Option<Token<Me, Two>> = after(Two::Go(M1));
        let _: Option<Token<Me, End>> = after(Two::Stop(M1));
        let _: Option<Token<Me, End>> = after(One::Stop(M1));
    }

    type FiveBut1 = Either<M2, Either<M3, Either<M4, M5>>>;
    type FromThree = St![(NestRole & { M3.(Peer + M1).end, M4.end, M5.end })];
    type FromTwo = OfferTwo<NestRole, M2, Either<M3, Either<M4, M5>>, End, FromThree>;

    /// What an offer of five branches gives when the message for one of them has arrived, and which one was taken.
    fn arrived(branch: Branch<M1, FiveBut1>) -> u8 {
        let taken: Taken<Me, _, _, End, FromTwo> = match branch {
            Branch::Left(message) => Branch::Left((message, Token::mint())),
            Branch::Right(message) => Branch::Right((message, Token::mint())),
        };
        crate::branches!(taken => {
            (M1, st) => { let _: Token<Me, End> = st; 1 },
            (M2, _) => 2,
            (M3, st) => { let _: Token<Me, St![(Peer + M1).end]> = st; 3 },
            (M4, _) => 4,
            (M5, st) => { let _: Token<Me, End> = st; 5 },
        })
    }

    #[test]
    fn branches_are_matched_flat() {
        let all = [Branch::pick(M1), Branch::pick(M2), Branch::pick(M3), Branch::pick(M4), Branch::pick(M5)];
        assert_eq!(all.map(arrived), [1, 2, 3, 4, 5]);
    }
}
