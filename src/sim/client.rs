//! The clients of the host, which repeat a request until it is answered.

use super::SimError;
use super::simulation::Operation;
use super::world::{From, Played, What, Word, World};
use crate::message::command::{Accepted, Command, RunCommand, TaskCommand};
use crate::message::rejected::Rejected;
use crate::message::run::RunSpec;
use crate::task::TaskSpec;
use core::time::Duration;

/// The time without an answer after which a request is repeated.
const PATIENCE: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub(super) struct Errand {
    command: Command,
    pub(super) verdict: Option<Result<Accepted, Rejected>>,
    /// Whether a rejection is an error in the setup.
    vital: bool,
}

impl Errand {
    /// The tasks whose completion was promised.
    pub(super) fn promised(&self) -> impl Iterator<Item = &TaskSpec> {
        let tasks = match &self.command {
            Command::Task(TaskCommand::Submit(task)) => core::slice::from_ref(task),
            Command::Task(TaskCommand::SubmitAll(tasks)) => tasks,
            Command::Task(_) | Command::Agent(_) | Command::Run(_) | Command::Control(_) | Command::Tick => &[],
        };
        let kept = matches!(self.verdict, Some(Ok(_)));
        tasks.iter().filter(move |_| kept).map(|task| &**task)
    }

    /// The run whose completion was promised.
    pub(super) const fn promised_run(&self) -> Option<&RunSpec> {
        match (&self.command, &self.verdict) {
            (Command::Run(RunCommand::Start(run)), Some(Ok(_))) => Some(run),
            _ => None,
        }
    }
}

impl World {
    /// Schedules the next job of a stream.
    pub(super) fn next_job(&mut self, stream: usize) {
        let next = self.streams.get_mut(stream).and_then(Iterator::next);
        if let Some(job) = &next {
            self.queue.push(job.at.max(self.now), What::Job(stream));
        }
        if let Some(upcoming) = self.upcoming.get_mut(stream) {
            *upcoming = next;
        }
    }

    pub(super) fn job(&mut self, stream: usize) {
        let Some(job) = self.upcoming.get_mut(stream).and_then(Option::take) else { return };
        if let (Some(work), Command::Task(TaskCommand::Submit(task))) = (job.work, &job.command) {
            self.works.insert(task.id, work);
        }
        self.ask(job.command, false);
        self.next_job(stream);
    }

    /// Sends a request to the host, repeatedly until it is answered.
    pub(super) fn ask(&mut self, command: Command, vital: bool) {
        self.errands.push(Errand { command, verdict: None, vital });
        self.unanswered += 1;
        self.run_errand(self.errands.len() - 1);
    }

    pub(super) fn run_errand(&mut self, number: usize) {
        let Some(errand) = self.errands.get(number).filter(|errand| errand.verdict.is_none()) else { return };
        let word = Word { from: From::Errand(number), command: errand.command.clone() };
        self.send(What::Host(word));
        if self.lossy() {
            self.queue.push(self.now + PATIENCE, What::Errand(number));
        }
    }

    pub(super) fn answered(&mut self, number: usize, verdict: Result<Accepted, Rejected>) -> Played {
        let Some(errand) = self.errands.get_mut(number).filter(|errand| errand.verdict.is_none()) else {
            return Ok(());
        };
        if let (true, Err(refusal)) = (errand.vital, &verdict) {
            return Err(SimError::Refused { reason: refusal.clone() });
        }
        errand.verdict = Some(verdict);
        self.unanswered -= 1;
        Ok(())
    }

    pub(super) fn operate(&mut self, number: usize) {
        let Some((every, operator)) = self.operators.get_mut(number) else { return };
        let (every, mut wanted) = (*every, Vec::new());
        if let Some(host) = &self.host {
            wanted = operator(&host.engine, self.now);
        }
        self.queue.push(self.now + every.max(Duration::from_millis(1)), What::Operate(number));
        for operation in wanted {
            match operation {
                Operation::Send(command) => self.ask(command, false),
                Operation::Join(model) => self.hire(*model),
                Operation::Retire(agent) => self.retire(agent),
            }
        }
    }
}
