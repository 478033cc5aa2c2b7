use counterpoint::Random;
use counterpoint::planning::{
    AssignError, Assignment, Costs, SearchLimits, assign, assign_bottleneck, assign_by_auction, assign_generalised,
    assign_with_capacities,
};

/// The least cost over all assignments, with the given number of rows left out.
fn brute(costs: &Costs, row: usize, used: u32, spare: usize, join: fn(f64, f64) -> f64, none: f64) -> f64 {
    if row == costs.rows() {
        return none;
    }
    let free = (0..costs.columns()).filter(|column| used >> column & 1 == 0);
    let taken =
        free.map(|column| join(costs.at(row, column), brute(costs, row + 1, used | 1 << column, spare, join, none)));
    let best = taken.fold(f64::INFINITY, f64::min);
    if spare == 0 { best } else { best.min(brute(costs, row + 1, used, spare - 1, join, none)) }
}

/// Matrices of any shape: random, with many ties, with structure, with forbidden pairs.
fn case(random: &mut Random) -> Costs {
    let (rows, columns) = (1 + random.below(6), 1 + random.below(6));
    let top = [2, 5, 100, 1_000_000][random.below(4)];
    let (product, forbids) = (random.below(5) == 0, random.below(4) == 0);
    let values = (0..rows * columns).map(|at| {
        if forbids && random.below(4) == 0 {
            f64::INFINITY
        } else if product {
            ((at / columns + 1) * (at % columns + 1)) as f64
        } else {
            random.below(top) as f64 - (top / 3) as f64
        }
    });
    Costs::new(rows, columns, values.collect()).unwrap()
}

fn is(found: Result<Assignment, AssignError>, best: f64) {
    match found {
        Ok(found) => assert_eq!((found.cost, found.bound), (best, best)),
        Err(fault) => assert!(fault == AssignError::Infeasible && best.is_infinite(), "{fault}, not {best}"),
    }
}

#[test]
fn ten_thousand_cases_against_brute_force() {
    let mut random = Random::new(1, 1);
    for _ in 0..10_000 {
        let costs = case(&mut random);
        let spare = costs.rows().saturating_sub(costs.columns());
        let best = brute(&costs, 0, 0, spare, |one, two| one + two, 0.0);
        is(assign(&costs), best);
        is(assign_bottleneck(&costs), brute(&costs, 0, 0, spare, f64::max, f64::NEG_INFINITY));
        match assign_by_auction(&costs, 0.5) {
            Ok(found) => assert_eq!(found.cost, best),
            Err(_) => assert!(best.is_infinite()),
        }
        if spare == 0 {
            is(assign_with_capacities(&costs, &vec![1; costs.columns()]), best);
        }
    }
}

#[test]
fn a_published_assignment_is_found() {
    let costs = Costs::new(3, 3, vec![4.0, 1.0, 3.0, 2.0, 0.0, 5.0, 3.0, 2.0, 2.0]).unwrap();
    let found = assign(&costs).unwrap();
    assert_eq!((found.cost, found.columns), (5.0, vec![Some(1), Some(0), Some(2)]));
}

/// Bertsekas: with bids up to epsilon too high, the result is within n epsilon of the optimum, and exact below 1 for integers.
#[test]
fn an_auction_ends_within_its_tolerance() {
    let (mut random, mut off) = (Random::new(8, 8), 0);
    for _ in 0..200 {
        let costs = Costs::new(5, 5, (0..25).map(|_| random.below(20) as f64).collect()).unwrap();
        let best = assign(&costs).unwrap().cost;
        // Five rows with an epsilon of 1/6 each, and of 2.
        assert_eq!(assign_by_auction(&costs, 5.0 / 6.0).unwrap().cost, best);
        let rough = assign_by_auction(&costs, 10.0).unwrap().cost;
        assert!(rough <= best + 10.0, "{rough} and {best}");
        off += usize::from(rough > best);
    }
    assert!(off > 0, "an epsilon of two loses optimality");
}

#[test]
fn capacities_equal_repeated_columns() {
    let mut random = Random::new(2, 2);
    for _ in 0..1_000 {
        let costs = case(&mut random);
        let capacities: Vec<usize> = (0..costs.columns()).map(|_| random.below(4)).collect();
        let copies: Vec<usize> = capacities.iter().enumerate().flat_map(|(at, n)| vec![at; *n]).collect();
        let values = (0..costs.rows()).flat_map(|row| copies.iter().map(move |column| (row, *column)));
        let values = values.map(|(row, column)| costs.at(row, column)).collect();
        let wide = Costs::new(costs.rows(), copies.len(), values).unwrap();
        let best = if copies.len() < costs.rows() { Err(AssignError::Infeasible) } else { assign(&wide) };
        let found = assign_with_capacities(&costs, &capacities);
        assert_eq!(found.map(|found| (found.cost, found.bound)), best.map(|best| (best.cost, best.cost)));
    }
}

/// With fractional costs the bound is computed from the prices and not taken from the cost.
#[test]
fn fractional_costs_have_a_bound_equal_to_the_cost() {
    let mut random = Random::new(5, 1);
    for _ in 0..2_000 {
        let whole = case(&mut random);
        let values = (0..whole.rows() * whole.columns())
            .map(|at| whole.at(at / whole.columns(), at % whole.columns()) * 0.1 + 0.01 * random.unit());
        let costs = Costs::new(whole.rows(), whole.columns(), values.collect()).unwrap();
        let spare = costs.rows().saturating_sub(costs.columns());
        let best = brute(&costs, 0, 0, spare, |one, two| one + two, 0.0);
        match assign(&costs) {
            Ok(found) => {
                let near = 1e-12 * (1.0 + 1_000_000.0);
                assert!((found.cost - best).abs() <= near && (found.bound - best).abs() <= near, "{found:?}, {best}");
            }
            Err(fault) => assert!(fault == AssignError::Infeasible && best.is_infinite(), "{fault}, not {best}"),
        }
    }
}

#[test]
fn methods_agree_on_large_matrices() {
    for (size, top) in [(80, 1_000_000), (80, 10), (150, 1_000)] {
        let mut random = Random::new(3, size as u64);
        let values = (0..size * size).map(|_| random.below(top) as f64).collect();
        let costs = Costs::new(size, size, values).unwrap();
        let best = assign(&costs).unwrap();
        assert_eq!(best.cost, best.bound);
        assert_eq!(assign_by_auction(&costs, 0.9).unwrap().cost, best.cost);
        assert_eq!(assign_with_capacities(&costs, &vec![1; size]).unwrap().cost, best.cost);
    }
}

#[test]
fn invalid_matrices_are_rejected() {
    assert_eq!(Costs::new(2, 2, vec![1.0]), Err(AssignError::Shape));
    assert_eq!(Costs::new(1, 1, vec![f64::NAN]), Err(AssignError::InvalidValue));
    assert_eq!(Costs::new(usize::MAX, 3, vec![]), Err(AssignError::Shape));
    let empty = Costs::new(0, 3, vec![]).unwrap();
    assert_eq!(assign(&empty).unwrap().columns, []);
    assert_eq!(assign_bottleneck(&empty).unwrap().cost, 0.0);
}

/// The least cost over all feasible assignments.
fn fitting(costs: &Costs, takes: &Costs, row: usize, room: &mut [f64]) -> f64 {
    if row == costs.rows() {
        return 0.0;
    }
    let mut best = f64::INFINITY;
    for column in 0..costs.columns() {
        let (cost, takes_here) = (costs.at(row, column), takes.at(row, column));
        if cost.is_finite() && takes_here <= room[column] {
            room[column] -= takes_here;
            best = best.min(cost + fitting(costs, takes, row + 1, room));
            room[column] += takes_here;
        }
    }
    best
}

fn is_kept(found: &Assignment, costs: &Costs, takes: &Costs, capacities: &[f64]) {
    let mut room = capacities.to_vec();
    let mut sum = 0.0;
    for (row, column) in found.columns.iter().enumerate() {
        let column = column.unwrap();
        room[column] -= takes.at(row, column);
        sum += costs.at(row, column);
    }
    assert!(room.iter().all(|room| *room >= -1e-6), "a capacity is exceeded");
    assert!((sum - found.cost).abs() < 1e-6 && found.bound <= found.cost + 1e-6);
}

#[test]
fn generalised_cases_against_brute_force() {
    let mut random = Random::new(4, 4);
    let (mut solved, mut refused) = (0, 0);
    for _ in 0..2_000 {
        let costs = case(&mut random);
        let (rows, columns) = (costs.rows(), costs.columns());
        let takes = (0..rows * columns).map(|_| random.below(8) as f64).collect();
        let takes = Costs::new(rows, columns, takes).unwrap();
        let capacities: Vec<f64> = (0..columns).map(|_| random.below(12) as f64).collect();
        let best = fitting(&costs, &takes, 0, &mut capacities.clone());
        match assign_generalised(&costs, &takes, &capacities, SearchLimits::default()) {
            Ok(found) => {
                solved += 1;
                assert_eq!((found.cost, found.bound), (best, best));
                is_kept(&found, &costs, &takes, &capacities);
            }
            Err(fault) => {
                refused += 1;
                assert!(fault == AssignError::Infeasible && best.is_infinite(), "{fault}, not {best}");
            }
        }
    }
    assert!(solved > 700 && refused > 200, "{solved} solved, {refused} refused");
}

#[test]
fn large_generalised_assignments_are_close_to_their_bound() {
    for (rows, columns, seed) in [(40, 5, 1), (60, 10, 2)] {
        let mut random = Random::new(seed, 5);
        let takes: Vec<f64> = (0..rows * columns).map(|_| 5.0 + random.below(21) as f64).collect();
        let costs: Vec<f64> = takes.iter().map(|takes| 111.0 - 4.0 * takes + random.below(21) as f64).collect();
        let (costs, takes) = (Costs::new(rows, columns, costs).unwrap(), Costs::new(rows, columns, takes).unwrap());
        let capacities = vec![(0.8 * 15.0 * (rows / columns) as f64).floor(); columns];
        let effort = SearchLimits::default().with_seed(seed).with_nodes(5_000).with_iterations(100);
        let found = assign_generalised(&costs, &takes, &capacities, effort).unwrap();
        is_kept(&found, &costs, &takes, &capacities);
        assert!(found.cost <= found.bound * 1.03, "{rows}: {} and {}", found.cost, found.bound);
        assert_eq!(
            found,
            assign_generalised(&costs, &takes, &capacities, effort).unwrap(),
            "not a function of the seed"
        );
    }
}

#[test]
fn invalid_generalised_assignments_are_rejected() {
    let costs = Costs::new(2, 2, vec![1.0; 4]).unwrap();
    let ask = |takes: Vec<f64>, capacities: &[f64]| {
        let takes = Costs::new(2, takes.len() / 2, takes).unwrap();
        assign_generalised(&costs, &takes, capacities, SearchLimits::default())
    };
    assert_eq!(ask(vec![1.0; 2], &[1.0, 1.0]), Err(AssignError::Shape));
    assert_eq!(ask(vec![1.0; 4], &[1.0]), Err(AssignError::Shape));
    assert_eq!(ask(vec![-1.0; 4], &[1.0, 1.0]), Err(AssignError::InvalidValue));
    assert_eq!(ask(vec![1.0; 4], &[f64::NAN, 1.0]), Err(AssignError::InvalidValue));
    assert_eq!(ask(vec![2.0; 4], &[1.0, 1.0]), Err(AssignError::Infeasible));
    // Each fits alone, both together do not.
    assert_eq!(ask(vec![2.0; 4], &[3.0, 1.0]), Err(AssignError::Infeasible));
    let hard = SearchLimits::default().with_iterations(1).with_nodes(0);
    let (costs, takes) = (Costs::new(2, 1, vec![1.0; 2]).unwrap(), Costs::new(2, 1, vec![2.0; 2]).unwrap());
    assert_eq!(assign_generalised(&costs, &takes, &[3.0], hard), Err(AssignError::NotFound));
}
