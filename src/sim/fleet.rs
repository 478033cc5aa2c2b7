//! A fleet that follows the scaling advice of the scheduler.

use super::agent::AgentModel;
use super::world::World;
use crate::base::id::{AgentId, Seq};
use crate::task::agent::AgentStatus;
use core::time::Duration;

/// Starts agents, after a startup time.
pub(super) struct Fleet {
    startup: Duration,
    hire: Box<dyn FnMut(u32) -> AgentModel>,
    /// The number of requested agents, and the indexes of those that were started.
    asked: u32,
    started: Vec<usize>,
    /// The last advice that was followed.
    followed: Seq,
}

impl Fleet {
    pub(super) fn new(startup: Duration, hire: impl FnMut(u32) -> AgentModel + 'static) -> Self {
        Self { startup, hire: Box::new(hire), asked: 0, started: Vec::new(), followed: Seq::ZERO }
    }

    fn next(&mut self) -> AgentModel {
        self.asked = self.asked.saturating_add(1);
        (self.hire)(self.asked)
    }
}

impl World {
    /// Starts and retires agents until their number matches the advice. Old and repeated advice is ignored.
    pub(super) fn follow_advice(&mut self, event: Seq, advised: u32) {
        let (Some(fleet), Some(host)) = (&mut self.fleet, &self.machine.host) else { return };
        if event <= fleet.followed {
            return;
        }
        fleet.followed = event;
        let online = host.engine.agents().filter(|it| it.status() == AgentStatus::Online && !it.spec().backup);
        let online: Vec<AgentId> = online.map(|it| it.spec().id).collect();
        let works = |number: &usize| self.crew.get(*number).is_some_and(|worker| !worker.is_leaving());
        // In the order of their arrival.
        let here: Vec<usize> = online.iter().filter_map(|id| self.crew.number_of(*id)).filter(works).collect();
        let coming = |number: &usize| self.crew.get(*number).is_some_and(|worker| worker.is_starting());
        let coming = fleet.started.iter().copied().filter(|number| coming(number) && !here.contains(number));
        let coming: Vec<usize> = coming.collect();
        let (there, advised) = (here.len() + coming.len(), advised as usize);
        for _ in there..advised {
            self.start_agent();
        }
        self.dismiss_newest((coming, here), there.saturating_sub(advised));
    }

    fn start_agent(&mut self) {
        let Some(fleet) = &mut self.fleet else { return };
        let (model, at) = (fleet.next(), self.time.now + fleet.startup);
        // Two agents with one id would be the same agent to the core.
        if self.crew.number_of(model.spec.id).is_none() {
            let number = self.crew.hire_at(&mut self.time, model.joining(at));
            self.fleet.iter_mut().for_each(|fleet| fleet.started.push(number));
        }
    }

    /// Agents that are still starting are stopped first, then the newest.
    fn dismiss_newest(&mut self, (coming, mut here): (Vec<usize>, Vec<usize>), surplus: usize) {
        let given_up = coming.iter().rev().take(surplus).filter(|number| self.crew.call_off(**number)).count();
        here.sort_unstable();
        for number in here.into_iter().rev().take(surplus - given_up) {
            if let Some(agent) = self.crew.get(number).map(|worker| worker.model.spec.id) {
                self.retire(agent);
            }
        }
    }
}
