//! The host on threads: what a caller sees.

use counterpoint::engine::EngineSnapshot;
use counterpoint::host::thread::ThreadHost;
use counterpoint::host::{Durable, HostError, RunError};
use counterpoint::journal::EventFilter;
use counterpoint::journal::{AppendError, Archive, Epoch, Journal, JournalError, MemoryJournal, Seen, Takeover};
use counterpoint::message::TaskEvent;
use counterpoint::message::rejected::{Conflict, Invalid};
use counterpoint::workflow::{Attempt, Done, Step, Steps, Undo, Workflow};
use counterpoint::{
    Accepted, AgentId, AgentSpec, Command, Config, Engine, Entry, Event, Failure, Limits, Payload, Policy, Rejected,
    Retry, RunId, RunOutcome, Seq, TaskId, TaskOutcome, TaskSpec,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(30);

fn quick(attempts: u32) -> Policy {
    let retry = Retry::exponential(attempts, Duration::from_millis(1), Duration::from_millis(2));
    Policy::default().with_retry(retry)
}

fn agent(id: u64) -> AgentSpec {
    AgentSpec::new(AgentId::new(id)).with_skill("work", 1)
}

fn task(id: u64) -> TaskSpec {
    TaskSpec::new(TaskId::new(id), "work").with_policy(quick(3))
}

fn ended(host: &ThreadHost, spec: TaskSpec) -> TaskOutcome {
    host.submit(spec).unwrap().wait_for(PATIENCE).expect("it ends in time")
}

#[test]
fn a_task_is_performed_and_its_outcome_returned() {
    let host = ThreadHost::start(Config::default()).unwrap();
    let double = |task: &TaskSpec, _: &Attempt| Ok(Payload::of(&(task.payload.to::<u32>().unwrap() * 2)).unwrap());
    host.add_custom_agent(agent(1), double).unwrap();
    let spec = task(1).with_payload(Payload::of(&21).unwrap());
    assert_eq!(ended(&host, spec.clone()), TaskOutcome::Succeeded(Payload::of(&42).unwrap()));
    // The same again is recognised, and its outcome told at once.
    assert_eq!(ended(&host, spec), TaskOutcome::Succeeded(Payload::of(&42).unwrap()));
    assert_eq!(
        host.submit(task(1)).unwrap_err(),
        HostError::Rejected(Rejected::Conflict(Conflict::Task(TaskId::new(1))))
    );
    host.shut_down(PATIENCE).unwrap();
}

#[test]
fn a_group_of_commands_is_answered_in_order() {
    let host = ThreadHost::start(Config::default()).unwrap();
    let submit = |id| Command::submit(task(id));
    let other = Command::submit(task(1).with_payload(Payload::of(&1).unwrap()));
    let answers = host.command_all(vec![submit(1), submit(2), submit(1), other]).unwrap();
    let conflict = Rejected::Conflict(Conflict::Task(TaskId::new(1)));
    assert_eq!(answers, [Ok(Accepted::Done), Ok(Accepted::Done), Ok(Accepted::Repeated), Err(conflict)]);
    let most = Limits::default().bulk as usize;
    let many = host.command_all(vec![Command::Tick; most + 1]);
    assert!(matches!(many, Err(HostError::Rejected(Rejected::Invalid(Invalid::TooLarge { .. })))), "{many:?}");
    assert_eq!(host.command_all(vec![Command::Tick; most]).unwrap().len(), most);
    host.shut_down(PATIENCE).unwrap();
}

#[test]
fn a_panic_is_the_failure_of_an_attempt_and_another_agent_tries() {
    let host = ThreadHost::start(Config::default()).unwrap();
    let events = host.events(EventFilter::tasks(), 100).unwrap();
    host.add_custom_agent(agent(1), |_: &TaskSpec, attempt: &Attempt| -> Result<Payload, Failure> {
        assert!(attempt.number() > 9, "too early");
        Ok(Payload::NULL)
    })
    .unwrap();
    let handle = host.submit(task(1)).unwrap();
    host.add_custom_agent(agent(2), |_: &TaskSpec, _: &Attempt| Ok(Payload::of("done").unwrap())).unwrap();
    assert_eq!(handle.wait_for(PATIENCE).unwrap(), TaskOutcome::Succeeded(Payload::of("done").unwrap()));
    host.shut_down(PATIENCE).unwrap();
    let failures: Vec<_> = events
        .filter_map(|entry| match entry.event {
            Event::Task { event: TaskEvent::AttemptFailed { failure, .. }, .. } => Some(failure.message),
            _ => None,
        })
        .collect();
    assert!(failures.iter().all(|message| message.contains("too early")), "{failures:?}");
}

#[test]
fn a_slow_subscriber_receives_gaps() {
    let host = ThreadHost::start(Config::default()).unwrap();
    let events = host.events(EventFilter::tasks(), 2).unwrap();
    host.add_custom_agent(agent(1), |_: &TaskSpec, _: &Attempt| Ok(Payload::NULL)).unwrap();
    for id in 1..=5 {
        host.submit(task(id)).unwrap().wait_for(PATIENCE).unwrap();
    }
    let missed = events.missed();
    assert!(missed > 0, "there was room for two");
    let first: Vec<Seen> = (0..2).map(|_| events.seen_within(PATIENCE).unwrap()).collect();
    assert!(first.iter().all(|seen| matches!(seen, Seen::Event(_))), "{first:?}");
    // With the next fact it is told how many are missing, and which.
    host.submit(task(6)).unwrap().wait_for(PATIENCE).unwrap();
    let Some(Seen::Missed { count, first, last }) = events.seen_within(PATIENCE) else { panic!("nothing was missed") };
    assert!(count == missed && first < last, "{count} of {missed}, {first} to {last}");
    host.shut_down(PATIENCE).unwrap();
}

#[test]
fn an_output_that_is_too_large_fails_and_is_not_waited_for() {
    let config = Config::default().with_limits(Limits::default().with_payload_bytes(100));
    let host = ThreadHost::start(config).unwrap();
    host.add_custom_agent(agent(1), |_: &TaskSpec, _: &Attempt| Ok(Payload::of(&"x".repeat(1_000)).unwrap())).unwrap();
    let TaskOutcome::Failed(failure) = ended(&host, task(1)) else { panic!("it cannot succeed") };
    assert!(failure.message.contains("payload_bytes"), "{failure}");
}

#[test]
fn a_cancelled_attempt_sees_it() {
    let host = ThreadHost::start(Config::default()).unwrap();
    host.add_custom_agent(agent(1), |_: &TaskSpec, attempt: &Attempt| {
        while !attempt.is_cancelled() {
            std::thread::yield_now();
        }
        Err(Failure::transient("gave up"))
    })
    .unwrap();
    let handle = host.submit(task(1)).unwrap();
    let cancel = counterpoint::TaskCommand::Cancel { task: TaskId::new(1), reason: "enough".into() };
    host.command(cancel).unwrap();
    assert!(matches!(handle.wait_for(PATIENCE).unwrap(), TaskOutcome::Cancelled { .. }));
    host.shut_down(PATIENCE).unwrap();
}

#[test]
fn what_a_removed_agent_held_is_tried_by_another() {
    let host = ThreadHost::start(Config::default()).unwrap();
    let begun = Arc::new(AtomicU32::new(0));
    let seen = Arc::clone(&begun);
    host.add_custom_agent(agent(1), move |_: &TaskSpec, attempt: &Attempt| {
        seen.fetch_add(1, Ordering::SeqCst);
        while !attempt.is_cancelled() {
            std::thread::yield_now();
        }
        Ok(Payload::of("too late").unwrap())
    })
    .unwrap();
    let handle = host.submit(task(1)).unwrap();
    while begun.load(Ordering::SeqCst) == 0 {
        std::thread::yield_now();
    }
    host.add_custom_agent(agent(2), |_: &TaskSpec, _: &Attempt| Ok(Payload::of("in time").unwrap())).unwrap();
    host.remove_agent(AgentId::new(1)).unwrap();
    // The old life's thread is let go when the host ends; its word no longer counts.
    assert_eq!(handle.wait_for(PATIENCE).unwrap(), TaskOutcome::Succeeded(Payload::of("in time").unwrap()));
}

struct Take(Arc<AtomicU32>);

impl Step for Take {
    const KIND: &'static str = "take";
    type Input = u32;
    type Output = u32;

    fn run(&self, wanted: u32, _: &Attempt) -> Result<u32, Failure> {
        self.0.fetch_add(wanted, Ordering::SeqCst);
        Ok(wanted)
    }
}

impl Undo for Take {
    fn undo(&self, done: Done<u32, u32>, _: &Attempt) -> Result<(), Failure> {
        self.0.fetch_sub(done.output.unwrap_or(0), Ordering::SeqCst);
        Ok(())
    }
}

struct Refuse;

impl Step for Refuse {
    const KIND: &'static str = "refuse";
    type Input = u32;
    type Output = ();

    fn run(&self, _: u32, _: &Attempt) -> Result<(), Failure> {
        Err(Failure::permanent("never"))
    }
}

#[test]
fn a_run_that_fails_is_compensated() {
    let taken = Arc::new(AtomicU32::new(0));
    let flow = Workflow::<u32, ()>::named("in vain");
    let took = flow.step(Take(Arc::clone(&taken)), flow.input()).undoable();
    let flow = flow.output(flow.step(Refuse, took)).unwrap();
    let host = ThreadHost::start(Config::default()).unwrap();
    let steps = Steps::new().with_undo(Take(Arc::clone(&taken))).with(Refuse);
    host.add_agent(AgentSpec::new(AgentId::new(1)), steps).unwrap();
    let failed = host.run(&flow, RunId::new(1), &3).unwrap().wait_for(PATIENCE).unwrap().unwrap_err();
    let RunError::Unsuccessful(RunOutcome::Compensated { cause }) = failed else { panic!("{failed}") };
    assert!(cause.to_string().contains("refuse"), "{cause}");
    assert_eq!(taken.load(Ordering::SeqCst), 0);
    host.shut_down(PATIENCE).unwrap();
}

#[test]
fn another_host_goes_on_where_the_journal_ends() {
    let journal = MemoryJournal::default();
    let first = ThreadHost::open(Config::default(), journal.clone()).unwrap();
    first.submit(task(1)).unwrap();
    first.shut_down(PATIENCE).unwrap();
    assert_eq!(first.submit(task(2)).unwrap_err(), HostError::Ended);

    let second = ThreadHost::open(Config::default(), journal.clone()).unwrap();
    second.add_custom_agent(agent(1), |_: &TaskSpec, _: &Attempt| Ok(Payload::NULL)).unwrap();
    assert_eq!(ended(&second, task(1)), TaskOutcome::Succeeded(Payload::NULL));
    assert!(second.inspect(|engine| engine.check()).unwrap().is_ok());

    // A third one takes over while the second lives: the second can write no more, and ends.
    let mut third = journal;
    third.take_over().unwrap();
    assert_eq!(second.submit(task(3)).unwrap_err(), HostError::Ended);
}

#[test]
fn a_shutdown_waits_for_what_is_under_way_and_no_longer() {
    let host = ThreadHost::start(Config::default()).unwrap();
    let slow = |_: &TaskSpec, attempt: &Attempt| {
        while !attempt.is_cancelled() {
            std::thread::yield_now();
        }
        Ok(Payload::NULL)
    };
    host.add_custom_agent(agent(1), slow).unwrap();
    let running = host.submit(task(1)).unwrap();
    let waiting = host.submit(task(2)).unwrap();
    // Asked to stop when patience is over, the agent answers; what waited stays in the journal.
    host.shut_down(Duration::from_millis(20)).unwrap();
    assert_eq!(running.wait().unwrap(), TaskOutcome::Succeeded(Payload::NULL));
    assert_eq!(waiting.wait().unwrap_err(), HostError::Ended);
}

fn busy(host: &ThreadHost, ids: std::ops::RangeInclusive<u64>) {
    host.add_custom_agent(agent(1).with_capacity(4), |_: &TaskSpec, _: &Attempt| Ok(Payload::NULL)).unwrap();
    let handles: Vec<_> = ids.map(|id| host.submit(task(id)).unwrap()).collect();
    for handle in handles {
        handle.wait_for(PATIENCE).unwrap();
    }
}

/// What was said is told by a state that was read from a snapshot and the facts after it.
fn told(journal: &MemoryJournal) -> (Takeover, Engine) {
    let taken = journal.clone().take_over().unwrap();
    let snapshot = taken.snapshot.as_deref().map(|bytes| EngineSnapshot::from_bytes(bytes).unwrap());
    let engine = Engine::restore(Config::default(), snapshot.as_ref(), &taken.tail).unwrap();
    (taken, engine)
}

#[test]
fn snapshots_are_taken_as_it_goes_and_the_journal_stays_short() {
    let journal = MemoryJournal::default();
    let host = ThreadHost::durable(Config::default(), journal.clone(), Durable::new().snapshot_every(50)).unwrap();
    busy(&host, 1..=300);
    let live = host.inspect(Engine::snapshot).unwrap();
    host.shut_down(PATIENCE).unwrap();
    let status = host.snapshots().unwrap();
    assert!(status.taken >= 2 && status.failed.is_none(), "{status:?}");
    let (taken, engine) = told(&journal);
    assert!(taken.snapshot.is_some() && taken.tail.len() < 400, "{} facts after {status:?}", taken.tail.len());
    for id in 1..=300 {
        assert_eq!(engine.task(TaskId::new(id)).unwrap().status(), counterpoint::scheduler::TaskStatus::Succeeded);
    }
    assert_eq!(engine.snapshot().scheduler.tasks, live.scheduler.tasks);
    // The next host goes on from there.
    let host = ThreadHost::durable(Config::default(), journal.clone(), Durable::new().snapshot_every(50)).unwrap();
    busy(&host, 301..=310);
    assert_eq!(ended(&host, task(7)), TaskOutcome::Succeeded(Payload::NULL), "the first host did it");
    host.shut_down(PATIENCE).unwrap();
}

/// A journal whose archive stores its first snapshot only after the sender has gone.
struct Slow {
    within: MemoryJournal,
    go: Option<std::sync::mpsc::Receiver<()>>,
}

struct SlowArchive {
    within: Box<dyn Archive>,
    go: std::sync::mpsc::Receiver<()>,
}

impl Journal for Slow {
    fn take_over(&mut self) -> Result<Takeover, JournalError> {
        self.within.take_over()
    }

    fn append(&mut self, epoch: Epoch, after: Seq, entries: &[Entry]) -> Result<(), AppendError> {
        self.within.append(epoch, after, entries)
    }

    fn keep_snapshot(&mut self, epoch: Epoch, at: Seq, snapshot: &[u8]) -> Result<(), AppendError> {
        Journal::keep_snapshot(&mut self.within, epoch, at, snapshot)
    }

    fn archive(&mut self) -> Option<Box<dyn Archive>> {
        let within = self.within.archive()?;
        Some(Box::new(SlowArchive { within, go: self.go.take()? }))
    }
}

impl Archive for SlowArchive {
    fn keep_snapshot(&mut self, epoch: Epoch, at: Seq, snapshot: Vec<u8>) -> Result<(), AppendError> {
        let _ = self.go.recv();
        self.within.keep_snapshot(epoch, at, snapshot)
    }
}

/// Several snapshots are overdue when the archive has stored the first one: the newest is taken, and the others are not.
#[test]
fn a_host_that_is_behind_takes_the_newest_snapshot_alone() {
    let (sender, go) = std::sync::mpsc::channel();
    let within = MemoryJournal::default();
    let journal = Slow { within: within.clone(), go: Some(go) };
    let host = ThreadHost::durable(Config::default(), journal, Durable::new().snapshot_every(50)).unwrap();
    busy(&host, 1..=300);
    drop(sender);
    let at = host.take_snapshot().unwrap();
    let taken = host.snapshots().unwrap().taken;
    assert!((1..=3).contains(&taken), "{taken} snapshots of at least 900 events");
    assert!(at.get() >= 900 && within.is_empty());
    host.shut_down(PATIENCE).unwrap();
}

#[test]
fn a_snapshot_on_demand_holds_what_was_durable() {
    let journal = MemoryJournal::default();
    let host =
        ThreadHost::durable(Config::default(), journal.clone(), Durable::new().snapshot_every(1_000_000)).unwrap();
    busy(&host, 1..=20);
    let last = host.inspect(Engine::last_seq).unwrap();
    assert_eq!(host.take_snapshot(), Ok(last));
    assert!(journal.is_empty());
    let live = host.inspect(Engine::snapshot).unwrap();
    assert_eq!(told(&journal).1.snapshot(), live);
    // Somebody else has taken over by looking: nothing is kept any more, and whoever asks hears it.
    let refused = host.take_snapshot();
    assert!(matches!(refused, Err(HostError::Snapshot(AppendError::Fenced))), "{refused:?}");
    let without = ThreadHost::start(Config::default()).unwrap();
    assert!(without.snapshots().is_none());
    assert!(matches!(without.take_snapshot(), Err(HostError::Snapshot(AppendError::Refused(_)))));
}

#[test]
fn a_host_without_snapshots_has_patience_and_keeps_every_event() {
    let journal = MemoryJournal::default();
    let host = ThreadHost::durable(Config::default(), journal.clone(), Durable::new().without_snapshots()).unwrap();
    busy(&host, 1..=300);
    let last = host.inspect(Engine::last_seq).unwrap();
    assert!(host.snapshots().is_none());
    assert!(matches!(host.take_snapshot(), Err(HostError::Snapshot(AppendError::Refused(_)))));
    host.shut_down(PATIENCE).unwrap();
    assert_eq!(told(&journal).0.snapshot, None);
    assert!(journal.len() as u64 >= last.get());
}

/// A journal that has no second hand, and one that refuses snapshots at times.
struct Plain {
    within: MemoryJournal,
    refuses: bool,
}

impl Journal for Plain {
    fn take_over(&mut self) -> Result<Takeover, JournalError> {
        self.within.take_over()
    }

    fn append(&mut self, epoch: Epoch, after: Seq, entries: &[Entry]) -> Result<(), AppendError> {
        self.within.append(epoch, after, entries)
    }

    fn keep_snapshot(&mut self, epoch: Epoch, at: Seq, snapshot: &[u8]) -> Result<(), AppendError> {
        self.refuses = !self.refuses;
        if self.refuses {
            return Err(AppendError::Refused("the disk is full".into()));
        }
        Journal::keep_snapshot(&mut self.within, epoch, at, snapshot)
    }
}

#[test]
fn a_journal_without_a_second_hand_keeps_snapshots_between_appends() {
    let within = MemoryJournal::default();
    let journal = Plain { within: within.clone(), refuses: false };
    let host = ThreadHost::durable(Config::default(), journal, Durable::new().snapshot_every(1_000_000)).unwrap();
    busy(&host, 1..=20);
    let before = within.len();
    let refused = host.take_snapshot();
    assert!(matches!(refused, Err(HostError::Snapshot(AppendError::Refused(_)))), "{refused:?}");
    assert_eq!(host.snapshots().unwrap().failed, Some(AppendError::Refused("the disk is full".into())));
    assert_eq!(within.len(), before, "what was refused takes nothing away");
    let at = host.take_snapshot().unwrap();
    assert_eq!((within.len(), host.snapshots().unwrap().at), (0, Some(at)));
    host.shut_down(PATIENCE).unwrap();
}

/// A journal whose third append waits for its result: the host identifies the journal and submits a task before.
struct Stuck {
    within: MemoryJournal,
    appends: u32,
    begun: std::sync::mpsc::Sender<()>,
    verdict: std::sync::mpsc::Receiver<AppendError>,
}

impl Journal for Stuck {
    fn take_over(&mut self) -> Result<Takeover, JournalError> {
        self.within.take_over()
    }

    fn append(&mut self, epoch: Epoch, after: Seq, entries: &[Entry]) -> Result<(), AppendError> {
        self.appends += 1;
        if self.appends < 3 {
            return self.within.append(epoch, after, entries);
        }
        self.begun.send(()).unwrap();
        Err(self.verdict.recv().unwrap())
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "time for the others to ask: were it too short, the test would see less")]
fn unread_commands_are_answered_by_the_end_of_the_host() {
    let ((begun, begins), (tell, verdict)) = (std::sync::mpsc::channel(), std::sync::mpsc::channel());
    let journal = Stuck { within: MemoryJournal::default(), appends: 0, begun, verdict };
    // The thread that takes snapshots asks the owner, too: for one after each fact.
    let host = ThreadHost::durable(Config::default(), journal, Durable::new().snapshot_every(1)).unwrap();
    let (heard, answers) = std::sync::mpsc::channel();
    let handle = host.submit(task(1)).unwrap();
    std::thread::scope(|scope| {
        let (host, handle) = (&host, handle);
        let ask = |id: u64, heard: std::sync::mpsc::Sender<_>| {
            scope.spawn(move || heard.send(host.submit(task(id)).map(|handle| handle.id())))
        };
        ask(2, heard.clone());
        begins.recv().unwrap();
        // The owner is in its journal, and will not come back to read these.
        (3..10).for_each(|id| drop(ask(id, heard.clone())));
        std::thread::sleep(Duration::from_millis(50));
        tell.send(AppendError::Fenced).unwrap();
        for _ in 2..10 {
            assert_eq!(answers.recv_timeout(PATIENCE), Ok(Err(HostError::Ended)));
        }
        assert_eq!(handle.wait(), Err(HostError::Ended));
    });
    let fenced = host.shut_down(PATIENCE).unwrap_err();
    assert!(matches!(fenced, HostError::Append { error: AppendError::Fenced, .. }), "{fenced}");
    assert_eq!(host.shut_down(PATIENCE), Err(HostError::Ended));
}
