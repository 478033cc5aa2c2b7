//! Deques that others steal from.

use shuttle::rand::{Rng, thread_rng};
use shuttle::sync::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;

/// Of so many attempts to steal one has to be made again.
const RETRIED: u32 = 4;

#[derive(Debug)]
pub struct Worker<T>(Arc<Mutex<VecDeque<T>>>);

#[derive(Debug)]
pub struct Stealer<T>(Arc<Mutex<VecDeque<T>>>);

#[derive(Debug)]
pub enum Steal<T> {
    Empty,
    Success(T),
    Retry,
}

impl<T> Worker<T> {
    pub fn new_lifo() -> Self {
        Self(Arc::new(Mutex::new(VecDeque::new())))
    }

    pub fn stealer(&self) -> Stealer<T> {
        Stealer(Arc::clone(&self.0))
    }

    pub fn push(&self, item: T) {
        self.0.lock().unwrap().push_back(item);
    }

    pub fn pop(&self) -> Option<T> {
        self.0.lock().unwrap().pop_back()
    }

    pub fn is_empty(&self) -> bool {
        self.0.lock().unwrap().is_empty()
    }
}

impl<T> Stealer<T> {
    pub fn is_empty(&self) -> bool {
        self.0.lock().unwrap().is_empty()
    }

    /// The oldest; up to half of the rest goes to the thief, one by one, as others may look meanwhile.
    pub fn steal_batch_and_pop(&self, thief: &Worker<T>) -> Steal<T> {
        if thread_rng().gen_range(0..RETRIED) == 0 {
            return Steal::Retry;
        }
        let mut queue = self.0.lock().unwrap();
        let Some(first) = queue.pop_front() else { return Steal::Empty };
        let half = queue.len() / 2;
        drop(queue);
        for _ in 0..half {
            let next = self.0.lock().unwrap().pop_front();
            next.into_iter().for_each(|item| thief.push(item));
        }
        Steal::Success(first)
    }
}
