//! The state of one schedule: the fold of its events, and of the starts and ends of its runs.

use super::super::book::Folded;
use crate::base::id::RunId;
use crate::base::name::Name;
use crate::base::time::Time;
use crate::message::event::ScheduleEvent;
use crate::schedule::{MOST_WAITING, Occasion, Overlap, Plan, ScheduleSpec};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

/// The number of firings that a schedule remembers.
const RECENT: usize = 10;

/// The whole state of a schedule as data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ScheduleRecord {
    pub(super) spec: Arc<ScheduleSpec>,
    /// Every nominal time up to this one is over.
    pub(super) position: Time,
    /// The number of nominal times at which it has fired, or at which a firing began to wait.
    #[serde(default)]
    pub(super) taken: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) paused: Option<Name>,
    /// Firings that operators have requested and that are not decided yet.
    #[serde(default, skip_serializing_if = "VecDeque::is_empty")]
    pub(super) requested: VecDeque<Request>,
    /// Firings that wait for the end of earlier runs.
    #[serde(default, skip_serializing_if = "VecDeque::is_empty")]
    pub(super) waiting: VecDeque<Waiting>,
    /// The occasion whose run was started, until the firing is recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) started: Option<Occasion>,
    /// A run that failed, until the schedule is paused because of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) failed: Option<RunId>,
    /// The runs that have not ended.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(super) active: BTreeSet<RunId>,
    /// The last firings, the oldest first.
    #[serde(default, skip_serializing_if = "VecDeque::is_empty")]
    pub(super) recent: VecDeque<(Occasion, RunId)>,
    #[serde(default)]
    pub(super) fired: u64,
    #[serde(default)]
    pub(super) skipped: u64,
    #[serde(default)]
    pub(super) missed: u64,
}

/// A firing that an operator has requested.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Request {
    pub(super) occasion: Occasion,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) overlap: Option<Overlap>,
}

/// A firing that waits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Waiting {
    pub(super) occasion: Occasion,
    pub(super) overlap: Overlap,
}

/// A schedule, with what follows from its state.
#[derive(Debug)]
pub(crate) struct Schedule {
    pub(super) record: ScheduleRecord,
    pub(super) plan: Plan,
    /// There is no nominal time between the position and this time. Only for decisions.
    pub(super) searched: Option<Time>,
    /// Whether every run that a waiting firing cancels was asked to end. Only for decisions.
    pub(super) asked: bool,
    /// When it is looked at again. Only for decisions.
    pub(super) timer: Option<Time>,
}

impl Schedule {
    pub(super) fn created(spec: &Arc<ScheduleSpec>, at: Time) -> Result<Self, String> {
        Self::of(ScheduleRecord {
            spec: Arc::clone(spec),
            position: at,
            taken: 0,
            paused: spec.paused.clone(),
            requested: VecDeque::new(),
            waiting: VecDeque::new(),
            started: None,
            failed: None,
            active: BTreeSet::new(),
            recent: VecDeque::new(),
            fired: 0,
            skipped: 0,
            missed: 0,
        })
    }

    pub(super) fn of(record: ScheduleRecord) -> Result<Self, String> {
        let plan = plan(&record.spec)?;
        Ok(Self { record, plan, searched: None, asked: false, timer: None })
    }

    pub(super) fn apply(&mut self, event: &ScheduleEvent, at: Time) -> Folded {
        (self.searched, self.asked) = (None, false);
        match event {
            ScheduleEvent::Created { .. } | ScheduleEvent::Deleted { .. } => {
                return Err("a schedule is created twice".into());
            }
            ScheduleEvent::Updated { spec } => {
                let passes_on = self.record.spec.timing != spec.timing || self.is_used_up();
                self.plan = plan(spec)?;
                self.record.spec = Arc::clone(spec);
                if passes_on {
                    self.record.position = self.record.position.max(at);
                }
            }
            ScheduleEvent::Paused { note, .. } => {
                self.record.paused = Some(note.clone());
                self.record.failed = None;
            }
            ScheduleEvent::Resumed { .. } => {
                self.record.paused.take().ok_or("a schedule is resumed that is not paused")?;
                self.record.position = self.record.position.max(at);
            }
            ScheduleEvent::Requested { occasions, overlap } => {
                let requests =
                    occasions.iter().map(|occasion| Request { occasion: occasion.clone(), overlap: *overlap });
                self.record.requested.extend(requests);
            }
            ScheduleEvent::Fired { occasion, run } => return self.fired(occasion, *run),
            ScheduleEvent::Buffered { occasion, overlap } => {
                self.leave(occasion)?;
                self.count(occasion);
                let waiting = Waiting { occasion: occasion.clone(), overlap: *overlap };
                if overlap.cancels() {
                    self.record.waiting.push_front(waiting);
                } else {
                    self.record.waiting.push_back(waiting);
                }
            }
            ScheduleEvent::Skipped { occasion, .. } => {
                if self.is_next_waiting(occasion) {
                    self.record.waiting.pop_front();
                } else {
                    self.leave(occasion)?;
                }
                self.record.skipped = self.record.skipped.saturating_add(1);
            }
            ScheduleEvent::Missed { until, times, .. } => {
                self.advance(*until)?;
                self.record.missed = self.record.missed.saturating_add(u64::from(*times));
            }
        }
        Ok(())
    }

    fn fired(&mut self, occasion: &Occasion, run: RunId) -> Folded {
        if self.record.started.take().as_ref() != Some(occasion) {
            return Err("a schedule has fired for a run that it has not started".into());
        }
        if self.is_next_waiting(occasion) {
            self.record.waiting.pop_front();
        } else {
            self.leave(occasion)?;
            self.count(occasion);
        }
        self.record.fired = self.record.fired.saturating_add(1);
        if self.record.recent.len() >= RECENT {
            self.record.recent.pop_front();
        }
        self.record.recent.push_back((occasion.clone(), run));
        Ok(())
    }

    /// The occasion is decided: it is the next requested one, or a nominal time.
    fn leave(&mut self, occasion: &Occasion) -> Folded {
        if let Occasion::Nominal { at } = occasion {
            return self.advance(*at);
        }
        let next = self.record.requested.pop_front().ok_or("a schedule has fired without a request")?;
        if next.occasion == *occasion { Ok(()) } else { Err("a schedule has fired for another request".into()) }
    }

    fn advance(&mut self, to: Time) -> Folded {
        if to <= self.record.position {
            return Err("the nominal times of a schedule do not increase".into());
        }
        self.record.position = to;
        Ok(())
    }

    fn count(&mut self, occasion: &Occasion) {
        if let Occasion::Nominal { .. } = occasion {
            self.record.taken = self.record.taken.saturating_add(1);
        }
    }

    fn is_next_waiting(&self, occasion: &Occasion) -> bool {
        self.record.waiting.front().is_some_and(|waiting| waiting.occasion == *occasion)
    }

    /// A run was started for an occasion.
    pub(super) fn run_started(&mut self, occasion: &Occasion, run: RunId) -> Folded {
        self.record.active.insert(run);
        match self.record.started.replace(occasion.clone()) {
            None => Ok(()),
            Some(_) => Err("a schedule has started two runs at once".into()),
        }
    }

    /// A run has ended.
    pub(super) fn run_ended(&mut self, run: RunId, has_failed: bool) {
        let is_own = self.record.active.remove(&run);
        if is_own && has_failed && self.record.spec.policy.pause_on_failure && self.record.paused.is_none() {
            self.record.failed = Some(run);
        }
    }

    /// A run has moved back or has another plan: it may be cancelled now although it could not be before.
    pub(super) fn run_changed(&mut self, run: RunId) {
        self.asked = false;
        self.record.active.insert(run);
    }

    /// Checks the bounds of the state.
    pub(super) fn check(&self) -> Result<(), String> {
        let ScheduleRecord { spec, waiting, recent, failed, paused, .. } = &self.record;
        if waiting.len() > MOST_WAITING as usize {
            return Err(format!("{} firings of schedule {} wait", waiting.len(), spec.id));
        }
        if waiting.iter().skip(1).any(|waiting| waiting.overlap.cancels()) {
            return Err(format!("a firing of schedule {} cancels, but does not wait first", spec.id));
        }
        if recent.len() > RECENT {
            return Err(format!("schedule {} remembers {} firings", spec.id, recent.len()));
        }
        if failed.is_some() && paused.is_some() {
            return Err(format!("schedule {} is to be paused, and is paused", spec.id));
        }
        Ok(())
    }

    /// Whether the limit on firings is reached.
    pub(super) fn is_used_up(&self) -> bool {
        self.record.spec.policy.limit.is_some_and(|limit| self.record.taken >= limit)
    }
}

fn plan(spec: &ScheduleSpec) -> Result<Plan, String> {
    Plan::new(&spec.timing).map_err(|fault| format!("schedule {}: {fault}", spec.id))
}
