//! Durable functions: how many calls are performed in a second, with the journal in memory and in files, beside a `JoinSet`, which
//! stores nothing. Each call adds one to a number. `benches/peers/functions` prints the rows of the peers below these.

use counterpoint::host::future::{AsyncJournal, FutureHost};
use counterpoint::host::thread::ThreadHost;
use counterpoint::journal::sealed::Stream;
use counterpoint::journal::{Journal, MemoryJournal};
use counterpoint::workflow::{AsyncSteps, Attempt, Ctx, DurableFunctions, FunctionSpec, StepSpec, Steps};
use counterpoint::{AgentId, AgentSpec, Config, Failure, RunId};
use counterpoint_journal_files::FileJournal;
use counterpoint_peers::quick;
use std::error::Error;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tokio::runtime::Builder;
use tokio::task::JoinSet;

type Done<T> = Result<T, Box<dyn Error>>;

const ADD: StepSpec<u64, u64> = StepSpec::new("add");
const COUNT: FunctionSpec<u64, u64> = FunctionSpec::new("count");

async fn count(ctx: Ctx, calls: u64) -> Result<u64, Failure> {
    let mut sum = 0;
    for _ in 0..calls {
        sum = ctx.step("add", ADD, &sum).await?;
    }
    Ok(sum)
}

/// So many functions at once, each of which performs so many calls, one after the other.
#[derive(Clone, Copy)]
struct Load {
    functions: u64,
    calls: u64,
}

impl Load {
    #[expect(clippy::cast_precision_loss, reason = "a few thousand calls")]
    fn rate(self, began: Instant) -> f64 {
        (self.functions * self.calls) as f64 / began.elapsed().as_secs_f64()
    }
}

/// An empty folder, which is removed with this value.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Done<Self> {
        let path = std::env::temp_dir().join(format!("counterpoint-functions-{}", std::process::id()));
        drop(std::fs::remove_dir_all(&path));
        std::fs::create_dir_all(&path)?;
        Ok(Self(path))
    }

    fn journal(&self) -> FileJournal {
        FileJournal::new(&self.0, Stream::new("functions"))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

fn main() -> Done<()> {
    let loads = if quick() {
        [Load { functions: 1, calls: 20 }, Load { functions: 5, calls: 4 }]
    } else {
        [Load { functions: 1, calls: 2_000 }, Load { functions: 100, calls: 50 }]
    };
    let [one, many] = loads;
    println!(
        "| calls per second of wall time | {} in a row | {} functions of {} |",
        one.calls, many.functions, many.calls
    );
    println!("|---|---|---|");
    row("`JoinSet`, nothing stored", loads, |load| Builder::new_current_thread().build()?.block_on(joined(load)))?;
    row("future host, journal in memory", loads, |load| run(hosted(MemoryJournal::default(), load)))?;
    row("thread host, journal in memory", loads, |load| threaded(MemoryJournal::default(), load))?;
    row("future host, journal in files", loads, |load| {
        let folder = Folder::new()?;
        run(hosted(folder.journal(), load))
    })?;
    row("thread host, journal in files", loads, |load| threaded(Folder::new()?.journal(), load))
}

fn row(name: &str, loads: [Load; 2], measure: impl Fn(Load) -> Done<f64>) -> Done<()> {
    let [one, many] = loads;
    println!("| {name} | {:.0} | {:.0} |", measure(one)?, measure(many)?);
    Ok(())
}

fn run(measured: impl Future<Output = Done<f64>>) -> Done<f64> {
    Builder::new_current_thread().enable_time().build()?.block_on(measured)
}

async fn joined(load: Load) -> Done<f64> {
    let began = Instant::now();
    let mut set = JoinSet::new();
    for _ in 0..load.functions {
        set.spawn(async move {
            let mut sum = 0;
            for _ in 0..load.calls {
                sum = tokio::spawn(async move { sum + 1 }).await?;
            }
            Ok::<u64, tokio::task::JoinError>(sum)
        });
    }
    while let Some(sum) = set.join_next().await {
        assert_eq!(sum??, load.calls);
    }
    Ok(load.rate(began))
}

async fn hosted(journal: impl AsyncJournal, load: Load) -> Done<f64> {
    let (host, driver) = FutureHost::open(Config::default(), journal, tokio::time::sleep).await?;
    let driver = tokio::spawn(driver);
    host.add_functions(AgentSpec::new(AgentId::new(1)).with_capacity(100), DurableFunctions::new().with(COUNT, count))
        .await?;
    let steps = AsyncSteps::new().with_fn(ADD, |sum: u64, _| async move { Ok(sum + 1) });
    host.add_agent(AgentSpec::new(AgentId::new(2)).with_capacity(100), steps).await?;
    let flow = COUNT.flow()?;
    let began = Instant::now();
    let mut handles = Vec::new();
    for run in 1..=load.functions {
        handles.push(host.run(&flow, RunId::new(run), &load.calls).await?);
    }
    for handle in handles {
        assert_eq!(handle.await?, load.calls);
    }
    let rate = load.rate(began);
    host.shut_down(Duration::from_secs(5)).await?;
    driver.await??;
    Ok(rate)
}

fn threaded(journal: impl Journal + 'static, load: Load) -> Done<f64> {
    let host = ThreadHost::open(Config::default(), journal)?;
    host.add_functions(AgentSpec::new(AgentId::new(1)), DurableFunctions::new().with(COUNT, count).kept(100))?;
    let steps = Steps::new().with_fn(ADD, |sum: u64, _: &Attempt| Ok(sum + 1));
    host.add_agent(AgentSpec::new(AgentId::new(2)), steps)?;
    let flow = COUNT.flow()?;
    let began = Instant::now();
    let handles: Vec<_> =
        (1..=load.functions).map(|run| host.run(&flow, RunId::new(run), &load.calls)).collect::<Result<_, _>>()?;
    for handle in handles {
        assert_eq!(handle.wait()?, load.calls);
    }
    let rate = load.rate(began);
    host.shut_down(Duration::from_secs(5))?;
    Ok(rate)
}
