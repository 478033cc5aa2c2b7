//! Graphs: what holds for every graph, checked on random ones against naive computations.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "the helpers of tests are tests")]

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use counterpoint::dag::{BuildError, Builder, Dag, NodeIx, NodeState, Readiness, Refused, Topology};
use proptest::prelude::*;

/// Edges as pairs of numbers, with no promise at all.
pub(crate) type Edges = BTreeSet<(u32, u32)>;

/// A number of nodes and edges that only lead from smaller to larger, then renamed by a permutation so that the order of
/// declaration says nothing.
pub(crate) fn acyclic() -> impl Strategy<Value = (u32, Edges)> {
    (1_u32..40)
        .prop_flat_map(|nodes| {
            let edges = prop::collection::btree_set((0..nodes, 0..nodes), 0..80);
            let names = Just((0..nodes).collect::<Vec<_>>()).prop_shuffle();
            (Just(nodes), edges, names)
        })
        .prop_map(|(nodes, edges, names)| {
            let upward = edges.into_iter().filter(|(a, b)| a < b);
            let renamed = upward.map(|(a, b)| (names[a as usize], names[b as usize]));
            (nodes, renamed.collect())
        })
}

fn anything() -> impl Strategy<Value = (u32, Edges)> {
    (1_u32..12).prop_flat_map(|nodes| {
        let edges = prop::collection::btree_set((0..nodes, 0..nodes), 0..30);
        (Just(nodes), edges)
    })
}

pub(crate) fn build(nodes: u32, edges: &Edges) -> Result<Dag<u32>, BuildError> {
    let mut graph = Builder::new();
    for node in 0..nodes {
        graph.node(format!("node {node}"), node);
    }
    for &(from, to) in edges {
        graph.edge(NodeIx::new(from), NodeIx::new(to));
    }
    graph.build()
}

/// All pairs with a path between them, by repeated squaring of nothing cleverer than a set.
fn reachable(nodes: u32, edges: &Edges) -> BTreeSet<(u32, u32)> {
    let mut paths: BTreeSet<_> = edges.clone();
    for middle in 0..nodes {
        let into: Vec<u32> = (0..nodes).filter(|&a| paths.contains(&(a, middle))).collect();
        let out: Vec<u32> = (0..nodes).filter(|&b| paths.contains(&(middle, b))).collect();
        paths.extend(into.iter().flat_map(|&a| out.iter().map(move |&b| (a, b))));
    }
    paths
}

pub(crate) fn numbers(nodes: &[NodeIx]) -> BTreeSet<u32> {
    nodes.iter().map(|node| node.get()).collect()
}

proptest! {
    #![proptest_config(crate::property(192))]

    #[test]
    fn an_order_puts_everything_after_what_it_depends_on((nodes, edges) in acyclic()) {
        let graph = build(nodes, &edges).unwrap();
        let order = graph.topology().order();
        let place: BTreeMap<_, _> = order.iter().zip(0..).collect();
        prop_assert_eq!(place.len(), nodes as usize);
        for &(from, to) in &edges {
            prop_assert!(place[&NodeIx::new(from)] < place[&NodeIx::new(to)]);
        }
        let by_level: Vec<NodeIx> = graph.topology().levels().flatten().copied().collect();
        prop_assert_eq!(by_level, order);
        for &node in order {
            let deepest = graph.topology().predecessors(node).iter().map(|&p| graph.topology().level(p).unwrap() + 1);
            prop_assert_eq!(graph.topology().level(node).unwrap(), deepest.max().unwrap_or(0));
        }
    }

    #[test]
    fn a_graph_is_refused_exactly_for_its_faults((nodes, edges) in anything()) {
        let paths = reachable(nodes, &edges);
        let on_cycle: Vec<u32> = (0..nodes).filter(|&n| paths.contains(&(n, n))).collect();
        match build(nodes, &edges) {
            Ok(_) => prop_assert!(on_cycle.is_empty()),
            Err(BuildError::SelfEdge { .. }) => prop_assert!(edges.iter().any(|(a, b)| a == b)),
            Err(BuildError::Cycle(cycle)) => {
                let ring: Vec<u32> = cycle.nodes().iter().map(|node| node.get()).collect();
                prop_assert!(ring.len() > 1);
                prop_assert_eq!(numbers(cycle.nodes()).len(), ring.len());
                for (from, to) in ring.iter().zip(ring.iter().cycle().skip(1)) {
                    prop_assert!(edges.contains(&(*from, *to)), "{} -> {} is no edge", from, to);
                }
                prop_assert_eq!(ring[0], on_cycle[0]);
                prop_assert_eq!(&cycle.names()[0], &format!("node {}", ring[0]));
            }
            Err(other) => prop_assert!(false, "{other}"),
        }
    }

    #[test]
    fn reachability_is_the_transitive_closure((nodes, edges) in acyclic()) {
        let graph = build(nodes, &edges).unwrap();
        let topology = graph.topology();
        let paths = reachable(nodes, &edges);
        for from in 0..nodes {
            let node = NodeIx::new(from);
            let below = topology.descendants(&[node]);
            let above = topology.ancestors(&[node]);
            prop_assert_eq!(numbers(&below), (0..nodes).filter(|&to| paths.contains(&(from, to))).collect());
            prop_assert_eq!(numbers(&above), (0..nodes).filter(|&to| paths.contains(&(to, from))).collect());
            prop_assert!(below.is_sorted_by_key(|&n| (topology.level(n), n)));
            for to in 0..nodes {
                prop_assert_eq!(topology.reaches(node, NodeIx::new(to)), paths.contains(&(from, to)));
            }
        }
    }

    #[test]
    fn turning_round_turns_every_edge((nodes, edges) in acyclic()) {
        let graph = build(nodes, &edges).unwrap();
        let turned = graph.topology().reversed();
        for node in turned.nodes() {
            prop_assert_eq!(turned.successors(node), graph.topology().predecessors(node));
            prop_assert_eq!(turned.predecessors(node), graph.topology().successors(node));
        }
        prop_assert_eq!(turned.roots(), graph.topology().leaves());
        prop_assert_eq!(&*turned.reversed(), &**graph.topology());
    }

    #[test]
    fn the_critical_path_is_the_longest((nodes, edges) in acyclic(), weights in prop::collection::vec(0_u64..9, 40)) {
        let graph = build(nodes, &edges).unwrap();
        let weight = |node: NodeIx| weights[node.index()];
        let critical = graph.topology().critical_path(weight);
        let longest = graph.topology().nodes().map(|n| longest_from(graph.topology(), n, &weights)).max().unwrap();
        prop_assert_eq!(critical.length(), longest);
        prop_assert_eq!(critical.path().iter().map(|&n| weight(n)).sum::<u64>(), longest);
        for pair in critical.path().windows(2) {
            prop_assert!(edges.contains(&(pair[0].get(), pair[1].get())));
        }
        for node in graph.topology().nodes() {
            prop_assert_eq!(critical.remaining(node), longest_from(graph.topology(), node, &weights));
            // Slack is exactly what a node may take longer.
            let slack = critical.slack(node);
            let late = |extra| graph.topology().critical_path(|n| weight(n) + if n == node { extra } else { 0 }).length();
            prop_assert_eq!(late(slack), longest);
            prop_assert_eq!(late(slack + 1), longest + 1);
        }
    }

    #[test]
    fn readiness_agrees_with_counting_afresh(
        (nodes, edges) in acyclic(),
        moves in prop::collection::vec((0_u8..8, 0_usize..6, any::<prop::sample::Index>()), 0..120),
        tiers in prop::option::of(prop::collection::vec(0_u8..4, 40)),
    ) {
        let graph = build(nodes, &edges).unwrap();
        let mut run = match &tiers {
            Some(tiers) => Readiness::with_tiers(graph.topology(), |node| tiers[node.index()]),
            None => Readiness::new(graph.topology()),
        };
        for _ in 0..2 {
            let mut naive = Naive::new(graph.topology());
            for (kind, size, pick) in &moves {
                naive.step(&mut run, *kind, *size, pick)?;
            }
            naive.finish(&mut run)?;
            run.reset();
        }
    }
}

/// The weights on the longest path that starts at a node, by trying all.
fn longest_from(topology: &Topology, node: NodeIx, weights: &[u64]) -> u64 {
    let after = topology.successors(node).iter().map(|&next| longest_from(topology, next, weights));
    weights[node.index()] + after.max().unwrap_or(0)
}

/// The state of each node, with readiness computed from the states of all it depends on, every time.
struct Naive {
    topology: Arc<Topology>,
    states: Vec<NodeState>,
}

impl Naive {
    fn new(topology: &Arc<Topology>) -> Self {
        Self { topology: Arc::clone(topology), states: vec![NodeState::Waiting; topology.len()] }
    }

    fn state(&self, node: NodeIx) -> NodeState {
        let done = |p: &NodeIx| self.states[p.index()] == NodeState::Done;
        let state = self.states[node.index()];
        let ready = state == NodeState::Waiting && self.topology.predecessors(node).iter().all(done);
        if ready { NodeState::Ready } else { state }
    }

    fn all(&self, state: NodeState) -> Vec<NodeIx> {
        self.topology.nodes().filter(|&node| self.state(node) == state).collect()
    }

    fn step(
        &mut self,
        run: &mut Readiness,
        kind: u8,
        size: usize,
        pick: &prop::sample::Index,
    ) -> Result<(), TestCaseError> {
        let running = self.all(NodeState::Running);
        match kind {
            0..=2 => self.take(run, size)?,
            3 if !running.is_empty() => self.fail(run, running[pick.index(running.len())])?,
            4 => self.refuse(run, NodeIx::new(u32::try_from(pick.index(self.states.len() + 1)).unwrap()))?,
            5 if !running.is_empty() => {
                let node = running[pick.index(running.len())];
                run.give_back(&[node]).unwrap();
                self.states[node.index()] = NodeState::Waiting;
            }
            _ => self.complete(run, &running[..size.min(running.len())])?,
        }
        self.agree(run)
    }

    fn take(&mut self, run: &mut Readiness, max: usize) -> Result<(), TestCaseError> {
        let mut batch = Vec::new();
        let taken = run.next_batch(&mut batch, max);
        prop_assert_eq!(taken, batch.len());
        prop_assert_eq!(taken, max.min(self.all(NodeState::Ready).len()));
        for node in batch {
            prop_assert_eq!(self.state(node), NodeState::Ready);
            self.states[node.index()] = NodeState::Running;
        }
        Ok(())
    }

    fn complete(&mut self, run: &mut Readiness, nodes: &[NodeIx]) -> Result<(), TestCaseError> {
        let before = self.all(NodeState::Ready).len();
        let freed = run.complete_batch(nodes).unwrap();
        for node in nodes {
            self.states[node.index()] = NodeState::Done;
        }
        prop_assert_eq!(self.all(NodeState::Ready).len(), before + freed);
        Ok(())
    }

    fn fail(&mut self, run: &mut Readiness, node: NodeIx) -> Result<(), TestCaseError> {
        let mut skipped = Vec::new();
        run.fail(node, &mut skipped).unwrap();
        self.states[node.index()] = NodeState::Failed;
        let lost = self.topology.descendants(&[node]);
        let newly: Vec<_> = lost.into_iter().filter(|n| self.states[n.index()] == NodeState::Waiting).collect();
        prop_assert_eq!(numbers(&skipped), numbers(&newly));
        prop_assert_eq!(skipped.len(), newly.len());
        for node in newly {
            self.states[node.index()] = NodeState::Skipped;
        }
        Ok(())
    }

    /// A wrong report is refused whole, whatever else is in the batch.
    fn refuse(&self, run: &mut Readiness, node: NodeIx) -> Result<(), TestCaseError> {
        let mut batch = self.all(NodeState::Running);
        let expected = match self.topology.contains(node).then(|| self.state(node)) {
            None => Refused::UnknownNode(node),
            Some(NodeState::Done | NodeState::Failed) => Refused::AlreadyEnded(node),
            Some(NodeState::Running) => Refused::AlreadyEnded(node), // stands twice
            _ => Refused::NotRunning(node),
        };
        batch.push(node);
        prop_assert_eq!(run.complete_batch(&batch), Err(expected));
        prop_assert_eq!(run.give_back(&batch), Err(expected));
        Ok(())
    }

    fn agree(&self, run: &Readiness) -> Result<(), TestCaseError> {
        for node in self.topology.nodes() {
            prop_assert_eq!(run.state(node), Some(self.state(node)));
        }
        let count = |state| self.all(state).len();
        prop_assert_eq!(run.ready(), count(NodeState::Ready));
        prop_assert_eq!(run.running(), count(NodeState::Running));
        prop_assert_eq!(run.done(), count(NodeState::Done));
        prop_assert_eq!(run.failed(), count(NodeState::Failed));
        prop_assert_eq!(run.skipped(), count(NodeState::Skipped));
        Ok(())
    }

    fn finish(&mut self, run: &mut Readiness) -> Result<(), TestCaseError> {
        while !run.is_finished() {
            prop_assert!(run.ready() + run.running() > 0, "stuck: {run:?}");
            self.complete(run, &self.all(NodeState::Running))?;
            self.take(run, 3)?;
        }
        self.agree(run)
    }
}

#[test]
fn first_in_first_out_and_tiers_decide_the_order() {
    let graph = build(6, &[(0, 3), (0, 4), (1, 5)].into()).unwrap();
    let leave = |mut run: Readiness| {
        let (mut order, mut batch) = (Vec::new(), Vec::new());
        while run.next_batch(&mut batch, 1) > 0 {
            order.extend(batch.iter().map(|node| node.get()));
            run.complete_batch(&batch).unwrap();
            batch.clear();
        }
        order
    };
    assert_eq!(leave(Readiness::new(graph.topology())), [0, 1, 2, 3, 4, 5]);
    let tiers = [9, 200, 0, 5, 5, 1];
    let tiered = Readiness::with_tiers(graph.topology(), |node| tiers[node.index()]);
    assert_eq!(leave(tiered), [2, 0, 3, 4, 1, 5]);
}

#[test]
fn every_fault_of_a_declaration_has_its_name() {
    let node = |name: &str, g: &mut Builder<()>| _ = g.node(name, ());
    let refused = |declare: &dyn Fn(&mut Builder<()>)| {
        let mut graph = Builder::new();
        node("a", &mut graph);
        node("b", &mut graph);
        declare(&mut graph);
        graph.build().unwrap_err().to_string()
    };
    let edges =
        |edges: &[(&str, &str)]| refused(&|graph| edges.iter().for_each(|&(from, to)| _ = graph.edge(from, to)));
    assert_eq!(refused(&|graph| node("a", graph)), "two nodes have the name a");
    assert_eq!(refused(&|graph| _ = graph.edge("a", NodeIx::new(7))), "unknown node n7");
    assert_eq!(edges(&[("a", "c")]), "unknown node c");
    assert_eq!(edges(&[("a", "a")]), "node a depends on itself");
    assert_eq!(edges(&[("a", "b"), ("a", "b")]), "the edge a -> b is declared twice");
    assert_eq!(edges(&[("b", "a"), ("a", "b")]), "the graph has a cycle: a -> b -> a");
}

#[test]
fn limits_hold() {
    use counterpoint::dag::Limits;

    let mut graph = Builder::with_limits(Limits::default().edges(1));
    graph.node("a", ());
    graph.node("b", ());
    graph.edge("a", "b").edge("b", "a");
    assert_eq!(graph.build().unwrap_err(), BuildError::TooManyEdges { limit: 1 });
}

#[test]
fn a_cycle_as_long_as_the_graph_is_found_and_its_message_is_short() {
    let nodes = 200_000;
    let ring: Edges = (0..nodes).map(|n| (n, (n + 1) % nodes)).collect();
    let Err(error @ BuildError::Cycle(_)) = build(nodes, &ring) else { panic!("not a cycle") };
    assert!(error.to_string().ends_with("-> (199988 more) -> node 0"), "{error}");
}

#[test]
fn a_long_chain_overflows_no_stack_and_weights_stop_at_the_top() {
    let nodes = 200_000;
    let graph = build(nodes, &(1..nodes).map(|n| (n - 1, n)).collect()).unwrap();
    let (first, last) = (NodeIx::new(0), NodeIx::new(nodes - 1));
    assert!(graph.topology().reaches(first, last));
    assert_eq!(graph.topology().descendants(&[first]).len(), graph.len() - 1);
    let critical = graph.topology().critical_path(|_| u64::MAX / 2);
    assert_eq!((critical.length(), critical.path().len()), (u64::MAX, graph.len()));
    let mut run = Readiness::new(graph.topology());
    let (mut batch, mut skipped) = (Vec::new(), Vec::new());
    run.next_batch(&mut batch, 1);
    run.fail(first, &mut skipped).unwrap();
    assert_eq!(skipped.len(), graph.len() - 1);
}

#[test]
fn a_handle_of_another_graph_is_answered_with_nothing() {
    let graph = build(2, &[(0, 1)].into()).unwrap();
    for stranger in [NodeIx::new(2), NodeIx::new(3), NodeIx::new(u32::MAX)] {
        assert!(graph.topology().successors(stranger).is_empty() && graph.topology().predecessors(stranger).is_empty());
        assert!(graph.topology().descendants(&[stranger]).is_empty() && graph.topology().level(stranger).is_none());
        assert!(graph.name(stranger).is_none() && graph.get(stranger).is_none());
    }
    let empty = build(0, &Edges::new()).unwrap();
    assert!(Readiness::new(empty.topology()).is_success());
    assert_eq!(empty.topology().levels().len(), 0);
}
