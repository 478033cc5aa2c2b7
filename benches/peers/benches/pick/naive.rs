//! What one writes first.

use super::{Group, bench};
use counterpoint_peers::fleet::{CAPACITY, Drawn, Round, name};
use std::collections::{HashSet, VecDeque};

struct Agent {
    skills: HashSet<String>,
    held: u32,
}

pub(crate) fn row(group: &mut Group<'_>, drawn: &Drawn) {
    let mut agents: Vec<Agent> = drawn
        .agents
        .iter()
        .map(|skills| Agent { skills: skills.iter().map(|skill| name(*skill)).collect(), held: 0 })
        .collect();
    let wanted: Vec<[String; 2]> = drawn.classes.iter().map(|class| class.map(name)).collect();
    let (mut order, mut under_way) = (Round::new(&drawn.order), VecDeque::new());
    bench(group, "naive scan, string sets", drawn, || {
        let wanted = &wanted[*order.turn()];
        let able = agents
            .iter_mut()
            .enumerate()
            .filter(|(_, agent)| agent.held < CAPACITY && wanted.iter().all(|skill| agent.skills.contains(skill)));
        if let Some((at, agent)) = able.min_by_key(|(_, agent)| agent.held) {
            agent.held += 1;
            under_way.push_back(at);
        }
        if under_way.len() > 2 * agents.len() {
            let ended = under_way.pop_front().and_then(|at| agents.get_mut(at));
            ended.into_iter().for_each(|agent| agent.held -= 1);
        }
    });
}
