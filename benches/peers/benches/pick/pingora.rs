//! Pingora's selections.

use super::{Group, bench};
use counterpoint_peers::fleet::{CAPACITY, Drawn, Round};
use futures_util::FutureExt;
use pingora_load_balancing::discovery::Static;
use pingora_load_balancing::selection::{BackendIter, BackendSelection, Consistent, Random, RoundRobin};
use pingora_load_balancing::{Backend, Backends, LoadBalancer};
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Its skills as bits, what it holds.
#[derive(Clone)]
struct Agent(Arc<(u32, AtomicU32)>);

pub(crate) fn rows(group: &mut Group<'_>, drawn: &Drawn) {
    row::<RoundRobin>(group, "pingora round robin", drawn);
    row::<Random>(group, "pingora random", drawn);
    row::<Consistent>(group, "pingora ketama", drawn);
    filtered(group, drawn);
}

fn balancer<S>(drawn: &Drawn) -> LoadBalancer<S>
where
    S: BackendSelection + 'static,
    S::Iter: BackendIter,
{
    let backends: BTreeSet<Backend> = (0_u32..)
        .zip(&drawn.agents)
        .map(|(id, skills)| {
            let [_, a, b, c] = id.to_be_bytes();
            let mut backend = Backend::new(&format!("10.{a}.{b}.{c}:80")).expect("an address");
            let bits = skills.iter().fold(0, |bits, skill| bits | 1_u32 << skill);
            backend.ext.insert(Agent(Arc::new((bits, AtomicU32::new(0)))));
            backend
        })
        .collect();
    let balancer = LoadBalancer::from_backends(Backends::new(Static::new(backends)));
    balancer.update().now_or_never().expect("static").expect("static");
    balancer
}

fn row<S>(group: &mut Group<'_>, name: &str, drawn: &Drawn)
where
    S: BackendSelection + 'static,
    S::Iter: BackendIter,
{
    let balancer = balancer::<S>(drawn);
    let sessions: Vec<String> = (0..64).map(|session| format!("session-{session}")).collect();
    let mut order = Round::new(&drawn.order);
    bench(group, name, drawn, || balancer.select(sessions[*order.turn()].as_bytes(), 256));
}

fn filtered(group: &mut Group<'_>, drawn: &Drawn) {
    let balancer = balancer::<RoundRobin>(drawn);
    let wanted: Vec<u32> = drawn.classes.iter().map(|[one, other]| 1 << one | 1 << other).collect();
    let (mut order, mut under_way) = (Round::new(&drawn.order), VecDeque::new());
    let agent = |backend: &Backend| backend.ext.get::<Agent>().expect("each has one").0.clone();
    bench(group, "pingora round robin, with skills and room", drawn, || {
        let wanted = wanted[*order.turn()];
        let picked = balancer.select_with(b"", drawn.agents.len(), |backend, healthy| {
            let agent = backend.ext.get::<Agent>().expect("each has one");
            healthy && agent.0.0 & wanted == wanted && agent.0.1.load(Ordering::Relaxed) < CAPACITY
        });
        if let Some(backend) = picked {
            let agent = agent(&backend);
            agent.1.fetch_add(1, Ordering::Relaxed);
            under_way.push_back(agent);
        }
        if under_way.len() > 2 * drawn.agents.len()
            && let Some(agent) = under_way.pop_front()
        {
            agent.1.fetch_sub(1, Ordering::Relaxed);
        }
    });
}
