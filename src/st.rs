//! The session-type core: local types as Rust types, and the tokens that make a program follow them.
//!
//! A *session type* ([`OfferOne`], [`SelectTwo`], [`End`], …; dissertation §3.1.1) is a zero-sized type that nobody ever
//! builds. What a program holds is a [`Token`]: `Token<Me, A>` is the `s[Me] : A` of the literature, the right of role
//! `Me` to go on as `A`. A channel consumes a token and returns its continuation (dissertation §3.1.4), so a program
//! that compiles departs neither from the order nor from the types of its messages.
//!
//! Two kinds of choice exist. The structural one of the dissertation ([`OfferTwo`], nested by [`Either`] and
//! [`NestRole`]) is what [`St!`](crate::St) writes inline. The flat, labelled and *undirected* one is a named item made
//! by [`Offer!`](crate::Offer): an ordinary enum, a variant a label, whose branches may come from different roles.

use std::any::{Any, TypeId, type_name};
use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::marker::PhantomData;

/// A participant of a session; implemented by a type that is only a name.
pub trait Role: 'static {}

/// A role that runs in this process: the entry `s[Me] : T` of the typing context (dissertation §2.2, eq. 2.3).
///
/// This is the only place where a session can begin, so nobody can name a type half-way through a foreign role's
/// protocol as a root: the orphan rule keeps the entries of our roles ours.
pub trait Participant: Role + Sized {
    /// The local type with which this role begins.
    type Session: Action;

    /// Begins a session: the first token, at the root of this role's local type.
    fn start() -> Token<Self, Self::Session> {
        Token::mint()
    }
}

/// The role of the inner nodes of a nested choice: it takes a message out of an [`Either`], no channel carries it
/// (dissertation §3.1.2).
#[derive(Debug)]
pub enum NestRole {}
impl Role for NestRole {}

/// The role whose messages are the passing of time: a branch from `Timeout` is taken by the role itself when its
/// deadline has come (dissertation §3.3.7).
#[derive(Debug)]
pub enum Timeout {}
impl Role for Timeout {}

/// The role of tokens that entitle to nothing: what a picked label carries until a channel has taken it.
#[derive(Debug)]
pub enum Nobody {}
impl Role for Nobody {}

/// What travels between two roles.
pub trait Message: Send + 'static {
    /// Whether this is the virtual message of a nested choice.
    const NESTED: bool = false;

    /// Whether it is a credit: it asks for an answer and says nothing else, so that on its way to the other role it may overtake what
    /// was sent before it. Where what was sent before has to wait, the answer does not.
    const CREDIT: bool = false;

    /// The message types on the wire which this one refines; itself unless it is a refinement.
    fn wire() -> Vec<Name> {
        vec![Name::of::<Self>()]
    }

    /// The message that stands for "this role has crashed", for the one type that serves as such.
    ///
    /// A role's thread that ends without reaching [`End`] leaves its channels; the roles waiting for it then take the
    /// branch of this message, as in the crash-stop extensions of multiparty session types.
    fn on_crash() -> Option<Self>
    where
        Self: Sized,
    {
        None
    }

    /// Takes the message out of its envelope, by its type.
    ///
    /// # Errors
    ///
    /// Gives the envelope back when another message is in it.
    #[doc(hidden)]
    fn from_envelope(envelope: Envelope) -> Result<Self, Envelope>
    where
        Self: Sized,
    {
        envelope.downcast().map(|message| *message)
    }
}

/// The message of a label that has none: a branch from [`Timeout`] is taken, nothing is received.
#[derive(Debug)]
pub struct Nothing;

impl Message for Nothing {
    fn wire() -> Vec<Name> {
        Vec::new()
    }
}

/// A local session type (dissertation §3.1.1).
pub trait Action: Sized + 'static {
    /// Describes this type as a node of its graph.
    fn node(graph: &mut Graph) -> Node;
}

/// The right of role `Me` to go on as session type `A`, to be used once.
///
/// ```compile_fail
/// use session_tcp::st::{End, Role, Token};
/// struct Me;
/// impl Role for Me {}
/// let forged: Token<Me, End> = Token { phantom: std::marker::PhantomData };
/// ```
#[must_use = "a session that is not continued leaves the other roles waiting"]
pub struct Token<Me: Role, A: Action> {
    phantom: PhantomData<fn() -> (Me, A)>,
}

impl<Me: Role, A: Action> fmt::Debug for Token<Me, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s[{}]: {}", Name::of::<Me>(), Name::of::<A>())
    }
}

impl<Me: Role, A: Action> Token<Me, A> {
    /// Makes a token; for this crate's channels, which have done what entitles to it.
    pub(crate) fn mint() -> Self {
        Token { phantom: PhantomData }
    }

    /// Gives up this token for its continuation `B`; for this crate's channels.
    pub(crate) fn advance<B: Action>(self) -> Token<Me, B> {
        Token::mint()
    }
}

impl<Me: Role> Token<Me, End> {
    /// Ends the session; the value returned is what a role's program has to show for itself.
    pub fn end(self) -> End {
        End { phantom: PhantomData }
    }
}

impl<Me: Role, A: Recursive> Token<Me, A> {
    /// Unfolds a recursive session type once (dissertation §3.1.3).
    pub fn inner(self) -> Token<Me, A::Inner> {
        self.advance()
    }
}

impl<Me, M1, M2, A1, A2> Token<Me, OfferTwo<NestRole, M1, M2, A1, A2>>
where
    Me: Role,
    M1: Message,
    M2: Message,
    A1: Action,
    A2: Action,
{
    /// Goes one level down in a nested offer: takes the message out of its [`Either`] (dissertation §3.1.2).
    ///
    /// Programs write [`branches!`](crate::branches), which calls this for them.
    pub fn unnest(self, either: Either<M1, M2>) -> Taken<Me, M1, M2, A1, A2> {
        match either {
            Either::Left(message) => Branch::Left((message, self.advance())),
            Either::Right(message) => Branch::Right((message, self.advance())),
        }
    }
}

/// The right to put role `Me` in the place of [`Nobody`] on one token, held by this crate's channels only.
#[derive(Debug)]
pub struct Permit<Me: Role> {
    phantom: PhantomData<fn() -> Me>,
}

impl<Me: Role> Permit<Me> {
    /// Makes the permit; for this crate's channels.
    pub(crate) fn new() -> Self {
        Permit { phantom: PhantomData }
    }

    /// Makes over the token of the branch that was taken, for the code made by [`Offer!`](crate::Offer).
    #[doc(hidden)]
    pub fn grant<A: Action>(self, st: Token<Nobody, A>) -> Token<Me, A> {
        let Token { .. } = st;
        Token::mint()
    }
}

/// The end of a session: as a type the last session type, as a value the proof that a role's program got there.
#[must_use = "a role's program returns the proof that it has ended"]
pub struct End {
    phantom: PhantomData<()>,
}

impl fmt::Debug for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("end")
    }
}

impl Action for End {
    fn node(_graph: &mut Graph) -> Node {
        Node::new(Kind::End, Vec::new())
    }
}

/// Receives a message `M` from role `R`, then goes on as `A`.
#[must_use = "a session type is used through its token"]
pub struct OfferOne<R: Role, M: Message, A: Action> {
    #[expect(clippy::type_complexity, reason = "it only uses the parameters up")]
    phantom: PhantomData<fn() -> (R, M, A)>,
}

/// Sends a message `M` to role `R`, then goes on as `A`.
#[must_use = "a session type is used through its token"]
pub struct SelectOne<R: Role, M: Message, A: Action> {
    #[expect(clippy::type_complexity, reason = "it only uses the parameters up")]
    phantom: PhantomData<fn() -> (R, M, A)>,
}

/// Receives `M1` and goes on as `A1`, or `M2` and goes on as `A2`; role `R` decides.
#[must_use = "a session type is used through its token"]
pub struct OfferTwo<R, M1, M2, A1, A2>
where
    R: Role,
    M1: Message,
    M2: Message,
    A1: Action,
    A2: Action,
{
    #[expect(clippy::type_complexity, reason = "it only uses the parameters up")]
    phantom: PhantomData<fn() -> (R, M1, M2, A1, A2)>,
}

/// Sends `M1` and goes on as `A1`, or `M2` and goes on as `A2`; this role decides.
#[must_use = "a session type is used through its token"]
pub struct SelectTwo<R, M1, M2, A1, A2>
where
    R: Role,
    M1: Message,
    M2: Message,
    A1: Action,
    A2: Action,
{
    #[expect(clippy::type_complexity, reason = "it only uses the parameters up")]
    phantom: PhantomData<fn() -> (R, M1, M2, A1, A2)>,
}

impl<R: Role, M: Message, A: Action> Action for OfferOne<R, M, A> {
    fn node(graph: &mut Graph) -> Node {
        Node::new(Kind::Offer, vec![Edge::of::<R, M, A>(graph)])
    }
}

impl<R: Role, M: Message, A: Action> Action for SelectOne<R, M, A> {
    fn node(graph: &mut Graph) -> Node {
        Node::new(Kind::Select, vec![Edge::of::<R, M, A>(graph)])
    }
}

impl<R, M1, M2, A1, A2> Action for OfferTwo<R, M1, M2, A1, A2>
where
    R: Role,
    M1: Message,
    M2: Message,
    A1: Action,
    A2: Action,
{
    fn node(graph: &mut Graph) -> Node {
        Node::new(Kind::Offer, two_edges::<R, M1, M2, A1, A2>(graph))
    }
}

impl<R, M1, M2, A1, A2> Action for SelectTwo<R, M1, M2, A1, A2>
where
    R: Role,
    M1: Message,
    M2: Message,
    A1: Action,
    A2: Action,
{
    fn node(graph: &mut Graph) -> Node {
        Node::new(Kind::Select, two_edges::<R, M1, M2, A1, A2>(graph))
    }
}

/// The edges of a two-way choice, those of nested choices lifted to the outermost level.
fn two_edges<R, M1, M2, A1, A2>(graph: &mut Graph) -> Vec<Edge>
where
    R: Role,
    M1: Message,
    M2: Message,
    A1: Action,
    A2: Action,
{
    let mut edges = vec![Edge::of::<R, M1, A1>(graph)];
    if M2::NESTED {
        let nested = A2::node(graph).edges;
        edges.extend(nested.into_iter().map(|edge| Edge { role: Name::of::<R>(), ..edge }));
    } else {
        edges.push(Edge::of::<R, M2, A2>(graph));
    }
    edges
}

/// One message or the other: the message type of the right branch of a nested choice.
#[derive(Debug)]
pub enum Either<L, R> {
    /// The first case.
    Left(L),
    /// One of the other cases.
    Right(R),
}

impl<L: Message, R: Message> Message for Either<L, R> {
    const NESTED: bool = true;

    fn from_envelope(envelope: Envelope) -> Result<Self, Envelope> {
        match L::from_envelope(envelope) {
            Ok(message) => Ok(Either::Left(message)),
            Err(envelope) => R::from_envelope(envelope).map(Either::Right),
        }
    }
}

/// Which branch of a two-way offer: what a picker answers and what an offer returns (dissertation §3.3.5).
#[derive(Debug)]
pub enum Branch<L, R> {
    /// The first branch.
    Left(L),
    /// The second branch.
    Right(R),
}

/// What a two-way offer returns: the message of the branch taken and the token of its continuation.
pub type Taken<Me, M1, M2, A1, A2> = Branch<(M1, Token<Me, A1>), (M2, Token<Me, A2>)>;

impl<L, R> Branch<L, R> {
    /// The branch of a nested offer that carries this message, found by the message's type.
    ///
    /// Where two branches carry the same type the compiler asks for the position: [`First`], `Next<First>`, …, the
    /// last one being [`Last`].
    pub fn pick<I, M>(message: M) -> Self
    where
        Self: Inject<I, M>,
    {
        Self::inject(message)
    }
}

/// The first branch of a choice.
#[derive(Debug)]
pub enum First {}
/// The last branch of a choice.
#[derive(Debug)]
pub enum Last {}
/// A branch of the nested rest of a choice.
#[derive(Debug)]
pub struct Next<I> {
    phantom: PhantomData<I>,
}

/// Positions and what stands at them, sealed: an index, or a message, of another crate could claim any continuation for
/// a branch. (The orphan rule lets a crate implement `At<First, ItsOwnMessage>` for a selection of ours.)
mod position {
    /// A position in a choice.
    pub trait Position {}
    impl Position for super::First {}
    impl Position for super::Last {}
    impl<I: Position> Position for super::Next<I> {}

    /// A nested selection that has message `M` at position `I`; for what [`super::At`] is implemented.
    pub trait Has<I, M> {}
}
use position::Has;
pub(crate) use position::Position;

/// A nested sum that has message `M` at position `I`.
pub trait Inject<I, M> {
    /// Wraps the message in its place.
    fn inject(message: M) -> Self;
}

macro_rules! inject {
    ($sum:ident) => {
        impl<L, R> Inject<First, L> for $sum<L, R> {
            fn inject(message: L) -> Self {
                $sum::Left(message)
            }
        }
        impl<L, R> Inject<Last, R> for $sum<L, R> {
            fn inject(message: R) -> Self {
                $sum::Right(message)
            }
        }
        impl<I, M, L, A, B> Inject<Next<I>, M> for $sum<L, Either<A, B>>
        where
            Either<A, B>: Inject<I, M>,
        {
            fn inject(message: M) -> Self {
                $sum::Right(Either::inject(message))
            }
        }
    };
}
inject!(Branch);
inject!(Either);

/// A session type that unfolds to another one (dissertation §3.1.3), made by [`Rec!`](crate::Rec).
pub trait Recursive: Action {
    /// What it unfolds to.
    type Inner: Action;
}

/// A session type that sends one of several messages to one role.
pub trait Selection: Action {
    /// The role that receives.
    type Role: Role;
    /// The branches, nested as in dissertation §3.1.2.
    type Tree;
}

impl<R: Role, M: Message, A: Action> Selection for SelectOne<R, M, A> {
    type Role = R;
    type Tree = Self;
}

impl<R, M1, M2, A1, A2> Selection for SelectTwo<R, M1, M2, A1, A2>
where
    R: Role,
    M1: Message,
    M2: Message,
    A1: Action,
    A2: Action,
{
    type Role = R;
    type Tree = Self;
}

/// A nested selection that sends `M` at position `I`.
pub trait At<I: Position, M>: Has<I, M> {
    /// How the session goes on behind that branch.
    type Next: Action;
}

impl<R: Role, M: Message, A: Action> Has<Last, M> for SelectOne<R, M, A> {}
impl<R: Role, M: Message, A: Action> At<Last, M> for SelectOne<R, M, A> {
    type Next = A;
}

impl<R, M1, M2, A1, A2> Has<First, M1> for SelectTwo<R, M1, M2, A1, A2>
where
    R: Role,
    M1: Message,
    M2: Message,
    A1: Action,
    A2: Action,
{
}
impl<R, M1, M2, A1, A2> At<First, M1> for SelectTwo<R, M1, M2, A1, A2>
where
    R: Role,
    M1: Message,
    M2: Message,
    A1: Action,
    A2: Action,
{
    type Next = A1;
}

impl<R, M1, M2, A1, A2> Has<Last, M2> for SelectTwo<R, M1, M2, A1, A2>
where
    R: Role,
    M1: Message,
    M2: Message,
    A1: Action,
    A2: Action,
{
}
impl<R, M1, M2, A1, A2> At<Last, M2> for SelectTwo<R, M1, M2, A1, A2>
where
    R: Role,
    M1: Message,
    M2: Message,
    A1: Action,
    A2: Action,
{
    type Next = A2;
}

impl<I, M, R, M1, N1, N2, A1, B1, B2> Has<Next<I>, M>
    for SelectTwo<R, M1, Either<N1, N2>, A1, SelectTwo<NestRole, N1, N2, B1, B2>>
where
    I: Position,
    R: Role,
    M1: Message,
    N1: Message,
    N2: Message,
    A1: Action,
    B1: Action,
    B2: Action,
    SelectTwo<NestRole, N1, N2, B1, B2>: Has<I, M>,
{
}
impl<I, M, R, M1, N1, N2, A1, B1, B2> At<Next<I>, M>
    for SelectTwo<R, M1, Either<N1, N2>, A1, SelectTwo<NestRole, N1, N2, B1, B2>>
where
    I: Position,
    R: Role,
    M1: Message,
    N1: Message,
    N2: Message,
    A1: Action,
    B1: Action,
    B2: Action,
    SelectTwo<NestRole, N1, N2, B1, B2>: At<I, M>,
{
    type Next = <SelectTwo<NestRole, N1, N2, B1, B2> as At<I, M>>::Next;
}

/// The token behind the branch at position `I` of the selection `A`.
pub type After<Me, A, I, M> = Token<Me, <<A as Selection>::Tree as At<I, M>>::Next>;

/// A label picked in the selection `A`, with its message; made by the constructors of [`Select!`](crate::Select).
#[must_use = "a choice is made by giving it to a channel"]
#[derive(Debug)]
pub struct Choice<A, I, M> {
    message: M,
    phantom: PhantomData<fn() -> (A, I)>,
}

impl<A, I, M> Choice<A, I, M> {
    /// Picks the branch at position `I`.
    pub fn new(message: M) -> Self {
        Choice { message, phantom: PhantomData }
    }

    /// The message to send.
    pub(crate) fn into_message(self) -> M {
        self.message
    }
}

/// An undirected offer: it waits for several roles at once (MAGπ's undirected branching), made by
/// [`Offer!`](crate::Offer).
pub trait Offer: Action {
    /// The enum that a program matches: a variant a label, with its message and the token of its continuation.
    type Branch<Me: Role>;

    /// Gives the branch its token, now that a channel has taken it.
    #[doc(hidden)]
    fn proceed<Me: Role>(branch: Self::Branch<Nobody>, permit: Permit<Me>) -> Self::Branch<Me>;

    /// The branch for a message of role `R`, found by the message's type.
    ///
    /// # Errors
    ///
    /// Gives the message back when this offer has no branch for it.
    fn by_message<R: Role>(message: Envelope) -> Result<Picked<Self, R>, Envelope>;

    /// The branch for the crash of role `R`, where this offer has one.
    fn on_crash<R: Role>() -> Option<Picked<Self, R>>;
}

/// Label number `N` of an offer, in the order in which they are written; made by [`Offer!`](crate::Offer).
///
/// It binds the label to its role, its message and its continuation. No other crate can say such a thing of an offer of
/// ours: the orphan rule forbids it.
pub trait Labelled<const N: usize>: Offer {
    /// The role that brings it.
    type From: Role;
    /// Its message, [`Nothing`] where it has none.
    type Message: Message;
    /// How the session goes on.
    type Next: Action;

    /// Makes the branch.
    #[doc(hidden)]
    fn branch(message: Self::Message, st: Token<Nobody, Self::Next>) -> Self::Branch<Nobody>;
}

/// A message whose type is its label: how a reliable channel carries it.
pub type Envelope = Box<dyn Any + Send>;

/// A label of the offer `A` picked for an arrival from role `R`.
///
/// A picker can only answer with labels of the role that the arrival came from: the constructors made by
/// [`Offer!`](crate::Offer) say which role each label belongs to.
pub struct Picked<A: Offer, R: Role> {
    branch: A::Branch<Nobody>,
    from: PhantomData<fn() -> R>,
}

impl<A: Offer, R: Role> Picked<A, R> {
    /// Picks label `N`, which has to be one of role `R`; for the code made by [`Offer!`](crate::Offer).
    #[doc(hidden)]
    pub fn label<const N: usize>(message: <A as Labelled<N>>::Message) -> Self
    where
        A: Labelled<N, From = R>,
    {
        Picked { branch: A::branch(message, Token::mint()), from: PhantomData }
    }

    /// Picks label `N` if it is one of role `R` and its message is in the envelope.
    ///
    /// # Errors
    ///
    /// Gives the envelope back if not.
    #[doc(hidden)]
    pub fn by_message<const N: usize>(envelope: Envelope) -> Result<Self, Envelope>
    where
        A: Labelled<N>,
    {
        if !is_same::<R, A::From>() {
            return Err(envelope);
        }
        let message = A::Message::from_envelope(envelope)?;
        Ok(Picked { branch: A::branch(message, Token::mint()), from: PhantomData })
    }

    /// Picks label `N` if it is the one for the crash of role `R`.
    #[doc(hidden)]
    pub fn on_crash<const N: usize>() -> Option<Self>
    where
        A: Labelled<N>,
    {
        let message = if is_same::<R, A::From>() { A::Message::on_crash() } else { None }?;
        Some(Picked { branch: A::branch(message, Token::mint()), from: PhantomData })
    }

    /// Takes the branch: consumes the token of the offer and gives the label the token of its continuation.
    pub(crate) fn take<Me: Role>(self, _st: Token<Me, A>) -> A::Branch<Me> {
        A::proceed(self.branch, Permit::new())
    }
}

/// Whether two roles are one.
fn is_same<R1: Role, R2: Role>() -> bool {
    TypeId::of::<R1>() == TypeId::of::<R2>()
}

/// Why a channel could not carry on; the session is over without its [`End`].
#[derive(Debug)]
pub enum SessionError {
    /// The role at the other end is gone.
    Gone {
        /// Which role.
        role: Name,
    },
    /// The role at the other end sent what this session type does not offer.
    Unexpected {
        /// Which role.
        role: Name,
    },
    /// Nothing arrived by the deadline, and the session type has no branch for that.
    TimedOut {
        /// Which role.
        role: Name,
    },
    /// The transport below the channel failed.
    Transport(Box<dyn Error + Send + Sync>),
}

impl fmt::Display for SessionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SessionError::Gone { role } => write!(f, "{role} is gone"),
            SessionError::Unexpected { role } => {
                write!(f, "{role} sent a message that is not offered here")
            }
            SessionError::TimedOut { role } => write!(f, "nothing from {role} in time"),
            SessionError::Transport(cause) => write!(f, "transport failed: {cause}"),
        }
    }
}

impl Error for SessionError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            SessionError::Transport(cause) => Some(cause.as_ref()),
            SessionError::Gone { .. } | SessionError::Unexpected { .. } | SessionError::TimedOut { .. } => None,
        }
    }
}

/// The identity and the name of a type that stands for a role, a message or a session type.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Name {
    id: TypeId,
    path: &'static str,
}

impl Name {
    /// The name of `T`.
    pub fn of<T: ?Sized + 'static>() -> Self {
        Name { id: TypeId::of::<T>(), path: type_name::<T>() }
    }
}

impl fmt::Display for Name {
    /// Prints the name without the paths of modules, those of type parameters included.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut word = "";
        let mut rest = self.path;
        while let Some(at) = rest.find(|c: char| !c.is_alphanumeric() && c != '_') {
            let (head, tail) = rest.split_at(at);
            word = if head.is_empty() { word } else { head };
            if let Some(after) = tail.strip_prefix("::") {
                word = "";
                rest = after;
                continue;
            }
            let mut chars = tail.chars();
            let mark = chars.next().unwrap_or_default();
            write!(f, "{word}{mark}")?;
            word = "";
            rest = chars.as_str();
        }
        f.write_str(if rest.is_empty() { word } else { rest })
    }
}

/// A session type described by itself: its states and what each waits for or sends.
#[derive(Debug, Default)]
pub struct Graph {
    ids: HashMap<TypeId, StateId>,
    states: Vec<(Name, Node)>,
}

/// A state of a [`Graph`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct StateId(usize);

/// What a state does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Waits; the others or the clock decide.
    Offer,
    /// Sends; this role decides.
    Select,
    /// Nothing more.
    End,
}

/// A state's kind and its branches.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Node {
    /// What the state does.
    pub kind: Kind,
    /// Its branches, in the order in which they are written.
    pub edges: Vec<Edge>,
}

impl Node {
    /// Makes a node.
    pub fn new(kind: Kind, edges: Vec<Edge>) -> Self {
        Node { kind, edges }
    }
}

/// A branch: what travels, between this role and which other, and where it leads.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Edge {
    /// The other role, or [`Timeout`].
    pub role: Name,
    /// The label; of an unlabelled branch the name of its message.
    pub label: String,
    /// The message types on the wire that take this branch; none for a [`Timeout`].
    pub messages: Vec<Name>,
    /// The state it leads to.
    pub next: StateId,
}

impl Edge {
    /// An unlabelled branch.
    pub fn of<R: Role, M: Message, A: Action>(graph: &mut Graph) -> Self {
        Edge {
            role: Name::of::<R>(),
            label: Name::of::<M>().to_string(),
            messages: M::wire(),
            next: graph.visit::<A>(),
        }
    }

    /// The branch of label `N` of an offer.
    pub fn of_label<A: Labelled<N>, const N: usize>(graph: &mut Graph, label: &str) -> Self {
        Edge::labelled::<A::From, A::Next>(graph, label, A::Message::wire())
    }

    /// A labelled branch.
    pub fn labelled<R: Role, A: Action>(graph: &mut Graph, label: &str, messages: Vec<Name>) -> Self {
        Edge { role: Name::of::<R>(), label: label.to_owned(), messages, next: graph.visit::<A>() }
    }
}

impl Graph {
    /// The graph of session type `A`; its root is [`Graph::ROOT`].
    pub fn of<A: Action>() -> Self {
        let mut graph = Graph::default();
        graph.visit::<A>();
        graph
    }

    /// The state that a graph begins with.
    pub const ROOT: StateId = StateId(0);

    /// The state of `A`, described on the first visit only, which is what closes the loops of recursive types.
    pub fn visit<A: Action>(&mut self) -> StateId {
        if let Some(&id) = self.ids.get(&TypeId::of::<A>()) {
            return id;
        }
        let id = StateId(self.states.len());
        self.ids.insert(TypeId::of::<A>(), id);
        let placeholder = Node::new(Kind::End, Vec::new());
        self.states.push((Name::of::<A>(), placeholder));
        let node = A::node(self);
        if let Some(state) = self.states.get_mut(id.0) {
            state.1 = node;
        }
        id
    }

    /// The states, each with its name, in the order of discovery.
    pub fn states(&self) -> impl Iterator<Item = (StateId, Name, &Node)> {
        self.states.iter().enumerate().map(|(id, (name, node))| (StateId(id), *name, node))
    }

    /// The node of a state; none for a state of another graph.
    pub fn node(&self, id: StateId) -> Option<&Node> {
        self.states.get(id.0).map(|(_, node)| node)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Offer, Rec, Select, St};

    macro_rules! names {
        ($($kind:ident: $($name:ident)+;)+) => {$($(
            #[derive(PartialEq, Eq, Debug)]
            struct $name;
            impl $kind for $name {}
        )+)+};
    }
    names! {
        Role: Me Peer Other;
        Message: M1 M2 M3 M4;
    }

    /// The message of a crash.
    #[derive(Debug)]
    struct Crashed;
    impl Message for Crashed {
        fn on_crash() -> Option<Self> {
            Some(Crashed)
        }
    }

    /// A message that is one of two on the wire.
    #[derive(Debug)]
    struct Refined;
    impl Message for Refined {
        fn wire() -> Vec<Name> {
            [M1::wire(), M2::wire()].concat()
        }
    }

    Offer!(
        Wait => Event {
            Peer & First(M1). Wait,
            Peer & Refined(Refined). (Other + M3). end,
            Other & Second(M2). (Peer & M4). Wait,
            Other & Crash(Crashed). end,
            Timeout & Late. Again,
        }
    );
    Rec!(Again, [(Peer + { M1.Again, M2.Wait, M3.end })]);
    Select!(
        Pick: Peer + {
            Go(M1). Again,
            Stop(M2). end,
        }
    );

    fn edges(graph: &Graph, name: Name) -> Vec<(String, String, Vec<Name>, String)> {
        let of = |wanted: StateId| graph.states().find(|(id, _, _)| *id == wanted).unwrap().1.to_string();
        let (_, _, node) = graph.states().find(|(_, other, _)| *other == name).unwrap();
        let edge = |edge: &Edge| (edge.role.to_string(), edge.label.clone(), edge.messages.clone(), of(edge.next));
        node.edges.iter().map(edge).collect()
    }

    fn edge(role: &str, label: &str, messages: &[Name], next: &str) -> (String, String, Vec<Name>, String) {
        (role.to_owned(), label.to_owned(), messages.to_vec(), next.to_owned())
    }

    #[test]
    fn a_graph_closes_the_loops_of_recursive_types() {
        let graph = Graph::of::<Wait>();
        let names: Vec<_> = graph.states().map(|(_, name, node)| (name.to_string(), node.kind)).collect();
        let expected = [
            ("Wait", Kind::Offer),
            ("SelectOne<Other, M3, End>", Kind::Select),
            ("End", Kind::End),
            ("OfferOne<Peer, M4, Wait>", Kind::Offer),
            ("Again", Kind::Select),
        ];
        assert_eq!(names, expected.map(|(name, kind)| (name.to_owned(), kind)));
        assert_eq!(graph.node(Graph::ROOT).unwrap().edges.len(), 5);
    }

    #[test]
    fn an_offer_says_its_roles_labels_and_messages() {
        let (m1, m2, crashed) = (Name::of::<M1>(), Name::of::<M2>(), Name::of::<Crashed>());
        let expected = [
            edge("Peer", "First", &[m1], "Wait"),
            edge("Peer", "Refined", &[m1, m2], "SelectOne<Other, M3, End>"),
            edge("Other", "Second", &[m2], "OfferOne<Peer, M4, Wait>"),
            edge("Other", "Crash", &[crashed], "End"),
            edge("Timeout", "Late", &[], "Again"),
        ];
        assert_eq!(edges(&Graph::of::<Wait>(), Name::of::<Wait>()), expected);
    }

    #[test]
    fn a_nested_choice_is_lifted_flat_and_keeps_its_role() {
        let expected = [
            edge("Peer", "M1", &[Name::of::<M1>()], "Again"),
            edge("Peer", "M2", &[Name::of::<M2>()], "Wait"),
            edge("Peer", "M3", &[Name::of::<M3>()], "End"),
        ];
        assert_eq!(edges(&Graph::of::<Again>(), Name::of::<Again>()), expected);
        let nested = Name::of::<NestRole>();
        let graph = Graph::of::<Wait>();
        assert!(graph.states().all(|(_, _, node)| node.edges.iter().all(|edge| edge.role != nested)));
    }

    #[test]
    fn a_selection_says_its_labels() {
        let expected =
            [edge("Peer", "Go", &[Name::of::<M1>()], "Again"), edge("Peer", "Stop", &[Name::of::<M2>()], "End")];
        assert_eq!(edges(&Graph::of::<Pick>(), Name::of::<Pick>()), expected);
        assert_eq!((Pick::Go(M1).into_message(), Pick::Stop(M2).into_message()), (M1, M2));
    }

    #[test]
    fn a_state_of_another_graph_has_no_node() {
        let far = Graph::of::<Wait>().states().last().unwrap().0;
        assert_eq!(Graph::of::<End>().node(far), None);
    }

    #[test]
    fn a_name_is_printed_without_its_modules() {
        assert_eq!(Name::of::<Peer>().to_string(), "Peer");
        assert_eq!(Name::of::<Either<M1, Vec<M2>>>().to_string(), "Either<M1, Vec<M2>>");
        assert_eq!(Name::of::<(M1, &'static [M2])>().to_string(), "(M1, &[M2])");
        assert_eq!(Name::of::<St![(Peer & M1).end]>().to_string(), "OfferOne<Peer, M1, End>");
        assert_ne!(Name::of::<M1>(), Name::of::<M2>());
    }

    #[test]
    fn a_token_shows_its_role_and_its_type() {
        let st = Token::<Me, Pick>::mint();
        assert_eq!(format!("{st:?}"), "s[Me]: Pick");
        assert_eq!(format!("{:?}", st.advance::<End>().end()), "end");
    }

    #[test]
    fn tokens_and_what_they_are_of_have_no_size() {
        assert_eq!(size_of::<Token<Me, Wait>>() + size_of::<End>() + size_of::<Wait>() + size_of::<Pick>(), 0);
        assert_eq!(size_of::<Permit<Me>>() + size_of::<Choice<Pick, First, M1>>(), 0);
    }

    #[test]
    fn a_message_takes_the_label_of_its_type_and_its_role() {
        let take = |picked: Picked<Wait, Peer>| picked.take(Token::<Me, Wait>::mint());
        let picked = Wait::by_message::<Peer>(Box::new(M1)).unwrap();
        assert!(matches!(take(picked), Event::First(M1, _)));
        let picked = Wait::by_message::<Peer>(Box::new(Refined)).unwrap();
        assert!(matches!(take(picked), Event::Refined(Refined, _)));
        let picked = Wait::by_message::<Other>(Box::new(M2)).unwrap();
        assert!(matches!(picked.take(Token::<Me, Wait>::mint()), Event::Second(M2, _)));
    }

    #[test]
    fn a_message_of_another_role_or_of_no_label_is_given_back() {
        let given_back = Wait::by_message::<Other>(Box::new(M1)).err().unwrap();
        assert!(given_back.is::<M1>());
        assert!(Wait::by_message::<Peer>(Box::new(M2)).is_err());
        assert!(Wait::by_message::<Peer>(Box::new(M3)).is_err());
        assert!(Wait::by_message::<Timeout>(Box::new(M1)).is_err());
    }

    #[test]
    fn a_crash_takes_the_label_for_it_of_the_crashed_role_only() {
        let picked = Wait::on_crash::<Other>().unwrap();
        assert!(matches!(picked.take(Token::<Me, Wait>::mint()), Event::Crash(Crashed, _)));
        assert!(Wait::on_crash::<Peer>().is_none());
        assert!(Wait::on_crash::<Timeout>().is_none());
    }

    #[test]
    fn a_label_is_picked_by_its_constructor() {
        let late: Picked<Wait, Timeout> = Wait::Late();
        assert_eq!(format!("{:?}", late.take(Token::<Me, Wait>::mint())), "Late");
        let second: Picked<Wait, Other> = Wait::Second(M2);
        let Event::Second(M2, st) = second.take(Token::<Me, Wait>::mint()) else { panic!("another label") };
        let _: Token<Me, St![(Peer & M4).Wait]> = st;
    }

    type Sum2 = Branch<M1, M2>;
    type Sum4 = Branch<M1, Either<M2, Either<M3, M4>>>;

    #[test]
    fn a_branch_is_picked_by_the_type_of_its_message() {
        assert!(matches!(Sum2::pick(M1), Branch::Left(M1)));
        assert!(matches!(Sum2::pick(M2), Branch::Right(M2)));
        assert!(matches!(Sum4::pick(M1), Branch::Left(M1)));
        assert!(matches!(Sum4::pick(M2), Branch::Right(Either::Left(M2))));
        assert!(matches!(Sum4::pick(M3), Branch::Right(Either::Right(Either::Left(M3)))));
        assert!(matches!(Sum4::pick(M4), Branch::Right(Either::Right(Either::Right(M4)))));
    }

    #[test]
    fn branches_of_one_message_type_are_picked_by_position() {
        type Same = Branch<M1, Either<M1, M1>>;
        assert!(matches!(Same::pick::<First, _>(M1), Branch::Left(M1)));
        assert!(matches!(Same::pick::<Next<First>, _>(M1), Branch::Right(Either::Left(M1))));
        assert!(matches!(Same::pick::<Next<Last>, _>(M1), Branch::Right(Either::Right(M1))));
    }

    #[test]
    fn a_nested_message_comes_out_of_the_envelope_in_its_place() {
        type Nested = Either<M1, Either<M2, M3>>;
        assert!(matches!(Nested::from_envelope(Box::new(M1)), Ok(Either::Left(M1))));
        assert!(matches!(Nested::from_envelope(Box::new(M3)), Ok(Either::Right(Either::Right(M3)))));
        assert!(Nested::from_envelope(Box::new(M4)).is_err_and(|envelope| envelope.is::<M4>()));
    }

    #[test]
    fn an_error_names_its_role_and_keeps_its_cause() {
        let role = Name::of::<Peer>();
        assert_eq!(SessionError::Gone { role }.to_string(), "Peer is gone");
        assert!(SessionError::TimedOut { role }.source().is_none());
        let broken = SessionError::Transport(Box::new(fmt::Error));
        assert!(broken.source().is_some_and(|cause| cause.is::<fmt::Error>()));
    }
}
