//! The host on threads: whoever asks is answered, nothing is answered before it is durable, and every thread ends.

use counterpoint::engine::EngineSnapshot;
use counterpoint::host::Agent;
use counterpoint::host::thread::ThreadHost;
use counterpoint::host::{Durable, HostError};
use counterpoint::journal::EventFilter;
use counterpoint::journal::{AppendError, Epoch, Journal, JournalError, MemoryJournal, Seen, Takeover};
use counterpoint::scheduler::TaskStatus;
use counterpoint::workflow::{Attempt, Step, Steps, Workflow};
use counterpoint::{
    AgentId, AgentSpec, AttemptId, Config, Engine, Entry, Failure, Payload, Policy, Retry, RunId, Seq, TaskCommand,
    TaskId, TaskOutcome, TaskSpec,
};
use counterpoint_shuttle::check;
use shuttle::rand::{Rng, thread_rng};
use shuttle::thread::{self, JoinHandle};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Longer than any schedule takes.
const PATIENCE: Duration = Duration::from_secs(3_600);

fn below(bound: u32) -> u32 {
    thread_rng().gen_range(0..bound)
}

/// Tried again at once, as time does not pass here.
fn task(id: u64) -> TaskSpec {
    let retry = Retry::exponential(3, Duration::ZERO, Duration::ZERO);
    TaskSpec::new(TaskId::new(id), "work").with_policy(Policy::default().with_retry(retry))
}

/// An agent that counts what it is asked.
#[derive(Clone, Default)]
struct Counting(Arc<Mutex<BTreeMap<AttemptId, u32>>>);

impl Agent for Counting {
    fn perform(&self, _: &TaskSpec, attempt: &Attempt) -> Result<Payload, Failure> {
        thread::yield_now();
        *self.0.lock().unwrap().entry(attempt.id()).or_default() += 1;
        Ok(Payload::NULL)
    }
}

impl Counting {
    fn join(&self, host: &ThreadHost, agent: u64, capacity: u32) {
        let spec = AgentSpec::new(AgentId::new(agent)).with_skill("work", 1).with_capacity(capacity);
        host.add_custom_agent(spec, self.clone()).unwrap();
    }

    /// How many attempts there were; none was asked for twice.
    fn attempts(&self) -> usize {
        let asked = self.0.lock().unwrap();
        assert!(asked.values().all(|times| *times == 1), "{asked:?}");
        asked.len()
    }
}

/// What a journal tells whoever comes next.
fn restored(journal: &MemoryJournal) -> Engine {
    let taken = journal.clone().take_over().unwrap();
    let snapshot = taken.snapshot.as_deref().map(|bytes| EngineSnapshot::from_bytes(bytes).unwrap());
    Engine::restore(Config::default(), snapshot.as_ref(), &taken.tail).unwrap()
}

/// On a thread of its own. (Not within a scope: shuttle wakes whoever made one when its last thread ends, whatever he waits for.)
fn beside<T: Send + 'static>(
    host: &Arc<ThreadHost>,
    ask: impl FnOnce(&ThreadHost) -> T + Send + 'static,
) -> JoinHandle<T> {
    let host = Arc::clone(host);
    thread::spawn(move || ask(&host))
}

fn status(engine: &Engine, task: u64) -> Option<TaskStatus> {
    engine.task(TaskId::new(task)).map(|task| task.status())
}

#[test]
fn every_task_is_done_once_and_reported() {
    check(|| {
        let host = Arc::new(ThreadHost::start(Config::default()).unwrap());
        let counting = Counting::default();
        counting.join(&host, 1, 2);
        // Two ask for the same.
        let asked = [[1, 2], [1, 3]].map(|ids| {
            beside(&host, move |host| {
                let handles = ids.map(|id| host.submit(task(id)).unwrap());
                handles.map(|handle| handle.wait())
            })
        });
        counting.join(&host, 2, 1);
        for told in asked.into_iter().flat_map(|asked| asked.join().unwrap()) {
            assert_eq!(told, Ok(TaskOutcome::Succeeded(Payload::NULL)));
        }
        assert_eq!(host.shut_down(PATIENCE), Ok(()));
        assert_eq!(counting.attempts(), 3);
    });
}

/// Whoever comes too late hears it; what was taken is in the journal; what was begun is ended.
#[test]
fn an_end_answers_every_caller() {
    check(|| {
        let journal = MemoryJournal::default();
        let host = Arc::new(ThreadHost::open(Config::default(), journal.clone()).unwrap());
        let counting = Counting::default();
        counting.join(&host, 1, 1);
        let asked =
            [1, 2, 3].map(|id| beside(&host, move |host| (id, host.submit(task(id)).map(|handle| handle.wait()))));
        assert_eq!(host.shut_down(PATIENCE), Ok(()));
        let told = asked.map(|asked| asked.join().unwrap());
        let engine = restored(&journal);
        for (id, told) in told {
            let expected = match told {
                Err(error) => {
                    assert_eq!(error, HostError::Ended);
                    continue;
                }
                Ok(Err(error)) => {
                    assert_eq!(error, HostError::Ended);
                    TaskStatus::Queued
                }
                Ok(Ok(outcome)) => {
                    assert_eq!(outcome, TaskOutcome::Succeeded(Payload::NULL));
                    TaskStatus::Succeeded
                }
            };
            assert_eq!(status(&engine, id), Some(expected), "task {id}");
        }
        counting.attempts();
    });
}

/// A journal in memory that refuses from some append on.
struct Failing {
    within: MemoryJournal,
    left: u32,
    /// Whether another thread may keep snapshots.
    second_hand: bool,
}

impl Journal for Failing {
    fn take_over(&mut self) -> Result<Takeover, JournalError> {
        self.within.take_over()
    }

    fn append(&mut self, epoch: Epoch, after: Seq, entries: &[Entry]) -> Result<(), AppendError> {
        thread::yield_now();
        self.left = self.left.checked_sub(1).ok_or_else(|| AppendError::Refused("the disk is full".into()))?;
        self.within.append(epoch, after, entries)
    }

    fn keep_snapshot(&mut self, epoch: Epoch, at: Seq, snapshot: &[u8]) -> Result<(), AppendError> {
        Journal::keep_snapshot(&mut self.within, epoch, at, snapshot)
    }

    fn archive(&mut self) -> Option<Box<dyn counterpoint::journal::Archive>> {
        if self.second_hand { self.within.archive() } else { None }
    }
}

#[test]
fn a_journal_that_fails_leaves_no_caller_waiting() {
    check(|| {
        let within = MemoryJournal::default();
        let journal = Failing { within: within.clone(), left: below(6), second_hand: below(2) == 0 };
        let durable = Durable::new().snapshot_every(2).patience(Duration::ZERO);
        let host = ThreadHost::durable(Config::default(), journal, durable).unwrap();
        let host = Arc::new(host);
        let counting = Counting::default();
        let spec = AgentSpec::new(AgentId::new(1)).with_skill("work", 1);
        let joined = host.add_custom_agent(spec, counting.clone());
        let asked = [1, 2].map(|id| beside(&host, move |host| (id, host.submit(task(id)).map(|handle| handle.wait()))));
        let looked = beside(&host, |host| host.inspect(Engine::last_seq));
        let kept = beside(&host, |host| host.take_snapshot());
        if below(2) == 0 {
            let _either = host.shut_down(PATIENCE);
        }
        let told = asked.map(|asked| asked.join().unwrap());
        let _either = (looked.join().unwrap(), kept.join().unwrap());
        drop(host);
        let engine = restored(&within);
        for (id, told) in told {
            match told {
                Ok(Ok(_)) => assert_eq!(status(&engine, id), Some(TaskStatus::Succeeded), "task {id}"),
                Ok(Err(_)) => assert!(status(&engine, id).is_some(), "task {id}"),
                Err(_) => {}
            }
        }
        assert!(joined.is_err() || engine.agent(AgentId::new(1)).is_some());
        counting.attempts();
    });
}

#[test]
fn a_task_is_cancelled_or_done_and_all_receive_the_same() {
    check(|| {
        let journal = MemoryJournal::default();
        let host = ThreadHost::open(Config::default(), journal.clone()).unwrap();
        let patient = |_: &TaskSpec, attempt: &Attempt| {
            for _ in 0..3 {
                if attempt.is_cancelled() {
                    return Err(Failure::permanent("not wanted any more"));
                }
                thread::yield_now();
            }
            Ok(Payload::NULL)
        };
        host.add_custom_agent(AgentSpec::new(AgentId::new(1)).with_skill("work", 1), patient).unwrap();
        let handles = [1, 1].map(|id| host.submit(task(id)).unwrap());
        let cancelled = host.command(TaskCommand::Cancel { task: TaskId::new(1), reason: "changed our minds".into() });
        let [one, two] = handles.map(|handle| handle.wait().unwrap());
        assert_eq!(one, two);
        assert_eq!(host.shut_down(PATIENCE), Ok(()));
        let done = one == TaskOutcome::Succeeded(Payload::NULL);
        assert!(done || cancelled.is_ok(), "{one:?} {cancelled:?}");
        let expected = if done { TaskStatus::Succeeded } else { TaskStatus::Cancelled };
        assert_eq!(status(&restored(&journal), 1), Some(expected));
    });
}

#[test]
fn snapshots_and_the_events_after_them_are_the_whole() {
    check(|| {
        let within = MemoryJournal::default();
        let second_hand = below(2) == 0;
        let journal = Failing { within: within.clone(), left: u32::MAX, second_hand };
        let every = 1 + below(6) as usize;
        let host = ThreadHost::durable(Config::default(), journal, Durable::new().snapshot_every(every)).unwrap();
        let host = Arc::new(host);
        Counting::default().join(&host, 1, 2);
        let kept = beside(&host, |host| {
            let before = host.inspect(Engine::last_seq).unwrap();
            assert!(host.take_snapshot().unwrap() >= before);
        });
        let asked = [1, 2].map(|id| beside(&host, move |host| assert!(host.submit(task(id)).unwrap().wait().is_ok())));
        asked.into_iter().chain([kept]).for_each(|other| other.join().unwrap());
        let last = host.inspect(Engine::last_seq).unwrap();
        assert_eq!(host.shut_down(PATIENCE), Ok(()));
        // One that was being taken at the end cannot be kept any more, if the owner's hand is the only one.
        let failed = host.snapshots().unwrap().failed;
        let too_late = failed == Some(AppendError::Refused("the host has ended".into()));
        assert!(failed.is_none() || too_late && !second_hand, "{failed:?}");
        let engine = restored(&within);
        assert!(engine.last_seq() >= last);
        assert_eq!([1, 2].map(|id| status(&engine, id)), [Some(TaskStatus::Succeeded); 2]);
    });
}

#[test]
fn a_subscriber_receives_every_event_or_a_gap() {
    check(|| {
        let host = ThreadHost::start(Config::default()).unwrap();
        let events = host.events(EventFilter::all(), 1 + below(3) as usize).unwrap();
        let over = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&over);
        let before = host.inspect(Engine::last_seq).unwrap();
        assert!(before <= Seq::ZERO.next(), "at most the identity of the journal");
        let listener = thread::spawn(move || {
            let mut next = before.next();
            loop {
                let last_look = seen.load(Ordering::SeqCst);
                match events.seen_within(PATIENCE) {
                    Some(Seen::Event(entry)) => {
                        assert_eq!(entry.seq, next);
                        next = next.next();
                    }
                    Some(Seen::Missed { count, first, last }) => {
                        assert_eq!((first, last.get() - first.get() + 1), (next, count));
                        next = last.next();
                    }
                    Some(_) => unreachable!("nothing else is told"),
                    None if last_look => return,
                    None => thread::yield_now(),
                }
            }
        });
        Counting::default().join(&host, 1, 1);
        let handles = [1, 2].map(|id| host.submit(task(id)).unwrap());
        handles.into_iter().for_each(|handle| assert!(handle.wait().is_ok()));
        drop(host);
        over.store(true, Ordering::SeqCst);
        listener.join().unwrap();
    });
}

/// What an agent holds that is taken away is tried by another; what it says of it counts no more.
#[test]
fn what_a_removed_agent_held_is_done_by_another() {
    check(|| {
        let journal = MemoryJournal::default();
        let host = Arc::new(ThreadHost::open(Config::default(), journal.clone()).unwrap());
        let counting = Counting::default();
        counting.join(&host, 1, 2);
        let handles = [1, 2, 3].map(|id| host.submit(task(id)).unwrap());
        let removed = beside(&host, |host| host.remove_agent(AgentId::new(1)));
        counting.join(&host, 2, 1);
        assert_eq!(removed.join().unwrap(), Ok(()));
        handles.into_iter().for_each(|handle| assert_eq!(handle.wait(), Ok(TaskOutcome::Succeeded(Payload::NULL))));
        assert_eq!(host.shut_down(PATIENCE), Ok(()));
        let engine = restored(&journal);
        assert!([1, 2, 3].iter().all(|id| status(&engine, *id) == Some(TaskStatus::Succeeded)));
        assert!(counting.attempts() >= 3);
    });
}

struct Twice;

impl Step for Twice {
    const KIND: &'static str = "twice";
    type Input = u64;
    type Output = u64;

    fn run(&self, number: u64, _: &Attempt) -> Result<u64, Failure> {
        thread::yield_now();
        Ok(2 * number)
    }
}

#[test]
fn a_run_gives_back_what_its_steps_gave() {
    let flow = Workflow::<u64, (u64, u64)>::named("both");
    let (one, two) = (flow.step(Twice, flow.input()), flow.step(Twice, flow.input()));
    let flow = Arc::new(flow.output((one, two)).unwrap());
    check(move || {
        let host = ThreadHost::start(Config::default()).unwrap();
        for agent in [1, 2] {
            host.add_agent(AgentSpec::new(AgentId::new(agent)), Steps::new().with(Twice)).unwrap();
        }
        assert_eq!(host.run(&flow, RunId::new(1), &4).unwrap().wait().unwrap(), (8, 8));
    });
}
