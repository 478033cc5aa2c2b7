//! Attempts that wait at an agent do not delay a task that comes before theirs.

use crate::kit::{Host, agent, host, ms, task};
use counterpoint::scheduler::{Batch, Discipline, TaskStatus};
use counterpoint::{AgentCommand, AttemptId, Config, Effect, Incarnation, Tier};
use proptest::prelude::*;
use std::collections::{BTreeMap, VecDeque};

/// An agent with a queue of its own, which gives back on request whatever has not begun.
struct Worker {
    by: Incarnation,
    capacity: usize,
    waiting: VecDeque<AttemptId>,
    running: Vec<AttemptId>,
}

#[derive(Debug, Clone)]
enum Step {
    Submit { tier: usize, deadline: Option<u64> },
    End { worker: usize },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0_usize..4, prop::option::weighted(0.3, 1_u64..100)).prop_map(|(tier, deadline)| Step::Submit { tier, deadline }),
        2 => (0_usize..3).prop_map(|worker| Step::End { worker }),
    ]
}

struct Play {
    host: Host,
    workers: Vec<Worker>,
    /// What the order goes by, for each task that has been submitted.
    keys: BTreeMap<u64, (u64, u64)>,
    begun: Vec<u64>,
}

impl Play {
    /// Delivers all effects until there are none: the agents answer at once.
    fn deliver(&mut self) {
        while !self.host.effects.is_empty() {
            for effect in std::mem::take(&mut self.host.effects) {
                match effect {
                    Effect::Dispatch { attempt, to, .. } => {
                        let worker = self.workers.iter_mut().find(|worker| worker.by == to).unwrap();
                        worker.waiting.push_back(attempt);
                    }
                    Effect::Yield { attempt, from, .. } => {
                        let worker = self.workers.iter_mut().find(|worker| worker.by == from).unwrap();
                        assert!(!worker.running.contains(&attempt), "{attempt} had begun");
                        worker.waiting.retain(|waits| *waits != attempt);
                        let asked = std::mem::take(&mut self.host.effects);
                        self.host.say(AgentCommand::Yield { by: from, attempt }).unwrap();
                        let new = std::mem::replace(&mut self.host.effects, asked);
                        self.host.effects.extend(new);
                    }
                    other => panic!("{other:?}"),
                }
            }
        }
    }

    /// Lets each agent begin what fits, in the order in which it was assigned.
    fn begin(&mut self) -> Result<(), TestCaseError> {
        for index in 0..self.workers.len() {
            while self.workers[index].running.len() < self.workers[index].capacity {
                let Some(attempt) = self.workers[index].waiting.pop_front() else { break };
                let by = self.workers[index].by;
                self.workers[index].running.push(attempt);
                self.host.say(AgentCommand::Start { by, attempt }).unwrap();
                let id = attempt.task().get();
                let mine = self.keys[&id];
                let first = |other: &u64| self.keys[other] < mine;
                let queued = self.keys.keys().filter(|id| self.host.status(**id) == TaskStatus::Queued).copied();
                let here = self.workers[index].waiting.iter().map(|attempt| attempt.task().get());
                let overtaken: Vec<u64> = queued.chain(here).filter(first).collect();
                prop_assert!(overtaken.is_empty(), "{id} begins before {overtaken:?}");
                self.begun.push(id);
            }
        }
        Ok(())
    }
}

fn key(discipline: Discipline, tier: Tier, deadline: Option<u64>, seq: u64) -> (u64, u64) {
    let target = [100, 1_000, 10_000, 60_000][tier.index()];
    let key = if discipline == Discipline::Strict {
        tier.index() as u64
    } else {
        deadline.map_or(target, |secs| secs * 1_000)
    };
    (key, seq)
}

fn play(
    discipline: Discipline,
    prefetch: u32,
    agents: u64,
    capacity: u32,
    steps: Vec<Step>,
) -> Result<(), TestCaseError> {
    let mut host = host(Config::default().with_discipline(discipline));
    let spec = |id| agent(id).with_capacity(capacity).with_prefetch(prefetch);
    let workers = (1..=agents)
        .map(|id| Worker {
            by: host.join(spec(id)),
            capacity: capacity as usize,
            waiting: VecDeque::new(),
            running: Vec::new(),
        })
        .collect();
    let mut play = Play { host, workers, keys: BTreeMap::new(), begun: Vec::new() };
    for step in steps {
        match step {
            Step::Submit { tier, deadline } => {
                let (id, tier) = (play.keys.len() as u64 + 1, Tier::ALL[tier]);
                let mut spec = task(id).with_tier(tier);
                spec.deadline = deadline.map(counterpoint::Time::from_secs);
                play.keys.insert(id, key(discipline, tier, deadline, id));
                play.host.submit(spec);
            }
            Step::End { worker } => {
                let Some(worker) = play.workers.get_mut(worker) else { continue };
                let Some(attempt) = worker.running.pop() else { continue };
                play.host.complete(attempt.task().get());
            }
        }
        play.deliver();
        play.begin()?;
        play.deliver();
        play.begin()?;
    }
    while let Some(index) = play.workers.iter().position(|worker| !worker.running.is_empty()) {
        let attempt = play.workers[index].running.pop().unwrap();
        play.host.complete(attempt.task().get());
        play.deliver();
        play.begin()?;
    }
    prop_assert_eq!(play.begun.len(), play.keys.len(), "each task begins once");
    Ok(())
}

proptest! {
    #![proptest_config(crate::property(128))]

    /// With agents that answer at once, no task begins while one that comes before it waits in the queue, or at its agent.
    #[test]
    fn the_order_in_which_tasks_begin_does_not_depend_on_prefetch(
        discipline in prop::sample::select(vec![Discipline::Strict, Discipline::EarliestVirtualDeadline]),
        prefetch in 1_u32..=8,
        agents in 1_u64..=3,
        capacity in 1_u32..=3,
        steps in prop::collection::vec(step(), 1..60),
    ) {
        play(discipline, prefetch, agents, capacity, steps)?;
    }
}

/// The case of the report: one slot, prefetched tasks of the third tier, and one of the first.
#[test]
fn a_critical_task_begins_next_whatever_was_prefetched() {
    for prefetch in 1..=8 {
        let mut steps: Vec<Step> = (0..5).map(|_| Step::Submit { tier: 2, deadline: None }).collect();
        steps.push(Step::Submit { tier: 0, deadline: None });
        play(Discipline::EarliestVirtualDeadline, prefetch, 1, 1, steps).unwrap();
    }
}

/// The tasks of a batch wait at the agent behind the first of them, and none is recalled for it. What comes after them is.
#[test]
fn a_batch_is_not_recalled_for_its_first_task() {
    let mut host = host(Config::default().with_batch("work", Batch::new(3, 3, ms(500))));
    host.join(agent(1).with_prefetch(7));
    let recalled = |host: &Host| -> Vec<u64> {
        let task = |effect: &Effect| match effect {
            Effect::Yield { attempt, .. } => Some(attempt.task().get()),
            _ => None,
        };
        host.effects.iter().filter_map(task).collect()
    };
    (1..=3).for_each(|id| host.submit(task(id).with_tier(Tier::Low)));
    assert_eq!((host.holder(3), recalled(&host)), (1, vec![]));
    (4..=6).for_each(|id| host.submit(task(id)));
    assert_eq!((host.holder(6), recalled(&host)), (1, vec![1, 2, 3]));
}
