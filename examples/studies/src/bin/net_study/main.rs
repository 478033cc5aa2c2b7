//! Random nets of parallel, inclusive and exclusive joins and splits: how many the language expresses, whether the engine
//! performs them as an oracle that counts tokens does, and why it cannot express the rest.
//!
//! ```text
//! cargo run --release -p studies --bin net_study                 # 3,000 nets without cycles, 1,000 with a back edge
//! cargo run -p studies --bin net_study -- --nets 300 --cycles 100
//! cargo run -p studies --bin net_study -- --show 17              # the definition of one net without cycles
//! ```
#![allow(clippy::print_stdout, reason = "a program prints its table")]
#![allow(clippy::indexing_slicing, reason = "nodes and edges are indexes of the net that has them")]

mod game;
mod net;
mod perform;
mod say;
#[cfg(test)]
mod tests;

use net::{Net, Shape};
use perform::{Count, study};
use say::{Means, Reason, say};
use std::error::Error;

const USAGE: &str = "usage: net_study [--nets N] [--cycles N] [--show SEED]";

fn main() -> Result<(), Box<dyn Error>> {
    let (mut nets, mut cycles) = (3_000, 1_000);
    let mut given = std::env::args().skip(1);
    while let Some(word) = given.next() {
        let number = given.next().and_then(|number| number.parse::<u64>().ok()).ok_or(USAGE)?;
        match word.as_str() {
            "--nets" => nets = number,
            "--cycles" => cycles = number,
            "--show" => return show(number),
            _ => return Err(USAGE.into()),
        }
    }
    let acyclic = study(Shape::Acyclic, 0..nets)?;
    let cyclic = study(Shape::WithBackEdge, 0..cycles)?;
    println!("| | without cycles | with a back edge |\n|---|---:|---:|");
    let row = |name: &str, of: &dyn Fn(&Count) -> u32| println!("| {name} | {} | {} |", of(&acyclic), of(&cyclic));
    row("nets", &Count::nets);
    row("can be expressed", &Count::said);
    for (means, name) in [
        (Means::Links, "with links and joins, every node at most once"),
        (Means::Streams, "with nodes that start for each token"),
        (Means::Inclusive, "with maps over numbers of tokens, at inclusive joins only"),
        (Means::Counted, "with maps over numbers of tokens, at parallel joins as well"),
        (Means::Rounds, "with rounds of such maps"),
    ] {
        row(&format!("- {name}"), &|count| count.by_means(means));
    }
    row("agree in all plays", &Count::agreeing);
    row("plays compared", &|count| count.plays);
    row("plays without an end, not compared", &|count| count.endless);
    for (reason, name) in [
        (Reason::NeverEnds, "cannot be expressed: a token in the cycle always comes round again"),
        (
            Reason::InclusiveInCycle,
            "cannot be expressed: an inclusive join in the cycle that other tokens can pass by, or two of them",
        ),
    ] {
        row(name, &|count| count.by_reason(reason));
    }
    row("- of the latter, whose inclusive joins wait for each other in a play", &|count| count.circular);
    for seed in acyclic.wrong.iter().chain(&cyclic.wrong) {
        println!("\n{seed}");
    }
    if acyclic.wrong.is_empty() && cyclic.wrong.is_empty() { Ok(()) } else { Err("a net disagrees".into()) }
}

fn show(seed: u64) -> Result<(), Box<dyn Error>> {
    let net = Net::draw(Shape::Acyclic, seed);
    println!("{net:#?}");
    if let Ok(said) = say(&net)? {
        println!("{}", serde_json::to_string_pretty(&said.definition)?);
    }
    Ok(())
}
