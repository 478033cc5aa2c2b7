//! Rules for the events of agents.

use super::{Judged, Member, Rules, rule};
use crate::base::id::Incarnation;
use crate::base::time::Time;
use crate::message::command::{AgentCommand, Command};
use crate::message::event::AgentEvent;
use crate::sim::oracle::Step;
use std::sync::Arc;

impl Rules {
    pub(super) fn judge_agent(&self, by: Incarnation, event: &AgentEvent, step: &Step<'_>) -> Judged {
        let word = match step.command {
            Some(Command::Agent(word)) => Some(word),
            _ => None,
        };
        match event {
            AgentEvent::Registered { spec } => {
                let asked = matches!(word, Some(AgentCommand::Register(asked)) if *asked == **spec);
                rule(asked, || format!("{by} registers without a command"))?;
                let next = by.number() == self.incarnations + 1 && by.agent() == spec.id;
                rule(next, || format!("{by} is not the next incarnation after {}", self.incarnations))
            }
            AgentEvent::Updated { spec } => {
                let asked = matches!(word, Some(AgentCommand::Update { by: who, spec: asked })
                    if *who == by && *asked == **spec);
                rule(asked && self.registered(by).is_some(), || {
                    format!("{by} changes without a command, or after its end")
                })
            }
            AgentEvent::Draining => {
                let asked = matches!(word, Some(AgentCommand::Drain { agent }) if *agent == by.agent());
                rule(asked && self.registered(by).is_some(), || format!("{by} drains without a command"))
            }
            AgentEvent::Deregistered => {
                let asked = matches!(word, Some(AgentCommand::Deregister { agent }) if *agent == by.agent());
                rule(asked && self.registered(by).is_some(), || format!("{by} leaves without a command"))
            }
            AgentEvent::Lost => self.judge_lost(by, step.now),
            AgentEvent::Throttled { .. } => {
                rule(self.registered(by).is_some(), || format!("{by} is throttled but gone"))
            }
        }
    }

    /// A lease expires at its time, and not before.
    fn judge_lost(&self, by: Incarnation, now: Time) -> Judged {
        let member = self.registered(by).ok_or_else(|| format!("{by} is lost but was not registered"))?;
        let until = member.spec.lease.map(|lease| member.last_message + lease);
        rule(until.is_some_and(|until| until <= now), || {
            format!(
                "{by} counts as lost at {now}; its last message was at {}, its lease runs until {until:?}",
                member.last_message
            )
        })
    }

    pub(super) fn learn_agent(&mut self, by: Incarnation, event: &AgentEvent, at: Time) {
        match event {
            AgentEvent::Registered { spec } => {
                self.incarnations = by.number();
                let spec = Arc::clone(spec);
                let member = Member { by, spec, draining: false, last_message: at, gated: false };
                self.agents.insert(by.agent(), member);
            }
            AgentEvent::Updated { spec } => {
                if let Some(member) = self.agents.get_mut(&by.agent()) {
                    member.spec = Arc::clone(spec);
                    member.last_message = at;
                }
            }
            AgentEvent::Draining => {
                if let Some(member) = self.agents.get_mut(&by.agent()) {
                    member.draining = true;
                }
            }
            AgentEvent::Deregistered | AgentEvent::Lost => {
                self.agents.remove(&by.agent());
                self.paused_agents.remove(&by.agent());
            }
            AgentEvent::Throttled { slots, .. } => {
                if let Some(member) = self.agents.get_mut(&by.agent()) {
                    member.gated = slots.is_some();
                }
            }
        }
    }
}
