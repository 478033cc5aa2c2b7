//! Orders of a mail-order shop as sagas: an order reserves stock, charges the customer and is checked for fraud in
//! parallel; then the parcel is sent, and then a letter. A failure before the parcel is sent compensates the earlier
//! steps.
//!
//! ```text
//! cargo run --release --features observe --example order_saga -- --orders 1000 --seed 7
//! cargo run --release --features observe --example order_saga -- --crash 1500 --crash-every
//! cargo run --release --features observe --example order_saga -- --seeds 1..21 --orders 200
//! cargo run --release --features observe --example order_saga -- --threads
//! ```
//!
//! Agents fail, stop answering, answer late or twice, panic, crash and register again; customers cancel; the engine
//! crashes. At the end the example compares the accounts of the simulated services with the outcomes: no product is
//! oversold, every charge is shipped or refunded, every reservation is shipped or released, no side effect took place
//! twice, and every order ended once with the outcome that the accounts show. Everything runs in virtual time, and the
//! seed alone determines it, except with `--threads`.
#![allow(
    missing_docs,
    missing_debug_implementations,
    unnameable_types,
    unreachable_pub,
    clippy::exhaustive_enums,
    clippy::exhaustive_structs,
    reason = "the modules of an example have no users outside it"
)]
#![allow(clippy::wildcard_enum_match_arm, reason = "a host acts on what it knows and leaves the rest alone")]

mod agent;
mod chance;
mod flow;
mod orders;
mod proof;
mod shop;
mod table;
mod tally;
#[cfg(test)]
mod tests;
mod threads;
mod world;

use crate::proof::prove;
use crate::shop::{Fallible, Scene, Shop};
use crate::table::table;
use crate::tally::Tally;
use std::io::{self, Write as _};
use std::ops::Range;
use std::process::ExitCode;

const USAGE: &str =
    "usage: order_saga [--orders N] [--seed N] [--seeds A..B] [--crash N [--crash-every]] [--check] [--threads]";

/// How many orders the threads get: they live by the clock.
const ON_THREADS: u64 = 200;

struct Arguments {
    scene: Scene,
    seeds: Option<Range<u64>>,
    threads: bool,
}

fn arguments() -> Option<Arguments> {
    let mut told = Arguments { scene: Scene::new(1, 1_000), seeds: None, threads: false };
    let mut given = std::env::args().skip(1);
    while let Some(argument) = given.next() {
        match argument.as_str() {
            "--orders" => told.scene.orders = given.next()?.parse().ok()?,
            "--seed" => told.scene.seed = given.next()?.parse().ok()?,
            "--seeds" => {
                let range = given.next()?;
                let (from, to) = range.split_once("..")?;
                told.seeds = Some(from.parse().ok()?..to.parse().ok()?);
            }
            "--crash" => told.scene.crash = Some(given.next()?.parse().ok().filter(|facts| *facts > 0)?),
            "--crash-every" => told.scene.again = true,
            "--check" => told.scene.check = true,
            "--threads" => told.threads = true,
            _ => return None,
        }
    }
    (told.scene.crash.is_some() || !told.scene.again).then_some(told)
}

fn main() -> ExitCode {
    let Some(told) = arguments() else {
        let _ = writeln!(io::stderr(), "{USAGE}");
        return ExitCode::from(2);
    };
    let played = match &told.seeds {
        Some(seeds) => many(&told.scene, seeds.clone()),
        None => one(&told),
    };
    match played {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            let _ = writeln!(io::stderr(), "order_saga: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Plays a scene and says what does not balance.
fn judged(scene: Scene) -> Fallible<(Shop, Tally, Vec<String>)> {
    let orders = 0..scene.orders;
    let shop = Shop::play(scene)?;
    let tally = Tally::of(&shop.journal);
    let mut wrong = prove(&tally, &shop.world.books(), orders);
    if shop.restored(false)?.snapshot() != shop.engine().snapshot() {
        wrong.push("replaying the journal gives another state than the engine's".to_owned());
    }
    Ok((shop, tally, wrong))
}

fn one(told: &Arguments) -> Fallible<bool> {
    let (shop, tally, wrong) = judged(told.scene.clone())?;
    let mut out = io::stdout().lock();
    writeln!(out, "{} orders, seed {}, in virtual time\n", shop.scene().orders, shop.scene().seed)?;
    writeln!(out, "{}", table(&tally))?;
    let (books, refused) = (shop.world.books(), shop.refused);
    let too_late: u32 = books.accounts.values().map(|account| account.too_late).sum();
    writeln!(out, "{} events in {}; {} agents lost", tally.facts, shop.finished_at(), tally.agents_lost)?;
    writeln!(
        out,
        "engine rejected {} late answers, {} messages of earlier incarnations, {} late cancellations",
        refused.stale_attempts, refused.stale_lives, refused.late_regrets
    )?;
    writeln!(out, "services recognised {} repeated requests, rejected {too_late} cancelled ones", books.repeats)?;
    drop(books);
    if refused.crashes > 0 {
        writeln!(out, "{} crashes; {}", refused.crashes, likeness(&told.scene, &tally)?)?;
    }
    let mut balanced = verdict(&mut out, "virtual time", &wrong)?;
    if told.threads {
        let orders = told.scene.orders.min(ON_THREADS);
        let (tally, wrong) = threads::play(told.scene.seed, orders)?;
        writeln!(out, "\n{orders} orders, seed {}, on threads\n\n{}", told.scene.seed, table(&tally))?;
        balanced &= verdict(&mut out, "threads", &wrong)?;
    }
    Ok(balanced)
}

/// Compares with the same day without a crash. What hangs on who came first may end otherwise.
fn likeness(scene: &Scene, tally: &Tally) -> Fallible<String> {
    let (_, quiet, _) = judged(Scene { crash: None, ..scene.clone() })?;
    let same =
        |(order, tale): &(&u64, &tally::Tale)| quiet.tales.get(order).is_some_and(|q| q.ending() == tale.ending());
    let alike = tally.tales.iter().filter(same).count();
    Ok(format!("{alike} of {} orders ended as they do without crashes", tally.tales.len()))
}

fn verdict(out: &mut impl io::Write, what: &str, wrong: &[String]) -> io::Result<bool> {
    if wrong.is_empty() {
        writeln!(out, "the accounts balance ({what})")?;
        return Ok(true);
    }
    writeln!(out, "THE ACCOUNTS DO NOT BALANCE ({what}):")?;
    for line in wrong.iter().take(20) {
        writeln!(out, "  {line}")?;
    }
    Ok(false)
}

fn many(scene: &Scene, seeds: Range<u64>) -> Fallible<bool> {
    let mut out = io::stdout().lock();
    let (mut balanced, mut crashes, mut facts, mut all) = (0, 0, 0, 0);
    for seed in seeds {
        all += 1;
        match judged(Scene { seed, ..scene.clone() }) {
            Ok((shop, tally, wrong)) => {
                (crashes, facts) = (crashes + shop.refused.crashes, facts + tally.facts);
                balanced += u64::from(wrong.is_empty());
                for line in wrong.iter().take(5) {
                    writeln!(out, "seed {seed}: {line}")?;
                }
            }
            Err(error) => writeln!(out, "seed {seed}: {error}")?,
        }
    }
    let orders = scene.orders;
    writeln!(
        out,
        "{balanced} of {all} seeds balance ({orders} orders each, {facts} events, {crashes} crashes in all)"
    )?;
    Ok(balanced == all)
}
