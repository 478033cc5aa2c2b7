//! Operations on running instances: pause, resume, deciding how a node ends.

use crate::flow::{RUN, World, flow, step, undoable};
use counterpoint::definition::{Action, Link, Node};
use counterpoint::message::rejected::WrongState;
use counterpoint::message::{NodeRemedy, NodeStatus, RunPhase};
use counterpoint::{Accepted, Payload, Rejected, RunCommand, RunOutcome};
use serde_json::json;

fn pause(world: &mut World) -> Result<Accepted, Rejected> {
    world.say(RunCommand::Pause { run: RUN, reason: "wait".into() }.into())
}

fn resume(world: &mut World) -> Result<Accepted, Rejected> {
    world.say(RunCommand::Resume { run: RUN }.into())
}

fn operate(world: &mut World, node: &str, remedy: NodeRemedy) -> Result<Accepted, Rejected> {
    world.say(RunCommand::Operate { run: RUN, node: node.into(), remedy }.into())
}

fn fail() -> NodeRemedy {
    NodeRemedy::Fail { reason: "no".into() }
}

#[test]
fn a_paused_run_begins_nothing_and_forgets_nothing() {
    let mut inner = flow([step("x"), step("y").with_link(Link::success("x"))]);
    inner.name = "inner".into();
    let nodes = [step("a"), step("b").with_link(Link::success("a")), Node::new("inner", Action::flow(inner))];
    let mut world = World::running(flow(nodes), 0);
    assert_eq!(pause(&mut world), Ok(Accepted::Done));
    assert_eq!(pause(&mut world), Ok(Accepted::Repeated));
    world.done("a", 1).done("x", 2);
    assert!(world.busy().is_empty(), "what was under way has ended, nothing new begins, not within either");
    assert_eq!(world.engine.next_wakeup(), None);
    world.crash();
    assert!(world.busy().is_empty());
    assert_eq!(resume(&mut world), Ok(Accepted::Done));
    assert_eq!(resume(&mut world), Ok(Accepted::Repeated));
    assert_eq!(world.busy(), ["b", "y"]);
    world.done("b", 0).done("y", 0).verify();
}

#[test]
fn a_paused_run_can_be_cancelled() {
    let mut world = World::running(flow([undoable("a"), step("b").with_link(Link::success("a"))]), 0);
    pause(&mut world).unwrap();
    world.done("a", 1);
    world.cancel().unwrap();
    world.done("undo a", 0);
    assert!(matches!(world.outcome(), RunOutcome::Compensated { .. }));
    assert_eq!(pause(&mut world), Err(Rejected::State(WrongState::RunPhase { run: RUN, phase: RunPhase::Finished })));
    world.verify();
}

#[test]
fn a_node_can_be_completed_by_hand_whether_it_has_begun_or_not() {
    let nodes = [step("a"), step("b").with_link(Link::success("a")), step("c").with_link(Link::success("b"))];
    let complete = |value: i64| NodeRemedy::Complete { output: Payload::new(json!(value)), reason: "by hand".into() };
    let mut world = World::running(flow(nodes), 0);
    assert_eq!(operate(&mut world, "b", complete(5)), Ok(Accepted::Done));
    assert_eq!((world.status("b"), world.busy()), (NodeStatus::Succeeded, vec!["a".to_owned(), "c".to_owned()]));
    operate(&mut world, "a", complete(6)).unwrap();
    assert_eq!(operate(&mut world, "a", complete(6)), Ok(Accepted::Repeated));
    assert_eq!(
        operate(&mut world, "a", fail()),
        Err(Rejected::State(WrongState::NodeOver { run: RUN, node: "a".into() }))
    );
    assert_eq!(world.stopped.len(), 1);
    world.crash();
    world.failed("a");
    assert_eq!(world.status("a"), NodeStatus::Succeeded);
    world.done("c", 7);
    assert_eq!(world.output(), json!(7));
}

#[test]
fn a_node_can_be_made_to_fail_or_left_out() {
    let nodes =
        || [step("a"), step("b").with_link(Link::failure("a")), step("c"), step("d").with_link(Link::success("c"))];
    let mut world = World::running(flow(nodes()), 0);
    operate(&mut world, "a", fail()).unwrap();
    world.done("a", "too late");
    assert_eq!((world.status("a"), world.busy()), (NodeStatus::Failed, vec!["c".to_owned(), "b".to_owned()]));
    let skip = NodeRemedy::Skip { reason: "not needed".into() };
    operate(&mut world, "d", skip.clone()).unwrap();
    assert_eq!(world.status("d"), NodeStatus::Skipped);
    operate(&mut world, "c", skip).unwrap();
    world.failed("c");
    assert_eq!(world.status("c"), NodeStatus::Cancelled, "it had begun");
    world.done("b", 0);
    assert_eq!(world.phase(), RunPhase::Finished);
}

/// The nodes that an operator skipped are named by the run, by its progress and by its report, also after a crash.
#[test]
fn a_run_that_succeeds_without_skipped_nodes_is_marked() {
    let nodes = [step("a"), step("b").with_link(Link::success("a")), step("c")];
    let skipped = |world: &World| {
        let run = world.engine.run(RUN).unwrap();
        run.skipped_by_operator().map(|node| node.name().to_string()).collect::<Vec<_>>()
    };
    let mut world = World::running(flow(nodes), 0);
    let skip = || NodeRemedy::Skip { reason: "not needed".into() };
    assert!(skipped(&world).is_empty());
    operate(&mut world, "b", skip()).unwrap();
    operate(&mut world, "c", skip()).unwrap();
    assert_eq!(skipped(&world), ["b"], "the work of the other one has not ended");
    world.failed("c").done("a", 1);
    world.crash();
    assert!(matches!(world.outcome(), RunOutcome::Succeeded { .. }));
    assert_eq!(skipped(&world), ["b", "c"]);
    #[cfg(feature = "observe")]
    {
        use counterpoint::journal::Projection;
        use counterpoint::observe::{Progress, Report};
        let (mut progress, mut report) = (Progress::default(), Report::of(RUN));
        for entry in &world.journal {
            progress.apply(entry);
            report.apply(entry);
        }
        let now = progress.run(RUN).unwrap();
        assert_eq!(now.skipped_by_operator, ["b", "c"]);
        assert!(now.to_string().ends_with(", skipped by an operator: b, c"), "{now}");
        assert!(report.to_html().unwrap().contains("The run succeeded; skipped by an operator: b, c."));
    }
    let mut world = World::running(flow([step("a")]), 0);
    world.done("a", 1);
    assert!(skipped(&world).is_empty());
}

#[test]
fn a_run_lists_the_mutex_and_the_milestone_that_it_waits_for() {
    use counterpoint::definition::Milestone;
    let nodes = [
        step("a").with_mutex("m"),
        step("b").with_mutex("m"),
        step("c").with_milestone(Milestone::between("b", "d")),
        step("d").with_link(Link::success("b")).with_link(Link::success("c")),
    ];
    let mut world = World::running(flow(nodes), 0);
    let waits = world.engine.run(RUN).unwrap().waits_for();
    assert_eq!(waits, ["a: task a (t_1) at agent a1-1", "b: the end of node a", "c: the success of node b"]);
    world.done("a", 0).done("b", 0).done("c", 0).done("d", 0).verify();
}

/// The moments and signals of a pause are not lost: they are there when it is over.
#[test]
fn what_happens_in_a_pause_counts_afterwards() {
    use std::time::Duration;
    let timer = Node::new("timer", Action::Wait { signal: None, timer: Some(Duration::from_secs(5)) });
    let mut inner = flow([Node::new("gate", Action::Wait { signal: Some("go".into()), timer: None })]);
    inner.name = "inner".into();
    let mut world = World::running(flow([timer, Node::new("inner", Action::flow(inner))]), 0);
    pause(&mut world).unwrap();
    world.pass(Duration::from_secs(9));
    world.signal("go", 7).unwrap();
    assert_eq!([world.status("timer"), world.status("inner")], [NodeStatus::Running; 2]);
    world.crash();
    resume(&mut world).unwrap();
    assert_eq!(world.output(), json!(7));
    world.verify();
}
