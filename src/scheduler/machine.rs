//! The state, the configuration and the guards. Decisions are recorded as events here.

use super::apply::{Setup, State};
use super::config::Config;
use super::decide::Awaited;
use super::effects::Effects;
use super::guards::Guards;
use super::inconsistent::{Applied, InconsistentEvent};
use super::ix::Place;
use super::log::{Log, Tx};
use super::queue::QueueRules;
use super::reader::Reader;
use crate::base::clock::ClockChange;
use crate::base::meter::EVENT;
use crate::base::structure::{Anomaly, Bits, Random};
use crate::base::time::Time;
use crate::message::event::{ControlEvent, Entry, Event};
use core::fmt;

/// The scheduler without sequence numbers, so that an engine can number its events together with those of runs.
#[derive(Debug)]
pub(crate) struct Core {
    /// The state and the configuration.
    pub(super) reader: Reader,
    pub(super) guards: Guards,
    /// Classes whose tasks wait although agents have room, because the strategy picks no agent.
    pub(super) held_back: Bits,
    pub(super) awaited: Awaited,
    pub(super) rest: Rest,
}

/// The dispatch that the last call has left to the next one, because of its bound on work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Rest {
    #[default]
    Nothing,
    /// Tasks may wait although agents have room, more ended tasks may be known than are to be retained, or the state may
    /// differ from the targets of the guards.
    Dispatch,
}

impl Core {
    pub(crate) fn new(config: Config) -> Self {
        let state = State::new(Setup {
            queues: QueueRules {
                discipline: config.discipline,
                tenants: config.tenants.clone(),
                kinds: config.kinds.clone(),
                batches: config.batches.clone(),
            },
            grace: config.limits.cancel_grace,
            skills: config.routing.skills.clone(),
            shared: config.pools.clone(),
        });
        let guards = Guards::new(config.guards.clone(), config.seed);
        Self {
            reader: Reader::new(state, config),
            guards,
            held_back: Bits::default(),
            awaited: Awaited::default(),
            rest: Rest::Nothing,
        }
    }

    /// Applies an entry of the journal. Dependents of ended tasks are updated at once.
    pub(crate) fn replay(&mut self, entry: &Entry) -> Applied {
        self.apply(entry, Place::ById)?;
        self.reader.state.settle_dependents(usize::MAX)?;
        Ok(())
    }

    /// Passes the reading with which a call begins to the log.
    pub(crate) fn read_clock(&self, reading: Time, log: &mut Log) -> Option<ClockChange> {
        log.read(reading, &self.reader.config.limits.clock, self.reader.state.standing().clock.is_some())
    }

    /// Applies an event to the state; strategies and guards observe it.
    fn apply(&mut self, entry: &Entry, place: Place) -> Applied {
        self.reader.state.apply(entry, place)?;
        self.reader.now = self.reader.now.max(entry.at);
        if let Event::Control(ControlEvent::Identified { .. }) = &entry.event {
            self.reader.identify();
        }
        self.observe(entry);
        self.guards.observe(&self.reader.state, entry, place);
        Ok(())
    }

    /// Applies and records an event, followed by the events of guards that it causes.
    pub(super) fn emit(&mut self, event: impl Into<Event>, tx: &mut Tx<'_>) {
        self.emit_at(Place::ById, event.into(), tx);
    }

    /// The same for an event whose subjects were found.
    pub(super) fn emit_at(&mut self, place: Place, event: Event, tx: &mut Tx<'_>) {
        self.record(place, event, tx);
        self.reconcile(tx);
    }

    /// Emits events until the state agrees with the targets of the guards, or the bound on work is reached.
    #[inline]
    pub(super) fn reconcile(&mut self, tx: &mut Tx<'_>) {
        if self.guards.may_differ(&self.reader.state) {
            reconcile_differences(self, tx);
        }
    }

    /// Applies an event, derives its effects and adds both to the outbox.
    fn record(&mut self, place: Place, event: Event, tx: &mut Tx<'_>) {
        tx.meter.spend(EVENT);
        let (entry, effects) = tx.push(event);
        self.effects().before(entry, place, effects);
        if let Err(InconsistentEvent(reason)) = self.apply(entry, place) {
            self.anomaly(format_args!("{reason}: the scheduler decided {entry:?}"));
        }
        self.effects().after(entry, place, effects);
    }

    #[inline]
    fn observe(&mut self, entry: &Entry) {
        if !self.reader.config.routing.may_learn() {
            return;
        }
        if let Some(rerouting) = self.reader.config.routing.strategy.follow(entry) {
            self.guards.rerouted(None, &rerouting);
        }
        for (kind, strategy) in &mut self.reader.config.routing.by_kind {
            if let Some(rerouting) = strategy.follow(entry) {
                self.guards.rerouted(Some(kind), &rerouting);
            }
        }
        if let Some(estimator) = &mut self.reader.config.routing.estimator {
            estimator.observe(entry);
        }
    }

    /// Counts a broken invariant. Panics in a debug build.
    #[cold]
    #[track_caller]
    pub(crate) fn anomaly(&mut self, state: impl fmt::Display) {
        self.reader.anomalies.note(state);
    }

    /// Counts a broken invariant that was found outside the scheduler.
    #[cold]
    pub(crate) fn record_anomaly(&mut self, anomaly: Anomaly) {
        self.reader.anomalies.record(anomaly);
    }

    /// Counts a failed change of the state as an anomaly.
    #[track_caller]
    pub(super) fn must(&mut self, applied: Applied) {
        if let Err(InconsistentEvent(reason)) = applied {
            self.anomaly(reason);
        }
    }

    /// The result of a search. Counts a broken invariant, on which nothing is found, as an anomaly.
    #[track_caller]
    pub(super) fn found<T>(&mut self, found: Applied<Option<T>>) -> Option<T> {
        found.unwrap_or_else(|InconsistentEvent(reason)| {
            self.anomaly(reason);
            None
        })
    }

    /// The public reader.
    pub(crate) const fn reader(&self) -> &Reader {
        &self.reader
    }

    pub(crate) const fn effects(&self) -> Effects<'_> {
        self.reader.effects()
    }

    /// Whether the last call has left work to the next one.
    pub(crate) fn has_rest(&self) -> bool {
        self.rest != Rest::Nothing || self.reader.state.tasks().has_unsettled()
    }

    pub(crate) fn next_wakeup(&self) -> Option<Time> {
        if self.has_rest() {
            return Some(self.reader.now);
        }
        let next = [
            self.reader.state.timers().next(),
            self.guards.next_wakeup(),
            self.awaited.next(),
            self.reader.next_aged(),
            self.reader.unroutable_due(),
        ];
        next.into_iter().flatten().min()
    }

    /// Discards the list of reopened classes. A replay dispatches nothing, and [`settle`](Self::settle) evaluates every
    /// class.
    pub(crate) fn discard_opened(&mut self) {
        self.reader.state.take_opened();
    }

    pub(super) fn random(&self, tx: &Tx<'_>) -> Random {
        Random::new(self.reader.config.seed, tx.next_seq().get())
    }

    pub(crate) const fn config(&self) -> &Config {
        &self.reader.config
    }

    /// Checks every rule of the state.
    pub(crate) fn check(&self) -> Result<(), String> {
        self.reader.state.check()
    }
}

/// Emits the events of [`Core::reconcile`], which few events lead to.
#[cold]
fn reconcile_differences(core: &mut Core, tx: &mut Tx<'_>) {
    while core.guards.may_differ(&core.reader.state)
        && let Some(event) = core.guards.next_event(&core.reader.state, tx.now)
    {
        core.record(Place::ById, event, tx);
        if tx.meter.is_spent() && !core.guards.has_pending() {
            core.rest = Rest::Dispatch;
            return;
        }
    }
}
