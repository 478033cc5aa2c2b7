//! Linear assignment of squares: random costs, costs with many ties, and products, which have most to correct.
//!
//! `lapjv` is the same method in another implementation, on `f64`. `pathfinding` is the Hungarian method on whole numbers; its
//! rows end where they take seconds. SciPy's are in `coordination.py`. All results are checked to cost the same.

use counterpoint::Random;
use counterpoint::planning::{Costs, assign};
use counterpoint_peers::{CpuTime, quick, settings, sizes};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use pathfinding::kuhn_munkres::kuhn_munkres_min;
use pathfinding::matrix::Matrix;
use std::hint::black_box;

/// Larger ones take `pathfinding` seconds.
const MOST_HUNGARIAN: u64 = 100;

fn costs(kind: &str, size: usize) -> Vec<f64> {
    let mut random = Random::new(7, size as u64);
    let value = |at: usize| match kind {
        "random" => random.below(1_000_000) as f64,
        "ties" => random.below(100) as f64,
        _ => ((at / size + 1) * (at % size + 1)) as f64,
    };
    (0..size * size).map(value).collect()
}

fn assignment(criterion: &mut Criterion<CpuTime>) {
    for kind in ["random", "ties", "product"] {
        let mut group = criterion.benchmark_group(format!("assignment, {kind}"));
        group.sample_size(10);
        for &size in sizes(&[100, 1_000, 2_000], &[100], quick()) {
            let (values, side) = (costs(kind, size as usize), size as usize);
            let ours = Costs::new(side, side, values.clone()).expect("a square of numbers");
            let known = assign(&ours).expect("all pairs are allowed").cost;
            group.bench_function(BenchmarkId::new("counterpoint", size), |bench| {
                bench.iter(|| assign(black_box(&ours)));
            });
            let dense = lapjv::Matrix::from_shape_vec((side, side), values.clone()).expect("a square of numbers");
            let (columns, _) = lapjv::lapjv(&dense).expect("all pairs are allowed");
            assert_eq!(columns.iter().enumerate().map(|(row, column)| dense[[row, *column]]).sum::<f64>(), known);
            group.bench_function(BenchmarkId::new("lapjv", size), |bench| {
                bench.iter(|| lapjv::lapjv(black_box(&dense)));
            });
            if size <= MOST_HUNGARIAN {
                let whole = values.iter().map(|value| *value as i64).collect();
                let whole = Matrix::from_vec(side, side, whole).expect("a square of numbers");
                assert_eq!(kuhn_munkres_min(&whole).0 as f64, known);
                group.bench_function(BenchmarkId::new("pathfinding", size), |bench| {
                    bench.iter(|| kuhn_munkres_min(black_box(&whole)));
                });
            }
        }
        group.finish();
    }
}

criterion_group! { name = benches; config = settings(); targets = assignment }
criterion_main!(benches);
