//! The rows of duroxide in the table of `benches/peers/functions`: the same loads as in `src/bin/functions.rs`.

use duroxide::providers::sqlite::SqliteProvider;
use duroxide::runtime::registry::ActivityRegistry;
use duroxide::runtime::{Runtime, RuntimeOptions};
use duroxide::{ActivityContext, Client, OrchestrationContext, OrchestrationRegistry, OrchestrationStatus};
use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Functions at once, and the calls of each.
type Load = (u64, u64);

fn main() -> Result<(), Box<dyn Error>> {
    let quick = std::env::var_os("PEERS_QUICK").is_some();
    let loads: [Load; 2] = if quick { [(1, 20), (5, 4)] } else { [(1, 2_000), (100, 50)] };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let rates = loads.map(|load| runtime.block_on(measure(load)));
    // Its database can be deadlocked while many functions are under way, and then a function fails.
    let cells = rates.map(|rate| rate.map_or_else(|error| error.to_string(), |rate| format!("{rate:.0}")));
    println!("| duroxide 0.1, SQLite in a file (WAL) | {} |", cells.join(" | "));
    Ok(())
}

async fn measure((functions, calls): Load) -> Result<f64, Box<dyn Error>> {
    let file = std::env::temp_dir().join(format!("beside-duroxide-{}.db", std::process::id()));
    drop(std::fs::remove_file(&file));
    std::fs::File::create(&file)?;
    let store = SqliteProvider::new(&format!("sqlite:{}", file.display()), None).await?;
    let store = Arc::new(store);
    let activities = ActivityRegistry::builder()
        .register("add", |_: ActivityContext, sum: String| async move {
            let sum: u64 = sum.parse().map_err(|error| format!("{error}"))?;
            Ok((sum + 1).to_string())
        })
        .build();
    let count = |ctx: OrchestrationContext, calls: String| async move {
        let calls: u64 = calls.parse().map_err(|error| format!("{error}"))?;
        let mut sum = "0".to_owned();
        for _ in 0..calls {
            sum = ctx.schedule_activity("add", sum).await?;
        }
        Ok(sum)
    };
    let orchestrations = OrchestrationRegistry::builder().register("count", count).build();
    // Its defaults wait 100 ms between two looks into the store; this is a shorter wait, so that the work is measured.
    let options =
        RuntimeOptions { dispatcher_min_poll_interval: Duration::from_millis(1), ..RuntimeOptions::default() };
    let runtime = Runtime::start_with_options(store.clone(), activities, orchestrations, options).await;
    let client = Client::new(store);
    let began = Instant::now();
    for id in 0..functions {
        client.start_orchestration(&format!("run-{id}"), "count", calls.to_string()).await.map_err(text)?;
    }
    for id in 0..functions {
        let ended =
            client.wait_for_orchestration(&format!("run-{id}"), Duration::from_secs(600)).await.map_err(text)?;
        match ended {
            OrchestrationStatus::Completed { output, .. } => assert_eq!(output, calls.to_string()),
            other => return Err(format!("{other:?}").into()),
        }
    }
    let rate = (functions * calls) as f64 / began.elapsed().as_secs_f64();
    runtime.shutdown(None).await;
    drop(std::fs::remove_file(&file));
    Ok(rate)
}

fn text(error: impl std::fmt::Debug) -> String {
    format!("{error:?}")
}
