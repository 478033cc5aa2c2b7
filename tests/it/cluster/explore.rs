//! Exhaustive exploration: breadth first, so that the first path to a fault is a shortest one.

use std::collections::{BTreeSet, VecDeque};
use std::fmt::Debug;
use std::hash::{DefaultHasher, Hash, Hasher};

/// A small deployment of the real state machines, with a network and hosts that fail.
pub trait World: Clone {
    type Action: Clone + Debug;

    /// What may happen next.
    fn actions(&self) -> Vec<Self::Action>;

    fn apply(&mut self, action: &Self::Action);

    /// What must hold in every state.
    fn check(&self) -> Result<(), String>;

    /// The content of the state, by which equal ones are recognised.
    fn content(&self) -> String;

    /// Goes on without further faults, and checks what must then be reached.
    fn settle(self) -> Result<(), String>;
}

/// A fault, with the shortest path to it.
#[derive(Debug)]
#[allow(dead_code, reason = "the message of a failed test prints it")]
pub struct Found {
    pub fault: String,
    pub path: Vec<String>,
}

/// Visits every state that can be reached. Returns how many there are.
pub fn explore<W: World>(start: &W, most: usize) -> Result<usize, Found> {
    let mut seen = BTreeSet::from([digest(&start.content())]);
    let mut open = VecDeque::from([(start.clone(), 0_usize)]);
    // The predecessor of each state and the action that led from there.
    let mut trail: Vec<(usize, String)> = vec![(0, "start".to_owned())];
    while let Some((world, at)) = open.pop_front() {
        world.clone().settle().map_err(|fault| found(fault, &trail, at))?;
        for action in world.actions() {
            let mut next = world.clone();
            next.apply(&action);
            if !seen.insert(digest(&next.content())) {
                continue;
            }
            assert!(trail.len() < most, "more than {most} states");
            trail.push((at, format!("{action:?}")));
            let here = trail.len() - 1;
            next.check().map_err(|fault| found(fault, &trail, here))?;
            open.push_back((next, here));
        }
    }
    Ok(trail.len())
}

fn found(fault: String, trail: &[(usize, String)], mut at: usize) -> Found {
    let mut path = Vec::new();
    while at != 0 {
        path.push(trail[at].1.clone());
        at = trail[at].0;
    }
    path.reverse();
    Found { fault, path }
}

fn digest(content: &str) -> (u64, u64) {
    let of = |salt: u64| {
        let mut hasher = DefaultHasher::new();
        (salt, content).hash(&mut hasher);
        hasher.finish()
    };
    (of(1), of(2))
}
