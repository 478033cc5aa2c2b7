//! What counterpoint does on threads, under schedules that a model checker draws: see `tests/`.
#![forbid(unsafe_code)]

use shuttle::scheduler::{PctScheduler, RandomScheduler};
use shuttle::{Config, Runner};

/// Schedules of each kind for one test; `COUNTERPOINT_SCHEDULES` asks for others.
const SCHEDULES: usize = 1_000;
/// Of so many turns that are against all odds a bug may need.
const DEPTH: usize = 4;
/// Longer than any schedule that gets anywhere.
const STEPS: usize = 200_000;

/// Plays a small program under schedules drawn evenly, and under those that find what needs few unlikely turns (Burckhardt et
/// al., "A randomized scheduler with probabilistic guarantees of finding bugs", ASPLOS 2010). A failure prints the schedule
/// that `shuttle::replay` plays again.
///
/// # Panics
///
/// When the program does, when nobody can go on, and when it does not end.
pub fn check(program: impl Fn() + Send + Sync + Clone + 'static) {
    let asked = std::env::var("COUNTERPOINT_SCHEDULES").ok().and_then(|asked| asked.parse().ok());
    let schedules = asked.unwrap_or(SCHEDULES);
    let config = || {
        let mut config = Config::new();
        config.stack_size = 1 << 20;
        config.max_steps = shuttle::MaxSteps::FailAfter(STEPS);
        config
    };
    // The second kind wants something to schedule in every program, and some draw a graph that needs one thread.
    let program = move || {
        let other = shuttle::thread::spawn(shuttle::thread::yield_now);
        program();
        other.join().expect("it does nothing");
    };
    let evenly = Runner::new(RandomScheduler::new(schedules), config()).run(program.clone());
    let unlikely = Runner::new(PctScheduler::new(DEPTH, schedules), config()).run(program);
    assert_eq!((evenly, unlikely), (schedules, schedules), "all were played");
}
