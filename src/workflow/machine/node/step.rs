//! The input and the output of the machine of a node.

use super::{InstanceEnd, Instances, Worker};
use crate::base::limits::Limits;
use crate::base::meter::Meter;
use crate::base::name::Name;
use crate::base::payload::Payload;
use crate::base::structure::Anomaly;
use crate::base::time::Time;
use crate::definition::{Condition, Expr, NoValue, Subtask};
use crate::message::event::NodeEvent;
use crate::message::run::LimitReached;
use crate::task::{Code, Failure, codes};
use core::fmt;

/// The values, signals, time and limits of the run that a machine can read.
pub(crate) trait Surroundings {
    fn now(&self) -> Time;

    fn limits(&self) -> &Limits;

    /// Counts the work of the decision.
    fn meter(&self) -> &Meter;

    /// The value of an expression, with `item` as [`Expr::Item`].
    fn eval(&self, expr: &Expr, item: Payload) -> Result<Payload, NoValue>;

    fn holds(&self, condition: &Condition, item: Payload) -> bool;

    /// The input of the node for an item.
    fn input(&self, item: Payload) -> Result<Payload, Unfit>;

    /// The input of the node for an item: the item itself if the node declares no input.
    fn input_or_item(&self, item: Payload) -> Result<Payload, Unfit>;

    /// The oldest kept signal that matches and has not expired.
    fn signal(&self, name: &Name, matching: &Condition) -> Option<KeptSignal>;
}

/// A signal that a node may consume.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct KeptSignal {
    /// Its index among those of its name, the oldest first.
    pub(crate) index: u32,
    pub(crate) payload: Payload,
}

/// The next step of a node.
#[derive(Debug)]
pub(crate) enum Step {
    /// Nothing until something changes.
    Idle,
    /// Begin the next instance with this input.
    Begin(Payload),
    /// Cancel an instance.
    Cancel(Worker),
    /// Record a transition of the node.
    Record(NodeEvent),
    /// Split a part into parts, as its agent requested.
    Split { part: u32, parts: Vec<Subtask> },
    /// Send a signal to the next runs.
    Send,
    /// Evaluate and store the list of a map.
    Evaluate,
    /// Mark these parts as clean until they change.
    Settle(Vec<u32>),
    /// End the node.
    End(Ending),
}

/// How a node is to end.
#[derive(Debug)]
pub(crate) enum Ending {
    /// With the output of its instances.
    Succeeded,
    /// With this output, and the cases that were taken.
    With {
        took: Vec<Name>,
        output: Payload,
    },
    /// With a signal that it consumes.
    Signal {
        took: Name,
        signal: KeptSignal,
    },
    /// With the failure of an instance, given if there are several, or of the node itself.
    Failed {
        failure: Failure,
        instance: Option<u32>,
    },
    /// At a limit of its own, with the output up to it.
    Limit {
        limit: LimitReached,
        partial: Payload,
    },
    /// With the failure of a child run that reached a limit, and the output up to it.
    Reached {
        failure: Failure,
        limit: LimitReached,
        partial: Payload,
    },
    Skipped,
    /// Without having run, because of a failure before it.
    UpstreamFailed,
}

impl Ending {
    /// With a permanent failure of the node itself.
    pub(crate) fn failed(code: &str, message: impl Into<String>) -> Self {
        Self::Failed { failure: Failure::permanent(message).with_code(code), instance: None }
    }

    /// With the failure of this instance of several.
    pub(crate) fn failed_in(instance: u32, failure: Failure) -> Self {
        Self::Failed { failure, instance: Some(instance) }
    }

    pub(crate) fn unfit(why: &Unfit) -> Self {
        Self::failed(why.code(), format!("its input {why}"))
    }
}

/// Why an expression gives no payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unfit {
    /// The value is larger than a payload may be.
    Bytes { bytes: u32, limit: u32 },
    /// The value is nested deeper than a payload may be.
    Depth { depth: u32, limit: u32 },
    /// A path leads nowhere.
    Missing { path: Box<str> },
    /// A function cannot be applied.
    Invalid { message: Box<str> },
}

impl Unfit {
    pub(crate) fn new(why: NoValue, limits: &Limits) -> Self {
        match why {
            NoValue::TooWide { bytes } => Self::Bytes { bytes, limit: limits.sizes.payload_bytes },
            NoValue::Missing { path } => Self::Missing { path },
            NoValue::Invalid { message } => Self::Invalid { message },
        }
    }

    pub(crate) const fn code(&self) -> &'static str {
        match self {
            Self::Bytes { .. } | Self::Depth { .. } => codes::TOO_LARGE,
            Self::Missing { .. } => codes::MISSING_VALUE,
            Self::Invalid { .. } => codes::INVALID_VALUE,
        }
    }

    /// The failure of the run whose output it is.
    pub(crate) fn of_output(&self) -> Failure {
        Failure::permanent(format!("the output of the run {self}")).with_code(self.code())
    }
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes { bytes, limit } => {
                write!(f, "has at least {bytes} bytes, more than the {limit} allowed")
            }
            Self::Depth { depth, limit } => write!(f, "is nested {depth} deep, more than the {limit} allowed"),
            Self::Missing { path } => write!(f, "has no value: there is nothing at `{path}`"),
            Self::Invalid { message } => write!(f, "has no value: {message}"),
        }
    }
}

/// The value, if it is within the limits of a payload, so that values passed between nodes cannot grow without bound.
pub(crate) fn fit(made: Result<Payload, NoValue>, limits: &Limits) -> Result<Payload, Unfit> {
    let limit = limits.sizes.payload_bytes;
    let value = made.map_err(|why| Unfit::new(why, limits))?;
    if value.bytes() > limit {
        return Err(Unfit::Bytes { bytes: value.bytes(), limit });
    }
    if value.depth() > limits.sizes.depth() {
        return Err(Unfit::Depth { depth: value.depth(), limit: limits.sizes.depth() });
    }
    Ok(value)
}

/// Begins the next instance. If the input is too large, the node fails after its other instances have ended.
pub(super) fn begin(input: Result<Payload, Unfit>, instances: &Instances) -> Step {
    match input {
        Ok(input) => Step::Begin(input),
        Err(unfit) => cancel_then(instances, || Ending::unfit(&unfit)),
    }
}

/// The decision of a machine.
pub(crate) type Decided = Result<Step, Anomaly>;

/// Cancels the next instance that can be cancelled; ends the node once no instance is under way.
pub(super) fn cancel_then(instances: &Instances, end: impl FnOnce() -> Ending) -> Step {
    match instances.next_to_cancel() {
        Some(worker) => Step::Cancel(worker),
        None if instances.active() > 0 => Step::Idle,
        None => Step::End(end()),
    }
}

/// The end of a node of which too many instances failed: with the failure of the first one that was not cancelled, since the
/// others are cancelled because of it.
pub(super) fn first_failure(instances: &Instances, cancelled: &str) -> Ending {
    let ends = || instances.indexed().filter_map(|(index, instance)| Some((index, instance.end()?)));
    let is_own = |end: &InstanceEnd| {
        let code = end.failure().map(|failure| failure.code.as_ref().map(Code::as_str));
        code.is_some_and(|code| code != Some(codes::CANCELLED))
    };
    let first = ends().find(|(_, end)| !end.is_success() && is_own(end));
    match first.or_else(|| ends().find(|(_, end)| !end.is_success())) {
        Some((index, end)) => Ending::failed_in(index, end.failure_or(cancelled)),
        None => Ending::failed(codes::CANCELLED, cancelled),
    }
}

#[cfg(test)]
pub(super) mod fixture {
    //! A run as the tests of machines see it.

    use super::{KeptSignal, Surroundings, Unfit};
    use crate::base::id::TaskId;
    use crate::base::limits::Limits;
    use crate::base::meter::Meter;
    use crate::base::name::Name;
    use crate::base::payload::Payload;
    use crate::base::time::Time;
    use crate::definition::{Condition, Expr, Meta, NoValue, Scope};
    use crate::task::{Failure, SideEffects};
    use crate::workflow::machine::node::{Instance, InstanceEnd, Instances, Worker};
    use serde_json::Value;

    /// A run without other nodes, variables and functions.
    #[derive(Debug, Default)]
    pub(crate) struct Alone {
        pub(crate) now: Time,
        pub(crate) limits: Limits,
        pub(crate) signals: Vec<(Name, Payload)>,
        pub(crate) meter: Meter,
    }

    struct Item<'a>(Payload, &'a Meter);

    impl Scope for Item<'_> {
        fn input(&self) -> Payload {
            Payload::NULL
        }

        fn node(&self, _: &str) -> Payload {
            Payload::NULL
        }

        fn end(&self, _: &str) -> Result<Payload, NoValue> {
            Ok(Payload::NULL)
        }

        fn item(&self) -> Payload {
            self.0.clone()
        }

        fn variable(&self, _: &str) -> Result<Payload, NoValue> {
            Ok(Payload::NULL)
        }

        fn meta(&self, _: Meta) -> Payload {
            Payload::NULL
        }

        fn predicate(&self, _: &str, _: &Payload) -> bool {
            false
        }

        fn max_bytes(&self) -> u32 {
            u32::MAX
        }

        fn meter(&self) -> &Meter {
            self.1
        }
    }

    impl Surroundings for Alone {
        fn now(&self) -> Time {
            self.now
        }

        fn limits(&self) -> &Limits {
            &self.limits
        }

        fn meter(&self) -> &Meter {
            &self.meter
        }

        fn eval(&self, expr: &Expr, item: Payload) -> Result<Payload, NoValue> {
            expr.eval(&Item(item, &self.meter))
        }

        fn holds(&self, condition: &Condition, item: Payload) -> bool {
            condition.holds(&Item(item, &self.meter))
        }

        fn input(&self, item: Payload) -> Result<Payload, Unfit> {
            Ok(item)
        }

        fn input_or_item(&self, item: Payload) -> Result<Payload, Unfit> {
            Ok(item)
        }

        fn signal(&self, name: &Name, matching: &Condition) -> Option<KeptSignal> {
            let kept = self.signals.iter().filter(|(kept, _)| kept == name).map(|(_, payload)| payload);
            let (index, payload) =
                (0..).zip(kept).find(|(_, payload)| self.holds(matching, Payload::clone(payload)))?;
            Some(KeptSignal { index, payload: payload.clone() })
        }
    }

    /// Instances that have succeeded with these outputs.
    pub(crate) fn succeeded(outputs: &[Value]) -> Instances {
        let mut instances = Instances::default();
        for output in outputs {
            let index = begin(&mut instances);
            let end = InstanceEnd::succeeded(SideEffects::Done(Payload::new(output.clone())));
            instances.change("ends", index, |one| one.finish(end)).unwrap();
        }
        instances
    }

    /// One more instance is under way. Returns its index.
    pub(crate) fn begin(instances: &mut Instances) -> u32 {
        let index = instances.len();
        let worker = Worker::Task(TaskId::new(u64::from(index) + 1));
        instances.begin(index, Instance::new(worker, Payload::NULL, 0)).unwrap();
        index
    }

    pub(crate) fn fail(instances: &mut Instances, index: u32) {
        let end = InstanceEnd::failed(SideEffects::None, Failure::permanent("broken"));
        instances.change("ends", index, |one| one.finish(end)).unwrap();
    }

    pub(crate) fn payload(value: Value) -> Payload {
        Payload::new(value)
    }
}
