//! Random draws that depend on the seed and on their subject, and not on the order of the draws, so an interrupted run
//! meets the same faults as an uninterrupted one.

use counterpoint::Random;
use std::time::Duration;

/// The stream of draws that belongs to these numbers.
pub fn about(seed: u64, what: &[u64]) -> Random {
    let seed = what.iter().fold(seed, |seed, number| Random::new(seed, *number).bits());
    Random::new(seed, 0)
}

/// True in `of_thousand` out of a thousand cases.
pub fn happens(random: &mut Random, of_thousand: usize) -> bool {
    random.below(1_000) < of_thousand
}

/// A span between two, in milliseconds.
pub fn between(random: &mut Random, low: u64, high: u64) -> Duration {
    random.between(Duration::from_millis(low), Duration::from_millis(high))
}

/// A number that stands for a kind of task.
pub fn number_of(kind: &str) -> u64 {
    kind.bytes().fold(17, |sum, byte| sum * 31 % 1_000_003 + u64::from(byte))
}

/// What goes wrong with one attempt, in one of the ways in which things between machines go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// The service is away for a moment: no effect, and the agent says so.
    Transient,
    /// The service has overloaded: no effect, and the agent says so.
    Overloaded,
    /// The request never arrives, and the agent says nothing.
    LostRequest,
    /// The effect happens, the answer is lost.
    LostAnswer,
    /// The effect happens, the answer comes when nobody waits any more.
    LateAnswer,
    /// Effect and answer come when nobody waits any more.
    LateEffect,
    /// The answer comes twice.
    TwoAnswers,
    /// The step panics before it does anything.
    PanicBefore,
    /// The step panics when it has done its work.
    PanicAfter,
}

impl Fault {
    /// How often in a thousand attempts each happens.
    const ODDS: [(Self, usize); 9] = [
        (Self::Transient, 80),
        (Self::Overloaded, 20),
        (Self::LostRequest, 25),
        (Self::LostAnswer, 30),
        (Self::LateAnswer, 20),
        (Self::LateEffect, 25),
        (Self::TwoAnswers, 30),
        (Self::PanicBefore, 10),
        (Self::PanicAfter, 10),
    ];

    /// From this attempt on all goes well: no trouble lasts for ever.
    const PATIENCE: u32 = 7;

    pub fn drawn(random: &mut Random, attempt: u32) -> Self {
        let mut ball = random.below(1_000);
        for (fault, odds) in Self::ODDS {
            if ball < odds {
                return if attempt >= Self::PATIENCE { Self::None } else { fault };
            }
            ball -= odds;
        }
        Self::None
    }
}
