//! The fold of inputs into the state of a run. Nothing here decides.

use super::change::Renewal;
use super::decide::Evaluated;
use super::graph::{NodeEnd, review_failures, wake_working};
use super::illegal::{Applied, Illegal};
use super::node::{Blocked, HandlerEffect, MapWork, continue_as_new, is_between_attempts};
use super::pack::pack;
use super::rollback::{end_function_rollbacks, reset_to, roll_back_to, throw};
use super::{NodeState, Run, RunInput};
use crate::base::id::{NodeIx, RunId};
use crate::base::name::Name;
use crate::base::payload::Payload;
use crate::base::time::Time;
use crate::definition::{Boundary, InputFault, Node};
use crate::message::event::{NodeEvent, NodeRef, Opening, RunEvent};
use crate::saga::ResetMode;
use std::sync::Arc;

/// The limit on the size, in bytes, of a list that is evaluated to find out its length.
const MAX_COUNTED_BYTES: u32 = 1 << 26;

impl Run {
    /// Applies an input. After an error the run must be discarded: the input may be applied in part.
    pub(crate) fn apply(&mut self, input: RunInput<'_>, now: Time) -> Applied {
        if self.evaluated.is_some() {
            forget_stale(self, &input);
        }
        match input {
            RunInput::Event(event) => self.apply_event(event, now),
            RunInput::Node(node, event) => self.apply_node(node, event, now),
            RunInput::Work(owner, work) => self.apply_work(owner, work, now),
            RunInput::SignalTaken { signal, payload } => {
                self.receive(signal, payload, None, now);
                Ok(())
            }
            RunInput::SignalGiven { signal, index } => self.signals.consume(signal, index),
        }
    }

    fn apply_event(&mut self, event: &RunEvent, now: Time) -> Applied {
        match event {
            RunEvent::Prioritised { tier, .. } => self.raised = Some(*tier),
            RunEvent::Retried { nodes, .. } => return self.retry(&indexes(nodes)),
            RunEvent::Reset { nodes, undo, reason, call } => {
                let (nodes, mode) = (indexes(nodes), ResetMode::new(*undo));
                return match call {
                    Some(call) => reset_to(self, &nodes, call, (mode, reason)),
                    None => self.reset(&nodes, mode, reason),
                };
            }
            RunEvent::Signalled { signal, payload, until } => self.receive(signal, payload.clone(), *until, now),
            RunEvent::Paused { reason } => self.paused = Some(reason.clone()),
            RunEvent::Resumed => {
                self.paused = None;
                self.graph.wake_all();
            }
            RunEvent::Updated { variable, value } => return self.update(variable, value),
            RunEvent::Reduced { variable, value } => self.variables.reduce(*variable, value),
            RunEvent::Failing { cause } => {
                self.course.fail(cause)?;
                self.rollback.fail();
                if !self.rollback.is_partial() {
                    end_function_rollbacks(self);
                }
                self.graph.wake_all();
            }
            RunEvent::RolledBack { to, cause, call: None } => return self.roll_back(&indexes(to), cause),
            RunEvent::RolledBack { to, cause, call: Some(call) } => {
                return roll_back_to(self, &indexes(to), call, cause);
            }
            RunEvent::Compensating { nodes } => return self.compensate(&indexes(nodes)),
            RunEvent::Restarted { nodes } => return self.restart(&indexes(nodes)),
            RunEvent::Finished { outcome } => {
                self.course.finish(outcome, now)?;
                self.graph.dirty_mut().settle_all();
                self.signals.clear();
                pack(self);
            }
            RunEvent::Started { .. } | RunEvent::Migrated { .. } | RunEvent::SignalMoved { .. } => {
                return Err(Illegal::new("an event reaches one run", "it concerns several"));
            }
        }
        Ok(())
    }

    fn receive(&mut self, signal: &Name, payload: Payload, until: Option<Time>, now: Time) {
        self.signals.receive(signal, payload, until, now);
        self.graph.wake_listening();
    }

    /// A variable is updated from outside. Any node may read it, so all are dirty.
    fn update(&mut self, variable: &Name, value: &Payload) -> Applied {
        let index = self.variables.update(self.graph.plan(), variable, value)?;
        self.graph.change_all(|state| state.forget_reduced(index));
        self.graph.wake_all();
        Ok(())
    }

    /// Resets these nodes to the state in which they have not begun.
    pub(super) fn renew(&mut self, nodes: &[NodeIx], renewal: Renewal) {
        let children = self.graph.renew(nodes, renewal);
        if !children.is_empty() {
            self.former = self.former.iter().copied().chain(children).collect();
        }
    }
}

/// Events of nodes.
impl Run {
    fn apply_node(&mut self, node: &NodeRef, event: &NodeEvent, now: Time) -> Applied {
        let ix = node.index;
        if !self.plan().is_node(node) {
            return Err(Illegal::unknown_node("an event reaches a node"));
        }
        match event {
            NodeEvent::Opened { what } => self.open(ix, what, now),
            NodeEvent::Finished { outcome, took, output, signal } => {
                self.end(ix, NodeEnd { outcome, took, output: output.as_ref() }, *signal)
            }
            NodeEvent::HandlerFired { handler, signal } => self.fire(ix, *handler, *signal),
            NodeEvent::Compensated { outcome } => self.end_compensation(ix, outcome),
            NodeEvent::CompensationRetried => self.retry_compensation(ix),
            NodeEvent::Part { part, event } => {
                self.change(ix, "a part changes", |state, node| state.change_part(*part, event, node))
            }
            NodeEvent::Called { calls } => {
                const INPUT: &str = "a function requests calls";
                let functions = Arc::clone(&self.plan().functions);
                self.change(ix, INPUT, |state, _| {
                    let is_working = state.is_working();
                    let requested = |state: &mut NodeState| state.work_mut().request(calls, &functions);
                    if is_working { requested(state) } else { Err(Illegal::new(INPUT, "its node is not under way")) }
                })?;
                if let Some(node) = self.graph.node(ix).filter(|_| calls.iter().any(|call| call.pivot)) {
                    self.rollback.step_ended(&node);
                }
                Ok(())
            }
            NodeEvent::Continued { input } => {
                self.change(ix, "a function continues as new", |state, _| continue_as_new(state, input))
            }
            NodeEvent::Operated { remedy } => {
                self.change(ix, "an operator decides", |state, _| state.operate(remedy))?;
                review_failures(&mut self.graph);
                Ok(())
            }
            NodeEvent::Map(event) => self.change(ix, "items change", |state, _| state.change_items(event)),
            NodeEvent::Refused { .. } => self.change(ix, "a guard does not hold", |state, _| state.refuse()),
            NodeEvent::Retrying { at, rule, .. } => {
                self.change(ix, "a node is retried", |state, node| state.retry_at(*at, *rule, node))
            }
            NodeEvent::Unresolved { workflow, .. } => {
                self.change(ix, "a node is blocked", |state, _| state.block(Blocked::Undefined(workflow.clone())))
            }
            NodeEvent::InputRefused { workflow, faults, .. } => {
                let message = format!("workflow `{workflow}` does not take the input: {}", InputFault::join(faults));
                self.change(ix, "a node is blocked", |state, _| state.block(Blocked::Input(message.into())))
            }
            NodeEvent::Exhausted { limit } => {
                self.change(ix, "a node is blocked", |state, _| state.block(Blocked::Limit(*limit)))
            }
            NodeEvent::Held { outcome } => self.change(ix, "a failure is held", |state, _| state.hold(outcome)),
            NodeEvent::Reduced { variable, value } => self.change(ix, "a variable is combined", |state, _| {
                state.reduce(*variable, value);
                Ok(())
            }),
            NodeEvent::Sent { to, after, .. } => {
                let receivers = u32::try_from(to.len()).unwrap_or(u32::MAX);
                self.change(ix, "a node sends a signal", |state, _| state.work_mut().sent(receivers, *after))
            }
            NodeEvent::StateEntered { state: entered, item } => {
                self.change(ix, "a token enters a state", |state, _| state.enter(*entered, item.as_ref()))
            }
            NodeEvent::Decision(event) => {
                self.change(ix, "a decision changes", |state, _| state.change_decision(event))
            }
        }
    }

    /// Changes one node without effects on others.
    fn change(
        &mut self,
        ix: NodeIx,
        input: &'static str,
        change: impl FnOnce(&mut NodeState, &Node) -> Applied,
    ) -> Applied {
        let plan = Arc::clone(self.plan());
        let (definition, _) = plan.node(ix).ok_or_else(|| Illegal::unknown_node(input))?;
        self.graph.change(input, ix, |state| change(state, definition))
    }

    fn open(&mut self, ix: NodeIx, opening: &Opening, now: Time) -> Applied {
        self.check_opening(ix, opening)?;
        let state = self.graph.state(ix).filter(|state| is_between_attempts(state));
        let former: Vec<RunId> = state.map(|state| state.instances().children().collect()).unwrap_or_default();
        if !former.is_empty() {
            self.former = self.former.iter().copied().chain(former).collect();
        }
        self.graph.open(ix, opening, now)?;
        opening.compensated().map_or(Ok(()), |nodes| throw(self, ix, &indexes(nodes)))
    }

    fn end(&mut self, ix: NodeIx, end: NodeEnd<'_>, signal: Option<u32>) -> Applied {
        let took = end.took.first();
        let consumed = took.and_then(|took| self.graph.node(ix)?.consumed_signal(took).cloned());
        if let Some(name) = consumed {
            self.signals.consume(&name, signal.unwrap_or(0))?;
        }
        self.graph.end(ix, end)?;
        if let Some(node) = self.graph.node(ix) {
            self.rollback.step_ended(&node);
        }
        if self.plan().watches && self.graph.node(ix).is_some_and(|node| !node.definition.writes.is_empty()) {
            wake_working(&mut self.graph);
        }
        if self.rollback.end_throw(ix) {
            self.graph.wake_all();
        }
        Ok(())
    }

    /// Fires a handler: ends its node, or starts a branch while the node continues.
    fn fire(&mut self, ix: NodeIx, handler: u32, signal: Option<u32>) -> Applied {
        const INPUT: &str = "a handler fires";
        let node = self.graph.node(ix).ok_or(Illegal::unknown_node(INPUT))?;
        let definition = node.handlers().get(handler as usize);
        let definition = definition.ok_or(Illegal::new(INPUT, "its node has no such handler"))?.clone();
        if let Boundary::Signal { signal: name, .. } = &definition.on {
            self.signals.consume(name, signal.unwrap_or(0))?;
        }
        let effect = if definition.interrupts { HandlerEffect::Interrupts } else { HandlerEffect::Branches };
        self.graph.change(INPUT, ix, |state| state.fire(handler, effect))?;
        if effect == HandlerEffect::Branches {
            self.graph.branch(ix, &definition.name)?;
        }
        Ok(())
    }

    /// Checks that a map has no more items than its list.
    pub(super) fn check_opening(&self, ix: NodeIx, opening: &Opening) -> Applied {
        let Opening::Map { items, list, .. } = opening else { return Ok(()) };
        let map = self.graph.node(ix).and_then(|node| node.map());
        let map = map.ok_or(Illegal::new("a map opens", "the node is no map"))?;
        let over = || self.eval_within(ix, &map.over, MAX_COUNTED_BYTES);
        MapWork::check_size(*items, list.as_ref(), over).map_err(|why| Illegal::new("a map opens", why))
    }
}

/// Forgets the cases of a choice that were evaluated before this input, if it may change them. Few runs have any.
#[cold]
fn forget_stale(run: &mut Run, input: &RunInput<'_>) {
    run.evaluated.take_if(|evaluated| is_stale(evaluated, input));
}

/// Whether an input may change what the conditions of a choice read: outputs of nodes before it, which have ended, and
/// variables.
fn is_stale(evaluated: &Evaluated, input: &RunInput<'_>) -> bool {
    match input {
        RunInput::Event(_) => true,
        RunInput::Node(node, _) => evaluated.node == node.index,
        RunInput::Work(..) | RunInput::SignalTaken { .. } | RunInput::SignalGiven { .. } => false,
    }
}

fn indexes(nodes: &[NodeRef]) -> Vec<NodeIx> {
    nodes.iter().map(|node| node.index).collect()
}
