//! The press office on one thread of tokio: once with attempts within the driver, once with attempts as spawned tasks.

use counterpoint::Config;
use counterpoint::host::future::FutureHost;
use counterpoint_async_hosts::{Sleep, publish};
use std::sync::Arc;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let sleep: Sleep = Arc::new(|span| Box::pin(tokio::time::sleep(span)));
    for spawning in [false, true] {
        let lines = runtime.block_on(async {
            let (host, mut driver) = FutureHost::start(Config::default(), tokio::time::sleep)?;
            if spawning {
                driver = driver.spawning(|attempt| drop(tokio::spawn(attempt)));
            }
            let driver = tokio::spawn(driver);
            let lines = publish(&host, &sleep).await?;
            driver.await??;
            Ok::<_, Box<dyn std::error::Error>>(lines)
        })?;
        println!("on tokio, attempts {}:", if spawning { "spawned" } else { "within the driver" });
        lines.iter().for_each(|line| println!("  {line}"));
    }
    Ok(())
}
