//! Agents with injected failures.

use std::panic::resume_unwind;

use counterpoint::host::Agent;
use counterpoint::workflow::{Attempt, Steps};
use counterpoint::{Failure, Payload, TaskSpec};

/// How often attempts fail. Whether one does follows from the seed and from what is tried the how-manieth time, not from
/// when, or by whom.
#[derive(Debug, Clone, Copy)]
pub struct Fate {
    /// The share of attempts that fail, from 0 to 1.
    pub rate: f64,
    pub seed: u64,
}

/// What becomes of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lot {
    Well,
    /// Nothing is done, and the agent says so.
    GivesUp,
    /// The agent panics before it has done anything, but nobody can know that.
    Panics,
    /// The work is done, and then the agent panics: the answer is lost.
    Forgets,
}

impl Fate {
    fn of(self, task: &TaskSpec, attempt: &Attempt) -> Lot {
        let key = format!("{} {} {} {}", self.seed, task.kind, attempt.number(), task.payload);
        let drawn = hash(key.as_bytes());
        // 53 bits are what fits into the number.
        if (drawn >> 11) as f64 / (1_u64 << 53) as f64 >= self.rate {
            return Lot::Well;
        }
        match hash(&drawn.to_le_bytes()) % 4 {
            0 => Lot::Panics,
            1 => Lot::Forgets,
            _ => Lot::GivesUp,
        }
    }
}

/// Someone who knows their steps but is not always up to them.
#[derive(Debug)]
pub struct Unreliable {
    pub steps: Steps,
    pub fate: Fate,
}

impl Agent for Unreliable {
    fn perform(&self, task: &TaskSpec, attempt: &Attempt) -> Result<Payload, Failure> {
        let work = || self.steps.perform(&task.kind, &task.payload, attempt);
        match self.fate.of(task, attempt) {
            Lot::Well => work(),
            Lot::GivesUp => Err(Failure::transient("unavailable")),
            Lot::Panics => panic("crashed"),
            Lot::Forgets => {
                // Whatever came of it, nobody will hear.
                let _ = work();
                panic("lost the answer")
            }
        }
    }
}

/// A panic without the message on the screen that `panic!` would leave.
fn panic(why: &'static str) -> ! {
    resume_unwind(Box::new(why))
}

/// FNV-1a with a finish that spreads the last bytes: the same on every machine.
fn hash(bytes: &[u8]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in bytes {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    hash = (hash ^ (hash >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
    hash ^ (hash >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use counterpoint::{AttemptId, TaskId};

    fn lots(rate: f64, seed: u64) -> Vec<Lot> {
        let task = TaskSpec::new(TaskId::new(1), "read");
        let attempt = |number| Attempt::new(AttemptId::new(task.id, number), "read");
        (1..=10_000).map(|number| Fate { rate, seed }.of(&task, &attempt(number))).collect()
    }

    #[test]
    fn fate_keeps_to_the_rate_and_to_the_seed() {
        assert!(lots(0.0, 1).iter().all(|lot| *lot == Lot::Well));
        assert!(lots(1.0, 1).iter().all(|lot| *lot != Lot::Well));
        let failed = lots(0.2, 1).iter().filter(|lot| **lot != Lot::Well).count();
        assert!((1_800..2_200).contains(&failed), "{failed}");
        assert_eq!(lots(0.2, 7), lots(0.2, 7));
        assert_ne!(lots(0.2, 7), lots(0.2, 8));
        for kind in [Lot::GivesUp, Lot::Panics, Lot::Forgets] {
            assert!(lots(0.2, 1).contains(&kind));
        }
    }
}
