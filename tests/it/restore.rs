//! Journals and snapshots: the same facts give the same state, wherever a crash cuts them.

use crate::kit::{Host, agent};
use crate::model::{Call, Step, World, bytes, cases, play, setups, steps};
use counterpoint::message::TaskEvent;
use counterpoint::scheduler::{SchedulerSnapshot, TaskStatus};
use counterpoint::{
    AgentCommand, AgentId, AgentSpec, Command, Config, Effect, Entry, Event, Outbox, Payload, RestoreError, Scheduler,
    Seq, TaskCommand, TaskId, TaskSpec, Tier, Time,
};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

fn world(setup: &crate::model::Setup, steps: &[Step]) -> Result<World, TestCaseError> {
    play(setup, steps).map_err(TestCaseError::fail)
}

fn restored(
    world: &World,
    snapshot: Option<&SchedulerSnapshot>,
    entries: &[Entry],
) -> Result<Scheduler, TestCaseError> {
    Scheduler::restore(world.setup.config(), snapshot, entries).map_err(|why| TestCaseError::fail(why.to_string()))
}

proptest! {
    #![proptest_config(cases(32))]

    /// At every prefix: equal to the state of that moment if a call ended there; and with the rest equal to the whole,
    /// from the entries as from a snapshot that went through text.
    #[test]
    fn every_prefix_restores(setup in setups(), steps in steps(60)) {
        let world = world(&setup, &steps)?;
        let states: BTreeMap<usize, &Call> = world.calls.iter().map(|call| (call.journal, call)).collect();
        let last = bytes(&world.scheduler);
        for cut in 0..=world.journal.len() {
            let (head, tail) = world.journal.split_at(cut);
            let scheduler = restored(&world, None, head)?;
            let text = bytes(&scheduler);
            if let Some(call) = states.get(&cut) {
                prop_assert_eq!(&text, &call.state, "after {} entries", cut);
            }
            let snapshot: SchedulerSnapshot = serde_json::from_str(&text).unwrap();
            let again = restored(&world, Some(&snapshot), &[])?;
            prop_assert_eq!(bytes(&again), text, "the snapshot after {} entries", cut);
            let full = restored(&world, Some(&snapshot), tail)?;
            prop_assert_eq!(bytes(&full), last.clone(), "the snapshot after {} entries, and the rest", cut);
        }
    }

    /// A crash anywhere, also within a call: the rest is finished, nothing is lost and nothing is done twice.
    #[test]
    fn a_crash_anywhere_loses_nothing(setup in setups(), steps in steps(50), through_snapshot: bool) {
        let world = world(&setup, &steps)?;
        for cut in 0..=world.journal.len() {
            let head = &world.journal[..cut];
            let mut scheduler = restored(&world, None, head)?;
            if through_snapshot {
                let snapshot = scheduler.snapshot();
                scheduler = restored(&world, Some(&snapshot), &[])?;
            }
            let owed = scheduler.outstanding();
            prop_assert_eq!(&owed, &unanswered(&scheduler), "after {} entries", cut);
            let mut out = Outbox::default();
            scheduler.resume(head.last().map_or(Time::ZERO, |entry| entry.at), &mut out);
            prop_assert_eq!(&out.effects()[..owed.len()], &owed[..]);
            prop_assert_eq!(scheduler.check(), Ok(()));
            let mut host = Host::over(scheduler);
            host.journal = head.to_vec();
            host.journal.extend_from_slice(out.entries());
            if host.journal.last().is_some_and(|entry| entry.at > Time::from_nanos(u64::MAX / 2)) {
                // At the end of time everything is due at once, and nothing can be finished.
                break;
            }
            finish(&mut host)?;
            reported_once(&host.journal)?;
        }
    }

    /// After a crash between calls the same commands are answered in the same way and lead to the same facts.
    #[test]
    fn a_restored_scheduler_decides_as_before(setup in setups(), steps in steps(60), at: prop::sample::Index) {
        let mut setup = setup;
        if matches!(setup.routing, crate::model::Routing::Turn | crate::model::Routing::Load) {
            setup.routing = crate::model::Routing::Priority;
        }
        let mut world = World::new(setup.clone());
        let crash = at.index(steps.len());
        let mut cut = (0, Time::ZERO, 0);
        for (number, step) in steps.iter().enumerate() {
            if number == crash {
                // A host that resumes renews every lease: here each agent says a word.
                let now = world.model.now;
                let lives: Vec<_> = world.model.agents.values().map(|agent| agent.by).collect();
                for by in lives {
                    world.step(now, &AgentCommand::Heartbeat { by }.into()).map_err(TestCaseError::fail)?;
                }
                // Without agents nobody has said one: what is due fires now.
                world.step(now, &Command::Tick).map_err(TestCaseError::fail)?;
                cut = (world.journal.len(), now, world.calls.len());
            }
            let (now, command) = step.command(&world);
            world.step(now, &command).map_err(TestCaseError::fail)?;
        }
        let (head, tail) = world.journal.split_at(cut.0);
        let mut scheduler = restored(&world, None, head)?;
        let mut out = Outbox::default();
        scheduler.resume(cut.1, &mut out);
        prop_assert_eq!(out.entries(), &[]);
        out.clear();
        for call in &world.calls[cut.2..] {
            let verdict = scheduler.handle(call.now, call.command.clone(), &mut out);
            prop_assert_eq!(&verdict, &call.verdict, "{:?}", call.command);
        }
        prop_assert_eq!(out.entries(), tail);
    }

}

proptest! {
    #![proptest_config(cases(256))]

    /// Entries that nobody wrote so: a typed error, or a state that is sound and goes on.
    #[test]
    fn mangled_journals_never_panic(setup in setups(), steps in steps(50), harm in prop::collection::vec(harms(), 1..4)) {
        let world = world(&setup, &steps)?;
        let mut entries = world.journal.clone();
        for harm in &harm {
            harm.to(&mut entries);
        }
        if let Ok(scheduler) = Scheduler::restore(setup.config(), None, &entries) {
            lives_on(scheduler, &entries)?;
        }
    }

    /// Snapshots that nobody took so.
    #[test]
    fn mangled_snapshots_never_panic(setup in setups(), steps in steps(50), which: prop::sample::Index, bit in 0_u32..64) {
        let world = world(&setup, &steps)?;
        let mut value = serde_json::to_value(world.scheduler.snapshot()).unwrap();
        flip(&mut value, which, bit);
        let Ok(snapshot) = serde_json::from_value::<SchedulerSnapshot>(value) else { return Ok(()) };
        if let Ok(scheduler) = Scheduler::restore(setup.config(), Some(&snapshot), &[]) {
            lives_on(scheduler, &[])?;
        }
    }
}

/// What the outside owes an answer to, from what can be seen.
fn unanswered(scheduler: &Scheduler) -> Vec<Effect> {
    let snapshot = serde_json::to_value(scheduler.snapshot()).unwrap();
    let mut ids: Vec<TaskId> =
        snapshot["tasks"].as_array().unwrap().iter().map(|task| id_of(&task["spec"]["id"])).collect();
    ids.sort_unstable();
    let mut effects = Vec::new();
    for id in ids {
        let task = scheduler.task(id).unwrap();
        let Some((attempt, by)) = task.running() else { continue };
        if scheduler.agent(by.agent()).is_none_or(|agent| agent.incarnation() != by) {
            continue;
        }
        let record =
            snapshot["tasks"].as_array().unwrap().iter().find(|task| id_of(&task["spec"]["id"]) == id).unwrap();
        let since: Time = serde_json::from_value(record["stage"]["running"]["since"].clone()).unwrap();
        let policy = &task.spec().policy;
        let timeout = policy.attempt_timeout().map(|span| since + span);
        let total = policy.total_timeout().map(|span| task.submitted() + span);
        let until = timeout.into_iter().chain(total).min();
        effects.push(Effect::Dispatch {
            attempt,
            to: by,
            task: std::sync::Arc::new(task.spec().clone()),
            until,
            identity: None,
            details: task.details().clone(),
        });
        if task.status() == TaskStatus::Cancelling {
            effects.push(Effect::Cancel { attempt, from: by });
        }
    }
    effects
}

fn id_of(value: &serde_json::Value) -> TaskId {
    serde_json::from_value(value.clone()).unwrap()
}

fn tasks(scheduler: &Scheduler) -> Vec<(TaskId, TaskStatus)> {
    let ids = scheduler.snapshot().tasks.into_iter().map(|task| task.spec.id);
    ids.map(|id| (id, scheduler.task(id).unwrap().status())).collect()
}

/// Brings agents that can do everything, answers all that is asked, and lets time pass, until every task has ended.
fn finish(host: &mut Host) -> Result<(), TestCaseError> {
    host.now = host.journal.last().map_or(Time::ZERO, |entry| entry.at);
    for agent in host.scheduler.agents().map(|agent| agent.spec().id).collect::<Vec<_>>() {
        // Unless its lease has run out by now.
        let _ = host.say(AgentCommand::Deregister { agent });
    }
    for id in 1..=2 {
        let able = agent(id)
            .with_skill("saw", 9)
            .with_skill("nail", 9)
            .with_skill("naill", 9)
            .with_label("hall", "b")
            .with_capacity(3);
        host.join(able);
    }
    for _ in 0..500 {
        // What is due is due: an answer may come too late.
        host.wait(Duration::ZERO);
        if let Some((id, _)) = tasks(&host.scheduler)
            .into_iter()
            .find(|(_, status)| matches!(status, TaskStatus::Running | TaskStatus::Cancelling))
        {
            host.complete(id.get());
        } else if tasks(&host.scheduler).iter().all(|(_, status)| status.is_terminal()) {
            return Ok(());
        } else {
            let next = host.scheduler.next_wakeup();
            prop_assert!(next.is_some(), "nothing is due and these wait: {:?}", tasks(&host.scheduler));
            host.now = host.now.max(next.unwrap_or_default());
            host.wait(Duration::ZERO);
        }
    }
    Err(TestCaseError::fail(format!("no end comes: {:?}", tasks(&host.scheduler))))
}

/// Every task that was taken on has exactly one end, and no attempt was given out twice.
fn reported_once(journal: &[Entry]) -> Result<(), TestCaseError> {
    let mut open: BTreeSet<TaskId> = BTreeSet::new();
    let mut given = BTreeMap::new();
    for entry in journal {
        let Event::Task { task, event } = &entry.event else { continue };
        let ended = match event {
            TaskEvent::Submitted { spec, .. } => {
                prop_assert!(open.insert(spec.id), "{} is submitted while it is open", spec.id);
                given.insert(spec.id, 0);
                None
            }
            TaskEvent::Assigned { attempt, .. } => {
                prop_assert!(open.contains(task));
                prop_assert_eq!(given.insert(*task, attempt.get()), Some(attempt.get() - 1));
                None
            }
            TaskEvent::AttemptFailed { next: counterpoint::message::Next::Retry { .. }, .. } => None,
            TaskEvent::AttemptFailed { .. }
            | TaskEvent::Succeeded { .. }
            | TaskEvent::Cancelled { .. }
            | TaskEvent::Expired { .. } => Some(*task),
            _ => None,
        };
        if let Some(id) = ended {
            prop_assert!(open.remove(&id), "{} ends twice", id);
        }
    }
    prop_assert!(open.is_empty(), "never ended: {:?}", open);
    Ok(())
}

#[derive(Debug, Clone)]
pub enum Harm {
    Drop { at: prop::sample::Index, renumber: bool },
    Double { at: prop::sample::Index, renumber: bool },
    Swap { at: prop::sample::Index, to: prop::sample::Index, renumber: bool },
    Flip { at: prop::sample::Index, which: prop::sample::Index, bit: u32 },
}

pub fn harms() -> impl Strategy<Value = Harm> {
    let index = any::<prop::sample::Index>;
    let renumber = || prop::bool::weighted(0.9);
    prop_oneof![
        1 => (index(), renumber()).prop_map(|(at, renumber)| Harm::Drop { at, renumber }),
        1 => (index(), renumber()).prop_map(|(at, renumber)| Harm::Double { at, renumber }),
        1 => (index(), index(), renumber()).prop_map(|(at, to, renumber)| Harm::Swap { at, to, renumber }),
        4 => (index(), index(), 0_u32..64).prop_map(|(at, which, bit)| Harm::Flip { at, which, bit }),
    ]
}

impl Harm {
    pub fn to(&self, entries: &mut Vec<Entry>) {
        if entries.is_empty() {
            return;
        }
        let count = entries.len();
        let renumbered = match self {
            Self::Drop { at, renumber } => {
                entries.remove(at.index(count));
                *renumber
            }
            Self::Double { at, renumber } => {
                let entry = entries[at.index(count)].clone();
                entries.insert(at.index(count), entry);
                *renumber
            }
            Self::Swap { at, to, renumber } => {
                entries.swap(at.index(count), to.index(count));
                *renumber
            }
            Self::Flip { at, which, bit } => {
                let entry = &mut entries[at.index(count)];
                let mut value = serde_json::to_value(&*entry).unwrap();
                flip(&mut value, *which, *bit);
                if let Ok(other) = serde_json::from_value(value) {
                    *entry = other;
                }
                false
            }
        };
        if renumbered {
            let mut at = Time::ZERO;
            for (number, entry) in (1..).zip(entries) {
                entry.seq = Seq::new(number);
                at = at.max(entry.at);
                entry.at = at;
            }
        }
    }
}

/// All numbers, wherever they stand.
pub fn numbers_in(value: &mut serde_json::Value) -> Vec<&mut serde_json::Value> {
    match value {
        serde_json::Value::Number(_) => vec![value],
        serde_json::Value::Array(items) => items.iter_mut().flat_map(numbers_in).collect(),
        serde_json::Value::Object(fields) => fields.values_mut().flat_map(numbers_in).collect(),
        _ => Vec::new(),
    }
}

/// Flips a bit of one of the numbers.
pub fn flip(value: &mut serde_json::Value, which: prop::sample::Index, bit: u32) {
    let mut found = numbers_in(value);
    if found.is_empty() {
        return;
    }
    let at = which.index(found.len());
    let number = found[at].as_u64().unwrap_or_default();
    // Fields of 16 and 32 bits are hit more often by a small bit.
    let bit = if number < 1 << 16 && bit > 20 { bit % 8 } else { bit };
    *found[at] = (number ^ (1 << bit)).into();
}

#[test]
fn a_journal_whose_times_go_back_is_refused() {
    let mut scheduler = Scheduler::new(Config::default());
    let mut out = Outbox::default();
    for (at, id) in [(1, 1), (5, 2), (9, 3)] {
        scheduler
            .handle(Time::from_secs(at), Command::submit(TaskSpec::new(TaskId::new(id), "any")), &mut out)
            .unwrap();
    }
    let mut entries = out.entries().to_vec();
    assert!(Scheduler::restore(Config::default(), None, &entries).is_ok());
    let last = entries.last_mut().unwrap();
    last.at = Time::from_secs(4);
    let seq = last.seq;
    let refused = Scheduler::restore(Config::default(), None, &entries).map(|_| ());
    assert_eq!(refused, Err(RestoreError::TimeWentBack { seq }));
}

/// A task that was made more urgent is so after a crash, too, whether its fact is read or a snapshot.
#[test]
fn a_snapshot_keeps_how_urgent_a_task_has_become() {
    let mut scheduler = Scheduler::new(Config::default());
    let mut out = Outbox::default();
    let commands = [
        Command::submit(TaskSpec::new(TaskId::new(1), "any")),
        Command::submit(TaskSpec::new(TaskId::new(2), "any")),
        TaskCommand::Prioritise { tasks: vec![TaskId::new(2)], tier: Tier::High, reason: "the boss".into() }.into(),
    ];
    for command in commands {
        scheduler.handle(Time::ZERO, command, &mut out).unwrap();
    }
    let facts = out.entries().to_vec();
    let snapshot = scheduler.snapshot();
    for (snapshot, facts) in [(None, &facts[..]), (Some(&snapshot), &[])] {
        let mut scheduler = Scheduler::restore(Config::default(), snapshot, facts).unwrap();
        let mut out = Outbox::default();
        let agent = AgentSpec::new(AgentId::new(1)).with_skill("any", 1);
        scheduler.handle(Time::ZERO, Command::register(agent), &mut out).unwrap();
        let first = out.effects().iter().find_map(|effect| match effect {
            Effect::Dispatch { attempt, .. } => Some(attempt.task()),
            _ => None,
        });
        assert_eq!(first, Some(TaskId::new(2)));
    }
}

/// What came out of a mangled journal works on, and can be replayed itself.
fn lives_on(mut scheduler: Scheduler, entries: &[Entry]) -> Result<(), TestCaseError> {
    let mut out = Outbox::default();
    let now = entries.last().map_or(Time::ZERO, |entry| entry.at);
    scheduler.resume(now, &mut out);
    prop_assert_eq!(scheduler.check(), Ok(()), "after resume");
    let able = agent(4).with_skill("saw", 9).with_skill("nail", 9).with_label("hall", "b");
    let commands = [
        Command::register(able.clone()),
        Command::register(able),
        Command::submit(TaskSpec::new(TaskId::new(77), "saw")),
        Command::Tick,
    ];
    for command in commands {
        let _ = scheduler.handle(now, command, &mut out);
        prop_assert_eq!(scheduler.check(), Ok(()), "after a command");
    }
    for effect in scheduler.outstanding() {
        if let Effect::Dispatch { attempt, to, .. } = effect {
            let _ = scheduler.handle(now, Command::complete(to, attempt, Payload::NULL), &mut out);
            prop_assert_eq!(scheduler.check(), Ok(()), "after a completion");
        }
    }
    for agent in 1..6 {
        let _ = scheduler.handle(now, AgentCommand::Deregister { agent: AgentId::new(agent) }.into(), &mut out);
        prop_assert_eq!(scheduler.check(), Ok(()), "after a farewell");
    }
    let _ = scheduler.handle(Time::MAX, Command::Tick, &mut out);
    prop_assert_eq!(scheduler.check(), Ok(()), "at the end of time");
    Ok(())
}
