//! Progress and partial output on their way to subscribers. They are no events and pass by the engine: a subscriber that is
//! behind gets the last progress of each attempt, and the last parts of the output.

use crate::base::id::{AttemptId, RunId, TaskId};
use crate::base::name::Name;
use crate::base::payload::Payload;
use crate::task::{Progress, TaskSpec};
use core::fmt;
use core::future::poll_fn;
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// The number of tasks whose last reports are kept for later subscribers.
const KEPT: usize = 4_096;
/// The bytes of the last texts and parts of outputs that are kept for later subscribers.
const KEPT_BYTES: usize = 16 << 20;
/// The number of reports that may wait for a subscriber.
const WAITING: usize = 256;
/// The bytes of the parts of outputs that may wait for a subscriber.
const WAITING_BYTES: usize = 4 << 20;

/// A report of an attempt, for subscribers.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Report {
    /// The attempt.
    pub attempt: AttemptId,
    /// The kind of the task.
    pub kind: Name,
    /// The content.
    pub content: ReportContent,
}

/// The content of a report.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum ReportContent {
    /// How far the attempt has come.
    Progress(Progress),
    /// A part of its output.
    Chunk {
        /// The number of the part, from 0 for each attempt. A subscriber that missed parts sees a gap. The numbers begin anew for an
        /// attempt that has emitted nothing while 4,096 other tasks did.
        number: u64,
        /// The part.
        chunk: Payload,
    },
}

/// What an agent outside of the host reports of an attempt.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Reported {
    /// How far the attempt has come.
    Progress(Progress),
    /// A part of its output.
    Chunk(Payload),
}

/// The reports of the attempts at the tasks of a run, or at one task, as they are made: of each attempt the last progress, and
/// the parts of its output. It begins with the last report of each kind that each attempt has made, and ends with the run or
/// the task, or with the host. A subscriber that is behind misses reports, and slows no one down.
pub struct Reports(Arc<Subscriber>);

impl Reports {
    /// Waits for the next report; none at the end. It blocks the thread: under an async runtime use [`next`](Self::next).
    #[must_use]
    pub fn wait(&self) -> Option<Report> {
        let mut queue = self.0.queue();
        loop {
            if let Some(report) = queue.pop() {
                return Some(report);
            }
            if queue.over {
                return None;
            }
            queue = self.0.arrived.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// As [`wait`](Self::wait), for at most this time.
    #[must_use]
    pub fn wait_within(&self, patience: Duration) -> Option<Report> {
        let queue = self.0.queue();
        let idle = |queue: &mut Queue| queue.reports.is_empty() && !queue.over;
        let waited = self.0.arrived.wait_timeout_while(queue, patience, idle);
        let (mut queue, _) = waited.unwrap_or_else(PoisonError::into_inner);
        queue.pop()
    }

    /// The next report, if one waits.
    #[must_use]
    pub fn take(&self) -> Option<Report> {
        self.0.queue().pop()
    }

    /// A future of the next report; none at the end.
    pub async fn next(&mut self) -> Option<Report> {
        poll_fn(|cx| self.poll(cx)).await
    }

    fn poll(&self, cx: &Context<'_>) -> Poll<Option<Report>> {
        let mut queue = self.0.queue();
        if let Some(report) = queue.pop() {
            return Poll::Ready(Some(report));
        }
        if queue.over {
            return Poll::Ready(None);
        }
        queue.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl fmt::Debug for Reports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reports").field("waiting", &self.0.queue().reports.len()).finish_non_exhaustive()
    }
}

/// What a subscriber follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Origin {
    Run(RunId),
    Task(TaskId),
}

#[derive(Debug, Default)]
struct Subscriber {
    queue: Mutex<Queue>,
    arrived: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    reports: VecDeque<Report>,
    bytes: usize,
    over: bool,
    waker: Option<Waker>,
}

impl Queue {
    fn pop(&mut self) -> Option<Report> {
        let report = self.reports.pop_front()?;
        self.bytes = self.bytes.saturating_sub(size(&report));
        Some(report)
    }

    fn push(&mut self, report: Report) {
        if let ReportContent::Progress(_) = report.content {
            let earlier = self
                .reports
                .iter_mut()
                .find(|other| other.attempt == report.attempt && matches!(other.content, ReportContent::Progress(_)));
            if let Some(earlier) = earlier {
                *earlier = report;
                return;
            }
        }
        self.bytes = self.bytes.saturating_add(size(&report));
        self.reports.push_back(report);
        while self.reports.len() > WAITING || (self.bytes > WAITING_BYTES && self.reports.len() > 1) {
            let _oldest = self.pop();
        }
    }
}

fn size(report: &Report) -> usize {
    match &report.content {
        ReportContent::Progress(_) => 0,
        ReportContent::Chunk { chunk, .. } => chunk.bytes() as usize,
    }
}

impl Subscriber {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut Queue)) {
        let mut queue = self.queue();
        change(&mut queue);
        let waker = queue.waker.take();
        drop(queue);
        // Several threads may share one subscription, and its end concerns all of them.
        self.arrived.notify_all();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn end(&self) {
        self.change(|queue| queue.over = true);
    }
}

/// The last reports of each task, and the subscribers.
#[derive(Debug, Default)]
pub(crate) struct Live {
    board: Mutex<Board>,
    /// Whether there were ever subscribers. The engine's thread takes the lock only then.
    subscribed: AtomicBool,
}

#[derive(Debug, Default)]
struct Board {
    latest: BTreeMap<TaskId, Latest>,
    /// The tasks in the order of their last reports.
    order: BTreeMap<u64, TaskId>,
    /// How many reports were made.
    count: u64,
    /// The bytes of the last texts and parts.
    bytes: usize,
    subscribers: BTreeMap<Origin, Vec<Arc<Subscriber>>>,
    /// The number of origins at which those that have lost their subscribers are looked for.
    sweep_at: usize,
    over: bool,
}

/// The last reports of the last attempt at a task that made any.
#[derive(Debug)]
struct Latest {
    attempt: AttemptId,
    run: Option<RunId>,
    kind: Name,
    progress: Option<Progress>,
    chunk: Option<Payload>,
    /// The number of parts so far.
    chunks: u64,
    /// Its place in the order.
    place: u64,
}

impl Latest {
    fn is_of(&self, origin: Origin) -> bool {
        match origin {
            Origin::Run(run) => self.run == Some(run),
            Origin::Task(task) => self.attempt.task() == task,
        }
    }

    fn bytes(&self) -> usize {
        let text = self.progress.as_ref().map_or(0, |progress| progress.text().len());
        self.chunk.as_ref().map_or(text, |chunk| text.saturating_add(chunk.bytes() as usize))
    }

    fn report(&self, content: ReportContent) -> Report {
        Report { attempt: self.attempt, kind: self.kind.clone(), content }
    }

    fn reports(&self) -> impl Iterator<Item = Report> {
        let progress = self.progress.clone().map(ReportContent::Progress);
        let number = self.chunks.saturating_sub(1);
        let chunk = self.chunk.clone().map(|chunk| ReportContent::Chunk { number, chunk });
        progress.into_iter().chain(chunk).map(|content| self.report(content))
    }
}

impl Live {
    fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn progress(&self, attempt: AttemptId, task: &TaskSpec, progress: Progress) {
        self.publish(attempt, task, |latest| {
            latest.progress = Some(progress.clone());
            ReportContent::Progress(progress)
        });
    }

    pub(crate) fn emit(&self, attempt: AttemptId, task: &TaskSpec, chunk: Payload) {
        self.publish(attempt, task, |latest| {
            let number = latest.chunks;
            latest.chunks = number.saturating_add(1);
            latest.chunk = Some(chunk.clone());
            ReportContent::Chunk { number, chunk }
        });
    }

    /// The subscribers are changed and woken after the board is free again: the engine's thread waits for no waker.
    fn publish(&self, attempt: AttemptId, task: &TaskSpec, change: impl FnOnce(&mut Latest) -> ReportContent) {
        let published = self.board().publish(attempt, task, change);
        let Some((report, subscribers)) = published else { return };
        for subscriber in subscribers {
            subscriber.change(|queue| queue.push(report.clone()));
        }
    }

    /// A subscription, which begins with the last reports. `over` if there will be no others.
    pub(crate) fn subscribe(&self, origin: Origin, over: bool) -> Reports {
        let mut board = self.board();
        self.subscribed.store(true, Ordering::Release);
        let over = over || board.over;
        let subscriber: Arc<Subscriber> = Arc::default();
        let latest = board.latest.values().filter(|latest| latest.is_of(origin)).flat_map(Latest::reports);
        subscriber.change(|queue| {
            latest.for_each(|report| queue.push(report));
            queue.over = over;
        });
        if !over {
            board.add(origin, Arc::clone(&subscriber));
        }
        Reports(subscriber)
    }

    /// Ends the subscriptions to a run or a task that has ended.
    pub(crate) fn end(&self, origin: Origin) {
        if self.subscribed.load(Ordering::Acquire) {
            let ended = self.board().subscribers.remove(&origin);
            ended.iter().flatten().for_each(|subscriber| subscriber.end());
        }
    }

    /// Ends all subscriptions.
    pub(crate) fn close(&self) {
        let mut board = self.board();
        board.over = true;
        let ended = core::mem::take(&mut board.subscribers);
        drop(board);
        ended.values().flatten().for_each(|subscriber| subscriber.end());
    }
}

/// Whether its [`Reports`] still exist.
fn is_alive(subscriber: &Arc<Subscriber>) -> bool {
    Arc::strong_count(subscriber) > 1
}

impl Board {
    /// Changes the last reports of an attempt, and returns the report with those that are to get it.
    fn publish(
        &mut self,
        attempt: AttemptId,
        task: &TaskSpec,
        change: impl FnOnce(&mut Latest) -> ReportContent,
    ) -> Option<(Report, Vec<Arc<Subscriber>>)> {
        let (run, kind) = (task.owner.map(|owner| owner.run), task.kind.clone());
        if self.latest.get(&attempt.task()).is_some_and(|known| known.attempt.number() > attempt.number()) {
            // A late report of an earlier attempt.
            return None;
        }
        let earlier = self.latest.remove(&attempt.task());
        if let Some(earlier) = &earlier {
            self.bytes = self.bytes.saturating_sub(earlier.bytes());
            self.order.remove(&earlier.place);
        }
        self.count = self.count.saturating_add(1);
        let fresh = Latest { attempt, run, kind, progress: None, chunk: None, chunks: 0, place: 0 };
        let mut latest = earlier.filter(|earlier| earlier.attempt == attempt).unwrap_or(fresh);
        latest.place = self.count;
        let content = change(&mut latest);
        let report = latest.report(content);
        self.bytes = self.bytes.saturating_add(latest.bytes());
        self.order.insert(latest.place, attempt.task());
        self.latest.insert(attempt.task(), latest);
        self.forget_oldest();
        let of_run = run.map(Origin::Run).and_then(|origin| self.subscribers.get_mut(&origin));
        let mut subscribers = of_run.map(living).unwrap_or_default();
        let of_task = self.subscribers.get_mut(&Origin::Task(attempt.task()));
        subscribers.extend(of_task.map(living).unwrap_or_default());
        Some((report, subscribers))
    }

    /// Forgets the last reports of the tasks that have not reported for the longest time, until what is kept is within its bounds.
    fn forget_oldest(&mut self) {
        while self.order.len() > KEPT || (self.bytes > KEPT_BYTES && self.order.len() > 1) {
            let oldest = self.order.pop_first().and_then(|(_, task)| self.latest.remove(&task));
            self.bytes = self.bytes.saturating_sub(oldest.map_or(0, |latest| latest.bytes()));
        }
    }

    /// Adds a subscriber. Whenever the number of origins has doubled, those whose subscribers are gone are dropped.
    fn add(&mut self, origin: Origin, subscriber: Arc<Subscriber>) {
        let subscribers = self.subscribers.entry(origin).or_default();
        subscribers.retain(is_alive);
        subscribers.push(subscriber);
        if self.subscribers.len() > self.sweep_at {
            self.subscribers.retain(|_, subscribers| subscribers.iter().any(is_alive));
            self.sweep_at = self.subscribers.len().saturating_mul(2).max(64);
        }
    }
}

/// Drops the subscribers that are gone, and returns the others.
fn living(subscribers: &mut Vec<Arc<Subscriber>>) -> Vec<Arc<Subscriber>> {
    subscribers.retain(is_alive);
    subscribers.clone()
}
