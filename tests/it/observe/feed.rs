//! Subscriptions: what passes, what is missing and is told, and that the core does not notice.

use super::script::turned_back;
use crate::flow::{RUN, World, flow, step, undoable};
use counterpoint::definition::Link;
use counterpoint::journal::{EventFilter, Family, Feed, Projection, Seen};
use counterpoint::message::{RunEvent, TaskEvent};
use counterpoint::observe::{Lineage, Maker};
use counterpoint::{Entry, Event, Seq};
use serde_json::json;

fn seen(filter: EventFilter, journal: &[Entry]) -> Vec<Entry> {
    let mut feed = Feed::new(filter, usize::MAX);
    feed.replay(journal);
    feed.map(|seen| seen.entry().expect("there was room")).collect()
}

#[test]
fn every_event_is_of_one_family() {
    let journal = turned_back().entries;
    let all: usize = Family::ALL.map(|family| seen(EventFilter::of([family]), &journal).len()).iter().sum();
    assert_eq!(all, journal.len());
    assert_eq!(seen(EventFilter::all(), &journal), journal);
    let tasks = seen(EventFilter::tasks(), &journal);
    assert!(!tasks.is_empty() && tasks.iter().all(|entry| matches!(entry.event, Event::Task { .. })));
    let both = seen(EventFilter::of([Family::Task, Family::Workflow]), &journal);
    assert_eq!(both.len(), tasks.len() + seen(EventFilter::runs(), &journal).len());
}

#[test]
fn a_run_is_seen_with_its_tasks_and_nothing_else() {
    let mut world = World::running(flow([step("a"), step("b").with_link(Link::success("a"))]), 0);
    let other = counterpoint::RunSpec::new(counterpoint::RunId::new(2), "flow");
    world.say(counterpoint::Command::start(other)).unwrap();
    world.done("a", 0);
    let of_run = seen(EventFilter::all().about(RUN), &world.journal);
    let tasks =
        of_run.iter().filter(|entry| matches!(entry.event, Event::Task { event: TaskEvent::Submitted { .. }, .. }));
    assert_eq!(tasks.count(), 2, "the other run's task is not its own");
    let begun = |entry: &Entry| matches!(&entry.event, Event::Run { run: RUN, event: RunEvent::Started { .. } });
    assert!(begun(&of_run[0]));
    let failed =
        EventFilter::new(|entry| matches!(entry.event, Event::Task { event: TaskEvent::AttemptFailed { .. }, .. }));
    world.failed("b");
    assert_eq!(seen(failed.about(RUN), &world.journal).len(), 1);
}

#[test]
fn a_slow_reader_receives_the_gap() {
    let journal = turned_back().entries;
    let mut feed = Feed::new(EventFilter::all(), 3);
    feed.replay(&journal[..10]);
    assert_eq!((feed.len(), feed.missed()), (3, 7));
    assert_eq!(feed.next(), Some(Seen::Missed { count: 7, first: journal[0].seq, last: journal[6].seq }));
    assert_eq!(feed.next(), Some(Seen::Event(journal[7].clone())));
    // Room again, and no second word about the same gap.
    feed.apply(&journal[10]);
    let rest: Vec<Seq> = feed.by_ref().map(|seen| seen.entry().unwrap().seq).collect();
    assert_eq!(rest, [journal[8].seq, journal[9].seq, journal[10].seq]);
    assert!(feed.is_empty() && feed.missed() == 7);
}

/// What somebody found out counts as what the node gave; what was undone on the way to a save-point is drawn on no more.
#[test]
fn lineage_knows_queries_and_save_points() {
    use counterpoint::definition::{Expr, SavePoint};
    let nodes = [
        undoable("a").with_query(crate::flow::work("ask a")).as_save_point(SavePoint::retries(1)),
        step("b").with_link(Link::success("a")).with_input(Expr::node("a")),
        step("c").with_link(Link::success("b")).with_input(Expr::node("b")),
    ];
    let mut world = World::running(flow(nodes), 0);
    world.lost("a").done("ask a", json!({ "happened": true, "output": "found" }));
    world.done("b", "first").failed("c").done("b", "second").done("c", "end");
    world.verify();
    let mut lineage = Lineage::default();
    lineage.replay(&world.journal);
    let run = lineage.run(RUN).unwrap();
    let nodes: Vec<&str> = run.products.iter().map(|product| product.node.as_str()).collect();
    assert_eq!(nodes, ["a", "b", "b", "c"]);
    assert_eq!(run.products[0].output, Some(counterpoint::observe::Print::of(&crate::flow::json("found"))));
    assert!(run.products.iter().all(|product| matches!(product.by, Maker::Agent { .. })));

    // And in the words of PROV: `c` came from the second `b`, not from the first.
    let prov = run.to_prov();
    let entity = |at: usize| format!("cpt:run/{RUN}/output/{}", run.products[at].seq.get());
    let activity = |at: usize| match run.products[at].by {
        Maker::Agent { attempt, .. } => format!("cpt:attempt/{attempt}"),
        other => panic!("{other:?}"),
    };
    let used: Vec<&str> = prov["used"]
        .as_object()
        .unwrap()
        .values()
        .filter(|used| used["prov:activity"] == json!(activity(3)))
        .map(|used| used["prov:entity"].as_str().unwrap())
        .collect();
    assert_eq!(used, [entity(2)]);
    for kind in ["wasGeneratedBy", "wasAssociatedWith", "used", "wasDerivedFrom"] {
        for relation in prov[kind].as_object().unwrap().values() {
            for (role, id) in relation.as_object().unwrap().iter().filter(|(role, _)| role.starts_with("prov:")) {
                let things = match role.as_str() {
                    "prov:activity" => "activity",
                    "prov:agent" => "agent",
                    _ => "entity",
                };
                assert!(prov[things][id.as_str().unwrap()].is_object(), "{id} is nothing");
            }
        }
    }
}
