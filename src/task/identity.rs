//! Identity outside an engine: journals, and the keys by which other systems recognise work that is requested again.

use super::{Owner, Phase, TaskSpec};
use crate::base::digest::{Digest, DigestInput, keyed};
use crate::base::id::{RunId, TaskId};
use crate::base::name::Name;
use core::fmt;
use core::str::FromStr;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The identity of a journal: 128 bits, printed as 32 hexadecimal digits.
///
/// It is recorded in the journal itself, once ([`ControlCommand::Identify`](crate::ControlCommand::Identify)), so that it
/// survives restarts, snapshots and moves to another storage. The hosts of this crate draw one at random for a journal that
/// has none.
///
/// ```
/// use counterpoint::task::JournalId;
///
/// let journal = JournalId::from_name("payments, eu, shard 1");
/// assert_eq!(journal.to_string().parse(), Ok(journal));
/// assert_ne!(journal, JournalId::from_name("payments, eu, shard 2"));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JournalId(Digest);

impl JournalId {
    /// The identity with these bits, which the caller draws at random or takes from a registry of journals.
    #[must_use]
    pub const fn new(bits: u128) -> Self {
        Self(Digest::new(bits))
    }

    /// The identity derived from a name. Two journals must not have the same name.
    #[must_use]
    pub fn from_name(name: &str) -> Self {
        Self(DigestInput::new("journal").text(name).finish())
    }

    /// The bits.
    #[must_use]
    pub const fn bits(self) -> u128 {
        self.0.bits()
    }
}

/// The key by which a system outside recognises that the same work is requested again: 128 bits, printed as 32 lower-case
/// hexadecimal digits.
///
/// All attempts at a task have the same key, before and after a crash. Tasks that perform different work have different keys,
/// also those of other runs, journals and environments. The key of a task is derived from
///
/// - the journal ([`JournalId`]) and the environment ([`Config::with_environment`](crate::Config::with_environment)),
/// - for a task of a run: the run, the names of the nodes from the run to the task, the instance of each, and whether the step
///   is performed, compensated or queried,
/// - for any other task: its id and its [key](TaskSpec::with_key).
///
/// A replayed dead letter has the key of the original task. A node that is [retried](crate::RunCommand::Retry) has the key
/// that it had before, because the failed attempts may have had effects; a system that records failures under a key as well
/// answers the retry with the recorded failure. A node that is repeated after it was compensated or
/// [reset](crate::RunCommand::Reset), and a child run that is started again, have new keys: that work is to be done once more.
///
/// Among 10^12 keys the probability that any two are equal is below 2 in 10^15.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct IdempotencyKey(Digest);

impl IdempotencyKey {
    /// The key with these bits, for tests of steps. Hosts compute keys with [`Identity::key_of`].
    #[must_use]
    pub const fn new(bits: u128) -> Self {
        Self(Digest::new(bits))
    }

    /// The bits.
    #[must_use]
    pub const fn bits(self) -> u128 {
        self.0.bits()
    }
}

/// The error for a text that is not the printed form of a [`JournalId`] or an [`IdempotencyKey`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not 32 lower-case hexadecimal digits")]
#[non_exhaustive]
pub struct BadIdentity;

macro_rules! hexadecimal {
    ($($kind:ident),*) => {$(
        impl fmt::Display for $kind {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $kind {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $kind {
            type Err = BadIdentity;

            fn from_str(text: &str) -> Result<Self, BadIdentity> {
                Digest::parse(text).map(Self).ok_or(BadIdentity)
            }
        }
    )*};
}

hexadecimal!(JournalId, IdempotencyKey);

/// A journal in an environment: the space in which the keys of tasks are unique.
///
/// [`Reader::identity`](crate::scheduler::Reader::identity) returns that of an engine, and every dispatch contains it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Identity {
    /// The journal.
    pub journal: JournalId,
    /// The environment, if the configuration names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<Name>,
}

impl Identity {
    /// The identity of a journal in no named environment.
    #[must_use]
    pub const fn new(journal: JournalId) -> Self {
        Self { journal, environment: None }
    }

    /// Sets the environment.
    #[must_use]
    pub fn with_environment(mut self, name: impl Into<Name>) -> Self {
        self.environment = Some(name.into());
        self
    }

    /// The idempotency key of a task.
    #[must_use]
    pub fn key_of(&self, task: &TaskSpec) -> IdempotencyKey {
        let input = DigestInput::new("key").digest(self.journal.0);
        let input = match &self.environment {
            None => input.number(0),
            Some(name) => input.number(1).text(name),
        };
        IdempotencyKey(input.digest(task.origin.work(Subject::Task(task.id))).finish())
    }
}

/// Where a task or a run comes from: what tells its work from all other work of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Origin {
    /// A host submitted it under an id of its own.
    #[default]
    Id,
    /// A host submitted it under a key, beside the id.
    Key(Name),
    /// The engine created it, for this work.
    Work(Digest),
}

/// A task or a run of a host.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Subject {
    Task(TaskId),
    Run(RunId),
}

impl Origin {
    pub(crate) const fn is_id(&self) -> bool {
        matches!(self, Self::Id)
    }

    pub(crate) const fn key(&self) -> Option<&Name> {
        match self {
            Self::Key(key) => Some(key),
            Self::Id | Self::Work(_) => None,
        }
    }

    pub(crate) const fn is_of_engine(&self) -> bool {
        matches!(self, Self::Work(_))
    }

    /// The two keys, if the same id was derived from them.
    pub(crate) fn collision<'a>(&'a self, other: &'a Self) -> Option<(&'a Name, &'a Name)> {
        self.key().zip(other.key()).filter(|(a, b)| a != b)
    }

    /// The work of the task or run, without the journal.
    pub(crate) fn work(&self, subject: Subject) -> Digest {
        let input = match subject {
            Subject::Task(task) => DigestInput::new("task").number(task.get()),
            Subject::Run(run) => DigestInput::new("run").number(run.get()),
        };
        match self {
            Self::Id => input.finish(),
            Self::Key(key) => input.text(key).finish(),
            Self::Work(work) => *work,
        }
    }
}

/// The work of a call of a durable function, which its key and its occurrence identify, not the order of the calls.
pub(crate) fn work_of_call(step: Digest, key: &str, occurrence: &str) -> Digest {
    DigestInput::new("call").digest(step).text(key).text(occurrence).finish()
}

/// The work of a task or child run that performs a step of a run with this work.
pub(crate) fn work_of_step(run: Digest, node: &str, repeats: u32, owner: Owner) -> Digest {
    let phase = match owner.phase {
        Phase::Do => 0,
        Phase::Undo => 1,
        Phase::Query => 2,
    };
    let [low, high] = run.words();
    let times = u64::from(repeats) << 32 | u64::from(owner.item);
    keyed(b"counterpoint 2026 step of a run.", [low, high, times, phase], node)
}
