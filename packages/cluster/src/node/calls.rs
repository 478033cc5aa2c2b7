//! Requests of callers at this node: to the node of the shard, again after a move, and until the caller's patience is over.

use super::{Node, Output};
use crate::message::{Message, Request, Response, RunState, ShardCounts, TaskState};
use counterpoint::cluster::{Misrouted, NodeId, Partition, ShardId, Target};
use counterpoint::{Accepted, Rejected, Time};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use thiserror::Error;

/// How soon a request is sent again that found the shard moving; each time twice as long, up to 16 times. When a node tells that it
/// serves the shard, the request is sent at once.
const SOON: Duration = Duration::from_millis(10);

/// The answer to a call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Answer {
    /// The command was executed by all shards that it concerns, and its consequences are durable.
    Accepted(Accepted),
    /// A task; none if it is unknown.
    Task(Option<TaskState>),
    /// A run; none if it is unknown.
    Run(Option<RunState>),
    /// The counts of all shards, each as of its own last entry.
    Counts(BTreeMap<ShardId, ShardCounts>),
}

/// A call without success.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CallError {
    /// No shard can execute the command as it is.
    #[error(transparent)]
    Misrouted(#[from] Misrouted),
    /// A shard rejects the command.
    #[error(transparent)]
    Rejected(Rejected),
    /// No node has served the shard in time. Nothing was executed by that shard.
    #[error("no node has served the shard in time; the command was not executed there")]
    Unavailable,
    /// The command was sent, and no answer has arrived: it may have been executed. A command that may be executed twice is
    /// repeated instead until the time is over.
    #[error("no answer has arrived in time; it is unknown whether the command was executed")]
    Unknown,
    /// Too many calls are under way.
    #[error("{0} calls are under way at this node")]
    Busy(usize),
    /// The node has ended.
    #[error("the node has ended")]
    Ended,
}

#[derive(Default)]
pub(super) struct Calls {
    open: BTreeMap<u64, Call>,
    /// When something is to be done about a call.
    due: BTreeSet<(Time, u64)>,
}

struct Call {
    request: Request,
    until: Time,
    /// The shards that have not answered.
    missing: BTreeMap<ShardId, Sent>,
    answer: Option<Answer>,
    due: Time,
}

/// A request to a shard.
#[derive(Clone, Copy, Default)]
struct Sent {
    /// The node to which it was sent and that has not answered, and when.
    to: Option<(NodeId, Time)>,
    /// Whether the shard may have executed it.
    may_be_done: bool,
    /// How often a node has answered that it does not serve the shard.
    refusals: u32,
}

impl Sent {
    const fn to(self, node: NodeId, now: Time) -> Self {
        Self { to: Some((node, now)), may_be_done: true, refusals: self.refusals }
    }

    fn pause(self) -> Duration {
        SOON * (1 << self.refusals.min(5).saturating_sub(1))
    }
}

impl Calls {
    pub(super) fn next_wakeup(&self) -> Option<Time> {
        self.due.first().map(|(due, _)| *due)
    }

    fn plan(&mut self, ticket: u64, due: Time) {
        if let Some(call) = self.open.get_mut(&ticket) {
            self.due.remove(&(call.due, ticket));
            call.due = due.min(call.until);
            self.due.insert((call.due, ticket));
        }
    }

    fn close(&mut self, ticket: u64) -> Option<Call> {
        let call = self.open.remove(&ticket)?;
        self.due.remove(&(call.due, ticket));
        Some(call)
    }
}

impl Node {
    pub(super) fn call(&mut self, ticket: u64, request: Request, patience: Duration, out: &mut Vec<Output>) {
        let shards = match self.shards_of(&request) {
            Ok(shards) => shards,
            Err(misrouted) => {
                out.push(Output::Answer { ticket, answer: Err(misrouted.into()) });
                return;
            }
        };
        if self.calls.open.len() >= self.rules.most_calls {
            let answer = Err(CallError::Busy(self.calls.open.len()));
            out.push(Output::Answer { ticket, answer });
            return;
        }
        let until = self.now + patience;
        let missing = shards.into_iter().map(|shard| (shard, Sent::default())).collect();
        self.calls.open.insert(ticket, Call { request, until, missing, answer: None, due: until });
        self.send_call(ticket, out);
    }

    fn shards_of(&self, request: &Request) -> Result<Vec<ShardId>, Misrouted> {
        let one = |partition| vec![self.shards.shard_of(partition)];
        Ok(match request {
            Request::Command(command) => match Target::of(command, self.shards)? {
                Target::One(shard) => vec![shard],
                _ => self.shards.all().collect(),
            },
            Request::Task(task) => one(Partition::of_task(*task)),
            Request::Run(run) => one(Partition::of_run(*run)),
            Request::Count => self.shards.all().collect(),
        })
    }

    /// Sends a call to the shards that have not been asked, and again to those that have not answered.
    fn send_call(&mut self, ticket: u64, out: &mut Vec<Output>) {
        let (now, again) = (self.now, self.rules.repeat_after);
        let Some(call) = self.calls.open.get_mut(&ticket) else { return };
        let mut next = call.until;
        let mut sends = Vec::new();
        for (shard, sent) in &mut call.missing {
            let host = self.hosts.get(shard).map(|(node, _)| *node);
            match (sent.to, host) {
                (None, Some(node)) => {
                    *sent = sent.to(node, now);
                    sends.push((node, *shard));
                }
                // No answer: the message or its answer was lost, or the node has gone.
                (Some((_, at)), Some(node)) if call.request.may_repeat() && at + again <= now => {
                    *sent = sent.to(node, now);
                    sends.push((node, *shard));
                }
                // Without a host it waits for the next view.
                (None, None) | (Some(_), _) => {}
            }
            if let Some((_, at)) = sent.to
                && call.request.may_repeat()
            {
                next = next.min((at + again).max(now + SOON));
            }
        }
        let request = call.request.clone();
        for (node, shard) in sends {
            self.send(node, Message::Request { id: ticket, shard, request: request.clone() }, out);
        }
        self.calls.plan(ticket, next);
    }

    pub(super) fn repeat_calls(&mut self, out: &mut Vec<Output>) {
        while let Some((_, ticket)) = self.calls.due.first().copied().filter(|(due, _)| *due <= self.now) {
            let Some(call) = self.calls.open.get(&ticket) else {
                self.calls.due.pop_first();
                continue;
            };
            if call.until > self.now {
                self.send_call(ticket, out);
                continue;
            }
            let may_be_done = call.missing.values().any(|sent| sent.may_be_done);
            let error = if may_be_done { CallError::Unknown } else { CallError::Unavailable };
            self.finish(ticket, Err(error), out);
        }
    }

    /// The view has changed: what waits for a node is sent now.
    pub(super) fn redirect_calls(&mut self, out: &mut Vec<Output>) {
        let hosts = &self.hosts;
        let waits =
            |call: &Call| call.missing.iter().any(|(shard, sent)| sent.to.is_none() && hosts.contains_key(shard));
        let waiting: Vec<u64> = self.calls.open.iter().filter(|(_, call)| waits(call)).map(|(id, _)| *id).collect();
        for ticket in waiting {
            self.send_call(ticket, out);
        }
    }

    /// A caller's node requests something of a shard.
    pub(super) fn requested(&mut self, from: NodeId, id: u64, shard: ShardId, request: Request, out: &mut Vec<Output>) {
        let now = self.now;
        if let Some(served) = self.served.get_mut(&shard).filter(|served| !served.is_leaving) {
            served.execute(now, from, id, request);
        } else {
            self.send(from, Message::Response { id, shard, response: Response::NotServing }, out);
        }
    }

    pub(super) fn responded(
        &mut self,
        from: NodeId,
        id: u64,
        shard: ShardId,
        response: Response,
        out: &mut Vec<Output>,
    ) {
        let now = self.now;
        let Some(call) = self.calls.open.get_mut(&id) else { return };
        let Some(sent) = call.missing.get_mut(&shard) else { return };
        let answer = match response {
            Response::NotServing => {
                // Only the node that was asked last can say that nothing was executed.
                if sent.to.is_some_and(|(node, _)| node == from) {
                    let may_be_done = sent.may_be_done && call.request.may_repeat();
                    *sent = Sent { to: None, may_be_done, refusals: sent.refusals.saturating_add(1) };
                    let again = now + sent.pause();
                    self.calls.plan(id, again);
                }
                return;
            }
            Response::Unknown if call.request.may_repeat() => {
                *sent = Sent { to: None, may_be_done: true, refusals: sent.refusals.saturating_add(1) };
                let again = now + sent.pause();
                self.calls.plan(id, again);
                return;
            }
            Response::Unknown => return self.finish(id, Err(CallError::Unknown), out),
            Response::Rejected(rejected) => return self.finish(id, Err(CallError::Rejected(rejected)), out),
            Response::Accepted(accepted) => Answer::Accepted(accepted),
            Response::Task(task) => Answer::Task(task),
            Response::Run(run) => Answer::Run(run),
            Response::Count(counts) => Answer::Counts(BTreeMap::from([(shard, counts)])),
        };
        call.missing.remove(&shard);
        let answer = match call.answer.take() {
            None => answer,
            Some(known) => merge(known, answer),
        };
        if call.missing.is_empty() {
            self.finish(id, Ok(answer), out);
        } else {
            call.answer = Some(answer);
        }
    }

    fn finish(&mut self, ticket: u64, answer: Result<Answer, CallError>, out: &mut Vec<Output>) {
        if self.calls.close(ticket).is_some() {
            out.push(Output::Answer { ticket, answer });
        }
    }
}

/// The answer of several shards.
fn merge(known: Answer, next: Answer) -> Answer {
    match (known, next) {
        (Answer::Accepted(Accepted::Count(one)), Answer::Accepted(Accepted::Count(other))) => {
            Answer::Accepted(Accepted::Count(one.saturating_add(other)))
        }
        (Answer::Accepted(known), Answer::Accepted(Accepted::Repeated)) => Answer::Accepted(known),
        (Answer::Counts(mut known), Answer::Counts(next)) => {
            known.extend(next);
            Answer::Counts(known)
        }
        (_, next) => next,
    }
}
