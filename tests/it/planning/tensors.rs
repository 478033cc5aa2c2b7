use counterpoint::planning::{
    Agent, Costs, Project, SinkhornSettings, Task, TaskTensor, TensorAxis, TensorError, assign,
};
use counterpoint::{AgentId, Random, TaskId};
use ndarray::{Array2, Axis};
use std::collections::BTreeMap;
use std::time::Duration;

fn ids(tasks: usize, agents: usize, random: &mut Random, levels: usize) -> (Vec<(TaskId, usize)>, Vec<AgentId>) {
    let tasks = (0..tasks).map(|id| (TaskId::new(id as u64), random.below(levels))).collect();
    (tasks, (0..agents).map(|id| AgentId::new(id as u64)).collect())
}

/// A random tensor with a mask and some pinned tasks.
fn tensor(random: &mut Random) -> TaskTensor {
    let (tasks, agents) = ids(1 + random.below(8), 1 + random.below(5), random, 3);
    let holes: Vec<bool> = (0..64).map(|_| random.below(3) == 0).collect();
    let can = |task: TaskId, agent: AgentId| !holes[(task.get() * 5 + agent.get()) as usize % 64];
    let mut tensor = TaskTensor::new(&tasks, &agents, 3, can).unwrap();
    for (task, _) in &tasks {
        if random.below(4) == 0 {
            let _ = tensor.pin(*task, agents[random.below(agents.len())]);
        }
    }
    tensor
}

#[test]
fn masked_entries_stay_zero_and_pinned_ones_stay_one() {
    for seed in 0..300 {
        let mut random = Random::new(seed, 0);
        let mut tensor = tensor(&mut random);
        let axes = [TensorAxis::Tasks, TensorAxis::Agents, TensorAxis::Levels];
        for turn in 0..4 {
            let axis = axes[random.below(3)];
            if turn == 2 {
                let (tasks, agents, _) = tensor.values().dim();
                let scores = Array2::from_shape_fn((tasks, agents), |_| random.unit() * 4.0);
                tensor.soften(scores.view(), &vec![2; agents], SinkhornSettings::default().with_rounds(50)).unwrap();
            }
            tensor.normalise(axis);
            for ((at, value), open) in tensor.values().indexed_iter().zip(tensor.mask()) {
                let certain = tensor.pinned(tensor.tasks()[at.0]);
                let on_level = tensor.level_of(tensor.tasks()[at.0]) == Some(at.2);
                let here = on_level && certain == Some(tensor.agents()[at.1]);
                assert!(*open || *value == 0.0, "seed {seed}: {value} where nothing can be");
                assert!(!here || *value == 1.0, "seed {seed}: {value} where it is certain");
                assert!(on_level || !open, "a task is on one level");
            }
            let along = Axis(match axis {
                TensorAxis::Tasks => 0,
                TensorAxis::Agents => 1,
                TensorAxis::Levels => 2,
            });
            for lane in tensor.values().lanes(along) {
                let sum: f64 = lane.sum();
                let certain = lane.iter().filter(|value| **value == 1.0).count() as f64;
                assert!(sum == 0.0 || (sum - 1.0).abs() < 1e-9 || sum == certain, "seed {seed}: {lane:?}");
            }
        }
    }
}

#[test]
fn soft_assignments_have_the_required_sums() {
    for seed in 0..100 {
        let mut random = Random::new(seed, 1);
        let (tasks, agents) = ids(1 + random.below(9), 1 + random.below(6), &mut random, 1);
        let mut tensor = TaskTensor::new(&tasks, &agents, 1, |_, _| true).unwrap();
        let capacities: Vec<usize> = agents.iter().map(|_| 1 + random.below(3)).collect();
        let scores = Array2::from_shape_fn((tasks.len(), agents.len()), |_| random.unit() * 5.0);
        let off = tensor.soften(scores.view(), &capacities, SinkhornSettings::default().with_tolerance(1e-9)).unwrap();
        assert!(off <= 1e-9, "seed {seed}: off by {off}");
        let enough = capacities.iter().sum::<usize>() >= tasks.len();
        for row in tensor.level(0).rows() {
            assert!(if enough { (row.sum() - 1.0).abs() < 1e-6 } else { row.sum() < 1.0 + 1e-6 }, "seed {seed}");
        }
        for (column, capacity) in tensor.level(0).columns().into_iter().zip(&capacities) {
            let most = *capacity as f64;
            assert!(if enough { column.sum() < most + 1e-6 } else { (column.sum() - most).abs() < 1e-6 });
        }
    }
}

#[test]
fn a_soft_assignment_of_two_tasks_has_the_analytic_values() {
    // Scores 1 and 0 on the diagonal and off it, at temperature t: each row is [x, 1-x] with (x/(1-x))^2 = e^(2/t).
    let (tasks, agents) = ids(2, 2, &mut Random::new(0, 0), 1);
    let mut tensor = TaskTensor::new(&tasks, &agents, 1, |_, _| true).unwrap();
    let scores = Array2::from_shape_fn((2, 2), |(row, column)| f64::from(u8::from(row == column)));
    for temperature in [0.01, 0.5, 1.0, 3.0] {
        let how = SinkhornSettings::default().with_temperature(temperature).with_tolerance(1e-12);
        tensor.soften(scores.view(), &[1, 1], how).unwrap();
        let ratio = (1.0 / temperature).exp();
        assert!((tensor.level(0)[(0, 0)] - ratio / (1.0 + ratio)).abs() < 1e-9, "{temperature}");
    }
}

#[test]
fn an_assignment_survives_a_tensor_round_trip() {
    for seed in 0..300 {
        let mut random = Random::new(seed, 2);
        let (tasks, agents) = ids(1 + random.below(12), 1 + random.below(5), &mut random, 4);
        let chosen: BTreeMap<TaskId, AgentId> =
            tasks.iter().map(|(task, _)| (*task, agents[random.below(agents.len())])).collect();
        let mut tensor = TaskTensor::new(&tasks, &agents, 4, |_, _| true).unwrap();
        // Every other task is pinned, the others follow from scores alone.
        let scores = Array2::from_shape_fn((tasks.len(), agents.len()), |(row, column)| {
            f64::from(u8::from(chosen[&tasks[row].0] == agents[column]))
        });
        let most = vec![tasks.len(); agents.len()];
        for (task, agent) in chosen.iter().filter(|(task, _)| task.get() % 2 == 0) {
            tensor.pin(*task, *agent).unwrap();
        }
        tensor.soften(scores.view(), &most, SinkhornSettings::default().with_temperature(0.05)).unwrap();
        let rounds = tensor.rounds(&most).unwrap();
        let back: BTreeMap<TaskId, AgentId> = rounds.iter().flat_map(|round| round.pairs.clone()).collect();
        assert_eq!(back, chosen, "seed {seed}");
        assert!(rounds.is_sorted_by_key(|round| round.level));
        assert!(rounds.iter().all(|round| round.pairs.iter().all(|pair| tensor.level_of(pair.0) == Some(round.level))));
    }
}

#[test]
fn rounds_are_maximal_and_respect_capacities() {
    for seed in 0..300 {
        let tensor = tensor(&mut Random::new(seed, 3));
        let rounds = tensor.rounds(&vec![1; tensor.agents().len()]).unwrap();
        let mut served = Vec::new();
        for round in &rounds {
            let mut agents: Vec<AgentId> = round.pairs.iter().map(|pair| pair.1).collect();
            agents.sort_unstable();
            agents.dedup();
            assert_eq!(agents.len(), round.pairs.len(), "seed {seed}: an agent does two things at once");
            for (task, agent) in &round.pairs {
                let row = tensor.tasks().iter().position(|one| one == task).unwrap();
                let column = tensor.agents().iter().position(|one| one == agent).unwrap();
                assert!(tensor.mask()[(row, column, round.level)]);
                assert!(tensor.pinned(*task).is_none_or(|certain| certain == *agent));
                served.push(*task);
            }
        }
        served.extend(tensor.orphans());
        served.sort_unstable();
        assert_eq!(served, tensor.tasks(), "seed {seed}: each is served once, or nobody can do it");
    }
}

/// The number of tasks that are assigned and the sum of their probabilities, by an independent method: one column for each unit of
/// an agent's capacity.
fn by_columns(tensor: &TaskTensor, level: usize, loose: &[usize], room: &[usize]) -> (usize, f64) {
    let columns: Vec<usize> = room.iter().enumerate().flat_map(|(column, room)| vec![column; *room]).collect();
    let dear = loose.len() as f64 + 1.0;
    let cost = |row: usize, column: usize| {
        let can = tensor.mask()[(row, column, level)];
        if can { 1.0 - tensor.values()[(row, column, level)] } else { dear }
    };
    let values = loose.iter().flat_map(|row| columns.iter().map(|column| cost(*row, *column))).collect();
    let found = assign(&Costs::new(loose.len(), columns.len(), values).unwrap()).unwrap();
    let pairs = loose.iter().zip(found.columns).filter_map(|(row, at)| Some((*row, columns[at?])));
    let pairs: Vec<_> = pairs.filter(|(row, column)| tensor.mask()[(*row, *column, level)]).collect();
    (pairs.len(), pairs.iter().map(|(row, column)| tensor.values()[(*row, *column, level)]).sum())
}

#[test]
fn a_round_is_the_likeliest_of_the_maximal_ones() {
    let mut shared = 0;
    for seed in 0..400 {
        let mut random = Random::new(seed, 5);
        let mut tensor = tensor(&mut random);
        let (tasks, agents, levels) = tensor.values().dim();
        let scores = Array2::from_shape_fn((tasks, agents), |_| random.unit() * 4.0);
        tensor.soften(scores.view(), &vec![2; agents], SinkhornSettings::default().with_rounds(50)).unwrap();
        let room: Vec<usize> = (0..agents).map(|_| random.below(4)).collect();
        let row_of = |task: TaskId| tensor.tasks().iter().position(|one| *one == task).unwrap();
        let column_of = |agent: AgentId| tensor.agents().iter().position(|one| *one == agent).unwrap();
        let rounds = tensor.rounds(&room).unwrap();
        for level in 0..levels {
            let mut left: Vec<usize> =
                (0..tasks).filter(|row| tensor.level_of(tensor.tasks()[*row]) == Some(level)).collect();
            for round in rounds.iter().filter(|round| round.level == level) {
                let mut open = room.clone();
                let pairs: Vec<_> = round.pairs.iter().map(|pair| (row_of(pair.0), column_of(pair.1))).collect();
                let certain = |row: usize| tensor.pinned(tensor.tasks()[row]).is_some();
                pairs.iter().filter(|pair| certain(pair.0)).for_each(|pair| open[pair.1] -= 1);
                let loose: Vec<usize> = left.iter().copied().filter(|row| !certain(*row)).collect();
                let of_loose = pairs.iter().filter(|pair| !certain(pair.0));
                let sum: f64 = of_loose.clone().map(|(row, column)| tensor.values()[(*row, *column, level)]).sum();
                let (most, likeliest) = by_columns(&tensor, level, &loose, &open);
                assert_eq!(of_loose.clone().count(), most, "seed {seed}");
                assert!((sum - likeliest).abs() < 1e-9, "seed {seed}: {sum} and {likeliest}");
                for (column, room) in open.iter().enumerate() {
                    let here = of_loose.clone().filter(|pair| pair.1 == column).count();
                    assert!(here <= *room, "seed {seed}");
                    shared += usize::from(here > 1);
                }
                left.retain(|row| !pairs.iter().any(|pair| pair.0 == *row));
            }
        }
    }
    assert!(shared > 100, "{shared}");
}

/// One column for each unit of capacity would be 4,000 times 64,000 costs.
#[test]
fn memory_of_rounds_does_not_depend_on_capacities() {
    let tasks: Vec<(TaskId, usize)> = (0..4_000).map(|id| (TaskId::new(id), 0)).collect();
    let agents: Vec<AgentId> = (0..16).map(AgentId::new).collect();
    let can = |task: TaskId, agent: AgentId| task.get() % 16 <= agent.get();
    let tensor = TaskTensor::new(&tasks, &agents, 1, can).unwrap();
    let rounds = tensor.rounds(&[usize::MAX; 16]).unwrap();
    assert_eq!(rounds.iter().map(|round| round.pairs.len()).collect::<Vec<_>>(), [4_000]);
    let served = |from: usize| rounds[0].pairs.iter().skip(from).step_by(16).map(|pair| pair.1.get());
    assert!(served(15).all(|agent| agent == 15), "only one agent can do it");
    assert!(served(9).all(|agent| agent >= 9));
}

/// Three goals of one, three and four steps; five agents.
#[test]
fn three_goals_eight_tasks_five_agents_four_levels() {
    let goals: [&[&str]; 3] = [&["note"], &["read", "write", "check"], &["plan", "build", "test", "ship"]];
    let agents = [["read", "note"], ["write", "plan"], ["check", "build"], ["test", "note"], ["ship", "plan"]];
    let mut project = Project::default();
    for (number, skills) in agents.iter().enumerate() {
        let agent = Agent::new(AgentId::new(number as u64 + 1));
        project = project.with_agent(skills.iter().fold(agent, |agent, skill| agent.with_skill(*skill, 1)));
    }
    let mut number = 0;
    for goal in goals {
        for (step, skill) in goal.iter().enumerate() {
            number += 1;
            let task = Task::new(TaskId::new(number), Duration::from_secs(1)).with_need(*skill, 1);
            project = project.with_task(if step > 0 { task.after(TaskId::new(number - 1)) } else { task });
        }
    }
    let tensor = project.tensor().unwrap();
    assert_eq!(tensor.values().dim(), (8, 5, 4));
    let rounds = tensor.rounds(&[1; 5]).unwrap();
    assert_eq!(rounds.iter().map(|round| round.pairs.len()).collect::<Vec<_>>(), [3, 2, 2, 1]);
    let mut done: Vec<TaskId> = Vec::new();
    for round in rounds {
        for (task, agent) in &round.pairs {
            let spec = project.tasks.iter().find(|one| one.id == *task).unwrap();
            assert!(spec.after.iter().all(|link| done.contains(&link.task)), "{task} begins too early");
            let who = project.agents.iter().find(|one| one.id == *agent).unwrap();
            assert!(spec.needs.keys().all(|skill| who.skills.contains_key(skill)));
        }
        done.extend(round.pairs.iter().map(|pair| pair.0));
    }
    assert_eq!(done.len(), 8, "not all are done");
}

#[test]
fn levels_can_be_priorities() {
    let task = |id, priority| Task::new(TaskId::new(id), Duration::from_secs(1)).with_priority(priority);
    let project = Project::default()
        .with_agent(Agent::new(AgentId::new(1)))
        .with_task(task(1, 2))
        .with_task(task(2, 9))
        .with_task(task(3, 2))
        .with_task(task(4, 5).unattended());
    let tensor = TaskTensor::by_priority(&project.check().unwrap()).unwrap();
    assert_eq!(tensor.values().dim(), (3, 1, 3));
    let order: Vec<u64> = tensor.rounds(&[1]).unwrap().iter().map(|round| round.pairs[0].0.get()).collect();
    assert_eq!(order, [2, 1, 3]);
}

#[test]
fn invalid_tensors_are_rejected() {
    let (one, two, who) = (TaskId::new(1), TaskId::new(2), AgentId::new(1));
    let make = |tasks: &[(TaskId, usize)], agents: &[AgentId]| TaskTensor::new(tasks, agents, 2, |task, _| task == one);
    assert_eq!(make(&[(one, 2)], &[who]), Err(TensorError::NoLevel { task: one }));
    assert_eq!(make(&[(one, 0), (one, 1)], &[who]), Err(TensorError::Duplicate));
    assert_eq!(make(&[], &[who, who]), Err(TensorError::Duplicate));
    let mut tensor = make(&[(one, 0), (two, 1)], &[who]).unwrap();
    assert_eq!(tensor.pin(two, who), Err(TensorError::Masked { task: two, agent: who }));
    assert_eq!(tensor.pin(one, AgentId::new(2)), Err(TensorError::Masked { task: one, agent: AgentId::new(2) }));
    assert_eq!(tensor.orphans().collect::<Vec<_>>(), [two]);
    assert_eq!(tensor.rounds(&[]), Err(TensorError::Shape));
    assert_eq!(tensor.level(7).dim(), (0, 0));
    let scores = Array2::zeros((2, 1));
    assert_eq!(tensor.soften(scores.view(), &[1, 1], SinkhornSettings::default()), Err(TensorError::Shape));
    let cold = SinkhornSettings::default().with_temperature(0.0);
    assert_eq!(tensor.soften(scores.view(), &[1], cold), Err(TensorError::InvalidValue));
    let nowhere = Array2::from_elem((2, 1), f64::NAN);
    assert_eq!(tensor.soften(nowhere.view(), &[1], SinkhornSettings::default()), Err(TensorError::InvalidValue));
}

/// The best matching of tasks with agents by exhaustive search: of the maximal ones, the greatest sum.
fn best(can: &[Vec<Option<f64>>], row: usize, used: u32) -> (usize, f64) {
    let Some(lane) = can.get(row) else { return (0, 0.0) };
    let mut found = best(can, row + 1, used);
    for (column, value) in lane.iter().enumerate().filter(|(column, _)| used >> column & 1 == 0) {
        if let Some(value) = value {
            let (count, sum) = best(can, row + 1, used | 1 << column);
            if (count + 1, sum + value) > found {
                found = (count + 1, sum + value);
            }
        }
    }
    found
}

#[test]
fn the_first_round_of_each_level_is_its_best_matching() {
    for seed in 0..300 {
        let mut random = Random::new(seed, 4);
        let (tasks, agents) = ids(1 + random.below(8), 1 + random.below(4), &mut random, 3);
        let holes: Vec<bool> = (0..64).map(|_| random.below(4) == 0).collect();
        let can = |task: TaskId, agent: AgentId| !holes[(task.get() * 5 + agent.get()) as usize % 64];
        let mut tensor = TaskTensor::new(&tasks, &agents, 3, can).unwrap();
        let scores = Array2::from_shape_fn((tasks.len(), agents.len()), |_| random.unit() * 4.0);
        tensor.soften(scores.view(), &vec![1; agents.len()], SinkhornSettings::default()).unwrap();
        let rounds = tensor.rounds(&vec![1; agents.len()]).unwrap();
        for level in 0..3 {
            let rows: Vec<usize> = (0..tasks.len()).filter(|row| tasks[*row].1 == level).collect();
            let lanes = rows.iter().map(|row| {
                let open = |column: usize| tensor.mask()[(*row, column, level)];
                (0..agents.len()).map(|column| open(column).then(|| tensor.level(level)[(*row, column)])).collect()
            });
            let lanes: Vec<Vec<Option<f64>>> = lanes.collect();
            let place =
                |round: &(TaskId, AgentId)| tensor.level(level)[(round.0.get() as usize, round.1.get() as usize)];
            let first = rounds.iter().find(|round| round.level == level);
            let sum: f64 = first.iter().flat_map(|round| &round.pairs).map(place).sum();
            let (count, most) = best(&lanes, 0, 0);
            assert_eq!(first.map_or(0, |round| round.pairs.len()), count, "seed {seed}, level {level}");
            assert!((sum - most).abs() < 1e-9, "seed {seed}, level {level}: {sum}, not {most}");
        }
    }
}

/// The assignment [[4, 1, 3], [2, 0, 5], [3, 2, 2]] costs at least 5, in one slice and in each of two.
#[test]
fn slices_give_the_published_assignment() {
    let costs = [[4.0, 1.0, 3.0], [2.0, 0.0, 5.0], [3.0, 2.0, 2.0]];
    let agents: Vec<AgentId> = (0..3).map(AgentId::new).collect();
    let tasks: Vec<(TaskId, usize)> = (0..6).map(|id| (TaskId::new(id), (id / 3) as usize)).collect();
    let mut tensor = TaskTensor::new(&tasks, &agents, 2, |_, _| true).unwrap();
    let scores = Array2::from_shape_fn((6, 3), |(row, column)| -costs[row % 3][column]);
    tensor.soften(scores.view(), &[1; 3], SinkhornSettings::default().with_temperature(0.1)).unwrap();
    let rounds = tensor.rounds(&[1; 3]).unwrap();
    assert_eq!(rounds.len(), 2);
    for (level, round) in rounds.iter().enumerate() {
        let found: Vec<(u64, u64)> = round.pairs.iter().map(|pair| (pair.0.get() % 3, pair.1.get())).collect();
        assert_eq!((round.level, found), (level, vec![(0, 1), (1, 0), (2, 2)]));
        let cost: f64 = round.pairs.iter().map(|pair| costs[pair.0.get() as usize % 3][pair.1.get() as usize]).sum();
        assert_eq!(cost, 5.0);
    }
}

#[test]
fn adding_or_removing_agents_keeps_other_entries() {
    for seed in 0..100 {
        let mut random = Random::new(seed, 5);
        let (tasks, agents) = ids(2 + random.below(6), 2 + random.below(4), &mut random, 3);
        let holes: Vec<bool> = (0..64).map(|_| random.below(3) == 0).collect();
        let can = |task: TaskId, agent: AgentId| !holes[(task.get() * 5 + agent.get()) as usize % 64];
        let whole = TaskTensor::new(&tasks, &agents, 3, can).unwrap();
        let (gone, left) = (random.below(tasks.len()), random.below(agents.len()));
        let fewer: Vec<_> = tasks.iter().enumerate().filter(|(row, _)| *row != gone).map(|(_, task)| *task).collect();
        let without = TaskTensor::new(&fewer, &agents, 3, can).unwrap();
        let rows: Vec<usize> = (0..tasks.len()).filter(|row| *row != gone).collect();
        assert_eq!(without.values(), whole.values().select(Axis(0), &rows), "seed {seed}: a task that goes");
        let fewer: Vec<_> = agents.iter().enumerate().filter(|(place, _)| *place != left).map(|(_, id)| *id).collect();
        let without = TaskTensor::new(&tasks, &fewer, 3, can).unwrap();
        let columns: Vec<usize> = (0..agents.len()).filter(|column| *column != left).collect();
        assert_eq!(without.mask(), whole.mask().select(Axis(1), &columns), "seed {seed}: an agent that goes");
    }
}

#[test]
fn empty_axes_are_allowed_and_too_large_ones_rejected() {
    let (task, who) = (TaskId::new(1), AgentId::new(1));
    for (tasks, agents, levels) in [(&[][..], &[][..], 0), (&[(task, 0)], &[], 1), (&[], &[who], 3)] {
        let mut tensor = TaskTensor::new(tasks, agents, levels, |_, _| true).unwrap();
        assert_eq!(tensor.values().dim(), (tasks.len(), agents.len(), levels));
        [TensorAxis::Tasks, TensorAxis::Agents, TensorAxis::Levels].into_iter().for_each(|axis| tensor.normalise(axis));
        assert_eq!(tensor.rounds(&vec![1; agents.len()]).unwrap(), []);
        assert_eq!(tensor.orphans().count(), tasks.len());
    }
    let levels = usize::MAX;
    let refused = TaskTensor::new(&[(task, 0)], &[who], levels, |_, _| true);
    assert_eq!(refused, Err(TensorError::TooLarge { tasks: 1, agents: 1, levels }));
    let none = TaskTensor::new(&[], &[], levels, |_, _| true);
    assert_eq!(none, Err(TensorError::TooLarge { tasks: 0, agents: 0, levels }));
    assert!(matches!(
        Project::default().with_task(Task::new(task, Duration::ZERO).after(task)).tensor(),
        Err(TensorError::Problem(_))
    ));
}
