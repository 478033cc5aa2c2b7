//! Journals that fail: nothing that depends on an append leaves the host before it is durable, and the end of a host does
//! not hide what was lost.

use counterpoint::host::HostError;
use counterpoint::host::thread::ThreadHost;
use counterpoint::journal::{AppendError, Epoch, EventFilter, Journal, JournalError, MemoryJournal, Takeover};
use counterpoint::message::{AgentEvent, TaskEvent};
use counterpoint::workflow::Attempt;
use counterpoint::{
    AgentCommand, AgentId, AgentSpec, AttemptId, Config, Entry, Event, Payload, Seq, TaskId, TaskOutcome, TaskSpec,
};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(30);

fn agent(id: u64) -> AgentSpec {
    AgentSpec::new(AgentId::new(id)).with_skill("work", 1)
}

fn task(id: u64) -> TaskSpec {
    TaskSpec::new(TaskId::new(id), "work")
}

/// A journal in memory that refuses, or panics at, the first append with an event that it is set to fail at, and all later
/// ones. It knows what is durable.
#[derive(Clone)]
struct Failing {
    within: MemoryJournal,
    fails_at: fn(&Event) -> bool,
    panics: bool,
    failed: bool,
    durable: Arc<Mutex<Durable>>,
}

#[derive(Default)]
struct Durable {
    last: Seq,
    attempts: BTreeSet<AttemptId>,
}

impl Failing {
    fn at(fails_at: fn(&Event) -> bool) -> Self {
        let (within, durable) = (MemoryJournal::default(), Arc::default());
        Self { within, fails_at, panics: false, failed: false, durable }
    }
}

impl Journal for Failing {
    fn take_over(&mut self) -> Result<Takeover, JournalError> {
        self.within.take_over()
    }

    fn append(&mut self, epoch: Epoch, after: Seq, entries: &[Entry]) -> Result<(), AppendError> {
        self.failed |= entries.iter().any(|entry| (self.fails_at)(&entry.event));
        if self.failed {
            assert!(!self.panics, "the disk is gone");
            return Err(AppendError::Refused("the disk is full".into()));
        }
        self.within.append(epoch, after, entries)?;
        let mut durable = self.durable.lock().unwrap();
        for entry in entries {
            durable.last = entry.seq;
            if let Event::Task { task, event: TaskEvent::Assigned { attempt, .. } } = &entry.event {
                durable.attempts.insert(attempt.of(*task));
            }
        }
        Ok(())
    }
}

const fn is_drain(event: &Event) -> bool {
    matches!(event, Event::Agent { event: AgentEvent::Draining, .. })
}

const fn is_assignment(event: &Event) -> bool {
    matches!(event, Event::Task { event: TaskEvent::Assigned { .. }, .. })
}

/// The shutdown drains the agents, which no journal has stored.
#[test]
fn a_shutdown_that_is_not_durable_is_no_success() {
    let host = ThreadHost::open(Config::default(), Failing::at(is_drain)).unwrap();
    let idle = |_: &TaskSpec, _: &Attempt| Ok(Payload::NULL);
    host.add_custom_agent(agent(1), idle).unwrap();
    host.add_custom_agent(agent(2), idle).unwrap();
    let error = AppendError::Refused("the disk is full".into());
    let ended = host.shut_down(PATIENCE);
    assert_eq!(ended, Err(HostError::Append { error, durable: Seq::new(3), lost: 2 }));
    let text = ended.unwrap_err().to_string();
    assert_eq!(text, "the journal rejected the write: the disk is full; 2 events after event #3 are not durable");
    assert_eq!(host.shut_down(PATIENCE), Err(HostError::Ended));
}

#[test]
fn a_shutdown_after_the_journal_failed_reports_the_failure() {
    for panics in [false, true] {
        let journal = Failing { panics, ..Failing::at(is_assignment) };
        let host = ThreadHost::open(Config::default(), journal).unwrap();
        host.add_custom_agent(agent(1), |_: &TaskSpec, _: &Attempt| Ok(Payload::NULL)).unwrap();
        assert_eq!(host.submit(task(1)).map(|handle| handle.id()), Err(HostError::Ended));
        let error = if panics { AppendError::Unknown } else { AppendError::Refused("the disk is full".into()) };
        assert_eq!(host.shut_down(PATIENCE), Err(HostError::Append { error, durable: Seq::new(2), lost: 2 }));
    }
}

/// An agent that records its attempts. When the host and all threads of the agent have ended, its channel is closed.
struct Recorder {
    durable: Arc<Mutex<Durable>>,
    calls: mpsc::Sender<(AttemptId, bool)>,
}

impl counterpoint::host::Agent for Recorder {
    fn perform(&self, _: &TaskSpec, attempt: &Attempt) -> Result<Payload, counterpoint::Failure> {
        let durable = self.durable.lock().unwrap().attempts.contains(&attempt.id());
        let _ = self.calls.send((attempt.id(), durable));
        Ok(Payload::NULL)
    }
}

/// The append with the assignment fails, so the agent must never get the attempt: a host that performs effects before the
/// append has sent it by then.
#[test]
fn no_attempt_begins_whose_assignment_is_not_durable() {
    let journal = Failing::at(is_assignment);
    let (calls, called) = mpsc::channel();
    let recorder = Recorder { durable: Arc::clone(&journal.durable), calls };
    let host = ThreadHost::open(Config::default(), journal.clone()).unwrap();
    host.add_custom_agent(agent(1), recorder).unwrap();
    let events = host.events(EventFilter::all(), 100).unwrap();
    assert_eq!(host.submit(task(1)).map(|handle| handle.id()), Err(HostError::Ended));
    drop(host);
    // The channel closes when the last thread of the agent has ended.
    assert_eq!(called.iter().collect::<Vec<_>>(), []);
    assert_eq!(events.map(|entry| entry.seq).collect::<Vec<_>>(), [], "no subscription sees what is not durable");
}

/// The append fails that has the preemptive end of an attempt: the agent is not asked to stop.
#[test]
fn no_attempt_is_cancelled_whose_cancellation_is_not_durable() {
    const fn is_cancellation(event: &Event) -> bool {
        matches!(event, Event::Task { event: TaskEvent::CancelRequested { .. }, .. })
    }
    let host = ThreadHost::open(Config::default(), Failing::at(is_cancellation)).unwrap();
    let ((begun, begins), (go, wait), (send, asked)) = (mpsc::channel(), mpsc::channel::<()>(), mpsc::channel());
    let wait = Mutex::new(wait);
    let patient = move |_: &TaskSpec, attempt: &Attempt| {
        begun.send(()).unwrap();
        let _closed = wait.lock().unwrap().recv();
        send.send(attempt.is_cancelled()).unwrap();
        Ok(Payload::NULL)
    };
    host.add_custom_agent(agent(1), patient).unwrap();
    let _handle = host.submit(task(1)).unwrap();
    begins.recv_timeout(PATIENCE).unwrap();
    let cancel = counterpoint::TaskCommand::Cancel { task: TaskId::new(1), reason: "enough".into() };
    assert_eq!(host.command(cancel), Err(HostError::Ended));
    drop(host);
    drop(go);
    assert_eq!(asked.recv_timeout(PATIENCE), Ok(false));
}

/// While all goes well, every attempt and every entry of a subscription is durable when it is seen.
#[test]
fn what_leaves_the_host_is_durable() {
    let journal = Failing::at(|_| false);
    let (calls, called) = mpsc::channel();
    let recorder = Recorder { durable: Arc::clone(&journal.durable), calls };
    let host = ThreadHost::open(Config::default(), journal.clone()).unwrap();
    host.add_custom_agent(agent(1).with_capacity(2), recorder).unwrap();
    let (durable, (send, seen)) = (Arc::clone(&journal.durable), mpsc::channel());
    host.watch(move |entry| send.send(entry.seq <= durable.lock().unwrap().last).unwrap()).unwrap();
    for id in 1..=20 {
        let outcome = host.submit(task(id)).unwrap().wait_for(PATIENCE).unwrap();
        assert_eq!(outcome, TaskOutcome::Succeeded(Payload::NULL));
        assert!(journal.durable.lock().unwrap().attempts.contains(&AttemptId::new(TaskId::new(id), 1)));
    }
    host.command(AgentCommand::Deregister { agent: AgentId::new(1) }).unwrap();
    host.shut_down(PATIENCE).unwrap();
    drop(host);
    let called: Vec<_> = called.iter().collect();
    assert!(called.len() == 20 && called.iter().all(|(_, durable)| *durable), "{called:?}");
    let seen: Vec<_> = seen.iter().collect();
    assert!(seen.len() >= 60 && seen.iter().all(|durable| *durable));
}
