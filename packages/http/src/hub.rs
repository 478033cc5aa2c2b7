//! Distributes durable entries to remote agents, waiting callers, readers of events, and the metrics.
//!
//! All of its state is folded from entries, so none of it needs to be stored. It keeps the mailboxes of registered agents, the
//! holders of attempts under way, the last entries, and one slot for each task and run for whose end a request waits.

use counterpoint::journal::{EventFilter, Projection as _};
use counterpoint::message::{AgentEvent, RunEvent, TaskEvent};
use counterpoint::observe::{Metrics, MetricsSnapshot};
use counterpoint::protocol::{Body, Message, MessageId};
use counterpoint::{AttemptId, Entry, Event, Incarnation, RunId, TaskId, Time};
use counterpoint_serving::Recent;
use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::futures::OwnedNotified;
use tokio::sync::{Notify, watch};
use tokio::time::timeout;

/// The number of entries that are retained for readers that reconnect.
const KEPT: usize = 5_000;
/// The size of these entries, as JSON.
const KEPT_BYTES: usize = 64 << 20;
/// The number of entries in a page.
const PAGE: usize = 256;

/// Distributes durable entries. Clones share the hub.
#[derive(Clone)]
pub(crate) struct Hub {
    state: Arc<Mutex<State>>,
    newest: watch::Sender<u64>,
    tasks: Ends<TaskId>,
    runs: Ends<RunId>,
}

struct State {
    mailboxes: BTreeMap<Incarnation, Mailbox>,
    /// The holder of a task's attempt, for events that name only the task.
    holders: BTreeMap<TaskId, (Incarnation, AttemptId)>,
    metrics: Metrics,
    entries: Recent<Arc<Entry>>,
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

impl Default for State {
    fn default() -> Self {
        let entries = Recent::new(KEPT, KEPT_BYTES);
        Self { mailboxes: BTreeMap::new(), holders: BTreeMap::new(), metrics: Metrics::default(), entries }
    }
}

impl Default for Hub {
    fn default() -> Self {
        Self { state: Arc::default(), newest: watch::Sender::new(0), tasks: Ends::default(), runs: Ends::default() }
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
            Event::Task { task, event } => {
                state.of_task(entry.at, *task, event);
                if event.outcome().is_some() {
                    self.tasks.wake(*task);
                }
            }
            Event::Run { run, event: RunEvent::Finished { .. } } => self.runs.wake(*run),
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

    /// Waits for the end of a task. To miss no end, call this first, then check the task, then wait.
    pub(crate) fn task_end(&self, task: TaskId) -> End<TaskId> {
        self.tasks.wait(task)
    }

    /// Waits for the end of a run.
    pub(crate) fn run_end(&self, run: RunId) -> End<RunId> {
        self.runs.wait(run)
    }

    /// The number of tasks and runs for whose end requests wait.
    pub(crate) fn waited_for(&self) -> usize {
        self.tasks.len() + self.runs.len()
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
        // Without any entry, all up to the newest are missed.
        let newest = *self.newest.borrow();
        let first = state.entries.first().map_or(newest.saturating_add(1), |first| first.seq.get());
        let missed = first > last.saturating_add(1);
        let page: Vec<_> = state.entries.since(|entry| entry.seq.get() <= last).take(PAGE).cloned().collect();
        let last = if state.entries.first().is_none() { last.max(newest) } else { last };
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
        self.entries.push(Arc::new(entry.clone()), entry);
    }

    fn of_agent(&mut self, by: Incarnation, event: &AgentEvent) {
        match event {
            AgentEvent::Registered { .. } => {
                let all = Incarnation::new(by.agent(), 0)..=Incarnation::new(by.agent(), u64::MAX);
                let earlier: Vec<_> = self.mailboxes.range(all).map(|(known, _)| *known).collect();
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

/// The ends for which requests wait. An id is in it only while a request waits for it.
struct Ends<K>(Arc<Mutex<BTreeMap<K, Weak<Notify>>>>);

impl<K> Clone for Ends<K> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K> Default for Ends<K> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<K: Ord + Copy> Ends<K> {
    fn slots(&self) -> MutexGuard<'_, BTreeMap<K, Weak<Notify>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn len(&self) -> usize {
        self.slots().len()
    }

    fn wait(&self, id: K) -> End<K> {
        let mut slots = self.slots();
        let waited = slots.get(&id).and_then(Weak::upgrade);
        let ended = waited.unwrap_or_else(|| {
            let ended = Arc::new(Notify::new());
            slots.insert(id, Arc::downgrade(&ended));
            ended
        });
        let mut notified = Box::pin(Arc::clone(&ended).notified_owned());
        notified.as_mut().enable();
        drop(slots);
        End { ends: self.clone(), id, ended, notified }
    }

    fn wake(&self, id: K) {
        if let Some(ended) = self.slots().remove(&id).and_then(|slot| slot.upgrade()) {
            ended.notify_waiters();
        }
    }
}

/// Waits for an end. The last one for an id removes its slot when it is dropped.
pub(crate) struct End<K: Ord + Copy> {
    ends: Ends<K>,
    id: K,
    ended: Arc<Notify>,
    notified: Pin<Box<OwnedNotified>>,
}

impl<K: Ord + Copy> End<K> {
    /// Completes when the end has come, or after this time.
    pub(crate) async fn within(&mut self, span: Duration) {
        // The state is the answer of the request whether or not the end has come.
        let _ = timeout(span, self.notified.as_mut()).await;
    }
}

impl<K: Ord + Copy> Drop for End<K> {
    fn drop(&mut self) {
        let mut slots = self.ends.slots();
        let is_ours = slots.get(&self.id).is_some_and(|slot| slot.as_ptr() == Arc::as_ptr(&self.ended));
        // This one and its notification.
        if is_ours && Arc::strong_count(&self.ended) <= 2 {
            slots.remove(&self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_slot_is_kept_only_while_a_request_waits() {
        let hub = Hub::default();
        for id in 0..50_000 {
            drop(hub.task_end(TaskId::new(id)));
            drop(hub.run_end(RunId::new(id)));
        }
        assert_eq!(hub.waited_for(), 0);
        let (first, second) = (hub.task_end(TaskId::new(1)), hub.task_end(TaskId::new(1)));
        drop(first);
        assert_eq!(hub.waited_for(), 1);
        drop(second);
        assert_eq!(hub.waited_for(), 0);
    }

    #[tokio::test]
    async fn an_end_between_the_subscription_and_the_wait_is_not_missed() {
        let hub = Hub::default();
        let (mut first, mut second) = (hub.task_end(TaskId::new(1)), hub.task_end(TaskId::new(1)));
        hub.tasks.wake(TaskId::new(1));
        // A later one waits for another end, and the earlier ones leave its slot alone.
        let later = hub.task_end(TaskId::new(1));
        first.within(Duration::MAX).await;
        second.within(Duration::MAX).await;
        drop((first, second));
        assert_eq!(hub.waited_for(), 1);
        drop(later);
        assert_eq!(hub.waited_for(), 0);
    }
}
