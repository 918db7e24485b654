//! The typing context: the local types of all roles against each other, by the graphs that they describe themselves with.
//!
//! Between the user and its system messages arrive, once and in order, but for credits, which may overtake. So their two types are run
//! against each other, over queues, whatever the network and the clock do meanwhile. From the network any segment may arrive at any time, so
//! there it is enough to look at each offer by itself.

use std::collections::{HashMap, HashSet, VecDeque};

use session_tcp::calls::{Abort, Receive};
use session_tcp::smol_channel::{Ack, FinAck, Rst, RstAck, Syn, SynAck};
use session_tcp::st::{Edge, End, Graph, Kind, Message, Name, Node, Participant, Role, StateId, Timeout};
use session_tcp::{
    ClientSystemSynSent, RoleClientSystem, RoleClientUser, RoleServerSystem, RoleServerUser, ServerSystemListen, St,
};

/// Messages under way in one direction, at most; as in the channel itself.
const QUEUE_MESSAGES: usize = 4;

/// The local type of a role.
struct Local {
    graph: Graph,
    peer: Name,
}

impl Local {
    /// The type of role `R` and the role that it is to be run against.
    fn of<R: Participant, Peer: Role>() -> Self {
        Local { graph: Graph::of::<R::Session>(), peer: Name::of::<Peer>() }
    }

    fn node(&self, id: StateId) -> &Node {
        self.graph.states().find(|(other, _, _)| *other == id).map_or_else(|| unreachable(id), |(_, _, node)| node)
    }

    fn name(&self, id: StateId) -> String {
        self.graph.states().find(|(other, _, _)| *other == id).map_or_else(String::new, |(_, name, _)| name.to_string())
    }

    /// The branches to and from the other role.
    fn edges(&self, id: StateId) -> impl Iterator<Item = &Edge> {
        self.node(id).edges.iter().filter(|edge| edge.role == self.peer)
    }

    /// Steps that this role takes without the other one: it hears from the network or the clock, or sends to the network.
    fn silent(&self, id: StateId) -> impl Iterator<Item = StateId> {
        self.node(id).edges.iter().filter(|edge| edge.role != self.peer).map(|edge| edge.next)
    }

    /// All message types that this role sends to the other one, or awaits from it.
    fn messages(&self, kind: Kind) -> HashSet<Name> {
        let states = self.graph.states().filter(|(_, _, node)| node.kind == kind);
        states.flat_map(|(id, _, _)| self.edges(id)).flat_map(|edge| edge.messages.clone()).collect()
    }
}

#[expect(clippy::panic, reason = "a test has nobody else to tell")]
fn unreachable(id: StateId) -> &'static Node {
    panic!("{id:?} is in no graph")
}

/// The user and the system of an end.
fn server() -> [Local; 2] {
    [Local::of::<RoleServerUser, RoleServerSystem>(), Local::of::<RoleServerSystem, RoleServerUser>()]
}

fn client() -> [Local; 2] {
    [Local::of::<RoleClientUser, RoleClientSystem>(), Local::of::<RoleClientSystem, RoleClientUser>()]
}

/// Both ends.
fn ends() -> [[Local; 2]; 2] {
    [server(), client()]
}

/// The systems, each with the role at the other end of its network.
fn systems() -> [(Local, Name); 2] {
    let ([_, server], [_, client]) = (self::server(), self::client());
    [(server, Name::of::<RoleClientSystem>()), (client, Name::of::<RoleServerSystem>())]
}

/// Where both roles are, and what is under way between them, oldest first.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Config {
    states: [StateId; 2],
    /// From each role to the other one.
    queues: [VecDeque<Name>; 2],
}

impl Config {
    fn shown(&self, roles: &[Local; 2]) -> String {
        let queue = |queue: &VecDeque<Name>| queue.iter().map(Name::to_string).collect::<Vec<_>>().join(", ");
        let [user, system] = [0, 1].map(|role| roles[role].name(self.states[role]));
        format!("user {user} -[{}]-> system {system} -[{}]-> user", queue(&self.queues[0]), queue(&self.queues[1]))
    }

    /// The configurations one step on, by the step of one role.
    ///
    /// An error is a message that the role awaits another in place of.
    fn steps(&self, roles: &[Local; 2], role: usize) -> Result<Vec<Config>, Name> {
        let (local, state, other) = (&roles[role], self.states[role], 1 - role);
        let at = |next: StateId| {
            let mut config = self.clone();
            config.states[role] = next;
            config
        };
        let mut steps: Vec<_> = local.silent(state).map(at).collect();
        match local.node(state).kind {
            Kind::End => {}
            Kind::Select if self.queues[role].len() < QUEUE_MESSAGES => {
                steps.extend(
                    local.edges(state).flat_map(|edge| edge.messages.iter().map(move |message| (edge, message))).map(
                        |(edge, message)| {
                            let mut config = at(edge.next);
                            config.queues[role].push_back(*message);
                            config
                        },
                    ),
                );
            }
            Kind::Select => {}
            Kind::Offer => {
                // A role that awaits nothing of the other one here leaves the queue alone.
                if local.edges(state).next().is_none() {
                    return Ok(steps);
                }
                let queue = &self.queues[other];
                let credit = queue.iter().position(|message| *message == Name::of::<Receive>());
                for place in [queue.front().map(|_| 0), credit.filter(|place| *place > 0)].into_iter().flatten() {
                    let message = &queue[place];
                    let edge = local.edges(state).find(|edge| edge.messages.contains(message)).ok_or(*message)?;
                    let mut config = at(edge.next);
                    config.queues[other].remove(place);
                    steps.push(config);
                }
            }
        }
        Ok(steps)
    }

    fn is_over(&self, roles: &[Local; 2]) -> bool {
        [0, 1].iter().all(|&role| roles[role].node(self.states[role]).kind == Kind::End)
    }
}

/// All configurations that can be reached, each with those one step on.
fn explore(roles: &[Local; 2]) -> Vec<(Config, Vec<usize>)> {
    let root = Config { states: [Graph::ROOT; 2], queues: [VecDeque::new(), VecDeque::new()] };
    let mut ids = HashMap::from([(root.clone(), 0)]);
    let mut found = vec![(root, Vec::new())];
    let mut next = 0;
    while next < found.len() {
        let config = found[next].0.clone();
        for role in [0, 1] {
            let steps = config.steps(roles, role);
            let unexpected = steps.as_ref().err().map(Name::to_string).unwrap_or_default();
            assert!(steps.is_ok(), "{unexpected} is not awaited in {}", config.shown(roles));
            for step in steps.unwrap_or_default() {
                let id = *ids.entry(step.clone()).or_insert(found.len());
                if id == found.len() {
                    found.push((step, Vec::new()));
                }
                found[next].1.push(id);
            }
        }
        next += 1;
    }
    found
}

#[test]
fn what_one_role_sends_the_other_awaits_and_the_other_way_round() {
    for [user, system] in ends() {
        assert_eq!(user.messages(Kind::Select), system.messages(Kind::Offer));
        assert_eq!(system.messages(Kind::Select), user.messages(Kind::Offer));
    }
}

#[test]
fn no_message_between_user_and_system_meets_a_role_that_does_not_await_it() {
    for roles in ends() {
        let found = explore(&roles);
        assert!(found.len() > 100, "only {} configurations", found.len());
    }
}

#[test]
fn user_and_system_do_not_wait_for_each_other_for_ever() {
    for roles in ends() {
        for (config, steps) in explore(&roles) {
            assert!(!steps.is_empty() || config.is_over(&roles), "stuck: {}", config.shown(&roles));
            let left: usize = config.queues.iter().map(VecDeque::len).sum();
            assert!(!config.is_over(&roles) || left == 0, "never read: {}", config.shown(&roles));
        }
    }
}

#[test]
fn from_everywhere_both_can_end() {
    for roles in ends() {
        let found = explore(&roles);
        let mut can_end: Vec<_> = found.iter().map(|(config, _)| config.is_over(&roles)).collect();
        while let Some(id) = (0..found.len()).find(|&id| !can_end[id] && found[id].1.iter().any(|&step| can_end[step]))
        {
            can_end[id] = true;
        }
        let without = can_end.iter().position(|&can| !can);
        assert_eq!(without.map(|id| found[id].0.shown(&roles)), None);
    }
}

/// The offers of a system that wait for the network, each with its name.
fn network_offers(graph: &Graph, network: Name) -> Vec<(Name, &Node)> {
    let waits = |node: &&Node| node.kind == Kind::Offer && node.edges.iter().any(|edge| edge.role == network);
    graph.states().map(|(_, name, node)| (name, node)).filter(|(_, node)| waits(node)).collect()
}

#[test]
fn an_offer_that_waits_for_the_network_waits_for_the_clock_as_well() {
    // LISTEN may wait for ever: nobody has been promised anything, and nothing was sent that could be lost.
    let listen = Name::of::<ServerSystemListen>();
    for (system, network) in systems() {
        let offers = network_offers(&system.graph, network);
        assert_eq!(offers.len(), 11);
        for (name, node) in offers.into_iter().filter(|(name, _)| *name != listen) {
            assert!(node.edges.iter().any(|edge| edge.role == Name::of::<Timeout>()), "{name} may wait for ever");
        }
    }
}

#[test]
fn any_segment_finds_a_branch_in_every_state() {
    let wire = [
        Name::of::<Syn>(),
        Name::of::<SynAck>(),
        Name::of::<Ack>(),
        Name::of::<FinAck>(),
        Name::of::<Rst>(),
        Name::of::<RstAck>(),
    ];
    // Before there is a RCV.NXT nothing can be answered with an ACK.
    let unsynchronized = [Name::of::<ServerSystemListen>(), Name::of::<ClientSystemSynSent>()];
    for (system, network) in systems() {
        for (name, node) in network_offers(&system.graph, network) {
            let takes_any = |edge: &&Edge| edge.role == network && wire.iter().all(|one| edge.messages.contains(one));
            let labels: Vec<_> = node.edges.iter().filter(takes_any).map(|edge| edge.label.as_str()).collect();
            assert!(labels.contains(&"Ignored"), "{name} has {labels:?}");
            assert!(labels.contains(&"Unacceptable") || unsynchronized.contains(&name), "{name} has {labels:?}");
        }
    }
}

#[test]
fn only_segments_are_sent_to_the_network_and_a_syn_by_the_active_side_alone() {
    let of_both = [Name::of::<SynAck>(), Name::of::<Ack>(), Name::of::<FinAck>(), Name::of::<Rst>()];
    for ((system, network), of_one) in systems().into_iter().zip([None, Some(Name::of::<Syn>())]) {
        let selections = system.graph.states().filter(|(_, _, node)| node.kind == Kind::Select);
        let edges = selections.flat_map(|(_, _, node)| &node.edges).filter(|edge| edge.role == network);
        let types: HashSet<_> = edges.flat_map(|edge| edge.messages.clone()).collect();
        assert_eq!(types, of_both.into_iter().chain(of_one).collect());
    }
}

#[test]
fn the_type_of_a_message_tells_the_branches_of_a_reliable_channel_apart() {
    for local in ends().into_iter().flatten() {
        for (id, name, _) in local.graph.states() {
            let messages: Vec<_> = local.edges(id).flat_map(|edge| edge.messages.clone()).collect();
            let distinct: HashSet<_> = messages.iter().collect();
            assert_eq!(distinct.len(), messages.len(), "{name}");
        }
    }
}

#[test]
fn a_crash_of_the_user_has_a_branch_wherever_the_user_is_heard() {
    for [_, system] in ends() {
        // Before its OPEN nothing was begun that would have to be ended.
        for (id, name, node) in system.graph.states().skip(1).filter(|(_, _, node)| node.kind == Kind::Offer) {
            let hears: Vec<_> = system.edges(id).collect();
            let abort = |edge: &&Edge| edge.messages == [Name::of::<Abort>()];
            assert!(hears.is_empty() || hears.iter().any(abort), "{name}: {node:?}");
        }
    }
}

/// Two roles whose types do not fit, to see that the tests above can fail.
mod misfits {
    use super::*;

    macro_rules! role {
        ($name:ident: $($session:tt)+) => {
            enum $name {}
            impl Role for $name {}
            impl Participant for $name {
                type Session = $($session)+;
            }
        };
    }

    enum Ping {}
    enum Pong {}
    impl Message for Ping {}
    impl Message for Pong {}

    role!(Pinger: St![(Ponger + Ping).(Ponger & Pong).end]);
    role!(Ponger: St![(Pinger & Pong).(Pinger + Ping).end]);
    role!(Waiter: St![(Ponger & Ping).end]);
    role!(Ender: End);

    #[test]
    #[should_panic(expected = "Ping is not awaited in user OfferOne<Ponger, Pong, End>")]
    fn a_message_that_is_not_awaited_is_found() {
        explore(&[Local::of::<Pinger, Ponger>(), Local::of::<Ponger, Pinger>()]);
    }

    #[test]
    fn a_wait_without_end_is_found() {
        let roles = [Local::of::<Waiter, Ponger>(), Local::of::<Ender, Waiter>()];
        let found = explore(&roles);
        assert!(found[0].1.is_empty() && !found[0].0.is_over(&roles));
    }
}
