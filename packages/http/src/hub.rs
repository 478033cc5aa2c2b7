//! Distributes durable entries to remote agents, waiting callers, readers of events, and the metrics.
//!
//! All of its state is folded from entries, so none of it needs to be stored.

use counterpoint::journal::{EventFilter, Projection as _};
use counterpoint::message::{AgentEvent, RunEvent, TaskEvent};
use counterpoint::observe::{Metrics, MetricsSnapshot};
use counterpoint::protocol::{Body, Message, MessageId};
use counterpoint::{AttemptId, Entry, Event, Incarnation, RunId, Seq, TaskId, Time};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, oneshot, watch};

/// The number of entries that are retained for readers that reconnect.
const KEPT: usize = 10_000;
/// The number of entries in a page.
const PAGE: usize = 256;

/// Distributes durable entries. Clones share the hub.
#[derive(Clone)]
pub(crate) struct Hub {
    state: Arc<Mutex<State>>,
    newest: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    mailboxes: BTreeMap<Incarnation, Mailbox>,
    /// The holder of a task's attempt, for events that name only the task.
    holders: BTreeMap<TaskId, (Incarnation, AttemptId)>,
    tasks: BTreeMap<TaskId, Vec<oneshot::Sender<()>>>,
    runs: BTreeMap<RunId, Vec<oneshot::Sender<()>>>,
    metrics: Metrics,
    entries: VecDeque<Arc<Entry>>,
}

/// The messages for one incarnation of a remote agent.
#[derive(Default)]
struct Mailbox {
    /// The attempts that it holds and has not answered.
    open: BTreeMap<AttemptId, Given>,
    /// The notices that are sent once.
    notices: Vec<Message>,
    wake: Arc<Notify>,
}

/// An assigned attempt.
struct Given {
    at: Time,
    /// Whether the agent has accepted it; the assignment is not repeated then.
    accepted: bool,
}

/// The messages for an agent.
#[derive(Default)]
pub(crate) struct Mail {
    /// The attempts that it has not accepted yet, with the times of their assignment.
    pub assigned: Vec<(AttemptId, Time)>,
    /// The notices that are sent once.
    pub notices: Vec<Message>,
}

/// A page of entries for a reader.
pub(crate) struct Page {
    /// The entries that pass the filter.
    pub entries: Vec<Arc<Entry>>,
    /// The number after which the next page begins.
    pub last: u64,
    /// Whether entries between the reader's last one and these are no longer retained.
    pub missed: bool,
}

impl Default for Hub {
    fn default() -> Self {
        Self { state: Arc::default(), newest: watch::Sender::new(0) }
    }
}

impl Hub {
    /// Adds an entry that was durable before this process began, for metrics and readers.
    pub(crate) fn remember(&self, entry: &Entry) {
        let mut state = self.state();
        state.note(entry);
        self.newest.send_replace(entry.seq.get());
    }

    /// Adds a durable entry, and wakes those that wait for it.
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

    /// The current messages for an agent. Assignments are repeated until it has accepted them, because an answer may be
    /// lost.
    pub(crate) fn mail(&self, by: Incarnation) -> Option<Mail> {
        let mut state = self.state();
        let mailbox = state.mailboxes.get_mut(&by)?;
        let waiting = mailbox.open.iter().filter(|(_, given)| !given.accepted);
        let assigned = waiting.map(|(attempt, given)| (*attempt, given.at)).collect();
        Some(Mail { assigned, notices: std::mem::take(&mut mailbox.notices) })
    }

    /// Notified when there are messages for the agent, or its incarnation ends. `None` if it has ended already.
    pub(crate) fn notifier(&self, by: Incarnation) -> Option<Arc<Notify>> {
        Some(Arc::clone(&self.state().mailboxes.get(&by)?.wake))
    }

    /// Records that the agent has accepted an attempt.
    pub(crate) fn accepted(&self, by: Incarnation, attempt: AttemptId) {
        if let Some(given) = self.state().mailboxes.get_mut(&by).and_then(|mailbox| mailbox.open.get_mut(&attempt)) {
            given.accepted = true;
        }
    }

    /// Completes when a task has ended. To miss no end, call this first, then check the task, then wait.
    pub(crate) fn task_end(&self, task: TaskId) -> oneshot::Receiver<()> {
        wait(self.state().tasks.entry(task).or_default())
    }

    /// Completes when a run has ended.
    pub(crate) fn run_end(&self, run: RunId) -> oneshot::Receiver<()> {
        wait(self.state().runs.entry(run).or_default())
    }

    /// The metrics at this time.
    pub(crate) fn metrics(&self, now: Time) -> MetricsSnapshot {
        self.state().metrics.snapshot_at(now)
    }

    /// The number of the newest entry, and later ones.
    pub(crate) fn newest(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }

    /// The entries after this one that pass the filter.
    pub(crate) fn after(&self, last: u64, filter: &mut EventFilter) -> Page {
        let state = self.state();
        let begin = state.entries.partition_point(|entry| entry.seq.get() <= last);
        let missed = state.entries.front().is_some_and(|first| first.seq.get() > last.saturating_add(1));
        let page: Vec<_> = state.entries.range(begin..).take(PAGE).cloned().collect();
        drop(state);
        let last = page.last().map_or(last, |entry| entry.seq.get());
        Page { entries: page.into_iter().filter(|entry| filter.passes(entry)).collect(), last, missed }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn note(&mut self, entry: &Entry) {
        self.metrics.apply(entry);
        if self.entries.len() >= KEPT {
            self.entries.pop_front();
        }
        self.entries.push_back(Arc::new(entry.clone()));
    }

    fn of_agent(&mut self, by: Incarnation, event: &AgentEvent) {
        match event {
            AgentEvent::Registered { .. } => {
                let earlier =
                    self.mailboxes.keys().filter(|known| known.agent() == by.agent()).copied().collect::<Vec<_>>();
                earlier.into_iter().for_each(|known| self.over(known));
                self.mailboxes.insert(by, Mailbox::default());
            }
            AgentEvent::Deregistered | AgentEvent::Lost => self.over(by),
            _ => {}
        }
    }

    fn over(&mut self, by: Incarnation) {
        if let Some(mailbox) = self.mailboxes.remove(&by) {
            mailbox.wake.notify_waiters();
        }
    }

    fn of_task(&mut self, at: Time, task: TaskId, event: &TaskEvent) {
        match event {
            TaskEvent::Assigned { attempt, to } => {
                if let Some(mailbox) = self.mailboxes.get_mut(to) {
                    mailbox.open.insert(attempt.of(task), Given { at, accepted: false });
                    mailbox.wake.notify_waiters();
                    self.holders.insert(task, (*to, attempt.of(task)));
                }
            }
            TaskEvent::CancelRequested { .. } => self.notify_cancelled(task),
            // An attempt that ended without a message of the agent (by a timeout, for example) is cancelled at the
            // agent. After the agent's own answer the cancellation has no effect.
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

    /// Adds a cancellation of an attempt to the messages of its holder.
    fn notify_cancelled(&mut self, task: TaskId) {
        let Some((by, attempt)) = self.holders.get(&task).copied() else { return };
        let Some(mailbox) = self.mailboxes.get_mut(&by) else { return };
        // An agent that has not received the assignment does not begin it: the cancellation arrives together with it.
        let id = MessageId::new(format!("cancel-{}.{}", attempt.task().get(), attempt.number().get()));
        if let Ok(id) = id {
            mailbox.notices.push(Message::new(id, Body::Cancel { from: by, attempt }));
            mailbox.wake.notify_waiters();
        }
    }

    fn ended(&mut self, task: TaskId, tell: bool) {
        if tell {
            self.notify_cancelled(task);
        }
        if let Some((by, attempt)) = self.holders.remove(&task)
            && let Some(mailbox) = self.mailboxes.get_mut(&by)
        {
            mailbox.open.remove(&attempt);
        }
    }
}

fn wait(waiting: &mut Vec<oneshot::Sender<()>>) -> oneshot::Receiver<()> {
    let (sender, receiver) = oneshot::channel();
    waiting.retain(|one| !one.is_closed());
    waiting.push(sender);
    receiver
}

fn wake(waiting: Option<Vec<oneshot::Sender<()>>>) {
    for one in waiting.unwrap_or_default() {
        // The receiver may have been dropped.
        let _ = one.send(());
    }
}

/// A journal that passes its content to the hub when it is taken over.
pub(crate) struct Shown<J> {
    journal: J,
    hub: Hub,
}

impl<J> Shown<J> {
    /// Connects a journal with a hub.
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
