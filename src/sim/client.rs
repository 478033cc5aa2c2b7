//! The clients of the host, which repeat a request until it is answered.

use super::SimError;
use super::fault::Fault;
use super::job::Job;
use super::simulation::Operation;
use super::timeline::{From, Timeline, What, Word};
use super::world::{Played, World};
use crate::access::Token;
use crate::base::id::AgentId;
use crate::message::command::{Accepted, AgentCommand, Command, RunCommand, TaskCommand};
use crate::message::rejected::Rejected;
use crate::message::run::RunSpec;
use crate::task::TaskSpec;
use core::time::Duration;

/// The time without an answer after which a request is repeated.
const PATIENCE: Duration = Duration::from_secs(2);

/// The reply to a request.
#[derive(Debug, Clone, PartialEq)]
enum Reply {
    /// None so far.
    Open,
    /// The engine has handled it.
    Verdict(Result<Accepted, Rejected>),
    /// The access rules have denied it.
    Denied,
}

#[derive(Debug)]
pub(super) struct Errand {
    command: Command,
    caller: Option<Token>,
    /// The command as the access rules granted it.
    granted: Option<Command>,
    reply: Reply,
    /// Whether a rejection is an error in the setup.
    vital: bool,
}

impl Errand {
    /// Whether it was rejected or denied.
    pub(super) const fn is_refused(&self) -> bool {
        matches!(self.reply, Reply::Verdict(Err(_)) | Reply::Denied)
    }

    /// The tasks whose completion was promised.
    pub(super) fn promised(&self) -> impl Iterator<Item = &TaskSpec> {
        let tasks = match self.granted.as_ref().unwrap_or(&self.command) {
            Command::Task(TaskCommand::Submit(task)) => core::slice::from_ref(task),
            Command::Task(TaskCommand::SubmitAll(tasks)) => tasks,
            Command::Task(_)
            | Command::Agent(_)
            | Command::Run(_)
            | Command::Schedule(_)
            | Command::Control(_)
            | Command::Tick => &[],
        };
        let kept = matches!(self.reply, Reply::Verdict(Ok(_)));
        tasks.iter().filter(move |_| kept).map(|task| &**task)
    }

    /// The run whose completion was promised.
    pub(super) const fn promised_run(&self) -> Option<&RunSpec> {
        let command = match &self.granted {
            Some(command) => command,
            None => &self.command,
        };
        match (command, &self.reply) {
            (Command::Run(RunCommand::Start(run)), Reply::Verdict(Ok(_))) => Some(run),
            _ => None,
        }
    }
}

/// The clients: their requests and the jobs that are to come.
#[derive(Default)]
pub(super) struct Clients {
    errands: Vec<Errand>,
    unanswered: usize,
    streams: Vec<Stream>,
}

/// Jobs in order of time.
struct Stream {
    jobs: Box<dyn Iterator<Item = Job>>,
    /// `None` if the stream has ended.
    next: Option<Job>,
}

impl Clients {
    pub(super) fn new(streams: Vec<Box<dyn Iterator<Item = Job>>>) -> Self {
        let streams = streams.into_iter().map(|jobs| Stream { jobs, next: None });
        Self { streams: streams.collect(), ..Self::default() }
    }

    /// Schedules the first job of each stream.
    pub(super) fn begin(&mut self, time: &mut Timeline) {
        for stream in 0..self.streams.len() {
            self.next_job(time, stream);
        }
    }

    /// Schedules the next job of a stream.
    fn next_job(&mut self, time: &mut Timeline, number: usize) {
        let Some(stream) = self.streams.get_mut(number) else { return };
        stream.next = stream.jobs.next();
        if let Some(job) = &stream.next {
            time.push(job.at.max(time.now), What::Job(number));
        }
    }

    fn take_job(&mut self, stream: usize) -> Option<Job> {
        self.streams.get_mut(stream)?.next.take()
    }

    /// Sends a request to the host, repeatedly until it is answered.
    pub(super) fn ask(&mut self, time: &mut Timeline, command: Command, vital: bool) {
        self.ask_as(time, (command, None), vital);
    }

    fn ask_as(&mut self, time: &mut Timeline, (command, caller): (Command, Option<Token>), vital: bool) {
        self.errands.push(Errand { command, caller, granted: None, reply: Reply::Open, vital });
        self.unanswered += 1;
        self.run_errand(time, self.errands.len() - 1);
    }

    pub(super) fn run_errand(&self, time: &mut Timeline, number: usize) {
        let Some(errand) = self.errands.get(number).filter(|errand| errand.reply == Reply::Open) else { return };
        let (command, caller) = (errand.command.clone(), errand.caller.clone());
        time.send(What::Host(Word { from: From::Errand(number), command, caller }));
        if time.lossy() {
            time.push(time.now + PATIENCE, What::Errand(number));
        }
    }

    pub(super) fn answered(&mut self, number: usize, verdict: Result<Accepted, Rejected>) -> Played {
        let Some(errand) = self.errands.get_mut(number).filter(|errand| errand.reply == Reply::Open) else {
            return Ok(());
        };
        if let (true, Err(refusal)) = (errand.vital, &verdict) {
            return Err(SimError::Refused { reason: refusal.clone() });
        }
        errand.reply = Reply::Verdict(verdict);
        self.unanswered -= 1;
        Ok(())
    }

    /// The access rules may give the tasks and runs of a request other ids.
    pub(super) fn note_granted(&mut self, number: usize, command: &Command) {
        if let Some(errand) = self.errands.get_mut(number) {
            errand.granted = Some(command.clone());
        }
    }

    pub(super) fn denied(&mut self, number: usize) {
        if let Some(errand) = self.errands.get_mut(number).filter(|errand| errand.reply == Reply::Open) {
            errand.reply = Reply::Denied;
            self.unanswered -= 1;
        }
    }

    pub(super) fn errands(&self) -> &[Errand] {
        &self.errands
    }

    pub(super) const fn unanswered(&self) -> usize {
        self.unanswered
    }

    /// Whether every stream has ended.
    pub(super) fn have_asked_all(&self) -> bool {
        self.streams.iter().all(|stream| stream.next.is_none())
    }
}

impl World {
    pub(super) fn job(&mut self, stream: usize) {
        let Some(job) = self.clients.take_job(stream) else { return };
        if let (Some(work), Command::Task(TaskCommand::Submit(task))) = (job.work, &job.command) {
            self.crew.fix_work(task.id, work);
        }
        self.clients.ask_as(&mut self.time, (job.command, job.caller), false);
        self.clients.next_job(&mut self.time, stream);
    }

    pub(super) fn operate(&mut self, number: usize) {
        let Some((every, operator)) = self.operators.get_mut(number) else { return };
        let (every, mut wanted) = (*every, Vec::new());
        if let Some(host) = &self.machine.host {
            wanted = operator(&host.engine, self.time.now);
            let whim = self.time.chance.strike(Fault::OperatorMeddles);
            if let (Some(meddler), Some(mut random)) = (self.meddler, whim) {
                wanted.extend(meddler(&host.engine, &mut random).map(Operation::Send));
            }
        }
        self.time.push(self.time.now + every.max(Duration::from_millis(1)), What::Operate(number));
        for operation in wanted {
            match operation {
                Operation::Send(command) => self.clients.ask(&mut self.time, command, false),
                Operation::Join(model) => {
                    let model = model.joining(self.time.now);
                    let _number = self.crew.hire_at(&mut self.time, model);
                }
                Operation::Retire(agent) => self.retire(agent),
            }
        }
    }

    /// Drains an agent and removes it.
    pub(super) fn retire(&mut self, agent: AgentId) {
        let Some(number) = self.crew.retire(agent) else { return };
        self.clients.ask(&mut self.time, AgentCommand::Drain { agent }.into(), false);
        let left = self.crew.leave_if_idle(self.time.now, number);
        self.report_departure(left);
    }

    /// Deregisters an agent that has left.
    pub(super) fn report_departure(&mut self, command: Option<AgentCommand>) {
        if let Some(command) = command {
            self.clients.ask(&mut self.time, command.into(), false);
        }
    }
}
