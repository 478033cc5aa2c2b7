//! The canonical form of definitions, in which every duration can be stored.

use super::{
    Body, Boundary, Budget, Decision, Definition, Delegate, DurableFunction, Escalation, FunctionCall, Gather, Handler,
    Map, Node, RaceOption, Repeat, SignalRule, State, States, WaitFor, Work,
};
use crate::base::canonical::{Canonical, canonical};

canonical!(Definition { nodes, signals, budget } beside {
    name, version, output, inputs, on_compensation_failure, on_failure, variables,
});
canonical!(Node { action, undo, query, handlers, budget, retry } beside {
    name, after, join, input, save, pivot, mutex, milestone, cancels, writes, guards,
});
canonical!(Budget { time } beside { attempts, cost, tokens });
canonical!(Work { policy } beside { kind, needs, tier, estimate, overrides });
canonical!(SignalRule { ttl } beside { name, transient, max_kept });
canonical!(Handler { on } beside { name, interrupts });
canonical!(RaceOption { on } beside { name });
canonical!(Decision { escalation } beside { role, options, not_by });
canonical!(Escalation { after } beside { role });
canonical!(States { states } beside { start, max_steps });
canonical!(State { body, undo, retry } beside { name, input, output, next });
canonical!(Map { body } beside { over, max_concurrent, tolerate, tolerate_percent, bounds, completion, open });
canonical!(Repeat { body } beside { until, while_, max_rounds, finishes });
canonical!(Delegate { work, gather } beside {
    depth, fan_out, max_parts, kinds, max_concurrent, tolerate, on_limit, rounds,
});

canonical!(DurableFunction { work } beside { max_calls, max_calls_per_turn });
canonical!(FunctionCall { body, undo } beside { key, occurrence, input, pivot, save });

impl Canonical for Body {
    fn is_canonical(&self) -> bool {
        match self {
            Self::Task(work) => work.is_canonical(),
            Self::Flow(flow) => flow.is_canonical(),
            Self::Call(_) => true,
        }
    }

    fn make_canonical(&mut self) {
        match self {
            Self::Task(work) => work.make_canonical(),
            Self::Flow(flow) => flow.make_canonical(),
            Self::Call(_) => {}
        }
    }
}

impl Canonical for Boundary {
    fn is_canonical(&self) -> bool {
        match self {
            Self::Timeout(span) => span.is_canonical(),
            Self::Error { .. } | Self::Signal { .. } | Self::Cancel | Self::When(_) => true,
        }
    }

    fn make_canonical(&mut self) {
        match self {
            Self::Timeout(span) => span.make_canonical(),
            Self::Error { .. } | Self::Signal { .. } | Self::Cancel | Self::When(_) => {}
        }
    }
}

impl Canonical for WaitFor {
    fn is_canonical(&self) -> bool {
        match self {
            Self::After(span) => span.is_canonical(),
            Self::Decision(decision) => decision.is_canonical(),
            Self::Signal { .. } | Self::At(_) | Self::When(_) => true,
        }
    }

    fn make_canonical(&mut self) {
        match self {
            Self::After(span) => span.make_canonical(),
            Self::Decision(decision) => decision.make_canonical(),
            Self::Signal { .. } | Self::At(_) | Self::When(_) => {}
        }
    }
}

impl Canonical for Gather {
    fn is_canonical(&self) -> bool {
        match self {
            Self::Work(work) => work.is_canonical(),
            Self::List | Self::Reduce(_) | Self::Vote | Self::Median | Self::Ranks => true,
        }
    }

    fn make_canonical(&mut self) {
        match self {
            Self::Work(work) => work.make_canonical(),
            Self::List | Self::Reduce(_) | Self::Vote | Self::Median | Self::Ranks => {}
        }
    }
}
