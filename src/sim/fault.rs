//! What goes wrong, and how often.

use crate::base::id::{mix, stable_hash};
use crate::base::structure::Random;
use crate::base::time::Time;
use core::fmt;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

macro_rules! faults {
    ($($(#[$doc:meta])* $name:ident => $text:literal),* $(,)?) => {
        /// Something that goes wrong. Each names the occasions on which it may strike.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Fault {
            $($(#[$doc])* $name),*
        }

        impl Fault {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// Its name as it stands in tables and in the command that replays a case.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $text),*
                }
            }
        }
    };
}

faults! {
    /// The host dies with facts that it has not appended. On each append.
    CrashBefore => "crash-before-append",
    /// The host dies while it appends: the journal ends somewhere among the facts. On each append.
    CrashTorn => "crash-torn-append",
    /// The host dies when it has appended, and answers nobody. On each append.
    CrashAfter => "crash-after-append",
    /// The host dies between two effects. On each effect and answer.
    CrashActing => "crash-while-acting",
    /// The host dies while it comes back. On each recovery.
    CrashRestoring => "crash-while-restoring",
    /// The journal refuses, and keeps nothing. On each append.
    AppendRefused => "append-refused",
    /// The journal does not say whether it kept the facts; it did not. On each append.
    AppendLost => "append-unknown-lost",
    /// The journal does not say whether it kept the facts; it did. On each append.
    AppendKept => "append-unknown-kept",
    /// A snapshot is not kept. On each snapshot.
    SnapshotLost => "snapshot-lost",
    /// What is read from the journal lacks an entry, has one twice or two in the wrong order, and is read again. On each
    /// recovery. That it is noticed is a rule.
    TailMangled => "journal-misread",
    /// Another host takes over; the old one does not know it yet. On each append.
    SecondHost => "second-host",
    /// A message is lost. On each message.
    MessageLost => "message-lost",
    /// A message comes twice. On each message.
    MessageTwice => "message-twice",
    /// A message comes up to two minutes late, after others that were sent later. On each message.
    MessageLate => "message-late",
    /// An agent dies without a word before it has done its work. On each end of an attempt.
    AgentDies => "agent-dies",
    /// An agent dies when it has done its work, and has told nobody. On each end of an attempt.
    AgentDiesUnheard => "agent-dies-unheard",
    /// An agent takes a hundred times as long. On each begin of an attempt.
    AgentStalls => "agent-stalls",
    /// An agent never answers, until it is asked again. On each end of an attempt.
    AgentSilent => "agent-silent",
    /// An agent answers twice, the second time as a failure. On each answer.
    AgentAnswersTwice => "agent-answers-twice",
    /// An agent answers for an attempt that it does not hold, or in another's name. On each answer.
    AgentLies => "agent-lies",
    /// An agent that has come back says what its old life had to say. On each registration.
    AgentHaunts => "agent-of-the-past",
    /// An agent registers though it is registered. On each heartbeat.
    AgentRejoins => "agent-rejoins",
    /// An agent changes its capacity, up or down, whatever it holds. On each heartbeat.
    AgentShrinks => "agent-capacity-changes",
    /// The host's clock jumps ahead, up to three hours. On each message that reaches the host.
    ClockForward => "clock-forward",
    /// The host's clock jumps back, up to three hours. On each message that reaches the host.
    ClockBack => "clock-back",
    /// The host wakes up to an hour late. On each time that it sleeps.
    TickLate => "tick-late",
}

impl Fault {
    /// The fault of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|fault| fault.name() == name)
    }

    fn salt(self) -> u64 {
        stable_hash(self.name().as_bytes())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One time that a fault strikes: the how manieth of the occasions on which it might.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(
    clippy::exhaustive_structs,
    reason = "a fault and a number are what a strike is; whoever shrinks a case names them"
)]
pub struct Strike {
    /// Which fault.
    pub fault: Fault,
    /// Which of its occasions, from 0.
    pub occasion: u64,
}

/// How often each fault strikes, and until when.
///
/// ```
/// use counterpoint::sim::{Fault, Faults};
/// use counterpoint::Time;
///
/// let rough = Faults::none().with(Fault::MessageLost, 50).with(Fault::CrashTorn, 5).until(Time::from_secs(600));
/// assert!(rough.any());
/// ```
#[derive(Debug, Clone, Default)]
pub struct Faults {
    rates: BTreeMap<Fault, u16>,
    until: Option<Time>,
    spared: BTreeSet<Strike>,
}

impl Faults {
    /// Nothing goes wrong.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// This fault strikes on so many of a thousand occasions; more than a thousand counts as always.
    #[must_use]
    pub fn with(mut self, fault: Fault, permille: u16) -> Self {
        if permille == 0 {
            self.rates.remove(&fault);
        } else {
            self.rates.insert(fault, permille);
        }
        self
    }

    /// From this moment on nothing goes wrong any more: the host's clock is set right, dead agents come back. What liveness
    /// is judged by. For ever, if nothing is said.
    #[must_use]
    pub const fn until(mut self, quiet: Time) -> Self {
        self.until = Some(quiet);
        self
    }

    /// Leaves out single strikes: for looking which of them a failure needs.
    #[must_use]
    pub fn sparing(mut self, strikes: impl IntoIterator<Item = Strike>) -> Self {
        self.spared.extend(strikes);
        self
    }

    /// Whether anything can go wrong.
    #[must_use]
    pub fn any(&self) -> bool {
        !self.rates.is_empty()
    }

    /// How often this one strikes, of a thousand occasions.
    #[must_use]
    pub fn rate(&self, fault: Fault) -> u16 {
        self.rates.get(&fault).copied().unwrap_or(0)
    }

    pub(super) const fn quiet_from(&self) -> Option<Time> {
        self.until
    }
}

/// Faults as they strike. Whether one does depends on the seed and on the number of its occasion alone, so that leaving one
/// strike out leaves the others where they are, as far as the story stays the same.
#[derive(Debug)]
pub(super) struct Chance {
    seed: u64,
    faults: Faults,
    /// By place in [`Fault::ALL`].
    occasions: Vec<u64>,
    pub(super) strikes: Vec<Strike>,
    quiet: bool,
}

impl Chance {
    pub(super) fn new(seed: u64, faults: Faults) -> Self {
        Self { seed, faults, occasions: vec![0; Fault::ALL.len()], strikes: Vec::new(), quiet: false }
    }

    pub(super) const fn quiet(&mut self) {
        self.quiet = true;
    }

    pub(super) const fn is_quiet(&self) -> bool {
        self.quiet
    }

    pub(super) const fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Whether the fault strikes now, and if so the draws for how.
    pub(super) fn strike(&mut self, fault: Fault) -> Option<Random> {
        let rate = self.faults.rate(fault);
        if rate == 0 || self.quiet {
            return None;
        }
        let place = self.occasions.get_mut(fault as usize)?;
        let occasion = *place;
        *place += 1;
        let mut random = Random::new(mix(self.seed ^ fault.salt()), occasion);
        let strike = Strike { fault, occasion };
        if random.below(1_000) >= usize::from(rate) || self.faults.spared.contains(&strike) {
            return None;
        }
        self.strikes.push(strike);
        Some(random)
    }

    pub(super) fn strikes(&mut self, fault: Fault) -> bool {
        self.strike(fault).is_some()
    }

    /// How far something is off when the fault strikes.
    pub(super) fn span(&mut self, fault: Fault, most: Duration) -> Option<Duration> {
        self.strike(fault).map(|mut random| random.between(Duration::from_millis(1), most))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_distinct_and_read_back() {
        for (place, fault) in Fault::ALL.iter().enumerate() {
            assert_eq!((Fault::named(fault.name()), *fault as usize), (Some(*fault), place));
        }
        assert_eq!(Fault::named("rain"), None);
    }

    #[test]
    fn a_strike_that_is_spared_leaves_the_others_where_they_are() {
        let strikes = |faults: Faults| {
            let mut chance = Chance::new(7, faults);
            for _ in 0..2_000 {
                let _ = chance.strike(Fault::MessageLost);
            }
            chance.strikes
        };
        let rough = Faults::none().with(Fault::MessageLost, 50);
        let mut all = strikes(rough.clone());
        assert!((60..140).contains(&all.len()), "{}", all.len());
        let spared = all.remove(3);
        assert_eq!(strikes(rough.sparing([spared])), all);
    }
}
