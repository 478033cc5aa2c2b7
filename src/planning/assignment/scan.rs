//! The inner loops over a row, without branches and in lanes, so that the compiler vectorises them.

const LANES: usize = 4;

/// The least and the second least value of `cost - price`.
pub(super) fn two_least(row: &[f64], prices: &[f64]) -> (f64, f64) {
    let (mut first, mut second) = ([f64::INFINITY; LANES], [f64::INFINITY; LANES]);
    let ((costs, rest), (chunks, tail)) = (row.as_chunks::<LANES>(), prices.as_chunks::<LANES>());
    for (costs, prices) in costs.iter().zip(chunks) {
        for (((first, second), cost), price) in first.iter_mut().zip(&mut second).zip(costs).zip(prices) {
            let value = cost - price;
            let larger = if value < *first { *first } else { value };
            *first = if value < *first { value } else { *first };
            *second = if larger < *second { larger } else { *second };
        }
    }
    let rest = rest.iter().zip(tail).map(|(cost, price)| cost - price);
    let mut two = (f64::INFINITY, f64::INFINITY);
    for value in first.into_iter().chain(second).chain(rest) {
        if value < two.0 {
            two = (value, two.0);
        } else if value < two.1 {
            two.1 = value;
        }
    }
    two
}

/// The least value of `cost - price`.
pub(super) fn least_of(row: &[f64], prices: &[f64]) -> f64 {
    const WIDE: usize = 16;
    let mut least = [f64::INFINITY; WIDE];
    let ((costs, rest), (chunks, tail)) = (row.as_chunks::<WIDE>(), prices.as_chunks::<WIDE>());
    for (costs, prices) in costs.iter().zip(chunks) {
        for ((least, cost), price) in least.iter_mut().zip(costs).zip(prices) {
            let value = cost - price;
            *least = if value < *least { value } else { *least };
        }
    }
    let rest = rest.iter().zip(tail).map(|(cost, price)| cost - price);
    least.into_iter().chain(rest).fold(f64::INFINITY, f64::min)
}

/// The first index at which `cost - price` has this value.
pub(super) fn index_of(row: &[f64], prices: &[f64], value: f64) -> Option<usize> {
    const WIDE: usize = 16;
    let ((costs, _), (chunks, _)) = (row.as_chunks::<WIDE>(), prices.as_chunks::<WIDE>());
    let hit = |costs: &[f64; WIDE], prices: &[f64; WIDE]| {
        let hits = costs.iter().zip(prices).map(|(cost, price)| u64::from(cost - price == value));
        hits.sum::<u64>() > 0
    };
    let skip = costs.iter().zip(chunks).take_while(|(costs, prices)| !hit(costs, prices)).count() * WIDE;
    let rest = row.iter().zip(prices).skip(skip);
    rest.map(|(cost, price)| cost - price).position(|here| here == value).map(|at| at + skip)
}

/// Relaxes the distances of all columns with the paths over one row, `cost - price + offset`, and records the row.
pub(super) fn relax(row: &[f64], prices: &[f64], offset: f64, through: u64, distances: &mut [f64], from: &mut [u64]) {
    for (((cost, price), distance), from) in row.iter().zip(prices).zip(distances).zip(from) {
        let here = cost - price + offset;
        let shorter = here < *distance;
        *distance = if shorter { here } else { *distance };
        *from = if shorter { through } else { *from };
    }
}

/// The same as [`relax`]; returns the least distance after it.
pub(super) fn relax_least(
    row: &[f64],
    prices: &[f64],
    offset: f64,
    through: u64,
    distances: &mut [f64],
    from: &mut [u64],
) -> f64 {
    let mut lanes = [f64::INFINITY; LANES];
    let ((costs, _), (chunks, _)) = (row.as_chunks::<LANES>(), prices.as_chunks::<LANES>());
    let whole = costs.len().saturating_mul(LANES);
    let ((distance_chunks, distance_rest), (from_chunks, from_rest)) =
        (distances.as_chunks_mut::<LANES>(), from.as_chunks_mut::<LANES>());
    for (((costs, prices), distances), from) in costs.iter().zip(chunks).zip(distance_chunks).zip(from_chunks) {
        for ((((cost, price), distance), from), lane) in
            costs.iter().zip(prices).zip(distances).zip(from).zip(&mut lanes)
        {
            let here = cost - price + offset;
            let shorter = here < *distance;
            *distance = if shorter { here } else { *distance };
            *from = if shorter { through } else { *from };
            *lane = if *distance < *lane { *distance } else { *lane };
        }
    }
    let (rest, tail) = (row.get(whole..).unwrap_or_default(), prices.get(whole..).unwrap_or_default());
    relax(rest, tail, offset, through, distance_rest, from_rest);
    lanes.iter().chain(distance_rest.iter()).copied().fold(f64::INFINITY, f64::min)
}

/// Collects all indexes of a value, up to the first for which `stop` is true; returns whether there was one.
pub(super) fn indexes_of(distances: &[f64], value: f64, stop: impl Fn(usize) -> bool, found: &mut Vec<usize>) -> bool {
    const WIDE: usize = 16;
    for (at, chunk) in distances.chunks(WIDE).enumerate() {
        if chunk.iter().map(|distance| u64::from(*distance == value)).sum::<u64>() == 0 {
            continue;
        }
        for (index, _) in chunk.iter().enumerate().filter(|(_, distance)| **distance == value) {
            found.push(at * WIDE + index);
            if stop(at * WIDE + index) {
                return true;
            }
        }
    }
    false
}
