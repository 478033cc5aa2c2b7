//! What it costs to run a graph, per node, once the graph is built.
//!
//! A node does next to nothing (one opaque addition, one relaxed store into a place of its own), so all that is measured is
//! the running. Two workers where there are workers. Every row runs the same graph again and again; starting and ending
//! threads is inside the measurement for the rows that do it in each run (all of ours but the crew; rayon keeps its pool).
//!
//! The numbers that criterion prints are time *per node*, not per run.
//!
//! `cargo bench -p benches --bench dag`
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a bench that goes wrong is to stop")]

use std::{
    hint::black_box,
    sync::{
        Mutex, OnceLock,
        atomic::{
            AtomicU32, AtomicU64,
            Ordering::{AcqRel, Relaxed},
        },
    },
    thread,
    time::Duration,
};

use counterpoint::dag::{Builder, Dag, NodeIx, Readiness, Runner};
use criterion::{
    BenchmarkGroup, Criterion, criterion_group, criterion_main,
    measurement::{Measurement, WallTime},
};
use petgraph::{
    Direction,
    graph::{DiGraph, NodeIndex},
};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

const WORKERS: usize = 2;
const BATCH: usize = 32;

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .without_plots();
    targets = all_shapes
}
criterion_main!(benches);

fn all_shapes(criterion: &mut Criterion) {
    let shapes =
        [("chain", chain(10_000)), ("fan", fan(10_000)), ("layered", layered(100, 100)), ("tree", tree(1 << 14))];
    let pool = rayon::ThreadPoolBuilder::new().num_threads(WORKERS).build().unwrap();
    for (name, graph) in &shapes {
        let mut group = criterion.benchmark_group(*name);
        let slots = Slots::new(graph.len());
        ours(&mut group, graph, &slots);
        by_petgraph(&mut group, graph, &slots);
        by_rayon(&mut group, graph, &slots, &pool);
        group.finish();
    }
}

fn ours(group: &mut BenchmarkGroup<'_, WallTime>, graph: &Dag<()>, slots: &Slots) {
    let mut runner = Runner::new(graph.topology(), WORKERS);
    let touch = |node: NodeIx| {
        slots.touch(node.index());
        Ok::<(), ()>(())
    };
    row(group, "runner, each, 2t", graph, || {
        assert!(runner.each(touch).is_success());
    });
    runner.crew(touch, |crew| {
        row(group, "runner, crew, 2t", graph, || assert!(crew.each().is_success()));
    });
    row(group, "runner, with outputs, 2t", graph, || {
        let outcomes = runner.run(|node, inputs| {
            slots.touch(node.index());
            Ok::<u64, ()>(inputs.values().copied().fold(0, u64::wrapping_add))
        });
        assert!(outcomes.is_success());
    });
    let mut readiness = Readiness::new(graph.topology());
    let mut batch = Vec::with_capacity(BATCH);
    row(group, "readiness, batches, 1t", graph, || {
        readiness.reset();
        while readiness.next_batch(&mut batch, BATCH) > 0 {
            for node in &batch {
                slots.touch(node.index());
            }
            readiness.complete_batch(&batch).unwrap();
            batch.clear();
        }
        assert!(readiness.is_success());
    });
    let locked = Mutex::new(Readiness::new(graph.topology()));
    row(group, "readiness behind a lock, 2t", graph, || {
        locked.lock().unwrap().reset();
        thread::scope(|scope| {
            scope.spawn(|| drain(&locked, slots));
            drain(&locked, slots);
        });
    });
}

/// The other design for a runner: one lock, whole batches in and out.
fn drain(readiness: &Mutex<Readiness>, slots: &Slots) {
    let mut batch = Vec::with_capacity(BATCH);
    loop {
        let mut state = readiness.lock().unwrap();
        state.complete_batch(&batch).unwrap();
        batch.clear();
        let taken = state.next_batch(&mut batch, BATCH);
        let over = state.is_finished();
        drop(state);
        if over {
            return;
        }
        if taken == 0 {
            thread::yield_now();
        }
        for node in &batch {
            slots.touch(node.index());
        }
    }
}

fn by_petgraph(group: &mut BenchmarkGroup<'_, WallTime>, graph: &Dag<()>, slots: &Slots) {
    let twin = twin(graph);
    row(group, "petgraph toposort, 1t", graph, || {
        for node in petgraph::algo::toposort(&twin, None).unwrap() {
            slots.touch(node.index());
        }
    });
    let indegrees = indegrees(graph);
    let roots: Vec<NodeIndex> = twin.externals(Direction::Incoming).collect();
    let (mut missing, mut ready) = (Vec::new(), Vec::new());
    row(group, "petgraph kahn, 1t", graph, || {
        missing.clone_from(&indegrees);
        ready.clone_from(&roots);
        while let Some(node) = ready.pop() {
            slots.touch(node.index());
            for next in twin.neighbors(node) {
                missing[next.index()] -= 1;
                if missing[next.index()] == 0 {
                    ready.push(next);
                }
            }
        }
    });
}

fn twin(graph: &Dag<()>) -> DiGraph<(), ()> {
    let mut twin = DiGraph::new();
    for _ in graph.topology().nodes() {
        twin.add_node(());
    }
    for from in graph.topology().nodes() {
        for to in graph.topology().successors(from) {
            twin.add_edge(NodeIndex::new(from.index()), NodeIndex::new(to.index()), ());
        }
    }
    twin
}

fn by_rayon(group: &mut BenchmarkGroup<'_, WallTime>, graph: &Dag<()>, slots: &Slots, pool: &rayon::ThreadPool) {
    let rayon = ByRayon::new(graph);
    row(group, "rayon by hand, 2t", graph, || {
        rayon.run(pool, &|node| slots.touch(node as usize));
    });
    row(group, "rayon by hand, with outputs, 2t", graph, || {
        let values: Vec<OnceLock<u64>> = graph.topology().nodes().map(|_| OnceLock::new()).collect();
        rayon.run(pool, &|node| {
            slots.touch(node as usize);
            let inputs = graph.topology().predecessors(NodeIx::new(node)).iter();
            let sum = inputs.map(|p| *values[p.index()].get().unwrap()).fold(0, u64::wrapping_add);
            values[node as usize].set(sum).unwrap();
        });
        let outputs: Vec<u64> = values.into_iter().map(|value| value.into_inner().unwrap()).collect();
        black_box(outputs);
    });
}

/// What one would write on rayon: a count per node, a task per ready node, the first one inline.
struct ByRayon {
    successors: Vec<Vec<u32>>,
    indegrees: Vec<u32>,
    missing: Vec<AtomicU32>,
}

impl ByRayon {
    fn new(graph: &Dag<()>) -> Self {
        let topology = graph.topology();
        let ids = |nodes: &[NodeIx]| nodes.iter().map(|node| node.get()).collect();
        let indegrees = indegrees(graph);
        Self {
            successors: topology.nodes().map(|node| ids(topology.successors(node))).collect(),
            missing: indegrees.iter().map(|&count| AtomicU32::new(count)).collect(),
            indegrees,
        }
    }

    fn run<F: Fn(u32) + Sync>(&self, pool: &rayon::ThreadPool, body: &F) {
        for (missing, &count) in self.missing.iter().zip(&self.indegrees) {
            missing.store(count, Relaxed);
        }
        pool.scope(|scope| {
            for (node, _) in (0..).zip(&self.indegrees).filter(|(_, count)| **count == 0) {
                scope.spawn(move |scope| self.visit(node, body, scope));
            }
        });
    }

    fn visit<'s, F: Fn(u32) + Sync>(&'s self, mut node: u32, body: &'s F, scope: &rayon::Scope<'s>) {
        loop {
            body(node);
            let mut inline = None;
            for &next in &self.successors[node as usize] {
                if self.missing[next as usize].fetch_sub(1, AcqRel) == 1 {
                    match inline {
                        None => inline = Some(next),
                        Some(_) => scope.spawn(move |scope| self.visit(next, body, scope)),
                    }
                }
            }
            let Some(next) = inline else { return };
            node = next;
        }
    }
}

fn indegrees(graph: &Dag<()>) -> Vec<u32> {
    let topology = graph.topology();
    let count = |node| u32::try_from(topology.predecessors(node).len());
    topology.nodes().map(|node| count(node).unwrap()).collect()
}

/// Where the nodes leave their mark.
struct Slots(Vec<AtomicU64>);

impl Slots {
    fn new(nodes: usize) -> Self {
        Self((0..nodes).map(|_| AtomicU64::new(0)).collect())
    }

    #[inline]
    fn touch(&self, node: usize) {
        if let Some(slot) = self.0.get(node) {
            slot.store(black_box(node as u64) + 1, Relaxed);
        }
    }
}

/// Measures runs, and tells criterion the time per node: it believes that an iteration is a node.
fn row(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, graph: &Dag<()>, mut run: impl FnMut()) {
    let nodes = graph.len() as u64;
    group.bench_function(name, |bencher| {
        bencher.iter_custom(|iterations| {
            let runs = iterations.div_ceil(nodes);
            let clock = WallTime;
            let start = clock.start();
            for _ in 0..runs {
                run();
            }
            clock.end(start).mul_f64(iterations as f64 / (runs * nodes) as f64)
        });
    });
}

fn chain(nodes: u32) -> Dag<()> {
    let mut graph = nodes_of(nodes);
    for node in 1..nodes {
        graph.edge(NodeIx::new(node - 1), NodeIx::new(node));
    }
    graph.build().unwrap()
}

fn fan(width: u32) -> Dag<()> {
    let mut graph = nodes_of(width + 2);
    for node in 1..=width {
        graph.edge(NodeIx::new(0), NodeIx::new(node));
        graph.edge(NodeIx::new(node), NodeIx::new(width + 1));
    }
    graph.build().unwrap()
}

/// Each node waits for three others of the layer before, drawn at random.
fn layered(layers: u32, width: u32) -> Dag<()> {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(7);
    let mut graph = nodes_of(layers * width);
    for node in width..layers * width {
        let mut parents = Vec::new();
        while parents.len() < 3 {
            let parent = (node / width - 1) * width + random.random_range(0..width);
            if !parents.contains(&parent) {
                parents.push(parent);
            }
        }
        for parent in parents {
            graph.edge(NodeIx::new(parent), NodeIx::new(node));
        }
    }
    graph.build().unwrap()
}

/// A binary reduction: leaves first, then each level above.
fn tree(leaves: u32) -> Dag<()> {
    let mut graph = nodes_of(2 * leaves - 1);
    let (mut level, mut width) = (0, leaves);
    while width > 1 {
        for node in 0..width {
            graph.edge(NodeIx::new(level + node), NodeIx::new(level + width + node / 2));
        }
        level += width;
        width /= 2;
    }
    graph.build().unwrap()
}

fn nodes_of(count: u32) -> Builder<()> {
    let mut graph = Builder::new();
    for node in 0..count {
        graph.node(node.to_string(), ());
    }
    graph
}
