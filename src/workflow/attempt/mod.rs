//! The attempt that a step sees.

#[cfg(feature = "tracing")]
mod context;
#[cfg(feature = "reports")]
mod reports;

#[cfg(any(feature = "threads", feature = "async"))]
use super::report::Line;
#[cfg(any(feature = "threads", feature = "async"))]
use crate::base::id::Incarnation;
use crate::base::id::{AttemptId, TaskId};
use crate::base::name::Name;
use crate::base::payload::Payload;
use crate::base::time::Time;
#[cfg(any(feature = "threads", feature = "async"))]
use crate::message::command::Command;
use crate::task::{Failure, IdempotencyKey, Identity, TaskSpec, Usage, codes};
use core::fmt;
use core::pin::Pin;
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::{Context, Poll, Waker};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use thiserror::Error;

/// The attempt that a step is performed in. Hosts create it; clones refer to the same attempt.
///
/// ```
/// use counterpoint::task::Usage;
/// use counterpoint::{AttemptId, TaskId};
/// use counterpoint::workflow::Attempt;
///
/// let attempt = Attempt::new(AttemptId::new(TaskId::new(7), 2), "charge");
/// let seen_by_the_step = attempt.clone();
/// assert_eq!(seen_by_the_step.number(), 2);
/// attempt.cancel();
/// assert!(seen_by_the_step.is_cancelled());
/// seen_by_the_step.used(Usage::default().with_tokens(740));
/// assert_eq!(attempt.usage().tokens, 740);
/// ```
#[derive(Clone)]
pub struct Attempt {
    shared: Arc<Shared>,
}

/// What all clones of an attempt share: a single allocation.
struct Shared {
    id: AttemptId,
    work: Work,
    key: Option<Box<IdempotencyKey>>,
    deadline: Option<Time>,
    /// The last details that an earlier attempt has reported.
    #[cfg_attr(not(feature = "reports"), allow(dead_code, reason = "reports read it"))]
    details: Payload,
    /// The way to the host; none for attempts of tests.
    #[cfg(any(feature = "threads", feature = "async"))]
    #[cfg_attr(not(feature = "reports"), allow(dead_code, reason = "reports read it"))]
    line: Option<Arc<Line>>,
    cancelled: AtomicBool,
    /// Whether it has answered, or the engine has given it up.
    #[cfg_attr(not(feature = "reports"), allow(dead_code, reason = "reports read it"))]
    ended: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    used: Usage,
    /// Of the futures that wait for the cancellation, by the key of the future.
    waiting: BTreeMap<u64, Waker>,
}

/// The work of an attempt: its kind alone, or the task, from which the idempotency key is computed when a step asks for it.
#[derive(Clone)]
enum Work {
    Kind(Name),
    Task(Arc<TaskSpec>, Option<Arc<Identity>>),
}

/// The error for an attempt without an idempotency key: the journal of its engine is not identified, or the attempt was made by
/// a test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("attempt {attempt} has no idempotency key: the journal of its engine is not identified")]
#[non_exhaustive]
pub struct NoIdempotencyKey {
    /// The attempt.
    pub attempt: AttemptId,
}

impl From<NoIdempotencyKey> for Failure {
    fn from(error: NoIdempotencyKey) -> Self {
        Self::permanent(error.to_string()).with_code(codes::NO_KEY)
    }
}

impl Attempt {
    /// An attempt at a task of this kind, for tests of steps and for agents that are assigned attempts by message.
    #[must_use]
    pub fn new(id: AttemptId, kind: impl Into<Name>) -> Self {
        Shared::new(id, Work::Kind(kind.into())).into()
    }

    /// An attempt at a task, for hosts: `identity` is part of the dispatch ([`Effect::Dispatch`](crate::Effect::Dispatch)).
    #[must_use]
    pub fn of(id: AttemptId, task: Arc<TaskSpec>, identity: Option<Arc<Identity>>) -> Self {
        Shared::new(id, Work::Task(task, identity)).into()
    }

    /// An attempt of a host, which reports to it.
    #[cfg(any(feature = "threads", feature = "async"))]
    pub(crate) fn hosted(
        id: AttemptId,
        (task, identity): (Arc<TaskSpec>, Option<Arc<Identity>>),
        deadline: Option<Time>,
        details: Payload,
        line: &Arc<Line>,
    ) -> Self {
        let line = Some(Arc::clone(line));
        Shared { deadline, details, line, ..Shared::new(id, Work::Task(task, identity)) }.into()
    }

    /// Sets the idempotency key, before the attempt is cloned: what has been cloned is copied, and the clones stay as they are.
    #[must_use]
    pub fn with_key(self, key: IdempotencyKey) -> Self {
        self.with(|shared| shared.key = Some(Box::new(key)))
    }

    /// Sets the [deadline](Self::deadline), before the attempt is cloned: what has been cloned is copied, and the clones stay as
    /// they are.
    #[must_use]
    pub fn with_deadline(self, deadline: Option<Time>) -> Self {
        self.with(|shared| shared.deadline = deadline)
    }

    fn with(mut self, change: impl FnOnce(&mut Shared)) -> Self {
        if let Some(shared) = Arc::get_mut(&mut self.shared) {
            change(shared);
            return self;
        }
        let mut copy = self.shared.copy();
        change(&mut copy);
        copy.into()
    }

    /// The attempt's id, created by the engine and never reused.
    #[must_use]
    pub fn id(&self) -> AttemptId {
        self.shared.id
    }

    /// The task: the same for all attempts. Its id is unique within its engine; systems outside need the
    /// [idempotency key](Self::idempotency_key).
    #[must_use]
    pub fn task(&self) -> TaskId {
        self.shared.id.task()
    }

    /// The number of the attempt, from 1.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.shared.id.number().get()
    }

    /// The task's kind.
    #[must_use]
    pub fn kind(&self) -> &Name {
        match &self.shared.work {
            Work::Kind(kind) => kind,
            Work::Task(task, _) => &task.kind,
        }
    }

    /// The time at which the engine stops waiting for the answer, by the clock of the host. The attempt is then cancelled.
    #[must_use]
    pub fn deadline(&self) -> Option<Time> {
        self.shared.deadline
    }

    /// The key by which a system outside recognises that the same work is requested again: a payment, a mail, a call of an API.
    /// It is the same for all attempts at the task, before and after a crash, and differs from the keys of all other work, also
    /// of other journals and environments.
    ///
    /// ```
    /// use counterpoint::Failure;
    /// use counterpoint::workflow::Attempt;
    ///
    /// # fn post(_: &str, _: [(&str, String); 1]) -> Result<(), Failure> { Ok(()) }
    /// fn charge(attempt: &Attempt) -> Result<(), Failure> {
    ///     post("/v1/charges", [("Idempotency-Key", attempt.idempotency_key()?.to_string())])
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// When the journal of the engine is not identified. The hosts of this crate identify every journal. The error converts
    /// into a permanent [`Failure`] with the code [`NO_KEY`](crate::task::codes::NO_KEY).
    pub fn idempotency_key(&self) -> Result<IdempotencyKey, NoIdempotencyKey> {
        if let Some(key) = &self.shared.key {
            return Ok(**key);
        }
        match &self.shared.work {
            Work::Task(task, Some(identity)) => Ok(identity.key_of(task)),
            Work::Task(_, None) | Work::Kind(_) => Err(NoIdempotencyKey { attempt: self.id() }),
        }
    }

    /// Adds to the usage of the attempt, which counts against the budgets of its run whether the attempt succeeds or fails. The
    /// host sends the sum with the answer. The usage of an attempt that ends without an answer (a timeout, a lost agent) is not
    /// known to the engine.
    ///
    /// ```
    /// use counterpoint::Failure;
    /// use counterpoint::task::Usage;
    /// use counterpoint::workflow::Attempt;
    ///
    /// # struct Answer { text: String, tokens: u64 }
    /// # fn ask(_: &str) -> Answer { Answer { text: String::new(), tokens: 740 } }
    /// fn summarise(text: String, attempt: &Attempt) -> Result<String, Failure> {
    ///     let answer = ask(&text);
    ///     attempt.used(Usage::default().with_tokens(answer.tokens));
    ///     Ok(answer.text)
    /// }
    /// ```
    pub fn used(&self, usage: Usage) {
        let mut state = self.shared.state();
        state.used = Usage::default()
            .with_cost(state.used.cost.saturating_add(usage.cost))
            .with_tokens(state.used.tokens.saturating_add(usage.tokens));
    }

    /// The usage that was reported so far.
    #[must_use]
    pub fn usage(&self) -> Usage {
        self.shared.state().used
    }

    /// Whether the attempt was cancelled. A long step should check this regularly and end early; its result must still
    /// report truthfully whether the work was done.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.shared.cancelled.load(Ordering::Acquire)
    }

    /// A future that completes when the attempt is cancelled; at once if it is cancelled already. A step may clean up and
    /// answer after a cancellation. If it takes longer than the grace period of the engine, its future is dropped.
    ///
    /// Within a step: `select! { answer = work => .., () = attempt.cancelled() => .. }`.
    pub fn cancelled(&self) -> Cancelled {
        Cancelled { shared: Arc::clone(&self.shared), key: None }
    }

    /// Marks the attempt as ended: it reports nothing more.
    #[cfg(any(feature = "threads", feature = "async"))]
    pub(crate) fn end(&self) {
        self.shared.ended.store(true, Ordering::Release);
    }

    /// Cancels the attempt. Called by hosts and in tests of steps.
    pub fn cancel(&self) {
        self.shared.cancelled.store(true, Ordering::Release);
        let waiting = core::mem::take(&mut self.shared.state().waiting);
        for waker in waiting.into_values() {
            waker.wake();
        }
    }
}

impl Attempt {
    /// The command that reports the end of the attempt, with its usage.
    #[cfg(any(feature = "threads", feature = "async"))]
    pub(crate) fn answer(&self, by: Incarnation, result: Result<Payload, Failure>) -> Command {
        self.end();
        let command = match result {
            Ok(output) => Command::complete(by, self.id(), output),
            Err(failure) => Command::fail(by, self.id(), failure),
        };
        command.using(self.usage())
    }
}

impl From<Shared> for Attempt {
    fn from(shared: Shared) -> Self {
        Self { shared: Arc::new(shared) }
    }
}

impl Shared {
    fn new(id: AttemptId, work: Work) -> Self {
        Self {
            id,
            work,
            key: None,
            deadline: None,
            details: Payload::NULL,
            #[cfg(any(feature = "threads", feature = "async"))]
            line: None,
            cancelled: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            state: Mutex::default(),
        }
    }

    /// The same attempt, with a cancellation and a usage of its own.
    fn copy(&self) -> Self {
        let flag = |flag: &AtomicBool| AtomicBool::new(flag.load(Ordering::Acquire));
        Self {
            key: self.key.clone(),
            deadline: self.deadline,
            details: self.details.clone(),
            #[cfg(any(feature = "threads", feature = "async"))]
            line: self.line.clone(),
            cancelled: flag(&self.cancelled),
            ended: flag(&self.ended),
            state: Mutex::new(State { used: self.state().used, waiting: BTreeMap::new() }),
            ..Self::new(self.id, self.work.clone())
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Attempt({} at {}", self.id(), self.kind())?;
        f.write_str(if self.is_cancelled() { ", cancelled)" } else { ")" })
    }
}

/// Completes when an attempt is cancelled: see [`Attempt::cancelled`].
#[must_use = "futures do nothing unless they are polled"]
pub struct Cancelled {
    shared: Arc<Shared>,
    /// The key of its waker, since it was polled.
    key: Option<u64>,
}

impl Clone for Cancelled {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), key: None }
    }
}

impl Drop for Cancelled {
    fn drop(&mut self) {
        let waker = self.key.and_then(|key| self.shared.state().waiting.remove(&key));
        // Not under the lock: a waker may do anything when it is dropped.
        drop(waker);
    }
}

impl Future for Cancelled {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let shared = Arc::clone(&self.shared);
        let waker = cx.waker().clone();
        let mut state = shared.state();
        // The flag is set before the wakers are taken, so a waker that is added here is woken.
        if shared.cancelled.load(Ordering::Acquire) {
            return Poll::Ready(());
        }
        // Greater than the keys of all futures that wait, which may be those of futures that do not any more.
        let next = state.waiting.last_key_value().map_or(0, |(last, _)| last.wrapping_add(1));
        let key = *self.key.get_or_insert(next);
        let before = state.waiting.insert(key, waker);
        drop(state);
        drop(before);
        Poll::Pending
    }
}

impl fmt::Debug for Cancelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Cancelled").field(&self.shared.id).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::Wake;

    struct Bell(Mutex<u32>);

    impl Wake for Bell {
        fn wake(self: Arc<Self>) {
            *self.0.lock().unwrap() += 1;
        }
    }

    fn bell() -> (Arc<Bell>, Waker) {
        let bell = Arc::new(Bell(Mutex::new(0)));
        (Arc::clone(&bell), Waker::from(bell))
    }

    fn poll(future: &mut Cancelled, waker: &Waker) -> Poll<()> {
        Pin::new(future).poll(&mut Context::from_waker(waker))
    }

    /// A step that waits for its cancellation in a loop of `select!` keeps one waker, and none after that.
    #[test]
    fn a_dropped_future_leaves_no_waker() {
        let attempt = Attempt::new(AttemptId::new(TaskId::new(7), 1), "work");
        let mut bells = Vec::new();
        for _ in 0..100 {
            let (bell, waker) = bell();
            let mut future = attempt.cancelled();
            for _ in 0..3 {
                assert!(poll(&mut future, &waker).is_pending());
            }
            let mut other = future.clone();
            assert!(poll(&mut other, &waker).is_pending());
            bells.push(bell);
        }
        assert!(bells.iter().all(|bell| Arc::strong_count(bell) == 1), "the attempt keeps a waker of a dropped future");
        assert!(attempt.shared.state().waiting.is_empty());
    }

    /// What is set after an attempt was cloned does not reach the clones.
    #[test]
    fn what_is_set_on_a_clone_stays_with_it() {
        let attempt = Attempt::new(AttemptId::new(TaskId::new(7), 1), "work").with_deadline(Some(Time::from_secs(1)));
        attempt.used(Usage::default().with_tokens(3));
        let other = attempt.clone().with_deadline(Some(Time::from_secs(2)));
        assert_eq!((attempt.deadline(), other.deadline()), (Some(Time::from_secs(1)), Some(Time::from_secs(2))));
        assert_eq!((other.id(), other.usage(), &**other.kind()), (attempt.id(), attempt.usage(), "work"));
        attempt.cancel();
        assert!(!other.is_cancelled());
    }

    /// Each future wakes its last task, however many futures a task has.
    #[test]
    fn each_future_is_woken_where_it_was_polled_last() {
        let attempt = Attempt::new(AttemptId::new(TaskId::new(7), 1), "work");
        let ((first, early), (second, late)) = (bell(), bell());
        let (mut moved, mut stays) = (attempt.cancelled(), attempt.cancelled());
        assert!(poll(&mut moved, &early).is_pending() && poll(&mut stays, &early).is_pending());
        assert!(poll(&mut moved, &late).is_pending());
        attempt.cancel();
        assert_eq!((*first.0.lock().unwrap(), *second.0.lock().unwrap()), (1, 1));
        assert!(poll(&mut moved, &late).is_ready() && poll(&mut stays, &early).is_ready());
    }
}
