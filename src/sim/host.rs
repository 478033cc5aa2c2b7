//! The simulated host: append, answer, perform effects, with possible crashes between the steps, and recovery.

use super::SimError;
use super::clock::{HostClock, TimeModel};
use super::coverage;
use super::difference::difference;
use super::disk::Fate;
use super::fault::Fault;
use super::oracle::{Oracle, Step};
use super::timeline::{From, What, Word};
use super::twin::{Made, Twin};
use super::worker::Post;
use super::world::{Played, World};
use crate::base::id::Seq;
use crate::base::structure::Random;
use crate::base::time::Time;
use crate::engine::{Engine, EngineSnapshot, Follower};
use crate::journal::{AppendError, Epoch, Journal, Takeover};
use crate::message::command::{Accepted, AgentCommand, Command};
use crate::message::effect::{Effect, Outbox};
use crate::message::event::Entry;
use crate::message::rejected::Rejected;
use crate::scheduler::Config;
use core::time::Duration;

type Verdict = Result<Accepted, Rejected>;

/// The maximum jump of a clock.
const JUMP: Duration = Duration::from_secs(3 * 3_600);

/// How far a clock that is wrong can be ahead, and for how long.
const ASTRAY: Duration = Duration::from_secs(20 * 365 * 86_400);
const ASTRAY_FOR: [Duration; 2] = [Duration::from_secs(30), Duration::from_secs(3_600)];

/// More ticks than this at one instant are a livelock.
const TICKS: u32 = 10_000;

pub(super) struct Host {
    pub(super) engine: Engine,
    epoch: Epoch,
    durable: Seq,
    out: Outbox,
    answers: Vec<(From, Verdict)>,
    /// The number of events that the last attempted snapshot covers.
    snapshot: u64,
    gathering: bool,
}

impl Host {
    /// Whether nothing waits to be appended.
    pub(super) const fn is_idle(&self) -> bool {
        self.out.is_empty() && self.answers.is_empty()
    }
}

/// The machine on which one host after another runs, with its clock and its timer.
pub(super) struct Machine {
    pub(super) config: Box<dyn Fn() -> Config>,
    pub(super) host: Option<Host>,
    /// Takes the snapshots, if the simulation is audited.
    pub(super) follower: Option<Follower>,
    pub(super) twin: Option<Twin>,
    /// Hosts that were replaced while they were paused.
    pub(super) stale: Vec<Host>,
    /// The state of the last host, if everything that it had decided was durable.
    before: Option<EngineSnapshot>,
    wake: Option<Time>,
    /// Whether that wake only keeps the readings of the clock close to each other.
    pub(super) rests: bool,
    pub(super) clock: HostClock,
    /// The time that the engine of the present host must have.
    pub(super) time: TimeModel,
    pub(super) crashes: u64,
    pub(super) fenced: u64,
}

impl Machine {
    pub(super) fn new(config: Box<dyn Fn() -> Config>, journal: &[Entry]) -> Self {
        let time = TimeModel::restarted(config().limits().clock.clone(), journal);
        Self {
            config,
            host: None,
            follower: None,
            twin: None,
            stale: Vec::new(),
            before: None,
            wake: None,
            rests: false,
            clock: HostClock::default(),
            time,
            crashes: 0,
            fenced: 0,
        }
    }

    /// Ends the faults of the clock, which continues from the time of the engine.
    pub(super) fn steady(&mut self, now: Time) {
        self.clock.steady(now, self.time.now());
    }
}

/// The oracles of the calls of the engine, and the replays of the journal.
pub(super) struct Audit {
    pub(super) oracles: Vec<Box<dyn Oracle>>,
    pub(super) calls: u64,
    pub(super) verified: u64,
    pub(super) coverage: coverage::Recorder,
    /// The call at which the journal is to be replayed next.
    due: u64,
    /// The number of events at the last replay.
    facts: usize,
}

impl Audit {
    pub(super) fn new(oracles: Vec<Box<dyn Oracle>>, due: u64) -> Self {
        Self { oracles, calls: 0, verified: 0, coverage: coverage::Recorder::default(), due, facts: 0 }
    }
}

impl World {
    /// Handles a command that has arrived.
    pub(super) fn hear(&mut self, word: Word) -> Played {
        if let Some(jump) = self.time.chance.span(Fault::ClockForward, JUMP) {
            self.turn_clock(i64::try_from(jump.as_nanos()).unwrap_or(0));
        }
        if let Some(jump) = self.time.chance.span(Fault::ClockBack, JUMP) {
            self.turn_clock(-i64::try_from(jump.as_nanos()).unwrap_or(0));
        }
        if let Some(mut random) = self.time.chance.strike(Fault::ClockAstray) {
            let by = random.between(Duration::from_secs(86_400), ASTRAY);
            let most = ASTRAY_FOR.get(random.below(ASTRAY_FOR.len())).copied().unwrap_or_default();
            let until = self.time.now + random.between(Duration::from_millis(1), most);
            self.machine.clock.stray(by, until);
            self.set_wake();
        }
        if self.machine.host.is_none() {
            return Ok(());
        }
        self.ticks()?;
        let Some(command) = self.granted(&word)? else {
            if let From::Errand(errand) = word.from {
                self.time.send(What::Denied(errand));
            }
            return self.gathered();
        };
        if let (From::Errand(errand), Some(_)) = (word.from, &word.caller) {
            self.clients.note_granted(errand, &command);
        }
        let verdict = self.call(Some(command))?;
        let heard = match &word.command {
            Command::Agent(AgentCommand::Register(_) | AgentCommand::Heartbeat { .. }) => true,
            Command::Agent(_)
            | Command::Task(_)
            | Command::Run(_)
            | Command::Schedule(_)
            | Command::Control(_)
            | Command::Tick => false,
        };
        if let Some(host) = self.machine.host.as_mut().filter(|_| heard || matches!(word.from, From::Errand(_))) {
            host.answers.push((word.from, verdict));
        }
        self.gathered()
    }

    /// Moves the host's clock ahead or back.
    fn turn_clock(&mut self, by: i64) {
        self.machine.clock.turn(self.time.now, by);
        self.set_wake();
    }

    pub(super) fn woken(&mut self) -> Played {
        if self.machine.wake != Some(self.time.now) {
            return Ok(());
        }
        self.machine.wake = None;
        if self.machine.host.is_none() {
            return Ok(());
        }
        if self.machine.rests {
            let _ticked = self.call(Some(Command::Tick))?;
        }
        self.ticks()?;
        self.gathered()
    }

    /// Fires all due timers.
    fn ticks(&mut self) -> Played {
        // The clock may have returned from a jump, or the jump be confirmed: then more is due than the wakeup states.
        if self.machine.host.as_ref().is_some_and(|host| host.engine.standing().clock.is_some()) {
            let _ticked = self.call(Some(Command::Tick))?;
        }
        for _ in 0..TICKS {
            let reading = self.machine.clock.reading(self.time.now);
            let due = self.machine.host.as_ref().and_then(|host| host.engine.next_wakeup());
            if due.is_none_or(|at| !self.machine.time.is_due(at, reading)) {
                return Ok(());
            }
            let ticked = self.call(Some(Command::Tick))?;
            debug_assert!(ticked.is_ok(), "a tick was rejected");
        }
        Err(self.broken(format!("after {TICKS} ticks at one instant a timer is still due")))
    }

    /// One call of the engine, checked by the oracles. Called without a command after a crash.
    pub(super) fn call(&mut self, command: Option<Command>) -> Played<Verdict> {
        let reading = self.machine.clock.reading(self.time.now);
        let now = self.machine.time.read(reading);
        let Some(host) = &mut self.machine.host else { return Ok(Ok(Accepted::Done)) };
        let (entries, effects) = (host.out.entries().len(), host.out.effects().len());
        let spoken = if self.audit.oracles.is_empty() { None } else { command.clone() };
        let twinned = self.machine.twin.as_mut().zip(command.clone());
        let place = self.settings.audited.then(|| coverage::Recorder::place(&host.engine, command.as_ref()));
        let verdict = match command {
            Some(command) => host.engine.handle(reading, command, &mut host.out),
            None => {
                host.engine.resume(reading, &mut host.out);
                Ok(Accepted::Done)
            }
        };
        self.audit.calls += 1;
        if let Some(place) = place {
            self.audit.coverage.note(place, verdict.is_ok(), &self.time.chance.strikes);
        }
        let step = Step {
            now,
            command: spoken.as_ref(),
            verdict: &verdict,
            entries: host.out.entries().get(entries..).unwrap_or_default(),
            effects: host.out.effects().get(effects..).unwrap_or_default(),
            engine: &host.engine,
        };
        for oracle in &mut self.audit.oracles {
            let (at, call) = (self.time.now, self.audit.calls);
            oracle.step(&step).map_err(|rule| SimError::Broken { at, call, rule })?;
        }
        if let Some((twin, command)) = twinned {
            let made = Made { verdict: &verdict, entries: step.entries, effects: step.effects };
            let (at, call) = (self.time.now, self.audit.calls);
            twin.follow(reading, command, &made).map_err(|rule| SimError::Broken { at, call, rule })?;
        }
        self.machine.twin.take_if(|twin| twin.is_over());
        Ok(verdict)
    }

    /// Appends now, or batches further calls for a while.
    fn gathered(&mut self) -> Played {
        let Some(host) = &mut self.machine.host else { return Ok(()) };
        if self.settings.group.is_zero() {
            self.commit()?;
        } else if !host.gathering {
            host.gathering = true;
            self.time.push(self.time.now + self.settings.group, What::Flush);
        }
        // Without new entries there is nothing new to replay.
        let due = self.settings.verify > 0 && self.audit.calls >= self.audit.due;
        if due && self.disk.history().len() > self.audit.facts {
            self.verify()?;
            self.pair()?;
        }
        self.set_wake();
        Ok(())
    }

    /// Appends the outbox, then answers and performs the effects.
    pub(super) fn commit(&mut self) -> Played {
        let Some(host) = &mut self.machine.host else { return Ok(()) };
        host.gathering = false;
        let facts = host.out.entries().len();
        if facts > 0 {
            if !self.append(facts)? {
                return Ok(());
            }
            self.record.follow(self.disk.history());
            self.lead_follower()?;
        }
        self.act()?;
        self.snapshot();
        Ok(())
    }

    /// Appends the entries. Returns whether they are stored and the host is up.
    fn append(&mut self, facts: usize) -> Played<bool> {
        if self.time.chance.strikes(Fault::CrashBefore) {
            self.crash();
            return Ok(false);
        }
        if self.time.chance.strikes(Fault::SecondHost) {
            // The host pauses with its decisions not appended, while another host takes over.
            self.machine.stale.extend(self.machine.host.take());
            (self.machine.twin, self.machine.follower) = (None, None);
            self.time.push(self.time.now + Duration::from_secs(40), What::Stale);
            self.time.push(self.time.now, What::Restart);
            return Ok(false);
        }
        self.disk.fate = self.fate(facts);
        let (fate, crash) = (self.disk.fate, self.time.chance.strikes(Fault::CrashAfter));
        let Some(host) = &mut self.machine.host else { return Ok(false) };
        match self.disk.append(host.epoch, host.durable, host.out.entries()) {
            Ok(()) => host.durable = host.engine.last_seq(),
            Err(AppendError::Refused(_) | AppendError::Unknown) if fate != Fate::Kept => {
                // The engine may be ahead of its journal; a host that reads the journal knows.
                match fate {
                    Fate::Torn(_) => self.crash(),
                    Fate::Kept | Fate::Refused | Fate::Lost | Fate::KeptUnsaid => self.go_down(Duration::ZERO),
                }
                return Ok(false);
            }
            Err(other) => return Err(self.broken(format!("an append of the only writer failed: {other}"))),
        }
        if crash {
            self.crash();
        }
        Ok(!crash)
    }

    fn fate(&mut self, facts: usize) -> Fate {
        if let Some(mut random) = self.time.chance.strike(Fault::CrashTorn) {
            return Fate::Torn(random.below(facts.max(1)));
        }
        if let Some(cut) = self.settings.cut {
            let kept = self.disk.history().len();
            if (kept..kept + facts).contains(&cut) {
                self.settings.cut = None;
                return Fate::Torn(cut - kept);
            }
        }
        if self.time.chance.strikes(Fault::AppendRefused) {
            Fate::Refused
        } else if self.time.chance.strikes(Fault::AppendLost) {
            Fate::Lost
        } else if self.time.chance.strikes(Fault::AppendKept) {
            Fate::KeptUnsaid
        } else {
            Fate::Kept
        }
    }

    /// Sends the answers, and performs the effects.
    fn act(&mut self) -> Played {
        let Some(host) = &mut self.machine.host else { return Ok(()) };
        let (answers, mut effects) = (core::mem::take(&mut host.answers), Vec::new());
        host.out.drain_effects(&mut effects);
        host.out.clear();
        for (to, verdict) in answers {
            if self.time.chance.strikes(Fault::CrashActing) {
                self.crash();
                return Ok(());
            }
            match to {
                From::Errand(errand) => self.time.send(What::Answer(errand, verdict)),
                From::Worker(worker) => self.time.send(What::Agent(worker, Post::Answer(verdict))),
            }
        }
        for effect in effects {
            if self.time.chance.strikes(Fault::CrashActing) {
                self.crash();
                return Ok(());
            }
            self.perform(effect);
        }
        Ok(())
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Dispatch { attempt, to, task, .. } => {
                self.crew.post(&mut self.time, to.agent(), Post::Dispatch { attempt, to, task });
            }
            Effect::DispatchBatch { to, attempts, .. } => {
                for one in attempts {
                    self.crew.post(
                        &mut self.time,
                        to.agent(),
                        Post::Dispatch { attempt: one.attempt, to, task: one.task },
                    );
                }
            }
            Effect::Yield { attempt, from, .. } => {
                self.crew.post(&mut self.time, from.agent(), Post::Yield { attempt, from })
            }
            Effect::Cancel { attempt, from } => {
                self.crew.post(&mut self.time, from.agent(), Post::Cancel { attempt, from })
            }
            Effect::Scale { event, advised, .. } => self.follow_advice(event, advised),
        }
    }

    /// Repeats the outstanding effects, because messages may have been lost.
    pub(super) fn remind(&mut self) -> Played {
        if let Some(every) = self.settings.remind {
            self.time.push(self.time.now + every, What::Remind);
        }
        self.commit()?;
        let Some(host) = &self.machine.host else { return Ok(()) };
        for effect in host.engine.outstanding() {
            self.perform(effect);
        }
        Ok(())
    }

    /// Stores a snapshot if one is due.
    fn snapshot(&mut self) {
        let Some(host) = &mut self.machine.host else { return };
        let due = host.snapshot.saturating_add(self.settings.snapshots);
        if self.settings.snapshots == 0 || host.durable.get() < due || host.durable != host.engine.last_seq() {
            return;
        }
        host.snapshot = host.durable.get();
        if self.time.chance.strikes(Fault::SnapshotLost) {
            return;
        }
        let snapshot = self.machine.follower.as_ref().map_or_else(|| host.engine.snapshot(), Follower::snapshot);
        if let Ok(bytes) = snapshot.to_bytes() {
            let kept = self.disk.keep_snapshot(host.epoch, host.durable, &bytes);
            debug_assert_eq!(kept, Ok(()), "the current writer could not store a snapshot");
        }
    }

    /// Crashes the host.
    fn crash(&mut self) {
        self.machine.crashes += 1;
        let away = Random::new(self.time.seed ^ 0x0063_7261_7368, self.machine.crashes)
            .between(Duration::ZERO, self.settings.downtime);
        self.go_down(away);
    }

    fn go_down(&mut self, away: Duration) {
        if let Some(host) = self.machine.host.take() {
            self.machine.before =
                (host.durable == host.engine.last_seq() && self.settings.verify > 0).then(|| host.engine.snapshot());
        }
        (self.machine.wake, self.machine.twin, self.machine.follower) = (None, None, None);
        self.record.follow(self.disk.history());
        self.time.push(self.time.now + away, What::Restart);
    }

    /// A host takes over and continues from the journal.
    pub(super) fn restart(&mut self) -> Played {
        if self.machine.host.is_some() {
            return Ok(());
        }
        let taken = self.disk.take_over().map_err(|error| self.broken(error.to_string()))?;
        self.misread(&taken)?;
        let engine = restored((self.machine.config)(), &taken).map_err(|error| self.broken(error))?;
        let before = self.machine.before.take();
        if let Some(before) = before
            && let Some(place) = difference(&before, &engine.snapshot())
        {
            return Err(self.broken(format!("the journal does not lead to the state before the crash: {place}")));
        }
        if self.time.chance.strikes(Fault::CrashRestoring) {
            self.crash();
            return Ok(());
        }
        self.machine.follower = self.new_follower(&taken)?;
        let limits = engine.limits().clock.clone();
        self.machine.time = TimeModel::restarted(limits, self.disk.history());
        let now = self.machine.time.clone().read(self.machine.clock.reading(self.time.now));
        for oracle in &mut self.audit.oracles {
            oracle.restarted(self.disk.history(), now);
        }
        self.machine.host = Some(Host {
            durable: engine.last_seq(),
            snapshot: engine.last_seq().get(),
            engine,
            epoch: taken.epoch,
            out: Outbox::default(),
            answers: Vec::new(),
            gathering: false,
        });
        let _resumed = self.call(None)?;
        self.commit()?;
        self.set_wake();
        Ok(())
    }

    /// Checks that a corrupted read of the journal is detected.
    fn misread(&mut self, taken: &Takeover) -> Played {
        if taken.tail.len() < 3 {
            return Ok(());
        }
        let Some(mut random) = self.time.chance.strike(Fault::TailMangled) else { return Ok(()) };
        let (how, mut tail) = (random.below(3), taken.tail.clone());
        let at = random.below(tail.len() - 2);
        match how {
            0 => drop(tail.remove(at)),
            1 => tail.extend(tail.last().cloned()),
            _ => tail.swap(at, at + 1),
        }
        let mangled = Takeover::new(taken.epoch, taken.snapshot.clone(), tail);
        match restored((self.machine.config)(), &mangled) {
            Err(_) => Ok(()),
            Ok(_) => Err(self.broken("a journal with an entry missing, repeated or moved was accepted".to_owned())),
        }
    }

    /// A host that was replaced while it was paused must not append to the journal, and thus release nothing.
    pub(super) fn stale_wakes(&mut self) -> Played {
        for host in core::mem::take(&mut self.machine.stale) {
            match self.disk.append(host.epoch, host.durable, host.out.entries()) {
                Err(AppendError::Fenced) => self.machine.fenced += 1,
                other => return Err(self.broken(format!("a host that was replaced could append: {other:?}"))),
            }
        }
        Ok(())
    }

    pub(super) fn set_wake(&mut self) {
        let Some(host) = &self.machine.host else { return };
        // A host that waits for nothing calls its engine all the same, so that a long rest is no jump of its clock.
        let rest = host.engine.limits().clock.max_step.map(|step| step / 2);
        let wakeup = host.engine.next_wakeup();
        let left = wakeup.map(|at| at.since(self.machine.clock.reading(self.time.now)));
        let Some(left) = left.or_else(|| rest.filter(|_| !self.time.is_over())) else {
            self.machine.wake = None;
            return;
        };
        let due = self.time.now + left;
        if self.machine.wake.is_some_and(|wake| wake <= due && wake >= self.time.now) {
            return;
        }
        self.machine.rests = rest.is_some_and(|rest| wakeup.is_none_or(|at| at == host.engine.now() + rest));
        let due = due + self.time.chance.span(Fault::TickLate, Duration::from_secs(3_600)).unwrap_or_default();
        self.machine.wake = Some(due);
        self.time.push(due, What::Wake);
    }

    /// Checks that equal events lead to equal states: from an empty engine, and through a serialised snapshot.
    pub(super) fn verify(&mut self) -> Played {
        let Some(host) = self.machine.host.as_ref().filter(|host| host.is_idle() && self.settings.verify > 0) else {
            return Ok(());
        };
        let state = host.engine.snapshot();
        let replayed = Engine::restore((self.machine.config)(), None, self.disk.history());
        let replayed = replayed.map_err(|error| self.broken(format!("the journal cannot be replayed: {error}")))?;
        if let Some(place) = difference(&state, &replayed.snapshot()) {
            return Err(self.broken(format!("a replay of the journal leads to another state: {place}")));
        }
        if replayed.outstanding() != host.engine.outstanding() {
            return Err(self.broken("after a replay other effects are outstanding".to_owned()));
        }
        if let Some(follower) = &self.machine.follower
            && let Some(place) = difference(&state, &follower.snapshot())
        {
            return Err(self.broken(format!("the follower has another state: {place}")));
        }
        let bytes = state.to_bytes().map_err(|error| self.broken(error.to_string()))?;
        let again = restored((self.machine.config)(), &Takeover::new(Epoch::default(), Some(bytes), Vec::new()));
        let again = again.map_err(|error| self.broken(format!("the snapshot cannot be restored: {error}")))?;
        if let Some(place) = difference(&state, &again.snapshot()) {
            return Err(self.broken(format!("a snapshot leads to another state than the events: {place}")));
        }
        self.audit.verified += 1;
        self.audit.due = self.audit.calls + self.settings.verify;
        self.audit.facts = self.disk.history().len();
        Ok(())
    }

    pub(super) fn broken(&self, rule: String) -> SimError {
        SimError::Broken { at: self.time.now, call: self.audit.calls, rule }
    }
}

fn restored(config: Config, taken: &Takeover) -> Result<Engine, String> {
    let snapshot = taken.snapshot.as_deref().map(EngineSnapshot::from_bytes).transpose();
    let snapshot = snapshot.map_err(|error| error.to_string())?;
    let entries: &[Entry] = &taken.tail;
    Engine::restore(config, snapshot.as_ref(), entries).map_err(|error| error.to_string())
}
