//! Every strategy, on the public roster.

use super::{Group, bench};
use counterpoint::routing::{
    Adaptive, BestMatch, ConsistentHash, CostAware, LeastLoaded, LinUcb, Maglev, MultiFactor, PeakEwma, Performance,
    Roster, RosterClass, RoundRobin, RoutingStrategy, TwoChoices, WeightedRoundRobin,
};
use counterpoint::task::Affinity;
use counterpoint::{
    AgentId, AttemptId, Command, Config, Effect, Entry, Event, Needs, Outbox, Payload, Random, Scheduler, TaskId,
    TaskSpec, Time,
};
use counterpoint_peers::fleet::{Drawn, Round};
use std::collections::VecDeque;
use std::time::Duration;

/// A name, how it chooses, and whether it lives on what it learns.
type Row = (&'static str, Box<dyn RoutingStrategy>, bool);

fn strategies() -> Vec<Row> {
    vec![
        ("least loaded", Box::new(LeastLoaded::default()), false),
        ("two choices", Box::new(TwoChoices::default()), false),
        ("round robin", Box::new(RoundRobin::default()), false),
        ("weighted round robin", Box::new(WeightedRoundRobin::default()), false),
        ("best match", Box::new(BestMatch::default()), false),
        ("consistent hash", Box::new(ConsistentHash::default()), false),
        ("maglev", Box::new(Maglev::default()), false),
        ("peak EWMA, untaught", Box::new(PeakEwma::default()), false),
        ("peak EWMA, taught", Box::new(PeakEwma::default()), true),
        ("performance, taught", Box::new(Performance::default()), true),
        ("cost aware, taught", Box::new(CostAware::default()), true),
        ("multi-factor, taught", Box::new(MultiFactor::default()), true),
        ("LinUCB, taught", Box::new(LinUcb::default()), true),
        ("adaptive, taught", Box::new(Adaptive::default()), true),
    ]
}

pub(crate) fn rows(group: &mut Group<'_>, drawn: &Drawn) {
    let facts = facts(drawn);
    for (name, mut strategy, taught) in strategies() {
        let (mut house, mut facts) = (House::new(drawn), Round::new(&facts));
        bench(group, &format!("counterpoint {name}"), drawn, || {
            if taught {
                (0..3).for_each(|_| strategy.observe(facts.turn()));
            }
            house.round(&mut *strategy);
        });
    }
    alone(group, drawn, "least loaded", &mut LeastLoaded::default());
    alone(group, drawn, "two choices", &mut TwoChoices::default());
}

/// The choice without the counting.
fn alone(group: &mut Group<'_>, drawn: &Drawn, name: &str, strategy: &mut impl RoutingStrategy) {
    let mut house = House::new(drawn);
    (0..4 * drawn.agents.len()).for_each(|_| house.round(strategy));
    bench(group, &format!("counterpoint {name}, pick alone"), drawn, || house.pick(strategy).map(|(_, agent)| agent));
}

/// A full house: agents, and what is under way.
struct House<'a> {
    roster: Roster,
    classes: Vec<(RosterClass, TaskSpec)>,
    order: Round<'a, usize>,
    under_way: VecDeque<AgentId>,
    most: usize,
    number: u64,
}

impl<'a> House<'a> {
    fn new(drawn: &'a Drawn) -> Self {
        let mut roster = Roster::default();
        drawn.specs().for_each(|spec| roster.add(spec));
        let class = |(session, needs): (u64, Needs)| {
            let class = roster.class(&needs);
            let affinity = Affinity::default().with_session(format!("session-{session}"));
            (class, TaskSpec::new(TaskId::new(1), "work").with_needs(needs).with_affinity(affinity))
        };
        let classes = (0..).zip(drawn.needs()).map(class).collect();
        let most = 2 * drawn.agents.len();
        Self { roster, classes, order: Round::new(&drawn.order), under_way: VecDeque::new(), most, number: 0 }
    }

    fn pick<S: RoutingStrategy + ?Sized>(&mut self, strategy: &mut S) -> Option<(RosterClass, AgentId)> {
        self.number += 1;
        let (class, task) = &self.classes[*self.order.turn()];
        let among = self.roster.among(*class, Time::from_nanos(1_000 * self.number))?;
        Some((*class, strategy.pick(task, &among, &mut Random::new(1, self.number))?))
    }

    fn round<S: RoutingStrategy + ?Sized>(&mut self, strategy: &mut S) {
        if let Some((class, agent)) = self.pick(strategy) {
            self.roster.begin_of(class, agent);
            self.under_way.push_back(agent);
        }
        if self.under_way.len() > self.most
            && let Some(agent) = self.under_way.pop_front()
        {
            self.roster.end(agent);
        }
    }
}

/// What a scheduler says when each agent is given tasks and completes them, after different times.
fn facts(drawn: &Drawn) -> Vec<Entry> {
    let (mut scheduler, mut out, mut facts) = (Scheduler::new(Config::default()), Outbox::default(), Vec::new());
    let (needs, mut order, mut now) = (drawn.needs(), Round::new(&drawn.order), Time::ZERO);
    let mut held: VecDeque<(AttemptId, _)> = VecDeque::new();
    let mut say = |now, command, held: &mut VecDeque<_>| {
        scheduler.handle(now, command, &mut out).expect("the scheduler takes what it is told");
        for effect in out.effects() {
            if let Effect::Dispatch { attempt, to, .. } = effect {
                held.push_back((*attempt, *to));
            }
        }
        facts.extend(out.entries().iter().cloned());
        out.clear();
    };
    drawn.specs().for_each(|spec| say(now, Command::register(spec), &mut held));
    for id in 0..(4 * drawn.agents.len() as u64).max(1_000) {
        now = now + Duration::from_micros(50);
        let task = TaskSpec::new(TaskId::new(id), "work").with_needs(needs[*order.turn()].clone());
        say(now, Command::submit(task), &mut held);
        if held.len() > drawn.agents.len()
            && let Some((attempt, to)) = held.pop_front()
        {
            say(now, Command::complete(to, attempt, Payload::NULL), &mut held);
        }
    }
    facts.retain(|fact| matches!(fact.event, Event::Task { .. }));
    facts
}
