//! Scripted journals: a small fixed one, and fleets of any size.

use counterpoint::definition::{
    Action, Body, Case, Condition, Definition, Expr, Join, Link, Map, Node, Remaining, Repeat, Work,
};
use counterpoint::message::{
    AgentEvent, CatalogueEvent, Cause, CompensationOutcome, Next, NodeEvent, NodeOutcome, NodeRef, Opening, RunEvent,
    TaskEvent,
};
use counterpoint::task::{AttemptNumber, NodeIx, Owner};
use counterpoint::{
    AgentId, AgentSpec, Entry, Event, Failure, Incarnation, Payload, RunId, RunOutcome, RunSpec, Seq, TaskId, TaskSpec,
    Tier, Time,
};
use std::collections::BTreeSet;
use std::sync::Arc;

pub(crate) struct Script {
    pub(crate) entries: Vec<Entry>,
    pub(crate) now: u64,
}

impl Script {
    pub(crate) fn new() -> Self {
        Self { entries: Vec::new(), now: 0 }
    }

    pub(crate) fn say(&mut self, event: impl Into<Event>) -> &mut Self {
        let seq = Seq::new(self.entries.len() as u64 + 1);
        self.entries.push(Entry { seq, at: Time::from_millis(self.now), event: event.into() });
        self
    }

    pub(crate) fn at(&mut self, millis: u64) -> &mut Self {
        self.now = millis;
        self
    }

    pub(crate) fn agent(&mut self, id: u64, name: &str) -> &mut Self {
        let spec = Arc::new(AgentSpec::new(AgentId::new(id)).with_name(name).with_capacity(3));
        self.say(AgentEvent::Registered { spec }.of(life(id)))
    }

    pub(crate) fn submit(&mut self, id: u64, kind: &str, tier: Tier) -> &mut Self {
        let spec = Arc::new(TaskSpec::new(TaskId::new(id), kind).with_tier(tier));
        self.say(TaskEvent::Submitted { spec, replays: None, expected: None }.of(TaskId::new(id)))
    }

    pub(crate) fn step(&mut self, id: u64, kind: &str, of: Owner) -> &mut Self {
        let mut spec = TaskSpec::new(TaskId::new(id), kind);
        spec.owner = Some(of);
        self.say(TaskEvent::Submitted { spec: Arc::new(spec), replays: None, expected: None }.of(TaskId::new(id)))
    }

    pub(crate) fn assign(&mut self, task: u64, number: u32, agent: u64) -> &mut Self {
        let attempt = AttemptNumber::new(number);
        self.say(TaskEvent::Assigned { attempt, to: life(agent) }.of(TaskId::new(task)))
    }

    pub(crate) fn succeed(&mut self, task: u64, number: u32, agent: u64) -> &mut Self {
        let attempt = AttemptNumber::new(number);
        self.say(TaskEvent::Succeeded { attempt, by: life(agent), output: Payload::NULL }.of(TaskId::new(task)))
    }

    pub(crate) fn fail(&mut self, task: u64, number: u32, agent: u64, failure: Failure, next: Next) -> &mut Self {
        let failed = TaskEvent::AttemptFailed {
            attempt: AttemptNumber::new(number),
            by: life(agent),
            failure: Box::new(failure),
            next,
            outcome_unknown: false,
            beyond_budget: false,
        };
        self.say(failed.of(TaskId::new(task)))
    }

    pub(crate) fn node(&mut self, run: u64, node: u32, outcome: NodeOutcome) -> &mut Self {
        let finished = NodeEvent::Finished { outcome, took: vec![], output: None, signal: None };
        self.say(finished.of(RunId::new(run), node_ref(run, node)))
    }
}

pub(crate) fn life(agent: u64) -> Incarnation {
    Incarnation::new(AgentId::new(agent), 1)
}

/// A node of the order, or of the run within it.
pub(crate) fn node_ref(run: u64, node: u32) -> NodeRef {
    let definition = if run == 2 { pack() } else { order() };
    let name = definition.nodes.get(node as usize).map_or_else(|| "?".into(), |node| node.name.clone());
    NodeRef::new(NodeIx::new(node), name)
}

/// Only the engine makes owners; tests read them.
pub(crate) fn owner(run: u64, node: u32, item: u32, phase: &str) -> Owner {
    serde_json::from_value(serde_json::json!({"run": run, "node": node, "item": item, "phase": phase})).unwrap()
}

fn pack() -> Definition {
    Definition::new("pack \"fragile\"")
        .with_node(Node::new("end", Action::task("wrap")))
        .with_node(Node::new("label", Action::task("print")).with_link(Link::success("end")))
}

/// An order, with every kind of node, and names that try to break out of their quotes.
pub(crate) fn order() -> Definition {
    Definition::new("order <b>&amp; \\ Co")
        .with_version(2)
        .with_node(Node::new("reserve", Action::task("reserve")).with_undo(Work::new("release")))
        .with_node(
            Node::new(
                "large?",
                Action::Choose {
                    pick: counterpoint::definition::Pick::First,
                    cases: vec![Case::new("over 1000 \"€\"", Condition::less(Expr::value(1_000), Expr::Item))],
                    otherwise: Some("no".into()),
                },
            )
            .with_link(Link::success("reserve")),
        )
        .with_node(
            Node::new(
                "approval\n[of the boss]",
                Action::Wait { signal: Some("approved".into()), timer: Some(std::time::Duration::from_secs(5_400)) },
            )
            .with_link(Link::case("large?", "over 1000 \"€\"")),
        )
        .with_node(
            Node::new("charge", Action::task("charge"))
                .with_link(Link::success("approval\n[of the boss]"))
                .with_link(Link::case("large?", "no"))
                .with_join(Join::Any)
                .with_undo(Work::new("refund"))
                .as_pivot(),
        )
        .with_node(
            Node::new(
                "photos",
                Action::Map(Map::over(Expr::Input, Body::Task(Work::new("resize"))).max_concurrent(4).tolerate(1)),
            )
            .with_link(Link::success("reserve")),
        )
        .with_node(Node::new("parcel", Action::flow(pack())).with_link(Link::success("charge")))
        .with_node(
            Node::new(
                "track",
                Action::Repeat(Repeat::until(Body::Task(Work::new("poll")), Condition::Is(Expr::Item), 5)),
            )
            .with_link(Link::success("parcel")),
        )
        .with_node(Node::new("complain `#1`", Action::task("mail")).with_link(Link::failure("parcel")))
        .with_node(
            Node::new("結び", Action::Pass)
                .with_link(Link::always("track"))
                .with_link(Link::success("photos"))
                .with_link(Link::success("complain `#1`"))
                .with_join(Join::Count { required: 2, remaining: Remaining::Ignore }),
        )
}

/// A run of the order that gets as far as its parcel, retries on the way, loses an agent, and is turned back.
pub(crate) fn small() -> Script {
    let (run, child) = (RunId::new(1), RunId::new(2));
    let mut s = Script::new();
    s.agent(1, "Ada <of Lyon>").agent(2, "Bo & Co").agent(3, "Cyd");
    s.say(CatalogueEvent::Defined { definition: Arc::new(order()) });
    let spec = Arc::new(RunSpec::new(run, "order <b>&amp; \\ Co"));
    s.say(RunEvent::Started { spec, version: 2, owner: None, hash: None }.of(run));
    s.at(5).step(10, "reserve", owner(1, 0, 0, "do")).at(6).assign(10, 1, 1);
    s.at(90).succeed(10, 1, 1).node(1, 0, NodeOutcome::Succeeded);
    let took = vec!["no".into()];
    let chosen = NodeEvent::Finished { outcome: NodeOutcome::Succeeded, took, output: None, signal: None };
    s.say(chosen.of(run, node_ref(1, 1)));
    s.node(1, 2, NodeOutcome::Skipped);
    s.say(NodeEvent::Opened { what: Opening::Map { items: 3, list: None, bounds: None } }.of(run, node_ref(1, 4)));
    for item in 0..3 {
        s.step(20 + u64::from(item), "resize", owner(1, 4, item, "do"));
    }
    s.step(30, "charge", owner(1, 3, 0, "do"));
    s.at(95).assign(20, 1, 2).assign(21, 1, 2).assign(22, 1, 3).assign(30, 1, 1);
    s.at(160).fail(
        30,
        1,
        1,
        Failure::transient("connection reset <by peer>"),
        Next::Retry { at: Time::from_millis(200), tier: None },
    );
    s.at(180).succeed(22, 1, 3);
    s.at(200).say(TaskEvent::Ready.of(TaskId::new(30))).at(202).assign(30, 2, 3);
    s.at(250).succeed(20, 1, 2);
    s.at(270).say(AgentEvent::Lost.of(life(2)));
    s.fail(21, 1, 2, Failure::unknown("agent lost"), Next::Retry { at: Time::from_millis(270), tier: None })
        .assign(21, 2, 1);
    s.at(330).succeed(30, 2, 3).node(1, 3, NodeOutcome::Succeeded);
    let spec = Arc::new(RunSpec::new(child, "pack \"fragile\""));
    s.say(RunEvent::Started { spec, version: 0, owner: Some(owner(1, 5, 0, "do")), hash: None }.of(child));
    s.step(40, "wrap", owner(2, 0, 0, "do")).at(335).assign(40, 1, 3);
    s.at(400).succeed(21, 2, 1).node(1, 4, NodeOutcome::Succeeded);
    s.at(420).succeed(40, 1, 3).node(2, 0, NodeOutcome::Succeeded);
    s.step(41, "print", owner(2, 1, 0, "do")).at(421).assign(41, 1, 1);
    s.submit(50, "audit", Tier::Low).at(430).assign(50, 1, 3);
    s
}

/// The small one, carried on: printing fails, the child fails, the parent turns back.
pub(crate) fn turned_back() -> Script {
    let (run, child) = (RunId::new(1), RunId::new(2));
    let mut s = small();
    let failure = Failure::permanent("no paper");
    let cause = Cause::Node { node: "label".into(), failure: Box::new(failure.clone()) };
    s.at(470).fail(41, 1, 1, failure.clone(), Next::DeadLetter);
    s.node(2, 1, NodeOutcome::Failed { failure: Box::new(failure.clone()), outcome_unknown: false, limit: None });
    s.say(RunEvent::Failing { cause: cause.clone() }.of(child));
    s.say(RunEvent::Finished { outcome: RunOutcome::Failed { cause: cause.clone(), residue: vec![] } }.of(child));
    s.node(1, 5, NodeOutcome::Failed { failure: Box::new(failure.clone()), outcome_unknown: false, limit: None });
    s.say(RunEvent::Failing { cause }.of(run));
    s.say(RunEvent::Compensating { nodes: vec![node_ref(1, 0)] }.of(run));
    s.step(60, "release", owner(1, 0, 0, "undo")).at(480).assign(60, 1, 3);
    s.at(500).fail(60, 1, 3, failure.clone(), Next::Fail);
    s.say(NodeEvent::Compensated { outcome: CompensationOutcome::Failed { failure } }.of(run, node_ref(1, 0)));
    s
}

/// A fleet at work: whoever is free takes what is next; some attempts fail and are tried again; one agent is lost.
pub(crate) fn fleet(agents: u64, attempts: u64, at_once: u64) -> Script {
    const KINDS: [&str; 6] = ["summarise", "translate", "classify", "extract", "review", "embed"];
    const NAMES: [&str; 6] = ["Ada", "Blaise", "Carl", "Dorothy", "Emmy", "Fibonacci"];
    let mut s = Script::new();
    let mut bits = 7_u64;
    let mut draw = |below: u64| {
        bits = bits.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (bits >> 33) % below
    };
    for id in 1..=agents {
        s.agent(id, &format!("{} {id}", NAMES[id as usize % 6]));
    }
    // Moments at which a place at an agent is free, with the attempt that ends there.
    type Place = (u64, u64, u64, Option<(u64, u32)>);
    let mut places: BTreeSet<Place> =
        (1..=agents).flat_map(|id| (0..at_once).map(move |place| (place * 3, id, place, None))).collect();
    let mut again: Vec<(u64, u32)> = Vec::new();
    let (mut next, mut lost) = (1, false);
    while let Some((at, agent, place, ended)) = places.pop_first() {
        s.at(at.max(s.now));
        if let Some((task, number)) = ended {
            again.extend(ends(&mut s, (task, number), agent, agent == 2 && lost));
        }
        if agent == 2 && !lost && next > attempts * 3 / 4 {
            lost = true;
            s.say(AgentEvent::Lost.of(life(2)));
            let held: Vec<_> = places.iter().filter(|place| place.1 == 2).copied().collect();
            for (_, id, place, ended) in held {
                places.retain(|known| (known.1, known.2) != (id, place));
                if let Some((task, number)) = ended {
                    s.fail(task, number, 2, Failure::unknown("agent lost"), Next::DeadLetter);
                }
            }
        }
        if agent == 2 && lost {
            continue;
        }
        if next > attempts {
            // Those who began last are still at it.
            if places.len() as u64 <= agents / 2 {
                break;
            }
            continue;
        }
        let busy = (at / 4_000).is_multiple_of(3) || at < 6_000;
        let pause = draw(if busy { 60 } else { 900 });
        if ended.is_some() && pause > 100 {
            places.insert((at + pause, agent, place, None));
            continue;
        }
        let (task, number) = again.pop().unwrap_or((next, 1));
        if number == 1 {
            s.submit(task, KINDS[(task % 6) as usize], Tier::ALL[(task % 4) as usize]);
            next += 1;
        }
        s.assign(task, number, agent);
        let span = 120 + draw(if task % 6 == 2 { 2_400 } else { 700 });
        places.insert((at + span, agent, place, Some((task, number))));
    }
    s
}

/// Ends an attempt in one way or another; returns the one that follows, if one does.
fn ends(s: &mut Script, (task, number): (u64, u32), agent: u64, lost: bool) -> Option<(u64, u32)> {
    let retry = Next::Retry { at: Time::from_millis(s.now + 5), tier: None };
    match if number == 1 { task % 23 } else { 0 } {
        _ if lost => s.fail(task, number, agent, Failure::unknown("agent lost"), Next::DeadLetter),
        5 => {
            s.fail(task, number, agent, Failure::transient("rate limited"), retry);
            return Some((task, number + 1));
        }
        11 => s.fail(task, number, agent, Failure::unknown("timed out"), Next::DeadLetter),
        17 => {
            let (task, reason) = (TaskId::new(task), "no longer wanted".into());
            s.say(TaskEvent::Cancelled { reason, side_effects: counterpoint::task::SideEffects::None }.of(task))
        }
        _ => s.succeed(task, number, agent),
    };
    None
}
