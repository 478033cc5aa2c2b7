//! What an active run takes of memory, counted by the allocator: all that the engine asks for while runs are started, over
//! their number. Tables that grow by doubling are counted with what they hold in reserve. Prints a table.

use counterpoint::Payload;
use counterpoint_peers::quick;
use counterpoint_peers::works::{Works, order, saga};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let active = if quick() { 200 } else { 10_000 };
    println!("| memory, {active} active runs | bytes each | allocations each |\n|---|---|---|");
    let input = Payload::of(&serde_json::json!({"item": "tea", "cents": 450}))?;
    for (what, done) in [("begun", 0), ("half of its nodes done", 10)] {
        let mut works = Works::new(&[saga(20, false)]);
        row(&format!("run of 20 nodes, {what}"), &mut works, "saga", active, done, &Payload::NULL);
    }
    row("order, begun", &mut Works::new(&[order()]), "order", active, 0, &input);
    transitions(active, &input);
    Ok(())
}

/// What stays in use once all have begun and so many nodes of each are done.
fn row(what: &str, works: &mut Works, name: &str, active: u64, done: u64, input: &Payload) {
    let region = Region::new(ALLOCATOR);
    for id in 1..=active {
        works.say(Works::start(id, name, input));
        for _ in 0..done {
            let held = works.held.pop().expect("a step is under way");
            works.say(Works::answer(held));
        }
        // What a host and its journal hold is not the engine's.
        works.held.clear();
        works.facts.clear();
    }
    works.held.shrink_to_fit();
    works.facts.shrink_to_fit();
    let change = region.change();
    let bytes = change.bytes_allocated as i64 - change.bytes_deallocated as i64;
    let left = change.allocations as i64 - change.deallocations as i64;
    let each = |total: i64| total as f64 / active as f64;
    println!("| {what} | {:.0} | {:.1} |", each(bytes), each(left));
}

/// How often whole orders ask for memory.
fn transitions(active: u64, input: &Payload) {
    let mut works = Works::new(&[order()]);
    (1..=100).for_each(|id| {
        works.whole(id, "order", input);
    });
    let region = Region::new(ALLOCATOR);
    let facts: usize = (0..active).map(|id| works.whole(1_000 + id, "order", input)).sum();
    let asked = region.change().allocations as f64 / facts as f64;
    println!("| an order to its end, per transition | | {asked:.2} |");
}
