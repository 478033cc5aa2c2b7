//! The parallel runner: every node once, after all it depends on, whatever fails, on any number of workers.

use std::{
    collections::BTreeSet,
    sync::{
        Barrier, Condvar, Mutex, Once,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
};

use counterpoint::dag::{CancelFlag, Failure, NodeIx, OnFailure, Outcome, Runner};
use proptest::prelude::*;

use crate::dag::{Edges, acyclic, build, numbers};

/// What the closure of a node is to do.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fate {
    Succeed,
    Fail,
    Panic,
}

fn fates() -> impl Strategy<Value = Vec<Fate>> {
    let fate = prop_oneof![12 => Just(Fate::Succeed), 1 => Just(Fate::Fail), 1 => Just(Fate::Panic)];
    prop::collection::vec(fate, 40)
}

/// Panics that are meant must not fill the output of the tests.
fn quiet_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let loud = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if info.payload().downcast_ref::<String>().is_none_or(|text| !text.starts_with("meant")) {
                loud(info);
            }
        }));
    });
}

proptest! {
    #![proptest_config(crate::property(128))]

    #[test]
    fn each_node_runs_once_after_all_it_depends_on((nodes, edges) in acyclic(), workers in 1_usize..5) {
        let graph = build(nodes, &edges).unwrap();
        let mut runner = Runner::new(graph.topology(), workers);
        for _ in 0..3 {
            let runs: Vec<AtomicU32> = (0..nodes).map(|_| AtomicU32::new(0)).collect();
            let report = runner.each(|node| {
                for before in graph.topology().predecessors(node) {
                    assert_eq!(runs[before.index()].load(SeqCst), 1);
                }
                runs[node.index()].fetch_add(1, SeqCst);
                Ok::<(), ()>(())
            });
            prop_assert!(report.is_success(), "{report:?}");
            prop_assert!(runs.iter().all(|count| count.load(SeqCst) == 1));
        }
    }

    #[test]
    fn outputs_reach_exactly_what_depends_on_them((nodes, edges) in acyclic(), workers in 1_usize..4) {
        let graph = build(nodes, &edges).unwrap();
        let mut runner = Runner::new(graph.topology(), workers);
        let outcomes = runner.run(|node, inputs| {
            assert_eq!(inputs.len(), graph.topology().predecessors(node).len());
            let below = inputs.iter().map(|(_, set): (_, &BTreeSet<u32>)| set.clone());
            let mut set: BTreeSet<u32> = below.flatten().collect();
            set.insert(node.get());
            Ok::<_, ()>(set)
        });
        for node in graph.topology().nodes() {
            let mut expected = numbers(&graph.topology().ancestors(&[node]));
            expected.insert(node.get());
            prop_assert_eq!(outcomes.value(node), Some(&expected));
        }
    }

    #[test]
    fn a_failure_skips_its_descendants_and_nothing_else(
        (nodes, edges) in acyclic(), fates in fates(), workers in 1_usize..4,
    ) {
        quiet_panics();
        let graph = build(nodes, &edges).unwrap();
        let mut runner = Runner::new(graph.topology(), workers);
        for _ in 0..2 {
            let outcomes = runner.run(|node, _| match fates[node.index()] {
                Fate::Succeed => Ok(node),
                Fate::Fail => Err(node),
                Fate::Panic => panic!("meant {node}"),
            });
            for node in graph.topology().nodes() {
                let fatal = |n: &NodeIx| fates[n.index()] != Fate::Succeed;
                // The first declared of the failed ancestors that ran, which are those without a failed ancestor.
                let above = graph.topology().ancestors(&[node]);
                let ran = |n: &NodeIx| !graph.topology().ancestors(&[*n]).iter().any(fatal);
                let cause = above.iter().copied().filter(|n| fatal(n) && ran(n)).min();
                let expected = match (cause, fates[node.index()]) {
                    (Some(cause), _) => Outcome::Skipped { cause },
                    (None, Fate::Succeed) => Outcome::Done(node),
                    (None, Fate::Fail) => Outcome::Failed(Failure::Error(node)),
                    (None, Fate::Panic) => Outcome::Failed(Failure::Panicked(format!("meant {node}"))),
                };
                prop_assert_eq!(outcomes.get(node), Some(&expected));
            }
        }
        // And a run without failures on the same runner is whole again.
        prop_assert!(runner.each(|_| Ok::<(), ()>(())).is_success());
    }

    #[test]
    fn stopping_accounts_for_every_node((nodes, edges) in acyclic(), fates in fates(), workers in 1_usize..4) {
        quiet_panics();
        let graph = build(nodes, &edges).unwrap();
        let ran = Mutex::new(BTreeSet::new());
        let mut runner = Runner::new(graph.topology(), workers).on_failure(OnFailure::Stop);
        let report = runner.each(|node| {
            ran.lock().unwrap().insert(node);
            if fates[node.index()] == Fate::Succeed { Ok(()) } else { Err(()) }
        });
        let ran = ran.into_inner().unwrap();
        let failed: BTreeSet<_> = report.failed.iter().map(|(node, _)| *node).collect();
        let skipped: BTreeSet<_> = report.skipped.iter().map(|(node, _)| *node).collect();
        let cancelled: BTreeSet<_> = report.cancelled.iter().copied().collect();
        prop_assert_eq!(ran.len() + skipped.len() + cancelled.len(), nodes as usize);
        prop_assert!(ran.is_disjoint(&skipped) && ran.is_disjoint(&cancelled) && skipped.is_disjoint(&cancelled));
        prop_assert!(failed.iter().all(|n| ran.contains(n) && fates[n.index()] != Fate::Succeed));
        let roots: Vec<_> = failed.iter().copied().collect();
        prop_assert_eq!(numbers(&graph.topology().descendants(&roots)), skipped.iter().map(|n| n.get()).collect());
        if workers == 1 {
            prop_assert!(failed.len() <= 1);
        }
        prop_assert!(runner.on_failure(OnFailure::Continue).each(|_| Ok::<(), ()>(())).is_success());
    }
}

#[test]
fn wide_and_deep_graphs_run_whole_many_times() {
    let fan: Edges = (1..=2_000).flat_map(|n| [(0, n), (n, 2_001)]).collect();
    let grid = (0..2_000_u32).flat_map(|n| [1, 7, 13].map(|k| (n, (n / 20 + 1) * 20 + (n + k) % 20)));
    let grid: Edges = grid.filter(|&(_, to)| to < 2_000).collect();
    for (nodes, edges) in [(2_002, fan), (2_000, grid), (500, Edges::new())] {
        let graph = build(nodes, &edges).unwrap();
        let mut runner = Runner::new(graph.topology(), 3);
        for _ in 0..50 {
            let runs: Vec<AtomicU32> = (0..nodes).map(|_| AtomicU32::new(0)).collect();
            let report = runner.each(|node| {
                let before = graph.topology().predecessors(node).iter();
                assert!(before.copied().all(|p| runs[p.index()].load(SeqCst) == 1));
                runs[node.index()].fetch_add(1, SeqCst);
                Ok::<(), ()>(())
            });
            assert!(report.is_success(), "{report:?}");
            assert!(runs.iter().all(|count| count.load(SeqCst) == 1));
        }
    }
}

/// Two nodes that each wait for the other to have begun can only end if they run at the same time, also when one of
/// them is queued behind the other.
#[test]
fn independent_nodes_run_at_the_same_time() {
    let graph = build(4, &[(0, 1), (0, 2), (1, 3), (2, 3)].into()).unwrap();
    let both = Barrier::new(2);
    let mut runner = Runner::new(graph.topology(), 2);
    for _ in 0..100 {
        let report = runner.each(|node| {
            if matches!(node.get(), 1 | 2) {
                both.wait();
            }
            Ok::<(), ()>(())
        });
        assert!(report.is_success());
    }
}

/// The join of the first branch must not wait for the second branch, which holds its worker until the join has run.
#[test]
fn a_ready_node_is_never_held_back_by_a_busy_worker() {
    let graph = build(6, &[(0, 1), (0, 2), (1, 3), (2, 3), (0, 4), (3, 5)].into()).unwrap();
    let joined = (Mutex::new(false), Condvar::new());
    let mut runner = Runner::new(graph.topology(), 2);
    for _ in 0..100 {
        *joined.0.lock().unwrap() = false;
        let report = runner.each(|node| {
            let mut done = joined.0.lock().unwrap();
            match node.get() {
                5 => *done = true,
                4 => drop(joined.1.wait_while(done, |done| !*done).unwrap()),
                _ => {}
            }
            joined.1.notify_all();
            Ok::<(), ()>(())
        });
        assert!(report.is_success());
    }
}

#[test]
fn a_cancelled_run_ends_and_lists_what_is_missing() {
    let graph = build(5, &[(0, 1), (1, 2), (1, 3), (3, 4)].into()).unwrap();
    let cancel = CancelFlag::new();
    let mut runner = Runner::new(graph.topology(), 2).cancelled_by(&cancel);
    let outcomes = runner.run(|node, _| {
        if node.get() == 1 {
            cancel.cancel();
        }
        Ok::<_, ()>(node)
    });
    assert_eq!(outcomes.value(NodeIx::new(1)), Some(&NodeIx::new(1)));
    assert!(outcomes.as_slice()[2..].iter().all(|outcome| *outcome == Outcome::Cancelled));
    assert_eq!(runner.each(|_| Ok::<(), ()>(())).cancelled.len(), 5);
    cancel.clear();
    assert!(runner.each(|_| Ok::<(), ()>(())).is_success());
}

#[test]
fn a_panic_whose_payload_panics_ends_nothing_but_its_node() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("meant {}", "to go off");
        }
    }
    quiet_panics();
    let graph = build(2, &Edges::new()).unwrap();
    let mut runner = Runner::new(graph.topology(), 2);
    let report = runner.each(|node| {
        if node.get() == 0 {
            std::panic::resume_unwind(Box::new(Bomb));
        }
        Ok::<(), ()>(())
    });
    assert_eq!(report.failed, [(NodeIx::new(0), Failure::Panicked("a panic without a message".to_owned()))]);
    assert!(report.skipped.is_empty());
}

#[test]
fn a_graph_of_nothing_is_a_success() {
    let graph = build(0, &Edges::new()).unwrap();
    assert!(Runner::new(graph.topology(), 0).each(|_| Err("never called")).is_success());
}

#[test]
fn a_crew_runs_again_and_again_and_a_failure_stays_in_its_run() {
    let graph = build(300, &(1..300).map(|n| (n / 3, n)).collect()).unwrap();
    for workers in 1..4 {
        let (runs, round) = (AtomicU32::new(0), AtomicU32::new(0));
        let body = |node: NodeIx| {
            runs.fetch_add(1, SeqCst);
            if node.get() == 1 && round.load(SeqCst) % 3 == 1 { Err("third") } else { Ok(()) }
        };
        Runner::new(graph.topology(), workers).crew(body, |crew| {
            for number in 0..200 {
                round.store(number, SeqCst);
                runs.store(0, SeqCst);
                let report = crew.each();
                assert_eq!(report.is_success(), number % 3 != 1);
                assert_eq!(runs.load(SeqCst) as usize + report.skipped.len(), graph.len());
            }
        });
    }
}

#[test]
fn a_caller_that_panics_in_a_crew_leaves_a_runner_that_works() {
    quiet_panics();
    let graph = build(50, &Edges::new()).unwrap();
    let mut runner = Runner::new(graph.topology(), 3);
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        runner.crew(
            |_| Ok::<(), ()>(()),
            |crew| {
                crew.each();
                panic!("meant {}", "for the caller");
            },
        )
    }));
    assert!(caught.is_err());
    let count = AtomicU32::new(0);
    runner.each(|_| Ok::<_, ()>(_ = count.fetch_add(1, SeqCst)));
    assert_eq!(count.into_inner(), 50);
}
