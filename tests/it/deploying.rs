//! New versions are deployed and rolled back while runs of each are in flight; the process is killed between any two events,
//! and the next one begins from the bytes of the journal.

use counterpoint::definition::{Action, Body, Definition, Expr, Link, Node, Work};
use counterpoint::host::thread::{RunHandle, ThreadHost};
use counterpoint::host::{HostError, InFlight, RunError};
use counterpoint::journal::{AppendError, Epoch, Journal, JournalError, Takeover};
use counterpoint::message::{CatalogueEvent, RunEvent};
use counterpoint::workflow::{Attempt, Flow, Steps};
use counterpoint::{
    Accepted, AgentId, AgentSpec, Config, Entry, Event, Failure, Limits, Payload, Policy, Retry, RunId, Seq,
};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Lines of JSON. The process dies when it would write more than so many.
#[derive(Clone, Default)]
struct Lines {
    stored: Arc<Mutex<(Epoch, Vec<String>)>>,
    most: usize,
}

impl Lines {
    fn entries(&self) -> Vec<Entry> {
        self.stored.lock().unwrap().1.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

impl Journal for Lines {
    fn take_over(&mut self) -> Result<Takeover, JournalError> {
        let mut stored = self.stored.lock().unwrap();
        stored.0 = stored.0.next();
        let epoch = stored.0;
        drop(stored);
        Ok(Takeover::new(epoch, None, self.entries()))
    }

    fn append(&mut self, epoch: Epoch, after: Seq, entries: &[Entry]) -> Result<(), AppendError> {
        let mut stored = self.stored.lock().unwrap();
        if epoch != stored.0 {
            return Err(AppendError::Fenced);
        }
        assert_eq!(after.get() as usize, stored.1.len());
        for entry in entries {
            if stored.1.len() >= self.most {
                return Err(AppendError::Unknown);
            }
            stored.1.push(serde_json::to_string(entry).unwrap());
        }
        Ok(())
    }
}

/// Each step adds its own amount, so the output tells which steps were performed.
fn steps() -> Steps {
    let adding = |amount: u64| move |sum: u64, _: &Attempt| Ok::<_, Failure>(sum + amount);
    Steps::new()
        .with_fn("charge", adding(1))
        .with_fn("check", adding(10))
        .with_fn("weigh", adding(100))
        .with_fn("ship", adding(1_000))
}

/// Version 2 checks, version 3 checks and weighs.
fn orders(version: u32, attempts: u32) -> Flow<u64, u64> {
    let retry = Retry::exponential(attempts, Duration::from_millis(1), Duration::from_millis(2));
    let policy = Policy::default().with_retry(retry);
    let task =
        |kind: &'static str| Node::new(kind, Action::Do(Body::Task(Work::new(kind).with_policy(policy.clone()))));
    let wait = Action::Wait { signal: Some("packed".into()), timer: None };
    let mut order = Definition::new("order")
        .with_version(version)
        .with_node(task("charge").with_input(Expr::Input))
        .with_node(Node::new("warehouse", wait).with_link(Link::success("charge")));
    let mut last = "charge";
    for kind in ["check", "weigh", "ship"].into_iter().filter(|kind| match *kind {
        "check" => version >= 2,
        "weigh" => version >= 3,
        _ => true,
    }) {
        let step = task(kind).with_input(Expr::node(last)).with_link(Link::success("warehouse"));
        order = order.with_node(if last == "charge" { step } else { step.with_link(Link::success(last)) });
        last = kind;
    }
    Flow::from_definition(order.with_output(Expr::node("ship")), &Limits::default()).unwrap()
}

struct Deployment {
    version: u32,
    attempts: u32,
    in_flight: InFlight,
    /// The number of orders that are known by then.
    orders: usize,
}

const KEYS: [&str; 5] = ["a", "b", "c", "d", "e"];

/// Three deployments, the second of which only changes a number of attempts; a fourth; the rollback of it; and it again.
fn deployments(last: InFlight) -> Vec<Deployment> {
    let plan = [
        (1, 20, InFlight::Pin, 1),
        (1, 21, InFlight::Pin, 2),
        (2, 21, InFlight::Pin, 3),
        (3, 21, InFlight::Pin, 4),
        (2, 21, InFlight::Pin, 5),
        (3, 21, last, 5),
    ];
    plan.map(|(version, attempts, in_flight, orders)| Deployment { version, attempts, in_flight, orders }).into()
}

impl Deployment {
    /// What the program does from its start on. The error says that the process has died.
    fn begin(&self, lines: &Lines) -> Result<(ThreadHost, Accepted), Died> {
        let host = ThreadHost::open(Config::default(), lines.clone())?;
        host.add_agent(AgentSpec::new(AgentId::new(1)).with_capacity(2), steps())?;
        let flow = orders(self.version, self.attempts);
        let deployed = host.deploy(Arc::clone(flow.definition()), self.in_flight)?;
        assert!(deployed.pinned.is_empty(), "{deployed:?}");
        for key in &KEYS[..self.orders] {
            drop(host.run(&flow, RunId::from_key(key), &0)?);
        }
        Ok((host, deployed.defined))
    }
}

struct Died;

impl From<HostError> for Died {
    fn from(error: HostError) -> Self {
        assert!(matches!(error, HostError::Ended | HostError::Append { .. }), "{error}");
        Self
    }
}

fn finish(host: &ThreadHost) -> Result<BTreeMap<&'static str, u64>, Died> {
    let mut outputs = BTreeMap::new();
    for key in KEYS {
        match host.signal(RunId::from_key(key), "packed", Payload::NULL) {
            // After a restart, some are over.
            Ok(()) | Err(HostError::Rejected(_)) => {}
            Err(error) => return Err(error.into()),
        }
        let order: RunHandle<u64> = host.attach(RunId::from_key(key))?;
        match order.wait() {
            Ok(output) => outputs.insert(key, output),
            Err(RunError::HostEnded) => return Err(Died),
            Err(error) => panic!("{key}: {error}"),
        };
    }
    Ok(outputs)
}

/// Plays all deployments. The process dies between any two of them, and once when the journal has so many lines.
fn play(dies_at: usize, last: InFlight) -> (Vec<Entry>, BTreeMap<&'static str, u64>, Vec<Accepted>) {
    let mut lines = Lines { most: dies_at, ..Lines::default() };
    let (mut outputs, mut answers) = (None, Vec::new());
    let plan = deployments(last);
    let ends_at = plan.len();
    for (at, deployment) in plan.iter().enumerate() {
        loop {
            let lived = deployment.begin(&lines).and_then(|(host, answer)| {
                if at + 1 == ends_at {
                    outputs = Some(finish(&host)?);
                }
                Ok(answer)
            });
            if let Ok(answer) = lived {
                answers.push(answer);
                break;
            }
            assert_ne!(lines.most, usize::MAX, "it dies once");
            lines.most = usize::MAX;
        }
    }
    (lines.entries(), outputs.unwrap(), answers)
}

fn count(journal: &[Entry], of: impl Fn(&Event) -> bool) -> usize {
    journal.iter().filter(|entry| of(&entry.event)).count()
}

fn all_hold(dies_at: usize, last: InFlight) -> usize {
    let (journal, outputs, answers) = play(dies_at, last);
    let expected = match last {
        InFlight::Migrate => [1_111; 5],
        _ => [1_001, 1_001, 1_011, 1_111, 1_011],
    };
    assert_eq!(outputs, KEYS.into_iter().zip(expected).collect(), "killed after event {dies_at}");
    let begun = count(&journal, |event| matches!(event, Event::Run { event: RunEvent::Started { .. }, .. }));
    assert_eq!(begun, KEYS.len(), "each order is started once");
    let defined = |event: &Event| matches!(event, Event::Catalogue(CatalogueEvent::Defined { .. }));
    let redefined = |event: &Event| matches!(event, Event::Catalogue(CatalogueEvent::Redefined { .. }));
    assert_eq!((count(&journal, defined), count(&journal, redefined)), (3, 1));
    let moved = count(&journal, |event| matches!(event, Event::Run { event: RunEvent::Migrated { .. }, .. }));
    assert_eq!(moved, if last == InFlight::Migrate { 4 } else { 0 });
    if dies_at == usize::MAX {
        assert!(matches!(answers[1], Accepted::Compatible { .. }), "{answers:?}");
        let known = Accepted::Repeated;
        assert_eq!([&answers[0], &answers[2], &answers[3]], [&Accepted::Done; 3]);
        assert_eq!([&answers[4], &answers[5]], [&known; 2]);
    }
    journal.len()
}

#[test]
fn three_deployments_and_a_rollback_lose_nothing_wherever_the_process_is_killed() {
    let len = all_hold(usize::MAX, InFlight::Pin);
    for dies_at in 0..len {
        all_hold(dies_at, InFlight::Pin);
    }
}

#[test]
fn orders_in_flight_migrate_once_wherever_the_process_is_killed() {
    let len = all_hold(usize::MAX, InFlight::Migrate);
    for dies_at in 0..len {
        all_hold(dies_at, InFlight::Migrate);
    }
}
