//! Lists over all shards.

use counterpoint::cluster::{Gather, GatherError, ListCursor, Position, Rows, ShardId, Shards};
use counterpoint::{Seq, Time};
use proptest::prelude::*;
use std::collections::BTreeSet;

type List = BTreeSet<Position>;

/// The answer of a shard that lists at most so many rows at a time.
fn answer(shard: ShardId, list: &List, after: Option<Position>, most: usize) -> Rows<(ShardId, Position)> {
    let rest: Vec<Position> = list.iter().copied().filter(|row| after.is_none_or(|after| *row > after)).collect();
    let rows = rest.iter().take(most).map(|row| (*row, (shard, *row))).collect();
    let rows = Rows::new(Seq::new(1), rows);
    if rest.len() > most { rows.with_more() } else { rows }
}

fn list() -> impl Strategy<Value = List> {
    let row = (0_u64..6, 0_u64..4).prop_map(|(at, id)| Position::new(Time::from_secs(at), id));
    prop::collection::btree_set(row, 0..12)
}

proptest! {
    #![proptest_config(crate::property(256))]

    /// Page by page, every row of every shard is listed once and in order, also if shards answer late.
    #[test]
    fn pages_list_every_row_once_and_in_order(
        lists in prop::collection::vec(list(), 4),
        most in 0_usize..7,
        by_shard in 1_usize..5,
        late in prop::collection::vec(prop::bool::weighted(0.2), 0..24),
    ) {
        let shards = Shards::new(4).unwrap();
        let (mut cursor, mut found) = (ListCursor::default(), Vec::new());
        let mut late = late.into_iter();
        let mut partial = false;
        for page in 0.. {
            prop_assert!(page < 200, "the list does not end");
            let mut gather = Gather::new(shards, cursor.clone());
            for shard in shards.all() {
                if late.next().unwrap_or(false) {
                    continue;
                }
                let rows = answer(shard, &lists[shard.index()], cursor.of(shard), by_shard);
                gather.answer(shard, rows).unwrap();
            }
            let page = gather.page(most);
            partial |= !page.missing.is_empty();
            prop_assert!(page.rows.len() <= most.max(1));
            prop_assert_eq!(page.seqs.len() + page.missing.len(), 4);
            found.extend(page.rows);
            match page.next {
                Some(next) => cursor = next,
                None => break,
            }
        }
        let mut expected: Vec<(ShardId, Position)> =
            shards.all().flat_map(|shard| lists[shard.index()].iter().map(move |row| (shard, *row))).collect();
        expected.sort_by_key(|(shard, row)| (*row, *shard));
        if partial {
            // The rows of a late shard come on a later page.
            found.sort_by_key(|(shard, row)| (*row, *shard));
        }
        prop_assert_eq!(found, expected);
    }
}

#[test]
fn strange_answers_are_refused() {
    let at = |secs| Position::new(Time::from_secs(secs), 0);
    let mut gather = Gather::new(Shards::new(2).unwrap(), ListCursor::default());
    let rows = |rows: Vec<(Position, u8)>| Rows::new(Seq::ZERO, rows);
    assert!(matches!(gather.answer(ShardId::new(2), rows(vec![])), Err(GatherError::Shards(_))));
    let shard = ShardId::new(1);
    assert_eq!(gather.answer(shard, rows(vec![(at(2), 1), (at(1), 2)])), Err(GatherError::Disordered(shard)));
    gather.answer(shard, rows(vec![(at(1), 1)])).unwrap();
    assert_eq!(gather.answer(shard, rows(vec![])), Err(GatherError::Repeated(shard)));
    let next = gather.page(5).next.unwrap();
    let mut gather = Gather::new(Shards::new(2).unwrap(), next);
    assert_eq!(gather.answer(shard, rows(vec![(at(1), 1)])), Err(GatherError::Disordered(shard)));
}
