//! The parallel runner of graphs: every node once, after all that it waits for, and an end.

use counterpoint::dag::{Builder, CancelFlag, Dag, NodeIx, OnFailure, Runner, Topology};
use counterpoint_shuttle::check;
use crossbeam::model::thread::always_to_be_had;
use shuttle::rand::{Rng, thread_rng};
use shuttle::sync::Barrier;
use shuttle::thread;
use std::sync::Mutex;

/// A graph of links between numbered nodes.
fn graph(nodes: usize, links: &[(usize, usize)]) -> Dag<()> {
    let mut graph = Builder::new();
    let nodes: Vec<NodeIx> = (0..nodes).map(|node| graph.node(format!("{node}"), ())).collect();
    for &(from, to) in links {
        graph.edge(nodes[from], nodes[to]);
    }
    graph.build().unwrap()
}

/// A graph of at most eight nodes.
fn any_graph() -> Dag<()> {
    let mut random = thread_rng();
    let nodes = random.gen_range(1..=8);
    let pairs = (0..nodes).flat_map(|to| (0..to).map(move |from| (from, to)));
    let links: Vec<_> = pairs.filter(|_| random.gen_range(0..3) == 0).collect();
    graph(nodes, &links)
}

/// What ran.
#[derive(Default)]
struct Ran(Mutex<Vec<NodeIx>>);

impl Ran {
    /// Sometimes late, so that a run that ends too soon ends before.
    fn note(&self, node: NodeIx, topology: &Topology) {
        if thread_rng().gen_range(0..4) == 0 {
            thread::yield_now();
        }
        let mut ran = self.0.lock().unwrap();
        assert!(!ran.contains(&node), "a second time");
        assert!(topology.predecessors(node).iter().all(|before| ran.contains(before)), "too soon");
        ran.push(node);
    }

    fn take(&self) -> Vec<NodeIx> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

fn every_node_runs(graph: &Dag<()>, workers: usize) {
    let topology = graph.topology();
    let ran = Ran::default();
    let report = Runner::new(topology, workers).each(|node| {
        ran.note(node, topology);
        Ok::<(), ()>(())
    });
    assert!(report.is_success());
    assert_eq!(ran.take().len(), topology.nodes().count());
}

#[test]
fn all_of_a_wide_graph() {
    let links: Vec<_> = (1..6).flat_map(|node| [(0, node), (node, 6)]).collect();
    check(move || every_node_runs(&graph(7, &links), 3));
}

#[test]
fn all_of_any_graph() {
    check(|| every_node_runs(&any_graph(), thread_rng().gen_range(1..=4)));
}

#[test]
fn a_crew_runs_again_and_again() {
    check(|| {
        let graph = any_graph();
        let topology = graph.topology();
        let ran = Ran::default();
        let note = |node| {
            ran.note(node, topology);
            Ok::<(), ()>(())
        };
        Runner::new(topology, 3).crew(note, |crew| {
            for _ in 0..3 {
                assert!(crew.each().is_success());
                assert_eq!(ran.take().len(), topology.nodes().count());
            }
        });
    });
}

/// What does not depend on the failure runs; what does is skipped; the next run of the same runner is whole.
#[test]
fn a_failure_stops_what_depends_on_it() {
    check(|| {
        let graph = any_graph();
        let topology = graph.topology();
        let nodes: Vec<NodeIx> = topology.nodes().collect();
        let bad = nodes[thread_rng().gen_range(0..nodes.len())];
        let ran = Ran::default();
        let mut runner = Runner::new(topology, 3);
        let report = runner.each(|node| {
            ran.note(node, topology);
            if node == bad { Err(()) } else { Ok(()) }
        });
        assert_eq!(report.failed.iter().map(|failed| failed.0).collect::<Vec<_>>(), [bad]);
        assert_eq!(ran.take().len() + report.skipped.len(), nodes.len());
        assert!(report.cancelled.is_empty());
        let again = runner.each(|node| {
            ran.note(node, topology);
            Ok::<(), ()>(())
        });
        assert!(again.is_success());
        assert_eq!(ran.take().len(), nodes.len());
    });
}

/// Every node has run, is skipped, or is cancelled; the next run is whole.
#[test]
fn a_run_that_is_stopped_accounts_for_every_node() {
    check(|| {
        let graph = any_graph();
        let topology = graph.topology();
        let nodes: Vec<NodeIx> = topology.nodes().collect();
        let (bad, last) =
            (nodes[thread_rng().gen_range(0..nodes.len())], nodes[thread_rng().gen_range(0..nodes.len())]);
        let cancel = CancelFlag::new();
        let ran = Ran::default();
        let mut runner = Runner::new(topology, 3).on_failure(OnFailure::Stop).cancelled_by(&cancel);
        let report = runner.each(|node| {
            ran.note(node, topology);
            if node == last {
                cancel.cancel();
            }
            if node == bad { Err(()) } else { Ok(()) }
        });
        assert_eq!(ran.take().len() + report.skipped.len() + report.cancelled.len(), nodes.len());
        cancel.clear();
        let again = runner.each(|node| {
            ran.note(node, topology);
            Ok::<(), ()>(())
        });
        assert!(again.is_success());
    });
}

/// Those that can go on only together are begun together, in every run, as long as there are threads for all.
fn all_meet(graph: &Dag<()>, workers: usize, together: &'static [usize]) {
    let topology = graph.topology();
    let nodes: Vec<NodeIx> = topology.nodes().collect();
    let meeting = Barrier::new(together.len());
    let meet = |node| {
        if together.iter().any(|one| nodes[*one] == node) {
            meeting.wait();
        }
        Ok::<(), ()>(())
    };
    Runner::new(topology, workers).crew(meet, |crew| {
        for _ in 0..2 {
            assert!(crew.each().is_success());
        }
    });
}

#[test]
fn work_does_not_wait_while_a_worker_does() {
    always_to_be_had(true);
    // One worker has just become free when the other finds work for both; and when it finds work for three, which is not one
    // span as what is between is not ready.
    check(|| all_meet(&graph(5, &[(0, 1), (0, 2), (1, 3), (1, 4)]), 2, &[3, 4]));
    let apart = [(0, 1), (0, 2), (1, 3), (1, 4), (1, 5), (1, 6), (1, 7), (3, 8), (8, 4), (8, 6)];
    check(move || all_meet(&graph(9, &apart), 3, &[3, 5, 7]));
    always_to_be_had(false);
}
