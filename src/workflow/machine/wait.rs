//! Waiting: signals, moments, decisions, and races between them.

use super::moves::Move;
use super::{NodeStage, Run};
use crate::definition::{Action, Condition, Decision, Occasion, Offer};
use crate::event::{DecisionEvent, NodeEvent, Opening};
use crate::limits::Limits;
use crate::name::Name;
use crate::payload::Payload;
use crate::run::NodeOutcome;
use crate::time::Time;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::VecDeque;

/// A signal that a run keeps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Kept {
    pub(super) payload: Payload,
    /// When it is worth nothing any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) until: Option<Time>,
}

impl Kept {
    pub(super) fn is_fresh(&self, now: Time) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

/// Where a decision stands.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Ruling {
    /// To whom it was handed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) to: Option<Name>,
    /// How many steps of escalation have been taken.
    #[serde(default)]
    pub(crate) level: u32,
    /// What was decided, by whom, with what to add.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) made: Option<(Name, Name, Payload)>,
}

/// A signal that a node waits for.
pub(crate) struct Wanted<'a> {
    /// Who waits.
    node: u32,
    pub(crate) signal: &'a Name,
    /// Which of that name.
    matching: &'a Condition,
}

impl<'a> Wanted<'a> {
    pub(super) const fn new(node: u32, signal: &'a Name, matching: &'a Condition) -> Self {
        Self { node, signal, matching }
    }
}

impl Run {
    /// The signals that the action of a node waits for now.
    pub(super) fn wanted_by(&self, node: u32) -> Vec<Wanted<'_>> {
        let open = self.state(node).is_some_and(|state| matches!(state.stage, NodeStage::Open(_)));
        let open = open && !self.goes_back(node);
        let Some((definition, _)) = self.plan.node(node).filter(|_| open) else { return Vec::new() };
        match &definition.action {
            Action::Wait { signal: Some(signal), .. } => vec![Wanted::new(node, signal, &Condition::True)],
            Action::Race { offers } => offers
                .iter()
                .filter_map(|offer| match &offer.on {
                    Occasion::Signal { signal, matching } => Some(Wanted::new(node, signal, matching)),
                    Occasion::After(_) | Occasion::At(_) | Occasion::Decision(_) => None,
                })
                .collect(),
            Action::Wait { signal: None, .. }
            | Action::Do(_)
            | Action::Choose { .. }
            | Action::Map(_)
            | Action::Repeat(_)
            | Action::Delegate(_)
            | Action::Pass
            | Action::States(_)
            | Action::Stop
            | Action::Fail(_) => Vec::new(),
        }
    }

    /// The signals that nodes wait for now.
    pub(crate) fn wanted(&self) -> impl Iterator<Item = Wanted<'_>> {
        let nodes = if self.plan.listens { u32::try_from(self.nodes.len()).unwrap_or(u32::MAX) } else { 0 };
        (0..nodes).flat_map(|node| self.wanted_by(node).into_iter().chain(self.watched_signals(node)))
    }

    /// The oldest of these signals, which are of the right name, that is meant and still worth something.
    pub(crate) fn first_meant(
        &self,
        wanted: &Wanted<'_>,
        kept: Option<&VecDeque<Kept>>,
        now: Time,
        limits: &Limits,
    ) -> Option<(u32, Payload)> {
        let mut kept = (0..).zip(kept?).filter(|(_, kept)| kept.is_fresh(now));
        let (place, kept) = kept.find(|(_, kept)| self.is_meant(wanted, &kept.payload, limits))?;
        Some((place, kept.payload.clone()))
    }

    /// Whether a node waits for a signal with this content.
    pub(crate) fn is_meant(&self, wanted: &Wanted<'_>, payload: &Payload, limits: &Limits) -> bool {
        *wanted.matching == Condition::True
            || wanted.matching.holds(&self.scope(Some(wanted.node), payload.clone(), limits))
    }

    /// How many signals the run keeps that are still worth something: in all, and of one name.
    /// The signals that are kept, by name, and how many of each.
    pub(crate) fn signals_kept(&self, now: Time) -> impl Iterator<Item = (&Name, usize)> {
        let fresh = move |kept: &VecDeque<Kept>| kept.iter().filter(|kept| kept.is_fresh(now)).count();
        self.signals.iter().map(move |(name, kept)| (name, fresh(kept))).filter(|(_, kept)| *kept > 0)
    }

    pub(crate) fn kept(&self, signal: &Name, now: Time) -> (usize, usize) {
        let fresh = |kept: &VecDeque<Kept>| kept.iter().filter(|kept| kept.is_fresh(now)).count();
        let all = self.signals.values().map(fresh).sum();
        (all, self.signals.get(signal).map_or(0, fresh))
    }

    pub(super) fn wait(&self, node: u32, until: Option<Time>, now: Time, limits: &Limits) -> Option<Move> {
        for wanted in self.wanted_by(node) {
            if let Some((place, brought)) = self.first_meant(&wanted, self.signals.get(wanted.signal), now, limits) {
                return Some(self.end_taking(node, wanted.signal.clone(), place, brought));
            }
        }
        until.is_some_and(|until| until <= now).then(|| self.end_with(node, Vec::new(), Payload::NULL))
    }

    /// Begins to wait for the first of several.
    pub(super) fn open_race(&self, node: u32, offers: &[Offer], now: Time, limits: &Limits) -> Move {
        let mut until = Vec::with_capacity(offers.len());
        for offer in offers {
            until.push(match &offer.on {
                Occasion::After(span) => Some(now + *span),
                Occasion::At(moment) => {
                    let moment = moment.eval(&self.scope(Some(node), Payload::NULL, limits)).unwrap_or_default();
                    let Some(moment) = moment.value().as_u64() else {
                        return self.fail(node, format!("`{}` waits for what is no moment", offer.name));
                    };
                    Some(Time::from_nanos(moment))
                }
                Occasion::Signal { .. } | Occasion::Decision(_) => None,
            });
        }
        Move::of(node, NodeEvent::Opened { what: Opening::Race { since: now, until } })
    }

    /// The first of several has happened, or has not. Of two that have happened at the same moment a decision comes first,
    /// then a signal, then a moment, and of these the one written first. With the end of the node all others are gone.
    pub(super) fn race(&self, node: u32, now: Time, limits: &Limits) -> Option<Move> {
        let state = self.state(node)?;
        let (Action::Race { offers }, Some(Opening::Race { since, until })) =
            (&self.plan.node(node)?.0.action, state.opening())
        else {
            return None;
        };
        let ruling = state.ruling();
        if let Some((by, option, note)) = ruling.and_then(|ruling| ruling.made.as_ref()) {
            let output = json!({ "by": by, "option": option, "note": note });
            return Some(self.end_with(node, vec![option.clone()], Payload::new(output)));
        }
        for offer in offers {
            let Occasion::Signal { signal, matching } = &offer.on else { continue };
            let wanted = Wanted::new(node, signal, matching);
            if let Some((place, brought)) = self.first_meant(&wanted, self.signals.get(signal), now, limits) {
                return Some(self.end_taking(node, offer.name.clone(), place, brought));
            }
        }
        let mut due = offers.iter().zip(until).filter(|(_, until)| until.is_some_and(|until| until <= now));
        if let Some((offer, _)) = due.next() {
            return Some(self.end_with(node, vec![offer.name.clone()], Payload::NULL));
        }
        let level = ruling.map_or(0, |ruling| ruling.level);
        let step = decision(offers)?.escalation.get(level as usize)?;
        let escalated = DecisionEvent::Escalated { level: level.saturating_add(1) };
        (*since + step.after <= now).then(|| Move::of(node, NodeEvent::Decision(escalated)))
    }

    /// The decision that a node waits for now.
    pub(crate) fn asks(&self, node: u32) -> Option<(&Decision, Ruling)> {
        let state = self.state(node)?;
        if !matches!(state.opening(), Some(Opening::Race { .. })) || self.goes_back(node) {
            return None;
        }
        let Action::Race { offers } = &self.plan.node(node)?.0.action else { return None };
        Some((decision(offers)?, state.ruling().cloned().unwrap_or_default()))
    }

    /// Who decided a node, and what for.
    pub(crate) fn decided(&self, node: u32) -> Option<(&Name, &Name)> {
        let (by, option, _) = self.state(node)?.ruling()?.made.as_ref()?;
        Some((by, option))
    }

    /// The moments that a node waits for, and its handlers.
    pub(crate) fn moments(&self, node: u32) -> Vec<Time> {
        let mut moments = self.own_moments(node);
        moments.extend(self.watched_moments(node));
        moments.extend(self.time_of(node));
        moments
    }

    fn own_moments(&self, node: u32) -> Vec<Time> {
        let Some(state) = self.state(node) else { return Vec::new() };
        match state.opening() {
            Some(Opening::Wait { until }) => until.iter().copied().collect(),
            Some(Opening::Race { since, until }) => {
                let steps = match self.plan.node(node).map(|(node, _)| &node.action) {
                    Some(Action::Race { offers }) => decision(offers).map(|decision| &decision.escalation[..]),
                    _ => None,
                };
                let steps = steps.unwrap_or_default().iter().map(|step| *since + step.after);
                until.iter().copied().flatten().chain(steps).collect()
            }
            Some(Opening::Map { .. } | Opening::Repeat | Opening::States | Opening::Rounds | Opening::Delegation)
            | None => Vec::new(),
        }
    }

    /// The name of the signal that a node has taken, which ended by this way.
    pub(super) fn signal_taken(&self, node: u32, took: &Name) -> Option<Name> {
        match &self.plan.node(node)?.0.action {
            Action::Wait { signal, .. } => signal.clone().filter(|signal| signal == took),
            Action::Race { offers } => {
                offers.iter().find(|offer| offer.name == *took).and_then(|offer| match &offer.on {
                    Occasion::Signal { signal, .. } => Some(signal.clone()),
                    Occasion::After(_) | Occasion::At(_) | Occasion::Decision(_) => None,
                })
            }
            Action::Do(_)
            | Action::Choose { .. }
            | Action::Map(_)
            | Action::Repeat(_)
            | Action::Delegate(_)
            | Action::Pass
            | Action::States(_)
            | Action::Stop
            | Action::Fail(_) => None,
        }
    }

    fn end_taking(&self, node: u32, took: Name, place: u32, output: Payload) -> Move {
        let finished = NodeEvent::Finished {
            outcome: NodeOutcome::Succeeded,
            took: vec![took],
            output: (!output.is_null()).then_some(output),
            signal: Some(place).filter(|place| *place > 0),
        };
        Move::of(node, finished)
    }
}

/// The decision among the offers; validation allows one.
fn decision(offers: &[Offer]) -> Option<&Decision> {
    offers.iter().find_map(|offer| match &offer.on {
        Occasion::Decision(decision) => Some(&**decision),
        Occasion::Signal { .. } | Occasion::After(_) | Occasion::At(_) => None,
    })
}
