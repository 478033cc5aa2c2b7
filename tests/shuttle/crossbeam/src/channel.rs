//! Channels of many senders and receivers. Time does not pass: whoever waits with a limit sees it reached sooner or later, as
//! long as nothing comes.

use shuttle::rand::{Rng, thread_rng};
use shuttle::sync::{Condvar, Mutex, MutexGuard};
use shuttle::thread::yield_now;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// Of so many looks in vain with a limit of time one is the last.
const PATIENCE: u32 = 4;

pub fn bounded<T>(room: usize) -> (Sender<T>, Receiver<T>) {
    channel(Some(room))
}

pub fn unbounded<T>() -> (Sender<T>, Receiver<T>) {
    channel(None)
}

fn channel<T>(room: Option<usize>) -> (Sender<T>, Receiver<T>) {
    let state = State { queue: VecDeque::new(), room, senders: 1, receivers: 1, bells: Vec::new() };
    let channel = Arc::new(Channel { state: Mutex::new(state), changed: Condvar::new() });
    (Sender(Arc::clone(&channel)), Receiver(channel))
}

#[derive(Debug)]
struct Channel<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

#[derive(Debug)]
struct State<T> {
    queue: VecDeque<T>,
    room: Option<usize>,
    senders: usize,
    receivers: usize,
    /// Of those who wait for several channels.
    bells: Vec<Arc<Bell>>,
}

impl<T> Channel<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap()
    }

    /// Tells those who wait, if it could be done.
    fn change<R, E>(&self, change: impl FnOnce(&mut State<T>) -> Result<R, E>) -> Result<R, E> {
        let mut state = self.lock();
        let done = change(&mut state)?;
        let bells = state.bells.clone();
        drop(state);
        self.changed.notify_all();
        bells.iter().for_each(|bell| bell.ring());
        Ok(done)
    }

    fn leave(&self, leave: impl FnOnce(&mut State<T>)) {
        let left: Result<(), ()> = self.change(|state| {
            leave(state);
            Ok(())
        });
        left.expect("always done");
    }
}

impl<T> State<T> {
    fn put(&mut self, item: T) -> Result<(), TrySendError<T>> {
        if self.receivers == 0 {
            return Err(TrySendError::Disconnected(item));
        }
        // Without room an item goes from hand to hand, which nothing here needs.
        assert_ne!(self.room, Some(0), "nothing is sent through a channel without room");
        if self.room.is_some_and(|room| self.queue.len() >= room) {
            return Err(TrySendError::Full(item));
        }
        self.queue.push_back(item);
        Ok(())
    }

    fn take(&mut self) -> Result<T, TryRecvError> {
        let none = if self.senders == 0 { TryRecvError::Disconnected } else { TryRecvError::Empty };
        self.queue.pop_front().ok_or(none)
    }
}

#[derive(Debug)]
pub struct Sender<T>(Arc<Channel<T>>);

impl<T> Sender<T> {
    pub fn send(&self, item: T) -> Result<(), SendError<T>> {
        let mut item = item;
        loop {
            match self.try_send(item) {
                Ok(()) => return Ok(()),
                Err(TrySendError::Disconnected(item)) => return Err(SendError(item)),
                Err(TrySendError::Full(back)) => item = back,
            }
            let mut state = self.0.lock();
            while state.receivers > 0 && state.room.is_some_and(|room| state.queue.len() >= room) {
                state = self.0.changed.wait(state).unwrap();
            }
        }
    }

    pub fn try_send(&self, item: T) -> Result<(), TrySendError<T>> {
        self.0.change(|state| state.put(item))
    }

    pub fn send_timeout(&self, item: T, _: Duration) -> Result<(), SendTimeoutError<T>> {
        let mut item = item;
        loop {
            match self.try_send(item) {
                Ok(()) => return Ok(()),
                Err(TrySendError::Disconnected(item)) => return Err(SendTimeoutError::Disconnected(item)),
                Err(TrySendError::Full(item)) if last_look() => return Err(SendTimeoutError::Timeout(item)),
                Err(TrySendError::Full(back)) => item = back,
            }
        }
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.0.lock().senders += 1;
        Self(Arc::clone(&self.0))
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.0.leave(|state| state.senders -= 1);
    }
}

#[derive(Debug)]
pub struct Receiver<T>(Arc<Channel<T>>);

impl<T> Receiver<T> {
    pub fn recv(&self) -> Result<T, RecvError> {
        loop {
            match self.try_recv() {
                Ok(item) => return Ok(item),
                Err(TryRecvError::Disconnected) => return Err(RecvError),
                Err(TryRecvError::Empty) => {}
            }
            let mut state = self.0.lock();
            while state.queue.is_empty() && state.senders > 0 {
                state = self.0.changed.wait(state).unwrap();
            }
        }
    }

    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        self.0.change(State::take)
    }

    pub fn recv_timeout(&self, _: Duration) -> Result<T, RecvTimeoutError> {
        loop {
            match self.try_recv() {
                Ok(item) => return Ok(item),
                Err(TryRecvError::Disconnected) => return Err(RecvTimeoutError::Disconnected),
                Err(TryRecvError::Empty) if last_look() => return Err(RecvTimeoutError::Timeout),
                Err(TryRecvError::Empty) => {}
            }
        }
    }

    pub fn len(&self) -> usize {
        self.0.lock().queue.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn iter(&self) -> Iter<'_, T> {
        Iter(self)
    }

    #[doc(hidden)]
    pub fn listen(&self, bell: &Arc<Bell>) {
        self.0.lock().bells.push(Arc::clone(bell));
    }

    #[doc(hidden)]
    pub fn ignore(&self, bell: &Arc<Bell>) {
        self.0.lock().bells.retain(|other| !Arc::ptr_eq(bell, other));
    }
}

/// Lets others go on, and tells whether the limit is reached.
fn last_look() -> bool {
    yield_now();
    thread_rng().gen_range(0..PATIENCE) == 0
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        self.0.lock().receivers += 1;
        Self(Arc::clone(&self.0))
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.0.leave(|state| state.receivers -= 1);
    }
}

#[derive(Debug)]
pub struct Iter<'a, T>(&'a Receiver<T>);

impl<T> Iterator for Iter<'_, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.0.recv().ok()
    }
}

impl<'a, T> IntoIterator for &'a Receiver<T> {
    type Item = T;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}

#[derive(Debug)]
pub struct IntoIter<T>(Receiver<T>);

impl<T> Iterator for IntoIter<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.0.recv().ok()
    }
}

impl<T> IntoIterator for Receiver<T> {
    type Item = T;
    type IntoIter = IntoIter<T>;

    fn into_iter(self) -> IntoIter<T> {
        IntoIter(self)
    }
}

#[derive(Debug, PartialEq, Eq)]
pub struct SendError<T>(pub T);

#[derive(Debug, PartialEq, Eq)]
pub enum TrySendError<T> {
    Full(T),
    Disconnected(T),
}

#[derive(Debug, PartialEq, Eq)]
pub enum SendTimeoutError<T> {
    Timeout(T),
    Disconnected(T),
}

#[derive(Debug, PartialEq, Eq)]
pub struct RecvError;

#[derive(Debug, PartialEq, Eq)]
pub enum TryRecvError {
    Empty,
    Disconnected,
}

#[derive(Debug, PartialEq, Eq)]
pub enum RecvTimeoutError {
    Timeout,
    Disconnected,
}

/// Rings when one of several channels changes.
#[derive(Debug)]
pub struct Bell {
    rung: Mutex<bool>,
    changed: Condvar,
}

impl Bell {
    #[doc(hidden)]
    #[allow(clippy::new_without_default)]
    pub fn new() -> Arc<Self> {
        Arc::new(Self { rung: Mutex::new(false), changed: Condvar::new() })
    }

    fn ring(&self) {
        *self.rung.lock().unwrap() = true;
        self.changed.notify_all();
    }

    #[doc(hidden)]
    pub fn wait(&self) {
        let mut rung = self.rung.lock().unwrap();
        while !*rung {
            rung = self.changed.wait(rung).unwrap();
        }
        *rung = false;
    }
}

/// Waits for two channels. Which is looked at first is drawn.
#[doc(hidden)]
pub fn either<A, B>(one: &Receiver<A>, two: &Receiver<B>) -> Either<A, B> {
    let bell = Bell::new();
    one.listen(&bell);
    two.listen(&bell);
    let look_one = || match one.try_recv() {
        Err(TryRecvError::Empty) => None,
        got => Some(Either::One(got.map_err(|_| RecvError))),
    };
    let look_two = || match two.try_recv() {
        Err(TryRecvError::Empty) => None,
        got => Some(Either::Two(got.map_err(|_| RecvError))),
    };
    let got = loop {
        let got = if thread_rng().gen_range(0..2) == 0 {
            look_one().or_else(look_two)
        } else {
            look_two().or_else(look_one)
        };
        if let Some(got) = got {
            break got;
        }
        bell.wait();
    };
    one.ignore(&bell);
    two.ignore(&bell);
    got
}

#[doc(hidden)]
#[derive(Debug)]
pub enum Either<A, B> {
    One(Result<A, RecvError>),
    Two(Result<B, RecvError>),
}

/// Of two receivers, as far as counterpoint needs it.
#[macro_export]
macro_rules! select {
    (recv($one:expr) -> $first:pat => $do:expr, recv($two:expr) -> $second:pat => $other:expr $(,)?) => {
        match $crate::channel::either($one, $two) {
            $crate::channel::Either::One($first) => $do,
            $crate::channel::Either::Two($second) => $other,
        }
    };
}

pub use crate::select;

/// A wait for one of several channels whose number is known only when it begins.
#[derive(Default)]
pub struct Select<'a>(Vec<Box<dyn Fn() -> bool + 'a>>);

#[derive(Debug)]
pub struct TrySelectError;

#[derive(Debug)]
pub struct SelectedOperation(usize);

impl<'a> Select<'a> {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn recv<T>(&mut self, receiver: &'a Receiver<T>) -> usize {
        let is_ready = || {
            let state = receiver.0.lock();
            !state.queue.is_empty() || state.senders == 0
        };
        self.0.push(Box::new(is_ready));
        self.0.len() - 1
    }

    pub fn select(&mut self) -> SelectedOperation {
        loop {
            match self.try_select() {
                Ok(selected) => return selected,
                Err(TrySelectError) => yield_now(),
            }
        }
    }

    pub fn try_select(&mut self) -> Result<SelectedOperation, TrySelectError> {
        self.0.iter().position(|is_ready| is_ready()).map(SelectedOperation).ok_or(TrySelectError)
    }
}

impl SelectedOperation {
    pub fn index(&self) -> usize {
        self.0
    }

    pub fn recv<T>(self, receiver: &Receiver<T>) -> Result<T, RecvError> {
        receiver.try_recv().map_err(|_| RecvError)
    }
}
