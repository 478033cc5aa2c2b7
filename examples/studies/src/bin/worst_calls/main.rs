//! The most expensive call of an engine in cases that an adversary would choose, in processor time, each with `n` and `2n`.
//!
//! ```text
//! cargo run --release -p studies --bin worst_calls                   # every case at its full size
//! cargo run --release -p studies --bin worst_calls -- --case map     # the cases with this word in their names
//! cargo run --release -p studies --bin worst_calls -- --share 0.01   # a part of the size
//! ```
//!
//! A case ends when the engine asks for no further call, or after the seconds that `--within` allows. The processor time of a
//! call is that of its thread, so other programs on the machine are not measured with it.
#![allow(clippy::print_stdout, reason = "an example talks to a person")]

mod cases;
mod measured;

use cases::CASES;
use measured::Measured;
use std::error::Error;
use std::time::Duration;

type Fallible<T> = Result<T, Box<dyn Error>>;

const USAGE: &str = "usage: worst_calls [--case WORD] [--share S] [--within SECONDS] [--once] [--small]";

struct Arguments {
    case: String,
    /// The size of each case, as a part of its full size.
    share: f64,
    /// The processor time after which a case is given up.
    within: Duration,
    /// Whether each case runs with `n` only.
    once: bool,
}

fn arguments() -> Fallible<Arguments> {
    let mut told = Arguments { case: String::new(), share: 1.0, within: Duration::from_secs(60), once: false };
    let mut given = std::env::args().skip(1);
    while let Some(word) = given.next() {
        match word.as_str() {
            "--small" => told.share = 0.002,
            "--once" => told.once = true,
            "--case" => told.case = given.next().ok_or(USAGE)?,
            "--share" => told.share = given.next().ok_or(USAGE)?.parse()?,
            "--within" => told.within = Duration::try_from_secs_f64(given.next().ok_or(USAGE)?.parse()?)?,
            _ => return Err(USAGE.into()),
        }
    }
    Ok(told)
}

fn milliseconds(time: Duration) -> String {
    format!("{:.2}", time.as_secs_f64() * 1_000.0)
}

fn row(name: &str, size: u32, made: &Measured) {
    let worst = milliseconds(made.worst());
    let total = milliseconds(made.total());
    let (calls, entries, end) = (made.calls(), made.most_entries(), made.end());
    println!("| {name} | {size} | {calls} | {entries} | {worst} | {} | {total} | {end} |", made.worst_in());
}

fn main() -> Fallible<()> {
    let told = arguments()?;
    println!("| case | n | calls | most entries | worst call, ms | in | total, ms | end |");
    println!("|---|---:|---:|---:|---:|---|---:|---|");
    for case in CASES.iter().filter(|case| case.name.contains(&told.case)) {
        let full = f64::from(case.size);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a size is small and positive")]
        let size = ((full * told.share) as u32).max(4);
        for size in [size, size.saturating_mul(2)].into_iter().take(if told.once { 1 } else { 2 }) {
            let mut made = Measured::new(told.within);
            (case.run)(size, &mut made)?;
            row(case.name, size, &made);
        }
    }
    Ok(())
}
