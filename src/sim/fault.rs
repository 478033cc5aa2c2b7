//! Faults and their rates.

use crate::base::id::{mix, stable_hash};
use crate::base::structure::Random;
use crate::base::time::Time;
use core::fmt;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

macro_rules! faults {
    ($($(#[$doc:meta])* $name:ident => $text:literal),* $(,)?) => {
        /// A fault that the simulation can inject. Each names the occasions on which it may strike.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Fault {
            $($(#[$doc])* $name),*
        }

        impl Fault {
            /// All faults.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The name in tables and in the command that replays a case.
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
    /// The host crashes with entries that it has not appended. On each append.
    CrashBefore => "crash-before-append",
    /// The host crashes during an append: the journal ends somewhere among the entries. On each append.
    CrashTorn => "crash-torn-append",
    /// The host crashes after an append, before it answers. On each append.
    CrashAfter => "crash-after-append",
    /// The host crashes between two effects. On each effect and answer.
    CrashActing => "crash-while-acting",
    /// The host crashes during its recovery. On each recovery.
    CrashRestoring => "crash-while-restoring",
    /// The journal rejects the append and stores nothing. On each append.
    AppendRefused => "append-refused",
    /// The result of the append is unknown; nothing was stored. On each append.
    AppendLost => "append-unknown-lost",
    /// The result of the append is unknown; everything was stored. On each append.
    AppendKept => "append-unknown-kept",
    /// A snapshot is not stored. On each snapshot.
    SnapshotLost => "snapshot-lost",
    /// A read of the journal lacks an entry, repeats one or swaps two; the journal is then read again. On each
    /// recovery. A rule requires that the fault is detected.
    TailMangled => "journal-misread",
    /// Another host takes over, and the old one continues unaware of it. On each append.
    SecondHost => "second-host",
    /// A message is lost. On each message.
    MessageLost => "message-lost",
    /// A message is delivered twice. On each message.
    MessageTwice => "message-twice",
    /// A message is delayed by up to two minutes and overtaken by later ones. On each message.
    MessageLate => "message-late",
    /// An agent crashes before the end of its work. On each end of an attempt.
    AgentDies => "agent-dies",
    /// An agent crashes after its work, before it answers. On each end of an attempt.
    AgentDiesDone => "agent-dies-done",
    /// An agent takes a hundred times as long. On each start of an attempt.
    AgentStalls => "agent-stalls",
    /// An agent sends no answer until the dispatch is repeated. On each end of an attempt.
    AgentSilent => "agent-silent",
    /// An agent answers twice, the second time with a failure. On each answer.
    AgentAnswersTwice => "agent-answers-twice",
    /// An agent answers for an attempt that it does not hold, or in the name of another agent. On each answer.
    AgentForges => "agent-forges-answer",
    /// A restarted agent sends the answers of its previous incarnation. On each registration.
    AgentAnswersLate => "agent-answers-late",
    /// An agent registers although it is registered. On each heartbeat.
    AgentRejoins => "agent-rejoins",
    /// An agent changes its capacity, up or down, regardless of the attempts that it holds. On each heartbeat.
    AgentShrinks => "agent-capacity-changes",
    /// The host's clock jumps ahead by up to three hours. On each message to the host.
    ClockForward => "clock-forward",
    /// The host's clock jumps back by up to three hours. On each message to the host.
    ClockBack => "clock-back",
    /// The host's timer fires up to an hour late. On each sleep.
    TickLate => "tick-late",
    /// An operator sends a command that fits the state of a run or task, or nearly. On each round of the operator.
    OperatorMeddles => "operator-meddles",
    /// The host's clock is up to twenty years ahead, for up to an hour. On each message to the host.
    ClockAstray => "clock-astray",
}

impl Fault {
    /// The fault with this name.
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

/// One injection of a fault, identified by the number of its occasion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(clippy::exhaustive_structs, reason = "a strike is a fault and a number; shrinking constructs strikes")]
pub struct Strike {
    /// The fault.
    pub fault: Fault,
    /// The number of its occasion, from 0.
    pub occasion: u64,
}

/// The rates of faults, and the time at which faults stop.
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
    /// No faults.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Injects the fault on this number of a thousand occasions; more than a thousand counts as always.
    #[must_use]
    pub fn with(mut self, fault: Fault, permille: u16) -> Self {
        if permille == 0 {
            self.rates.remove(&fault);
        } else {
            self.rates.insert(fault, permille);
        }
        self
    }

    /// Stops all faults at this time: the host's clock is corrected, crashed agents recover. Liveness is checked from
    /// this time on. By default faults never stop.
    #[must_use]
    pub const fn until(mut self, quiet: Time) -> Self {
        self.until = Some(quiet);
        self
    }

    /// Leaves out single strikes, to find those that a failure depends on.
    #[must_use]
    pub fn sparing(mut self, strikes: impl IntoIterator<Item = Strike>) -> Self {
        self.spared.extend(strikes);
        self
    }

    /// Whether any fault has a rate above zero.
    #[must_use]
    pub fn any(&self) -> bool {
        !self.rates.is_empty()
    }

    /// The rate of this fault, in thousandths of its occasions.
    #[must_use]
    pub fn rate(&self, fault: Fault) -> u16 {
        self.rates.get(&fault).copied().unwrap_or(0)
    }

    pub(super) const fn quiet_from(&self) -> Option<Time> {
        self.until
    }
}

/// Draws the strikes of faults. Each draw depends only on the seed and on the number of the occasion, so leaving one
/// strike out does not change the others as long as the course of the simulation is the same.
#[derive(Debug)]
pub(super) struct Chance {
    pub(super) seed: u64,
    faults: Faults,
    /// By index in [`Fault::ALL`].
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

    /// Whether the fault strikes now; if so, a generator for its details.
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

    /// The deviation if the fault strikes.
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
