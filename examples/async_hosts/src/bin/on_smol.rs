//! The press office on smol; blocking threads perform the appends of the journal.

use counterpoint::Config;
use counterpoint::host::future::{FutureHost, OffThread};
use counterpoint::journal::MemoryJournal;
use counterpoint_async_hosts::{Sleep, publish};
use std::sync::Arc;
use std::time::Duration;

async fn sleep(span: Duration) {
    smol::Timer::after(span).await;
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let lines = smol::block_on(async {
        let journal = OffThread::new(MemoryJournal::default(), |work| smol::unblock(work).detach());
        let (host, driver) = FutureHost::open(Config::default(), journal, sleep).await?;
        let driver = smol::spawn(driver);
        let timer: Sleep = Arc::new(|span| Box::pin(sleep(span)));
        let lines = publish(&host, &timer).await?;
        driver.await?;
        Ok::<_, Box<dyn std::error::Error>>(lines)
    })?;
    println!("on smol, with the journal on blocking threads:");
    lines.iter().for_each(|line| println!("  {line}"));
    Ok(())
}
