//! What durable facts tell those who wait outside: agents elsewhere, callers, readers of events, and the metrics.
//!
//! All of it is folded from facts, so nothing of it needs to be kept.

use counterpoint::journal::{EventFilter, Projection as _};
use counterpoint::message::{AgentEvent, RunEvent, TaskEvent};
use counterpoint::observe::{Metrics, MetricsSnapshot};
use counterpoint::protocol::{Body, Message, MessageId};
use counterpoint::{AttemptId, Entry, Event, Incarnation, RunId, Seq, TaskId, Time};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, oneshot, watch};

/// How many facts are kept for readers who were away.
const KEPT: usize = 10_000;
/// How many facts a reader is given at once.
const PAGE: usize = 256;

/// The one place where facts become news. Clones are the same hub.
#[derive(Clone)]
pub(crate) struct Hub {
    state: Arc<Mutex<State>>,
    newest: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    lives: BTreeMap<Incarnation, Life>,
    /// Who holds the attempt of a task, for the facts that name the task alone.
    holders: BTreeMap<TaskId, (Incarnation, AttemptId)>,
    tasks: BTreeMap<TaskId, Vec<oneshot::Sender<()>>>,
    runs: BTreeMap<RunId, Vec<oneshot::Sender<()>>>,
    metrics: Metrics,
    facts: VecDeque<Arc<Entry>>,
}

/// A life of an agent elsewhere.
#[derive(Default)]
struct Life {
    /// What it holds and has not answered.
    open: BTreeMap<AttemptId, Given>,
    /// What it is to be told once.
    notices: Vec<Message>,
    wake: Arc<Notify>,
}

/// An attempt that was given out.
struct Given {
    at: Time,
    /// The agent has said that it has it: it need not be told again.
    accepted: bool,
}

/// What an agent has to be told.
#[derive(Default)]
pub(crate) struct Mail {
    /// Attempts that it has not accepted yet, with the moments at which they were given out.
    pub assigned: Vec<(AttemptId, Time)>,
    /// What is told once.
    pub notices: Vec<Message>,
}

/// Facts for a reader.
pub(crate) struct Page {
    /// Those that pass.
    pub facts: Vec<Arc<Entry>>,
    /// The next page begins after this one.
    pub last: u64,
    /// Facts between the reader's last one and these are not kept any more.
    pub missed: bool,
}

impl Default for Hub {
    fn default() -> Self {
        Self { state: Arc::default(), newest: watch::Sender::new(0) }
    }
}

impl Hub {
    /// Takes a fact in that was durable before this process began: for metrics and readers.
    pub(crate) fn remember(&self, entry: &Entry) {
        let mut state = self.state();
        state.note(entry);
        self.newest.send_replace(entry.seq.get());
    }

    /// Takes a durable fact in, and wakes who waits for it.
    pub(crate) fn show(&self, entry: &Entry) {
        let mut state = self.state();
        state.note(entry);
        match &entry.event {
            Event::Agent { agent, event } => state.of_agent(*agent, event),
            Event::Task { task, event } => state.of_task(entry.at, *task, event),
            Event::Run { run, event: RunEvent::Finished { .. } } => wake(state.runs.remove(run)),
            _ => {}
        }
        self.newest.send_replace(entry.seq.get());
    }

    /// What an agent has to be told now. Attempts come again until it has accepted them: an answer may be lost on its way.
    pub(crate) fn mail(&self, by: Incarnation) -> Option<Mail> {
        let mut state = self.state();
        let life = state.lives.get_mut(&by)?;
        let waiting = life.open.iter().filter(|(_, given)| !given.accepted);
        let assigned = waiting.map(|(attempt, given)| (*attempt, given.at)).collect();
        Some(Mail { assigned, notices: std::mem::take(&mut life.notices) })
    }

    /// Wakes when there is something for the agent, or its life is over. None, if that is so already.
    pub(crate) fn bell(&self, by: Incarnation) -> Option<Arc<Notify>> {
        Some(Arc::clone(&self.state().lives.get(&by)?.wake))
    }

    /// The agent has this attempt.
    pub(crate) fn accepted(&self, by: Incarnation, attempt: AttemptId) {
        if let Some(given) = self.state().lives.get_mut(&by).and_then(|life| life.open.get_mut(&attempt)) {
            given.accepted = true;
        }
    }

    /// Tells when a task has ended. Ask for it first, look at the task, then wait.
    pub(crate) fn task_end(&self, task: TaskId) -> oneshot::Receiver<()> {
        wait(self.state().tasks.entry(task).or_default())
    }

    /// Tells when a run is over.
    pub(crate) fn run_end(&self, run: RunId) -> oneshot::Receiver<()> {
        wait(self.state().runs.entry(run).or_default())
    }

    /// The figures as they are now.
    pub(crate) fn metrics(&self, now: Time) -> MetricsSnapshot {
        self.state().metrics.snapshot_at(now)
    }

    /// The number of the newest fact, and of those to come.
    pub(crate) fn newest(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }

    /// The facts after this one that pass.
    pub(crate) fn after(&self, last: u64, filter: &mut EventFilter) -> Page {
        let state = self.state();
        let begin = state.facts.partition_point(|entry| entry.seq.get() <= last);
        let missed = state.facts.front().is_some_and(|first| first.seq.get() > last.saturating_add(1));
        let page: Vec<_> = state.facts.range(begin..).take(PAGE).cloned().collect();
        drop(state);
        let last = page.last().map_or(last, |entry| entry.seq.get());
        Page { facts: page.into_iter().filter(|entry| filter.passes(entry)).collect(), last, missed }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn note(&mut self, entry: &Entry) {
        self.metrics.apply(entry);
        if self.facts.len() >= KEPT {
            self.facts.pop_front();
        }
        self.facts.push_back(Arc::new(entry.clone()));
    }

    fn of_agent(&mut self, by: Incarnation, event: &AgentEvent) {
        match event {
            AgentEvent::Registered { .. } => {
                let earlier = self.lives.keys().filter(|life| life.agent() == by.agent()).copied().collect::<Vec<_>>();
                earlier.into_iter().for_each(|life| self.over(life));
                self.lives.insert(by, Life::default());
            }
            AgentEvent::Deregistered | AgentEvent::Lost => self.over(by),
            _ => {}
        }
    }

    fn over(&mut self, by: Incarnation) {
        if let Some(life) = self.lives.remove(&by) {
            life.wake.notify_waiters();
        }
    }

    fn of_task(&mut self, at: Time, task: TaskId, event: &TaskEvent) {
        match event {
            TaskEvent::Assigned { attempt, to } => {
                if let Some(life) = self.lives.get_mut(to) {
                    life.open.insert(attempt.of(task), Given { at, accepted: false });
                    life.wake.notify_waiters();
                    self.holders.insert(task, (*to, attempt.of(task)));
                }
            }
            TaskEvent::CancelRequested { .. } => self.unwanted(task),
            // What has ended without the agent's own word (a timeout, say) is not wanted from it any more. After its own
            // word that is harmless: the attempt is over.
            TaskEvent::AttemptFailed { .. }
            | TaskEvent::Expired { .. }
            | TaskEvent::Cancelled { .. }
            | TaskEvent::Answered { .. } => self.ended(task, true),
            TaskEvent::Yielded { .. } | TaskEvent::Succeeded { .. } => self.ended(task, false),
            _ => {}
        }
        if event.outcome().is_some() {
            wake(self.tasks.remove(&task));
        }
    }

    /// Tells the holder that an attempt is no longer wanted.
    fn unwanted(&mut self, task: TaskId) {
        let Some((by, attempt)) = self.holders.get(&task).copied() else { return };
        let Some(life) = self.lives.get_mut(&by) else { return };
        // Who has never heard of it begins nothing: the cancellation comes with the assignment.
        let id = MessageId::new(format!("cancel-{}.{}", attempt.task().get(), attempt.number().get()));
        if let Ok(id) = id {
            life.notices.push(Message::new(id, Body::Cancel { from: by, attempt }));
            life.wake.notify_waiters();
        }
    }

    fn ended(&mut self, task: TaskId, tell: bool) {
        if tell {
            self.unwanted(task);
        }
        if let Some((by, attempt)) = self.holders.remove(&task)
            && let Some(life) = self.lives.get_mut(&by)
        {
            life.open.remove(&attempt);
        }
    }
}

fn wait(waiting: &mut Vec<oneshot::Sender<()>>) -> oneshot::Receiver<()> {
    let (tell, told) = oneshot::channel();
    waiting.retain(|one| !one.is_closed());
    waiting.push(tell);
    told
}

fn wake(waiting: Option<Vec<oneshot::Sender<()>>>) {
    for one in waiting.unwrap_or_default() {
        // Whoever waited may have gone.
        let _ = one.send(());
    }
}

/// A journal that shows the hub what it holds when it is taken over.
pub(crate) struct Shown<J> {
    journal: J,
    hub: Hub,
}

impl<J> Shown<J> {
    /// This journal, shown to this hub.
    pub(crate) fn new(journal: J, hub: Hub) -> Self {
        Self { journal, hub }
    }
}

impl<J: counterpoint::journal::Journal> counterpoint::journal::Journal for Shown<J> {
    fn take_over(&mut self) -> Result<counterpoint::journal::Takeover, counterpoint::journal::JournalError> {
        let taken = self.journal.take_over()?;
        taken.tail.iter().for_each(|entry| self.hub.remember(entry));
        Ok(taken)
    }

    fn append(
        &mut self,
        epoch: counterpoint::journal::Epoch,
        after: Seq,
        entries: &[Entry],
    ) -> Result<(), counterpoint::journal::AppendError> {
        self.journal.append(epoch, after, entries)
    }
}
