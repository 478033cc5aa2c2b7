//! The kinds of actions: one description of each, which the readers of definitions ask instead of matching on the kind.
//!
//! A new kind is described here and nowhere else. What it does is in the machine of its nodes, what it is called in a
//! document in the definition language.

use super::rename::Renaming;
use super::{
    Action, Body, Completion, Definition, Delegate, DurableFunction, Fail, Gather, Map, Node, Parts, PartsMut, Pick,
    Receivers, Repeat, State, WaitFor, Work,
};
use crate::base::canonical::Canonical;
use crate::base::name::Name;

/// The state machine that executes a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Machine {
    /// None: the node ends when it starts.
    Immediate,
    Task,
    Map,
    Repeat,
    /// A task or a child run for each round of a join.
    Rounds,
    States,
    Delegate,
    Function,
    Wait,
    Race,
    Send,
    Compensation,
}

/// How the execution of an action proceeds. Readers of definitions that need no more than this match on the class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ActionClass {
    /// The action executes tasks or child runs.
    Works,
    /// The action waits for a signal, a time or a decision.
    Waits,
    /// The action ends when it starts.
    Immediate,
}

impl Machine {
    /// The machine of a node.
    pub(crate) const fn of(node: &Node) -> Self {
        if matches!(node.action, Action::Do(_)) && node.join.repeats() { Self::Rounds } else { node.action.machine() }
    }
}

impl Action {
    pub(crate) const fn machine(&self) -> Machine {
        match self {
            Self::Do(_) => Machine::Task,
            Self::Map(_) => Machine::Map,
            Self::Repeat(_) => Machine::Repeat,
            Self::States(_) => Machine::States,
            Self::Delegate(_) => Machine::Delegate,
            Self::Function(_) => Machine::Function,
            Self::Wait { .. } => Machine::Wait,
            Self::Race { .. } => Machine::Race,
            Self::Send(_) => Machine::Send,
            Self::Compensate { .. } => Machine::Compensation,
            Self::Choose { .. } | Self::Pass | Self::Stop | Self::Fail(_) => Machine::Immediate,
        }
    }

    pub(crate) const fn class(&self) -> ActionClass {
        match self.machine() {
            Machine::Task
            | Machine::Map
            | Machine::Repeat
            | Machine::Rounds
            | Machine::States
            | Machine::Delegate
            | Machine::Function => ActionClass::Works,
            Machine::Wait | Machine::Race => ActionClass::Waits,
            Machine::Immediate | Machine::Send | Machine::Compensation => ActionClass::Immediate,
        }
    }

    /// The expressions and conditions of the action itself, without the input and the guards of its node.
    pub(crate) fn parts(&self) -> Parts<'_> {
        let mut parts = Parts::default();
        self.add_parts(&mut parts);
        parts
    }

    pub(super) fn add_parts<'d>(&'d self, parts: &mut Parts<'d>) {
        parts.expressions.extend(self.bodies().filter_map(Body::overrides));
        match self {
            Self::Choose { cases, .. } => parts.conditions.extend(cases.iter().map(|case| &case.when)),
            Self::Map(map) => {
                parts.expressions.push(&map.over);
                parts.expressions.extend(&map.bounds);
                parts.conditions.extend(map.completion.as_ref().map(|completion| &completion.when));
            }
            Self::Repeat(repeat) => {
                parts.conditions.push(&repeat.until);
                parts.conditions.extend(&repeat.while_);
            }
            Self::Race { options } => {
                for option in options {
                    match &option.on {
                        WaitFor::Signal { signal, matching } => {
                            parts.signals.push(signal);
                            parts.conditions.push(matching);
                        }
                        WaitFor::At(time) => parts.expressions.push(time),
                        WaitFor::When(condition) => parts.conditions.push(condition),
                        WaitFor::After(_) | WaitFor::Decision(_) => {}
                    }
                }
            }
            Self::States(states) => {
                for state in &states.states {
                    parts.expressions.push(&state.input);
                    parts.expressions.extend(&state.output);
                    parts.expressions.extend(state.next.iter().filter_map(|transition| transition.output.as_ref()));
                    parts.conditions.extend(state.next.iter().map(|transition| &transition.when));
                }
            }
            Self::Wait { signal, .. } => parts.signals.extend(signal),
            Self::Fail(Fail { message, kind: _, code, details }) => parts.expressions.extend([message, code, details]),
            Self::Send(send) => {
                if let Receivers::Key { key, .. } = &send.to {
                    parts.expressions.push(key);
                }
            }
            Self::Delegate(delegate) => parts.expressions.extend(&delegate.work.overrides),
            Self::Do(_) | Self::Function(_) | Self::Pass | Self::Compensate { .. } | Self::Stop => {}
        }
    }

    /// The expressions and conditions of [`Self::parts`].
    pub(crate) fn parts_mut(&mut self) -> PartsMut<'_> {
        let mut parts = PartsMut::default();
        match self {
            Self::Choose { cases, .. } => parts.conditions.extend(cases.iter_mut().map(|case| &mut case.when)),
            Self::Do(body) => parts.expressions.extend(body.overrides_mut()),
            Self::Delegate(delegate) => parts.expressions.extend(&mut delegate.work.overrides),
            Self::Map(map) => {
                parts.expressions.extend(map.body.overrides_mut());
                parts.expressions.push(&mut map.over);
                parts.expressions.extend(&mut map.bounds);
                parts.conditions.extend(map.completion.as_mut().map(|completion| &mut completion.when));
            }
            Self::Repeat(repeat) => {
                parts.expressions.extend(repeat.body.overrides_mut());
                parts.conditions.push(&mut repeat.until);
                parts.conditions.extend(&mut repeat.while_);
            }
            Self::Race { options } => {
                for option in options {
                    match &mut option.on {
                        WaitFor::Signal { matching: condition, .. } | WaitFor::When(condition) => {
                            parts.conditions.push(condition);
                        }
                        WaitFor::At(time) => parts.expressions.push(time),
                        WaitFor::After(_) | WaitFor::Decision(_) => {}
                    }
                }
            }
            Self::States(states) => {
                for state in &mut states.states {
                    parts.expressions.extend(state.body.as_mut().and_then(Body::overrides_mut));
                    parts.expressions.push(&mut state.input);
                    parts.expressions.extend(&mut state.output);
                    for transition in &mut state.next {
                        parts.expressions.extend(&mut transition.output);
                        parts.conditions.push(&mut transition.when);
                    }
                }
            }
            Self::Fail(Fail { message, kind: _, code, details }) => parts.expressions.extend([message, code, details]),
            Self::Send(send) => {
                if let Receivers::Key { key, .. } = &mut send.to {
                    parts.expressions.push(key);
                }
            }
            Self::Function(_) | Self::Wait { .. } | Self::Pass | Self::Compensate { .. } | Self::Stop => {}
        }
        parts
    }

    /// The body of the action. A state machine has one per state instead ([`Self::bodies`]).
    pub(crate) const fn body(&self) -> Option<&Body> {
        if let Self::Do(body) | Self::Map(Map { body, .. }) | Self::Repeat(Repeat { body, .. }) = self {
            Some(body)
        } else {
            None
        }
    }

    /// The states of a state machine.
    pub(crate) fn states(&self) -> &[State] {
        if let Self::States(states) = self { &states.states } else { &[] }
    }

    /// All bodies that the action may execute. Delegated parts and the calls of functions are not among them.
    pub(crate) fn bodies(&self) -> impl Iterator<Item = &Body> {
        self.body().into_iter().chain(self.states().iter().filter_map(|state| state.body.as_ref()))
    }

    /// The nested workflows in the action.
    pub(crate) fn flows(&self) -> impl Iterator<Item = &Definition> {
        self.bodies().filter_map(|body| match body {
            Body::Flow(flow) => Some(&**flow),
            Body::Task(_) | Body::Call(_) => None,
        })
    }

    /// The bodies of [`Self::bodies`].
    #[expect(clippy::wildcard_enum_match_arm, reason = "most kinds have none")]
    pub(crate) fn bodies_mut(&mut self) -> Vec<&mut Body> {
        match self {
            Self::Do(body) | Self::Map(Map { body, .. }) | Self::Repeat(Repeat { body, .. }) => vec![body],
            Self::States(states) => states.states.iter_mut().filter_map(|state| state.body.as_mut()).collect(),
            _ => Vec::new(),
        }
    }

    /// The templates of tasks that are not in bodies: delegated work, functions, compensations of states.
    #[expect(clippy::wildcard_enum_match_arm, reason = "most kinds have none")]
    pub(crate) fn works_mut(&mut self) -> Vec<&mut Work> {
        match self {
            Self::Delegate(Delegate { work, gather: Gather::Work(last), .. }) => vec![work, last],
            Self::Delegate(Delegate { work, .. }) | Self::Function(DurableFunction { work, .. }) => vec![work],
            Self::States(states) => states.states.iter_mut().filter_map(|state| state.undo.as_mut()).collect(),
            _ => Vec::new(),
        }
    }

    /// The cases, options and states, and other names in lists.
    #[expect(clippy::wildcard_enum_match_arm, reason = "most kinds have none")]
    pub(crate) fn branches(&self) -> usize {
        match self {
            Self::Choose { cases, .. } => cases.len(),
            Self::Race { options } => options.len(),
            Self::Compensate { of } => of.len(),
            Self::States(states) => states.states.iter().map(|state| 1 + state.next.len()).sum(),
            _ => 0,
        }
    }

    /// Whether at most one of two cases, options or states is taken.
    #[expect(clippy::wildcard_enum_match_arm, reason = "most kinds take none")]
    pub(crate) fn takes_one_of(&self, one: &Name, other: &Name) -> bool {
        let both = |has: &dyn Fn(&Name) -> bool| has(one) && has(other);
        match self {
            Self::Choose { pick: Pick::First, cases, otherwise } => {
                both(&|name| otherwise.as_ref() == Some(name) || cases.iter().any(|case| case.name == *name))
            }
            Self::Choose { pick: Pick::Every, cases, otherwise: Some(otherwise) } => {
                both(&|name| name == otherwise || cases.iter().any(|case| case.name == *name))
                    && (one == otherwise || other == otherwise)
            }
            Self::Race { options } => both(&|name| {
                options.iter().any(|option| match &option.on {
                    WaitFor::Decision(decision) => decision.options.contains(name),
                    WaitFor::Signal { .. } | WaitFor::After(_) | WaitFor::At(_) | WaitFor::When(_) => {
                        option.name == *name
                    }
                })
            }),
            Self::States(states) => both(&|name| states.states.iter().any(|state| state.name == *name)),
            _ => false,
        }
    }

    /// The action with the nodes that it refers to renamed, and without its task templates. Two actions whose meanings are
    /// equal keep the same state while they are under transition.
    pub(crate) fn meaning(&self, to: Renaming<'_>) -> Self {
        match self {
            Self::Do(body) => Self::Do(body.kind()),
            Self::Map(map) => Self::Map(Map {
                over: map.over.renamed(to),
                bounds: map.bounds.as_ref().map(|bounds| bounds.renamed(to)),
                body: map.body.kind(),
                completion: map
                    .completion
                    .as_ref()
                    .map(|completion| Completion { when: completion.when.renamed(to), ..completion.clone() }),
                ..map.clone()
            }),
            Self::Repeat(repeat) => Self::Repeat(Repeat {
                body: repeat.body.kind(),
                until: repeat.until.renamed(to),
                while_: repeat.while_.as_ref().map(|while_| while_.renamed(to)),
                max_rounds: repeat.max_rounds,
                finishes: repeat.finishes,
            }),
            Self::Delegate(delegate) => {
                let mut same = Delegate { work: Work::new(""), ..delegate.clone() };
                if let Gather::Work(work) = &mut same.gather {
                    *work = Work::new("");
                }
                Self::Delegate(same)
            }
            Self::Function(function) => Self::Function(DurableFunction { work: Work::new(""), ..function.clone() }),
            Self::States(states) => Self::States(states.meaning(to)),
            Self::Race { options } => {
                let mut options = options.clone();
                options.iter_mut().for_each(|option| option.on = option.on.renamed(to));
                Self::Race { options }
            }
            Self::Send(send) => Self::Send(send.meaning()),
            Self::Compensate { of } => Self::Compensate { of: of.iter().map(to).collect() },
            Self::Choose { .. } | Self::Wait { .. } | Self::Pass | Self::Stop | Self::Fail(_) => self.clone(),
        }
    }

    /// Whether work that was done under one action is valid under the other.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        let body = |action: &Self| action.body().map(Body::kind);
        core::mem::discriminant(self) == core::mem::discriminant(other) && body(self) == body(other)
    }
}

impl Canonical for Action {
    fn is_canonical(&self) -> bool {
        match self {
            Self::Do(body) => body.is_canonical(),
            Self::Map(map) => map.is_canonical(),
            Self::Repeat(repeat) => repeat.is_canonical(),
            Self::Delegate(delegate) => delegate.is_canonical(),
            Self::Function(function) => function.is_canonical(),
            Self::Wait { timer, signal: _ } => timer.is_canonical(),
            Self::Race { options } => options.is_canonical(),
            Self::States(states) => states.is_canonical(),
            Self::Choose { .. } | Self::Pass | Self::Send(_) | Self::Compensate { .. } | Self::Stop | Self::Fail(_) => {
                true
            }
        }
    }

    fn make_canonical(&mut self) {
        match self {
            Self::Do(body) => body.make_canonical(),
            Self::Map(map) => map.make_canonical(),
            Self::Repeat(repeat) => repeat.make_canonical(),
            Self::Delegate(delegate) => delegate.make_canonical(),
            Self::Function(function) => function.make_canonical(),
            Self::Wait { timer, signal: _ } => timer.make_canonical(),
            Self::Race { options } => options.make_canonical(),
            Self::States(states) => states.make_canonical(),
            Self::Choose { .. } | Self::Pass | Self::Send(_) | Self::Compensate { .. } | Self::Stop | Self::Fail(_) => {
            }
        }
    }
}

#[cfg(feature = "observe")]
mod label {
    use super::{Action, Body, Delegate, DurableFunction, Fail, Gather, Map, Pick, Repeat};
    use crate::base::draw::line;
    use crate::base::name::Name;
    use crate::definition::Expr;

    /// The number of characters of a name in a label.
    const SHOWN: usize = 48;
    /// The number of names in a label.
    const NAMES: usize = 6;

    impl Action {
        /// What the action does, in one line of a diagram. `None` if its shape shows all of it.
        pub(crate) fn label(&self) -> Option<String> {
            Some(match self {
                Self::Do(body) => body.label(),
                Self::Choose { pick: Pick::Every, .. } => "every case that holds".to_owned(),
                Self::Choose { pick: Pick::First, .. } | Self::Pass => return None,
                Self::Map(Map { body, max_concurrent, .. }) => {
                    let max_concurrent = max_concurrent.map(|most| format!(", {most} at once")).unwrap_or_default();
                    format!("each: {}{max_concurrent}", body.label())
                }
                Self::Repeat(Repeat { body, max_rounds: most, .. }) => {
                    format!("repeat: {}, {most} times at most", body.label())
                }
                Self::Delegate(Delegate { work, depth, fan_out, gather, .. }) => {
                    let gather = if let Gather::Work(work) = gather {
                        format!(", then {}", line(&work.kind, SHOWN))
                    } else {
                        String::new()
                    };
                    format!("delegates: {}, {depth} deep, {fan_out} each{gather}", line(&work.kind, SHOWN))
                }
                Self::Function(DurableFunction { work, .. }) => format!("function: {}", line(&work.kind, SHOWN)),
                Self::Wait { signal, timer } => {
                    let signal = signal.as_ref().map(|signal| line(signal, SHOWN));
                    let timer = timer.map(|timer| humantime::format_duration(timer).to_string());
                    format!("wait: {}", [signal, timer].into_iter().flatten().collect::<Vec<_>>().join(" or "))
                }
                Self::Race { options } => format!("first of: {}", list(options.iter().map(|option| &option.name))),
                Self::Compensate { of } if of.is_empty() => "compensates all".to_owned(),
                Self::Compensate { of } => format!("compensates: {}", list(of.iter())),
                Self::Send(send) => format!("sends: {}", line(&send.signal, SHOWN)),
                Self::States(states) => format!("{} states, {} steps at most", states.states.len(), states.max_steps),
                Self::Stop => "ends the run".to_owned(),
                Self::Fail(Fail { message: Expr::Const(message), .. }) => {
                    let message = message.value().as_str().map_or_else(|| message.to_string(), str::to_owned);
                    format!("fails: {}", line(&message, SHOWN))
                }
                Self::Fail(_) => "fails".to_owned(),
            })
        }
    }

    impl Body {
        fn label(&self) -> String {
            match self {
                Self::Task(work) => line(&work.kind, SHOWN),
                Self::Flow(flow) => line(&flow.name, SHOWN),
                Self::Call(call) => line(&call.workflow, SHOWN),
            }
        }
    }

    fn list<'a>(names: impl Iterator<Item = &'a Name>) -> String {
        names.take(NAMES).map(|name| line(name, SHOWN)).collect::<Vec<_>>().join(", ")
    }
}
