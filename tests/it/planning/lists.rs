use counterpoint::Random;
use counterpoint::planning::{Graph, GraphError, Heuristic, list_schedule};

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

#[test]
fn schedules_keep_order_and_agents() {
    for seed in 0..200 {
        let mut random = Random::new(seed, 0);
        let size = 1 + random.below(40);
        let agents = 1 + random.below(5);
        let times: Vec<Vec<f64>> = (0..size).map(|_| (0..agents).map(|_| random.below(20) as f64).collect()).collect();
        let links: Vec<_> = (1..size)
            .flat_map(|to| [(random.below(to), to, random.below(9) as f64), (random.below(to), to, 1.0)])
            .collect();
        let graph = Graph::new(times.clone(), &links).unwrap();
        for heuristic in Heuristic::ALL {
            let found = list_schedule(&graph, heuristic);
            assert!(found.makespan >= graph.bound());
            for (from, to, data) in &links {
                let (one, two) = (found.slots[*from], found.slots[*to]);
                let data = if one.agent == two.agent { 0.0 } else { *data };
                assert!(one.finish + data <= two.start, "{heuristic:?} {from} {to}");
            }
            for (task, one) in found.slots.iter().enumerate() {
                assert_eq!(one.finish - one.start, times[task][one.agent]);
                for two in &found.slots[task + 1..] {
                    let apart = one.finish <= two.start || two.finish <= one.start;
                    let empty = one.start == one.finish || two.start == two.finish;
                    assert!(one.agent != two.agent || apart || empty, "{heuristic:?}");
                }
            }
        }
    }
}

#[test]
fn what_is_no_graph_is_refused() {
    assert_eq!(Graph::new(vec![vec![1.0], vec![]], &[]), Err(GraphError::Shape { task: 1 }));
    assert_eq!(Graph::new(vec![vec![-1.0]], &[]), Err(GraphError::NotANumber { task: 0 }));
    assert_eq!(Graph::new(vec![vec![1.0]], &[(0, 1, 0.0)]), Err(GraphError::UnknownTask { link: 0 }));
    assert_eq!(Graph::new(vec![vec![1.0]], &[(0, 0, 0.0)]), Err(GraphError::Cycle));
    assert_eq!(list_schedule(&Graph::new(vec![], &[]).unwrap(), Heuristic::Peft).makespan, 0.0);
}
