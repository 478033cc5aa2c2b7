//! Several engines in one process, which share agents.

use counterpoint::cluster::{BadShards, HomeError, Misrouted, Partition, PartitionKey, ShardId, Shards};
use counterpoint::definition::{Action, Definition, Link, Node};
use counterpoint::host::thread::{ShardedHost, ThreadHost};
use counterpoint::host::{HostError, InFlight};
use counterpoint::journal::{AppendError, Epoch, Journal, JournalError, MemoryJournal, Takeover};
use counterpoint::message::DeadFilter;
use counterpoint::message::rejected::{Conflict, Rejected, Unknown};
use counterpoint::workflow::{Attempt, Step, Steps, Workflow};
use counterpoint::{
    Accepted, AgentId, AgentSpec, Config, Engine, Entry, Failure, Payload, Policy, Retry, RunId, RunSpec, Seq,
    TaskCommand, TaskId, TaskOutcome, TaskSpec,
};
use crossbeam::channel::{bounded, unbounded};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);

fn agent(id: u64) -> AgentSpec {
    AgentSpec::new(AgentId::new(id)).with_skill("work", 1)
}

fn task(id: u64) -> TaskSpec {
    let retry = Retry::exponential(5, Duration::from_millis(1), Duration::from_millis(2));
    TaskSpec::new(TaskId::new(id), "work").with_policy(Policy::default().with_retry(retry))
}

fn echo(task: &TaskSpec, _: &Attempt) -> Result<Payload, Failure> {
    Ok(task.payload.clone())
}

fn shards(count: u16) -> Shards {
    Shards::new(count).unwrap()
}

fn start(count: u16) -> ShardedHost {
    ShardedHost::start(shards(count), |_| Config::default()).unwrap()
}

fn shard_of(task: u64, count: u16) -> ShardId {
    shards(count).shard_of(Partition::of_task(TaskId::new(task)))
}

/// The attempts that all engines have assigned.
fn assigned(host: &ShardedHost) -> usize {
    let each = host.inspect(|_, engine| engine.agents().map(|agent| agent.in_flight()).sum::<usize>()).unwrap();
    each.into_iter().sum()
}

/// Waits until the home has used all that was sent to it before: a group of messages is smaller.
fn pass_home(host: &ShardedHost) {
    for _ in 0..300 {
        let unknown = HostError::Rejected(Rejected::Unknown(Unknown::Agent(AgentId::new(99))));
        assert_eq!(host.remove_agent(AgentId::new(99)), Err(unknown));
    }
}

#[test]
fn independent_work_is_spread_over_shards_and_done() {
    for count in [1, 2, 4] {
        let host = start(count);
        for id in 1..=3 {
            host.add_custom_agent(agent(id).with_capacity(id as u32), echo).unwrap();
        }
        let submit = |id: u64| host.submit(task(id).with_payload(Payload::of(&id).unwrap())).unwrap();
        let handles: Vec<_> = (1..=300).map(submit).collect();
        for (handle, id) in handles.into_iter().zip(1..=300_u64) {
            let outcome = handle.wait_for(PATIENCE).unwrap();
            assert_eq!(outcome, TaskOutcome::Succeeded(Payload::of(&id).unwrap()));
        }
        let known =
            |engine: &Engine| (1..=300).filter(|id| engine.task(TaskId::new(*id)).is_some()).collect::<Vec<_>>();
        for (ids, shard) in host.inspect(move |_, engine| known(engine)).unwrap().into_iter().zip(shards(count).all()) {
            assert!(!ids.is_empty(), "{shard} of {count} has no task");
            assert!(ids.iter().all(|id| shard_of(*id, count) == shard));
        }
        host.shut_down(PATIENCE).unwrap();
        assert_eq!(host.submit(task(1)).map(|handle| handle.id()), Err(HostError::Ended));
    }
}

#[test]
fn shards_never_assign_more_than_an_agent_has_slots() {
    for slots in [1, 3] {
        let host = start(4);
        let (go, gate) = bounded::<()>(0);
        let (begun, begins) = unbounded();
        let wait = move |task: &TaskSpec, _: &Attempt| {
            begun.send(task.id).unwrap();
            gate.recv().unwrap();
            Ok(Payload::NULL)
        };
        host.add_custom_agent(agent(1).with_capacity(slots), wait).unwrap();
        let handles: Vec<_> = (1..=20).map(|id| host.submit(task(id)).unwrap()).collect();
        for _ in 0..slots {
            begins.recv_timeout(PATIENCE).unwrap();
        }
        pass_home(&host);
        assert_eq!(assigned(&host), slots as usize);
        assert!(begins.is_empty());
        (0..20).for_each(|_| go.send(()).unwrap());
        handles.into_iter().for_each(|handle| drop(handle.wait_for(PATIENCE).unwrap()));
        host.shut_down(PATIENCE).unwrap();
    }
}

#[test]
fn a_task_that_fails_at_an_agent_finds_another_one() {
    let host = start(2);
    let refuse = |_: &TaskSpec, _: &Attempt| Err::<Payload, _>(Failure::transient("not here"));
    host.add_custom_agent(agent(1), refuse).unwrap();
    let policy =
        Policy::default().with_retry(Retry::exponential(1_000, Duration::from_millis(1), Duration::from_millis(1)));
    let handles: Vec<_> = (1..=4).map(|id| host.submit(task(id).with_policy(policy.clone())).unwrap()).collect();
    host.add_custom_agent(agent(2), echo).unwrap();
    for handle in handles {
        assert_eq!(handle.wait_for(PATIENCE).unwrap(), TaskOutcome::Succeeded(Payload::NULL));
    }
    host.shut_down(PATIENCE).unwrap();
}

#[test]
fn a_removed_agent_gives_its_attempts_back() {
    let host = start(2);
    let (begun, begins) = unbounded();
    let hang = move |_: &TaskSpec, attempt: &Attempt| {
        begun.send(()).unwrap();
        while !attempt.is_cancelled() {
            std::thread::yield_now();
        }
        Err::<Payload, _>(Failure::transient("cancelled"))
    };
    host.add_custom_agent(agent(1).with_capacity(2), hang).unwrap();
    let handles: Vec<_> = (1..=2).map(|id| host.submit(task(id)).unwrap()).collect();
    (0..2).for_each(|_| begins.recv_timeout(PATIENCE).unwrap());
    host.add_custom_agent(agent(2), echo).unwrap();
    host.remove_agent(AgentId::new(1)).unwrap();
    for handle in handles {
        assert!(matches!(handle.wait_for(PATIENCE), Ok(TaskOutcome::Succeeded(_))));
    }
    host.shut_down(PATIENCE).unwrap();
}

struct Double;

impl Step for Double {
    const KIND: &'static str = "double";
    type Input = u64;
    type Output = u64;

    fn run(&self, number: u64, _: &Attempt) -> Result<u64, Failure> {
        Ok(number * 2)
    }
}

#[test]
fn runs_are_executed_in_the_shard_of_their_id() {
    let flow = Workflow::<u64, u64>::named("quadruple");
    let twice = flow.step(Double, flow.step(Double, flow.input()));
    let quadruple = flow.output(twice).unwrap();
    let host = start(4);
    host.add_agent(AgentSpec::new(AgentId::new(1)).with_capacity(2), Steps::new().with(Double)).unwrap();
    let runs: Vec<_> = (1..=20).map(|id| host.run(&quadruple, RunId::new(id), &id).unwrap()).collect();
    for (run, id) in runs.into_iter().zip(1..) {
        assert_eq!(run.wait_for(PATIENCE).unwrap(), Ok(4 * id));
    }
    assert_eq!(host.attach::<u64>(RunId::new(7)).unwrap().wait(), Ok(28));
    host.shut_down(PATIENCE).unwrap();
}

#[test]
fn what_one_shard_cannot_do_is_refused() {
    let host = start(2);
    let other = (2..100).find(|id| shard_of(*id, 2) != shard_of(1, 2)).unwrap();
    let across = host.submit(task(1).with_after([TaskId::new(other)])).map(|handle| handle.id());
    assert!(matches!(across, Err(HostError::Misrouted(Misrouted::Across { .. }))), "{across:?}");
    let key = PartitionKey::new("order 17");
    host.submit(TaskSpec::new(key.task("charge"), "work")).unwrap();
    host.submit(TaskSpec::new(key.task("ship"), "work").with_after([key.task("charge")])).unwrap();

    let reserved = host.add_custom_agent(agent(1).with_capacity(2).with_reserved(1), echo);
    assert_eq!(reserved, Err(HostError::Home(HomeError::OneShard(AgentId::new(1)))));
    let nothing = host.add_custom_agent(agent(1).with_capacity(0), echo);
    assert!(matches!(nothing, Err(HostError::Rejected(Rejected::Invalid(_)))), "{nothing:?}");
    let drain = host.command(counterpoint::AgentCommand::Drain { agent: AgentId::new(1) });
    assert_eq!(drain, Err(HostError::Misrouted(Misrouted::OneShard)));
    assert!(matches!(host.shard(ShardId::new(2)), Err(BadShards::Unknown { .. })));
    host.shut_down(PATIENCE).unwrap();
}

#[test]
fn a_command_for_all_shards_has_one_answer() {
    let host = start(4);
    let refuse = |_: &TaskSpec, _: &Attempt| Err::<Payload, _>(Failure::transient("never"));
    host.add_custom_agent(agent(1), refuse).unwrap();
    let handles: Vec<_> = (1..=20).map(|id| host.submit(task(id)).unwrap()).collect();
    for handle in handles {
        assert!(matches!(handle.wait_for(PATIENCE), Ok(TaskOutcome::DeadLettered(_))));
    }
    let discard = TaskCommand::DiscardAll { filter: DeadFilter::default(), reason: "old".into() };
    assert_eq!(host.command(discard.clone()), Ok(Accepted::Count(20)));
    assert_eq!(host.command(discard), Ok(Accepted::Count(0)));
    let greet = Definition::new("greet").with_node(Node::new("say", Action::task("say")));
    assert_eq!(host.define(greet.clone()), Ok(Accepted::Done));
    assert_eq!(host.define(greet), Ok(Accepted::Repeated));
    host.shut_down(PATIENCE).unwrap();
}

#[test]
fn a_callback_of_a_shard_does_not_wait_for_another_one() {
    let host = Arc::new(start(2));
    let inner = Arc::clone(&host);
    let results = host.inspect(move |_, _: &Engine| inner.submit(task(1)).map(|handle| handle.id())).unwrap();
    assert_eq!(results, [Err(HostError::Reentrant), Err(HostError::Reentrant)]);
    host.shut_down(PATIENCE).unwrap();
}

fn open(count: u16, journals: &[MemoryJournal]) -> Result<ShardedHost, HostError> {
    ShardedHost::open(shards(count), |_| Config::default(), |shard| Ok(journals[shard.index()].clone()))
}

#[test]
fn a_host_continues_from_its_journals() {
    let journals: Vec<_> = (0..2).map(|_| MemoryJournal::default()).collect();
    let first = open(2, &journals).unwrap();
    let (begun, begins) = unbounded();
    let hang = move |_: &TaskSpec, attempt: &Attempt| {
        begun.send(()).unwrap();
        while !attempt.is_cancelled() {
            std::thread::yield_now();
        }
        Err::<Payload, _>(Failure::transient("cancelled"))
    };
    first.add_custom_agent(agent(1).with_capacity(2), hang).unwrap();
    (1..=10).for_each(|id| drop(first.submit(task(id)).unwrap()));
    (0..2).for_each(|_| begins.recv_timeout(PATIENCE).unwrap());
    let second = open(2, &journals).unwrap();
    second.add_custom_agent(agent(1).with_capacity(2), echo).unwrap();
    for id in 1..=10 {
        let outcome = second.submit(task(id)).unwrap().wait_for(PATIENCE).unwrap();
        assert_eq!(outcome, TaskOutcome::Succeeded(Payload::NULL));
    }
    second.shut_down(PATIENCE).unwrap();
    drop(first);

    let swapped: Vec<_> = journals.iter().rev().cloned().collect();
    let refused = open(2, &swapped).map(drop);
    assert!(matches!(refused, Err(HostError::Shards(BadShards::Foreign { .. }))), "{refused:?}");
    let more: Vec<_> = journals.iter().cloned().chain([MemoryJournal::default(), MemoryJournal::default()]).collect();
    let refused = open(4, &more).map(drop);
    assert!(matches!(refused, Err(HostError::Shards(BadShards::Foreign { .. }))), "{refused:?}");
}

/// A journal that refuses what is appended after some entries.
struct Full {
    journal: MemoryJournal,
    room: usize,
}

impl Journal for Full {
    fn take_over(&mut self) -> Result<Takeover, JournalError> {
        self.journal.take_over()
    }

    fn append(&mut self, epoch: Epoch, after: Seq, entries: &[Entry]) -> Result<(), AppendError> {
        if self.journal.len() + entries.len() > self.room {
            return Err(AppendError::Refused("the disk is full".into()));
        }
        self.journal.append(epoch, after, entries)
    }
}

#[test]
fn a_journal_that_fails_ends_all_shards() {
    let full = shard_of(1, 2);
    let journal = |shard| {
        let room = if shard == full { 5 } else { usize::MAX };
        Ok(Full { journal: MemoryJournal::default(), room })
    };
    let host = ShardedHost::open(shards(2), |_| Config::default(), journal).unwrap();
    let mine = (1..).filter(|id| shard_of(*id, 2) == full);
    let failed = mine.map(|id| host.submit(task(id)).map(drop)).find_map(Result::err);
    assert_eq!(failed, Some(HostError::Ended));
    // The other shard ends as well.
    let other = (2..).filter(|id| shard_of(*id, 2) != full);
    let ended = other.map(|id| host.submit(task(id)).map(drop)).find_map(Result::err);
    assert_eq!(ended, Some(HostError::Ended));
    let error = host.shut_down(PATIENCE).unwrap_err();
    assert!(matches!(&error, HostError::Append { error: AppendError::Refused(_), .. }), "{error}");
}

#[test]
fn one_shard_is_a_thread_host() {
    let facts = |entries: Vec<Entry>| -> Vec<String> {
        let events = entries.into_iter().map(|entry| format!("{:?}", entry.event));
        // The identities are drawn.
        events.filter(|event| !event.contains("Identified")).collect()
    };
    let journal = MemoryJournal::default();
    let sharded = open(1, std::slice::from_ref(&journal)).unwrap();
    sharded.add_custom_agent(agent(1), echo).unwrap();
    sharded.submit(task(1)).unwrap().wait_for(PATIENCE).unwrap();
    sharded.shut_down(PATIENCE).unwrap();
    let plain = MemoryJournal::default();
    let host = ThreadHost::open(Config::default().with_partitioned_ids(), plain.clone()).unwrap();
    host.add_custom_agent(agent(1), echo).unwrap();
    host.submit(task(1)).unwrap().wait_for(PATIENCE).unwrap();
    host.shut_down(PATIENCE).unwrap();
    assert_eq!(facts(journal.entries()), facts(plain.entries()));
}

/// Runs of each shard migrate with one deployment, and one that is refused by a shard changes none.
#[test]
fn a_deployment_reaches_the_runs_of_every_shard() {
    let host = start(4);
    let flow = |version: u32| {
        let go = Node::new("go", Action::Wait { signal: Some("go".into()), timer: None });
        let flow = Definition::new("wait").with_version(version).with_node(go);
        if version == 1 { flow } else { flow.with_node(Node::new("more", Action::Pass).with_link(Link::success("go"))) }
    };
    let deploy = |version, in_flight| host.deploy(flow(version), in_flight);
    assert_eq!(deploy(1, InFlight::Pin).unwrap().defined, Accepted::Done);
    assert_eq!(deploy(1, InFlight::Pin).unwrap().defined, Accepted::Repeated);
    let ids: Vec<RunId> = (1..=12).map(RunId::new).collect();
    let used: BTreeSet<ShardId> = ids.iter().map(|id| shards(4).shard_of(Partition::of_run(*id))).collect();
    assert_eq!(used.len(), 4, "each shard has a run");
    let runs: Vec<_> =
        ids.iter().map(|id| host.start_run::<Payload>(RunSpec::new(*id, "wait").with_version(1)).unwrap()).collect();
    let versions = || {
        let of = |_, engine: &Engine| {
            let versions = engine.runs().map(|run| (run.id(), run.definition().version));
            versions.collect::<Vec<_>>()
        };
        host.inspect(of).unwrap().into_iter().flatten().collect::<BTreeMap<_, _>>()
    };
    let refused = deploy(2, InFlight::Refuse);
    assert!(matches!(refused, Err(HostError::Rejected(Rejected::Conflict(Conflict::InFlight { .. })))), "{refused:?}");
    let known = |_, engine: &Engine| engine.definitions().len();
    assert_eq!(host.inspect(known).unwrap(), [1; 4], "no shard has it");
    // A deployment that was interrupted after one shard is completed by the same deployment.
    host.shard(shards(4).all().next().unwrap()).unwrap().deploy(flow(2), InFlight::Migrate).unwrap();
    let before = versions().values().filter(|version| **version == 2).count();
    let deployed = deploy(2, InFlight::Migrate).unwrap();
    assert_eq!((deployed.defined, deployed.pinned.len()), (Accepted::Done, 0));
    assert!(before > 0 && deployed.migrated.len() == ids.len() - before, "{before} {:?}", deployed.migrated);
    assert!(versions().values().all(|version| *version == 2));
    for (id, run) in ids.iter().zip(runs) {
        host.signal(*id, "go", Payload::NULL).unwrap();
        run.wait().unwrap();
    }
    host.shut_down(PATIENCE).unwrap();
}
