//! Signals that nodes send.

use super::Model;
use super::flow::{Flow, Stand};
use counterpoint::definition::{Action, Receivers};
use counterpoint::message::{NodeEvent, Opening};
use counterpoint::{RunId, RunSpec};
use serde_json::Value;
use std::sync::Arc;

impl Model {
    /// Runs receive the signal of a node: only those that it is for, each once, while they go forward; and none is left out
    /// that nothing keeps from it.
    pub(super) fn sends(&mut self, run: RunId, at: usize, event: &NodeEvent) -> Result<(), String> {
        let NodeEvent::Sent { signal, payload, to, after } = event else { return Err("nothing is sent".into()) };
        let flow = self.flow_mut(run)?;
        let node = flow.definition.nodes[at].clone();
        let Action::Send(send) = &node.action else {
            return Err("a node sends a signal that is to do something else".into());
        };
        ensure!(flow.stand == Stand::Running, "a run sends a signal that does not go forward");
        let is_open = flow.places[at].opened == Some(Opening::Send) && flow.places[at].end.is_none();
        ensure!(is_open && !flow.places[at].sent, "a node sends a signal before it begins or after it has ended");
        let content = flow.reads(at);
        ensure!(*signal == send.signal && content == *payload.value(), "another signal is sent");
        let key = match &send.to {
            Receivers::Key { key, .. } => Some(flow.reads_with(at, key, &content)),
            _ => None,
        };
        let before = core::mem::take(&mut self.flow_mut(run)?.places[at].receivers);
        let is_for = |id: &RunId| self.is_receiver(run, &send.to, key.as_ref(), *id);
        for receiver in to {
            ensure!(is_for(receiver)?, "{receiver} receives a signal that is for others");
            ensure!(!before.contains(receiver), "{receiver} receives a signal twice");
        }
        if after.is_none() && before.is_empty() {
            for (id, flow) in &self.flows {
                let is_free = flow.stand == Stand::Running
                    && flow.definition.signals.is_empty()
                    && flow.signals.values().map(|kept| kept.len()).sum::<usize>() < 1_000;
                ensure!(!is_free || to.contains(id) || !is_for(id)?, "{id} does not receive a signal that is for it");
            }
        }
        for receiver in to {
            let flow = self.flow_mut(*receiver)?;
            ensure!(flow.stand == Stand::Running, "{receiver} receives a signal, but does not go forward");
            flow.signals.entry(signal.clone()).or_default().push_back(payload.value().clone());
        }
        let place = &mut self.flow_mut(run)?.places[at];
        place.receivers = before.into_iter().chain(to.iter().copied()).collect();
        place.sent = after.is_none();
        Ok(())
    }

    fn is_receiver(&self, from: RunId, to: &Receivers, key: Option<&Value>, id: RunId) -> Result<bool, String> {
        let parent = |id: RunId| -> Result<Option<RunId>, String> { Ok(self.flow(id)?.owner.map(|owner| owner.run)) };
        let spec = |id: RunId| -> Result<&Arc<RunSpec>, String> {
            self.specs.get(&id).ok_or_else(|| format!("{id} was not started"))
        };
        let is_first = |id: RunId| -> Result<bool, String> { Ok(parent(id)?.is_none()) };
        let fits = match to {
            Receivers::Run => id == from,
            Receivers::Parent => parent(from)? == Some(id),
            Receivers::Root => {
                let mut root = from;
                while let Some(parent) = parent(root)? {
                    root = parent;
                }
                root == id
            }
            Receivers::Key { workflow, .. } => {
                let is_keyed = spec(id)?.business_key.as_ref().map(|key| Value::from(key.as_str())).as_ref() == key;
                is_first(id)? && spec(id)?.workflow == *workflow && is_keyed
            }
            Receivers::All { workflow } => is_first(id)? && spec(id)?.workflow == *workflow,
            _ => return Err("receivers that the model does not know".into()),
        };
        Ok(fits && spec(from)?.tenant == spec(id)?.tenant)
    }
}

impl Flow {
    /// The value of the input of a node.
    fn reads(&self, at: usize) -> Value {
        let input = self.definition.nodes[at].input.clone();
        self.reads_with(at, &input, &Value::Null)
    }
}
