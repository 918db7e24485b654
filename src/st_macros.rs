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
