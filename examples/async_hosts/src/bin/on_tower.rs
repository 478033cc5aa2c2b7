//! Layers of tower on both sides: a service with a limit and a timeout is an agent, and the engine is a service behind
//! a timeout and a limit of its own.

use counterpoint::host::future::{FutureHost, HostService, ServiceAgent};
use counterpoint::{AgentId, AgentSpec, Config, Failure, Payload, Policy, Retry, TaskId, TaskSpec};
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tower::{BoxError, Service, ServiceBuilder, ServiceExt, service_fn};

fn main() -> Result<(), BoxError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    runtime.block_on(work())
}

async fn work() -> Result<(), BoxError> {
    let (host, driver) = FutureHost::start(Config::default(), tokio::time::sleep)?;
    let driver = tokio::spawn(driver);

    // A service as it might stand before a model: the first call hangs, and the timeout around it ends it.
    let calls = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&calls);
    let model = service_fn(move |prompt: String| {
        let call = count.fetch_add(1, Ordering::SeqCst);
        async move {
            tokio::time::sleep(Duration::from_millis(if call == 0 { 60_000 } else { 5 })).await;
            Ok::<_, Infallible>(prompt.to_uppercase())
        }
    });
    let model = ServiceBuilder::new().concurrency_limit(2).timeout(Duration::from_millis(100)).service(model);
    let agent = ServiceAgent::new(model).with_classifier(|error: BoxError| Failure::unknown(error.to_string()));
    host.add_custom_agent(AgentSpec::new(AgentId::new(1)).with_skill("shout", 1).with_capacity(8), agent).await?;

    // The engine as a service: a prompt in, the answer out. Every request becomes a task with an id of its own.
    let mut ids = 1_u64..;
    let mut engine = ServiceBuilder::new()
        .concurrency_limit(4)
        .timeout(Duration::from_secs(5))
        .map_request(move |prompt: &str| {
            let retry = Retry::exponential(3, Duration::from_millis(5), Duration::from_millis(10));
            TaskSpec::new(TaskId::new(ids.next().expect("there is another id")), "shout")
                .with_payload(Payload::of(prompt).expect("a text"))
                .with_policy(Policy::default().with_retry(retry))
        })
        .service(HostService::new(host.clone()));
    for prompt in ["hello", "are you there"] {
        let answer = engine.ready().await?.call(prompt).await?;
        println!("{prompt:?} -> {answer}");
    }
    println!("calls of the service: {}", calls.load(Ordering::SeqCst));
    host.shut_down(Duration::from_secs(1)).await?;
    driver.await??;
    Ok(())
}
