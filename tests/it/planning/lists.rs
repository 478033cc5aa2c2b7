use counterpoint::Random;
use counterpoint::planning::{Graph, GraphError, Heuristic, ListSchedule, Settings, list_schedule, search_schedule};
use std::ops::ControlFlow;

/// The ten tasks and three agents of Topcuoglu, Hariri and Wu (2002), figure 2.
fn topcuoglu() -> Graph {
    let times = [
        [14, 16, 9],
        [13, 19, 18],
        [11, 13, 19],
        [13, 8, 17],
        [12, 13, 10],
        [13, 16, 9],
        [7, 15, 11],
        [5, 11, 14],
        [18, 12, 20],
        [21, 7, 16],
    ];
    let times = times.map(|row| row.map(f64::from).to_vec()).to_vec();
    let links = [
        (1, 2, 18),
        (1, 3, 12),
        (1, 4, 9),
        (1, 5, 11),
        (1, 6, 14),
        (2, 8, 19),
        (2, 9, 16),
        (3, 7, 23),
        (4, 8, 27),
        (4, 9, 23),
        (5, 9, 13),
        (6, 8, 15),
        (7, 10, 17),
        (8, 10, 11),
        (9, 10, 13),
    ];
    Graph::new(times, &links.map(|(from, to, data)| (from - 1, to - 1, f64::from(data)))).unwrap()
}

#[test]
fn published_makespans() {
    let graph = topcuoglu();
    assert_eq!(list_schedule(&graph, Heuristic::Heft).makespan, 80.0);
    assert_eq!(list_schedule(&graph, Heuristic::Cpop).makespan, 86.0);
    assert!(graph.bound() <= 80.0);
}

/// Links with their transfer times.
type Links = Vec<(usize, usize, f64)>;

/// A random graph with some tasks without duration: its durations and links.
fn graph(seed: u64, most: usize) -> (Graph, Vec<Vec<f64>>, Links) {
    let mut random = Random::new(seed, 0);
    let size = 1 + random.below(most);
    let agents = 1 + random.below(5);
    let times: Vec<Vec<f64>> = (0..size).map(|_| (0..agents).map(|_| random.below(20) as f64).collect()).collect();
    let links: Vec<_> = (1..size)
        .flat_map(|to| [(random.below(to), to, random.below(9) as f64), (random.below(to), to, 1.0)])
        .collect();
    (Graph::new(times.clone(), &links).unwrap(), times, links)
}

fn keeps_its_rules(found: &ListSchedule, times: &[Vec<f64>], links: &[(usize, usize, f64)]) {
    for (from, to, data) in links {
        let (one, two) = (found.slots[*from], found.slots[*to]);
        let data = if one.agent == two.agent { 0.0 } else { *data };
        assert!(one.finish + data <= two.start, "{from} {to}");
    }
    for (task, one) in found.slots.iter().enumerate() {
        assert_eq!(one.finish - one.start, times[task][one.agent]);
        assert!(one.finish <= found.makespan);
        for two in &found.slots[task + 1..] {
            let apart = one.finish <= two.start || two.finish <= one.start;
            let empty = one.start == one.finish || two.start == two.finish;
            assert!(one.agent != two.agent || apart || empty);
        }
    }
}

#[test]
fn schedules_keep_order_and_agents() {
    for seed in 0..200 {
        let (graph, times, links) = graph(seed, 40);
        for heuristic in Heuristic::ALL {
            let found = list_schedule(&graph, heuristic);
            assert!(found.makespan >= graph.bound());
            keeps_its_rules(&found, &times, &links);
        }
    }
}

#[test]
fn searched_schedules_are_never_worse_than_any_heuristic() {
    let mut better = 0;
    for seed in 0..100 {
        let (graph, times, links) = graph(seed, 30);
        let settings = Settings::default().with_seed(seed).with_evaluations(1_500);
        let found = search_schedule(&graph, &settings, &mut |_| ControlFlow::Continue(()));
        keeps_its_rules(&found, &times, &links);
        assert!(found.makespan >= graph.bound(), "seed {seed}");
        let best = Heuristic::ALL.map(|heuristic| list_schedule(&graph, heuristic).makespan);
        let best = best.into_iter().fold(f64::INFINITY, f64::min);
        assert!(found.makespan <= best, "seed {seed}");
        better += u32::from(found.makespan < best);
        let again = search_schedule(&graph, &settings, &mut |_| ControlFlow::Continue(()));
        assert_eq!(found, again, "not a function of the seed");
    }
    assert!(better > 20, "better than all heuristics only {better} times");
}

/// The least makespan over all orders and assignments, each task appended to an agent.
fn brute(times: &[Vec<f64>], links: &[(usize, usize, f64)], done: &mut Vec<Option<(usize, f64)>>, free: &[f64]) -> f64 {
    if done.iter().all(Option::is_some) {
        return done.iter().flatten().map(|one| one.1).fold(0.0, f64::max);
    }
    let mut best = f64::INFINITY;
    for task in 0..times.len() {
        let before: Vec<_> = links.iter().filter(|link| link.1 == task).collect();
        if done[task].is_some() || before.iter().any(|link| done[link.0].is_none()) {
            continue;
        }
        for agent in 0..free.len() {
            let arrivals = before.iter().filter_map(|link| {
                let (other, end) = done[link.0]?;
                Some(end + if other == agent { 0.0 } else { link.2 })
            });
            let start = arrivals.fold(if times[task][agent] > 0.0 { free[agent] } else { 0.0 }, f64::max);
            let mut later = free.to_vec();
            later[agent] = later[agent].max(start + times[task][agent]);
            done[task] = Some((agent, start + times[task][agent]));
            best = best.min(brute(times, links, done, &later));
            done[task] = None;
        }
    }
    best
}

#[test]
fn small_graphs_against_brute_force() {
    for seed in 0..40 {
        let (graph, times, links) = graph(seed, 5);
        let agents = times[0].len().min(3);
        let times: Vec<Vec<f64>> = times.iter().map(|row| row[..agents].to_vec()).collect();
        let graph = Graph::new(times.clone(), &links).unwrap_or(graph);
        let best = brute(&times, &links, &mut vec![None; times.len()], &vec![0.0; agents]);
        let settings = Settings::default().with_seed(seed).with_evaluations(4_000);
        let found = search_schedule(&graph, &settings, &mut |_| ControlFlow::Continue(()));
        assert_eq!(found.makespan, best, "seed {seed}");
        assert!(graph.bound() <= best + 1e-9);
    }
}

#[test]
fn invalid_graphs_are_rejected() {
    assert_eq!(Graph::new(vec![vec![1.0], vec![]], &[]), Err(GraphError::Shape { task: 1 }));
    assert_eq!(Graph::new(vec![vec![-1.0]], &[]), Err(GraphError::InvalidTime { task: 0 }));
    assert_eq!(Graph::new(vec![vec![1.0]], &[(0, 1, 0.0)]), Err(GraphError::UnknownTask { link: 0 }));
    assert_eq!(Graph::new(vec![vec![1.0]], &[(0, 0, 0.0)]), Err(GraphError::Cycle));
    let nothing = Graph::new(vec![], &[]).unwrap();
    assert_eq!(list_schedule(&nothing, Heuristic::Peft).makespan, 0.0);
    assert_eq!(search_schedule(&nothing, &Settings::default(), &mut |_| ControlFlow::Continue(())).makespan, 0.0);
}
