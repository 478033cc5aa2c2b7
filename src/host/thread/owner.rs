//! The one thread that owns the engine.

use super::clock::Clock;
use super::events::Tap;
use super::handle::HostError;
use super::worker::{self, Assignment};
use crate::agent::AgentSpec;
use crate::command::{Accepted, AgentCommand, Command, TaskCommand};
use crate::effect::{Effect, Outbox};
use crate::engine::{Engine, EngineSnapshot};
use crate::error::RestoreError;
use crate::event::{AgentEvent, Entry, Event, RunEvent, TaskEvent};
use crate::host::Agent;
use crate::id::{AttemptId, Incarnation, RunId, Seq, TaskId};
use crate::journal::{Epoch, Journal};
use crate::rejected::Rejected;
use crate::run::{RunOutcome, RunSpec};
use crate::scheduler::Config;
use crate::task::{Failure, TaskOutcome, TaskSpec};
use crate::time::Time;
use core::time::Duration;
use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, unbounded};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// How many messages are handled before their facts are appended together.
const GROUP: usize = 256;
/// How long the owner waits when nothing is due.
const IDLE: Duration = Duration::from_secs(3_600);
/// How long agents that were asked to stop may take to say so.
const LAST_WORDS: Duration = Duration::from_millis(250);

type Verdict = Result<Accepted, HostError>;
type Watcher = dyn FnMut(&Entry) + Send;

/// What the owner is asked.
pub(super) enum Message {
    Command { command: Command, reply: Option<Sender<Verdict>> },
    Submit { spec: Arc<TaskSpec>, tell: Sender<TaskOutcome>, reply: Sender<Verdict> },
    Start { spec: RunSpec, tell: Sender<RunOutcome>, reply: Sender<Verdict> },
    Join { spec: AgentSpec, agent: Arc<dyn Agent>, reply: Sender<Result<Incarnation, HostError>> },
    Subscribe { feed: Tap, reply: Sender<()> },
    Watch { watcher: Box<Watcher>, reply: Sender<()> },
    Inspect { look: Box<dyn FnOnce(&Engine) + Send> },
    Stop { patience: Duration, reply: Sender<usize> },
}

/// An answer that waits until the facts behind it are durable.
enum Answer {
    Verdict(Sender<Verdict>, Verdict),
    Joined(Sender<Result<Incarnation, HostError>>, Result<Incarnation, HostError>),
    Done(Sender<()>),
    Task(Sender<TaskOutcome>, TaskOutcome),
    Run(Sender<RunOutcome>, RunOutcome),
}

pub(super) struct Owner {
    engine: Engine,
    journal: Box<dyn Journal>,
    epoch: Epoch,
    /// The number of the last fact that is durable.
    durable: Seq,
    inbox: Receiver<Message>,
    /// For the threads of agents.
    sender: Sender<Message>,
    clock: Clock,
    outbox: Outbox,
    answers: Vec<Answer>,
    agents: BTreeMap<Incarnation, Sender<Assignment>>,
    flags: BTreeMap<AttemptId, Arc<AtomicBool>>,
    tasks: BTreeMap<TaskId, Vec<Sender<TaskOutcome>>>,
    runs: BTreeMap<RunId, Vec<Sender<RunOutcome>>>,
    feeds: Vec<Tap>,
    watchers: Vec<Box<Watcher>>,
    stop: Option<(Time, Sender<usize>)>,
}

impl Owner {
    pub(super) fn open(
        config: Config,
        mut journal: Box<dyn Journal>,
        inbox: Receiver<Message>,
        sender: Sender<Message>,
    ) -> Result<Self, HostError> {
        let taken = journal.take_over()?;
        let snapshot = taken.snapshot.as_deref().map(read_snapshot).transpose()?;
        let engine = Engine::restore(config, snapshot.as_ref(), &taken.tail)?;
        let earliest = taken.tail.last().map_or(Time::ZERO, |entry| entry.at);
        let mut owner = Self {
            durable: engine.last_seq(),
            engine,
            journal,
            epoch: taken.epoch,
            inbox,
            sender,
            clock: Clock::starting(earliest),
            outbox: Outbox::default(),
            answers: Vec::new(),
            agents: BTreeMap::new(),
            flags: BTreeMap::new(),
            tasks: BTreeMap::new(),
            runs: BTreeMap::new(),
            feeds: Vec::new(),
            watchers: Vec::new(),
            stop: None,
        };
        owner.resume();
        Ok(owner)
    }

    pub(super) const fn clock(&self) -> Clock {
        self.clock
    }

    /// The agents of an earlier host ended with its threads.
    fn resume(&mut self) {
        self.engine.resume(self.clock.now(), &mut self.outbox);
        let gone: Vec<_> = self.engine.agents().map(|agent| agent.spec().id).collect();
        for agent in gone {
            let left =
                self.engine.handle(self.clock.now(), AgentCommand::Deregister { agent }.into(), &mut self.outbox);
            debug_assert!(left.is_ok(), "an agent that is registered cannot leave");
        }
    }

    /// Works until it is told to stop or the journal fails. What waits for answers then hears that the host has ended,
    /// because its senders are dropped.
    pub(super) fn work(&mut self) {
        while self.flush() {
            let now = self.clock.now();
            let due = self.engine.next_wakeup().map_or(IDLE, |at| at.since(now));
            let left = self.stop.as_ref().map_or(IDLE, |(until, _)| until.since(now));
            match self.inbox.recv_timeout(due.min(left)) {
                Ok(message) => self.take(message),
                Err(RecvTimeoutError::Timeout) => {
                    let ticked = self.engine.handle(self.clock.now(), Command::Tick, &mut self.outbox);
                    debug_assert!(ticked.is_ok(), "a tick was refused");
                }
                Err(RecvTimeoutError::Disconnected) => break,
            }
            for _ in 1..GROUP {
                let Ok(message) = self.inbox.try_recv() else { break };
                self.take(message);
            }
            if self.stopped() {
                break;
            }
        }
        self.flush();
    }

    fn handle(&mut self, command: Command) -> Verdict {
        self.engine.handle(self.clock.now(), command, &mut self.outbox).map_err(HostError::from)
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Command { command, reply } => {
                let Some(reply) = reply else { return self.hear(command) };
                let verdict = self.handle(command);
                self.answers.push(Answer::Verdict(reply, verdict));
            }
            Message::Submit { spec, tell, reply } => {
                let id = spec.id;
                let verdict = self.handle(TaskCommand::Submit(spec).into());
                if verdict.is_ok() {
                    self.tell_of_task(id, tell);
                }
                self.answers.push(Answer::Verdict(reply, verdict));
            }
            Message::Start { spec, tell, reply } => {
                let id = spec.id;
                let verdict = self.handle(Command::start(spec));
                if verdict.is_ok() {
                    self.tell_of_run(id, tell);
                }
                self.answers.push(Answer::Verdict(reply, verdict));
            }
            Message::Join { spec, agent, reply } => {
                let joined = self.join(spec, &agent);
                self.answers.push(Answer::Joined(reply, joined));
            }
            Message::Subscribe { feed, reply } => {
                self.feeds.push(feed);
                self.answers.push(Answer::Done(reply));
            }
            Message::Watch { watcher, reply } => {
                self.watchers.push(watcher);
                self.answers.push(Answer::Done(reply));
            }
            Message::Inspect { look } => look(&self.engine),
            Message::Stop { patience, reply } => self.begin_stop(patience, reply),
        }
    }

    /// The words of agents have no reply. One that comes too late is refused, and that is all; an output that is too large
    /// is a failure of the attempt, which would be waited for otherwise.
    fn hear(&mut self, word: Command) {
        let mut held = None;
        if let Command::Agent(AgentCommand::Complete { by, attempt, .. }) = &word {
            held = Some((*by, *attempt));
        }
        let verdict = self.handle(word);
        if let (Err(HostError::Rejected(refusal @ Rejected::TooLarge { .. })), Some((by, attempt))) = (verdict, held) {
            let failure = Failure::permanent(format!("its output was refused: {refusal}"));
            let failed = self.handle(Command::fail(by, attempt, failure));
            debug_assert!(failed.is_ok(), "an attempt that could be completed can fail");
        }
    }

    /// Whoever waits for a task is told when its end is durable: by the fact, or at once if that was before.
    fn tell_of_task(&mut self, id: TaskId, tell: Sender<TaskOutcome>) {
        match self.engine.task(id).and_then(|task| task.outcome()) {
            Some((outcome, _)) => self.answers.push(Answer::Task(tell, outcome.clone())),
            None => self.tasks.entry(id).or_default().push(tell),
        }
    }

    fn tell_of_run(&mut self, id: RunId, tell: Sender<RunOutcome>) {
        match self.engine.run(id).and_then(|run| run.outcome()) {
            Some(outcome) => self.answers.push(Answer::Run(tell, outcome.clone())),
            None => self.runs.entry(id).or_default().push(tell),
        }
    }

    fn join(&mut self, mut spec: AgentSpec, agent: &Arc<dyn Agent>) -> Result<Incarnation, HostError> {
        // Its threads stand behind a channel of this host: nobody needs to ask.
        spec.polls = false;
        let by = match self.handle(Command::register(spec.clone()))? {
            Accepted::Registered(by) => by,
            Accepted::Done | Accepted::Repeated | Accepted::Unheard | Accepted::Count(_) | Accepted::Late(_) => {
                return Err(HostError::Ended);
            }
        };
        let (work, queue) = unbounded();
        if let Err(error) = worker::start(by, &spec, agent, &queue, &self.sender) {
            let left = self.handle(AgentCommand::Deregister { agent: by.agent() }.into());
            debug_assert!(left.is_ok(), "an agent that has just registered cannot leave");
            return Err(HostError::Thread(error.to_string()));
        }
        self.agents.insert(by, work);
        Ok(by)
    }

    /// Makes the facts durable, then answers, acts and shows. False when the journal failed: the engine is ahead of it.
    fn flush(&mut self) -> bool {
        let entries = self.outbox.entries();
        if !entries.is_empty() {
            if self.journal.append(self.epoch, self.durable, entries).is_err() {
                self.answers.clear();
                return false;
            }
            self.durable = self.engine.last_seq();
        }
        for answer in self.answers.drain(..) {
            // Whoever asked may be gone; the deed stands.
            let _ = match answer {
                Answer::Verdict(reply, verdict) => reply.send(verdict).is_ok(),
                Answer::Joined(reply, joined) => reply.send(joined).is_ok(),
                Answer::Done(reply) => reply.send(()).is_ok(),
                Answer::Task(tell, outcome) => tell.send(outcome).is_ok(),
                Answer::Run(tell, outcome) => tell.send(outcome).is_ok(),
            };
        }
        let outbox = core::mem::take(&mut self.outbox);
        for effect in outbox.effects() {
            self.perform(effect);
        }
        for entry in outbox.entries() {
            self.show(entry);
        }
        self.outbox = outbox;
        self.outbox.clear();
        true
    }

    fn perform(&mut self, effect: &Effect) {
        match effect {
            Effect::Dispatch { attempt, to, task, .. } => self.assign(*attempt, *to, task),
            Effect::DispatchBatch { to, attempts } => {
                for one in attempts {
                    self.assign(one.attempt, *to, &one.task);
                }
            }
            // An agent that stops early fails its attempt, and the core knows why.
            Effect::Cancel { attempt, .. } | Effect::Yield { attempt, .. } => {
                if let Some(flag) = self.flags.get(attempt) {
                    flag.store(true, Ordering::Relaxed);
                }
            }
            // Its agents are the threads that its user gave it.
            Effect::Scale { .. } => {}
        }
    }

    fn assign(&mut self, attempt: AttemptId, to: Incarnation, task: &Arc<TaskSpec>) {
        let Some(agent) = self.agents.get(&to) else { return };
        let cancelled = Arc::new(AtomicBool::new(false));
        self.flags.insert(attempt, Arc::clone(&cancelled));
        let assignment = Assignment { attempt, task: Arc::clone(task), cancelled };
        // Not within the assertion: a release build would then send nothing.
        let sent = agent.send(assignment);
        debug_assert!(sent.is_ok(), "the threads of {to} have ended");
    }

    /// Shows a fact to whoever watches, and lets go of what it ends.
    fn show(&mut self, entry: &Entry) {
        for watcher in &mut self.watchers {
            watcher(entry);
        }
        self.feeds.retain_mut(|feed| feed.show(entry));
        match &entry.event {
            Event::Agent(AgentEvent::Deregistered { by } | AgentEvent::Lost { by }) => {
                self.agents.remove(by);
            }
            Event::Agent(AgentEvent::Registered { by, .. }) => {
                self.agents.retain(|life, _| life.agent() != by.agent() || life == by);
            }
            Event::Task(event) => {
                if let (Some(task), false) = (event.task(), matches!(event, TaskEvent::Assigned { .. })) {
                    self.let_go(task);
                }
            }
            Event::Agent(_) | Event::Run(_) | Event::Control(_) => {}
        }
        self.note_end(entry);
    }

    /// Attempts at the task that the engine no longer waits for should stop, if somebody is still at them.
    fn let_go(&mut self, task: TaskId) {
        let current = self.engine.task(task).and_then(|task| task.running()).map(|(attempt, _)| attempt);
        let first = AttemptId::new(task, 0);
        let known = self.flags.range(first..=AttemptId::new(task, u32::MAX)).map(|(attempt, _)| *attempt);
        let over: Vec<AttemptId> = known.filter(|attempt| Some(*attempt) != current).collect();
        for attempt in over {
            if let Some(flag) = self.flags.remove(&attempt) {
                flag.store(true, Ordering::Relaxed);
            }
        }
    }

    /// Tells whoever waits for the task or run that the fact ends.
    fn note_end(&mut self, entry: &Entry) {
        if let Event::Run(RunEvent::Finished { run, outcome }) = &entry.event {
            for tell in self.runs.remove(run).unwrap_or_default() {
                let _ = tell.send(outcome.clone());
            }
        }
        if let Event::Task(event) = &entry.event
            && let (Some(task), Some(outcome)) = (event.task(), event.outcome())
        {
            for tell in self.tasks.remove(&task).unwrap_or_default() {
                let _ = tell.send(outcome.clone());
            }
        }
    }

    fn begin_stop(&mut self, patience: Duration, reply: Sender<usize>) {
        let agents: Vec<_> = self.engine.agents().map(|agent| agent.spec().id).collect();
        for agent in agents {
            let drained = self.handle(AgentCommand::Drain { agent }.into());
            debug_assert!(drained.is_ok(), "an agent that is registered cannot drain");
        }
        self.stop = Some((self.clock.now() + patience, reply));
    }

    fn under_way(&self) -> usize {
        self.engine.agents().map(|agent| agent.in_flight()).sum()
    }

    /// Whether it is time to end: nothing is under way, or patience is over and those at work have been asked to stop.
    fn stopped(&mut self) -> bool {
        let Some((until, _)) = &self.stop else { return false };
        let patience_over = self.clock.now() >= *until;
        if self.under_way() > 0 && patience_over {
            for flag in self.flags.values() {
                flag.store(true, Ordering::Relaxed);
            }
            self.hear_last_words();
        }
        if self.under_way() > 0 && !patience_over {
            return false;
        }
        let left = self.under_way();
        self.flush();
        if let Some((_, reply)) = self.stop.take() {
            let _ = reply.send(left);
        }
        true
    }

    fn hear_last_words(&mut self) {
        let until = self.clock.now() + LAST_WORDS;
        while self.under_way() > 0 {
            let Ok(message) = self.inbox.recv_timeout(until.since(self.clock.now())) else { break };
            self.take(message);
        }
    }
}

fn read_snapshot(bytes: &[u8]) -> Result<EngineSnapshot, RestoreError> {
    serde_json::from_slice(bytes).map_err(|error| RestoreError::Snapshot { reason: error.to_string() })
}
