//! The server.
//!
//! `counterpoint-http --folder DIR --tokens FILE [--listen ADDRESS] [--connections N] [--header-seconds N] [--body-seconds N]
//! [--body-rate BYTES] [--write-seconds N]`

use counterpoint::access::Tokens;
use counterpoint_http::App;
use counterpoint_serving::{Limits, Options};
use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

struct Arguments {
    folder: PathBuf,
    tokens: PathBuf,
    listen: String,
    limits: Limits,
}

fn arguments() -> Result<Arguments, Box<dyn Error>> {
    let (mut folder, mut tokens, mut listen) = (None, None, "127.0.0.1:8080".to_owned());
    let mut limits = Limits::default();
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let value = words.next().ok_or_else(|| format!("{word} needs a value"))?;
        match word.as_str() {
            "--folder" => folder = Some(PathBuf::from(value)),
            "--tokens" => tokens = Some(PathBuf::from(value)),
            "--listen" => listen = value,
            _ if limits.set(&word, &value)? => {}
            _ => {
                let known = Options::NAMES;
                return Err(format!("unknown option {word}: expected --folder, --tokens, --listen, {known}").into());
            }
        }
    }
    let (folder, tokens) = (folder.ok_or("--folder is required")?, tokens.ok_or("--tokens is required")?);
    Ok(Arguments { folder, tokens, listen, limits })
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments = arguments()?;
    let tokens: Tokens = serde_json::from_slice(&std::fs::read(&arguments.tokens)?)?;
    let (app, driver) = App::open(&arguments.folder, tokens, arguments.limits).await?;
    // Requests that are sent before the driver is polled are handled first: the hub misses no entry.
    let ready = std::cell::OnceCell::new();
    let spawn = async { drop(ready.set(tokio::spawn(driver))) };
    let (watched, ()) = tokio::join!(biased; app.watch(), spawn);
    watched?;
    let mut driver = ready.into_inner().ok_or("the driver was not spawned")?;

    let listener = TcpListener::bind(&arguments.listen).await?;
    println!("listening on http://{}", listener.local_addr()?);
    let (mut interrupted, mut terminated) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    tokio::select! {
        never = app.serve(listener) => match never {},
        // The journal failed: no further request can be accepted.
        ended = &mut driver => return Ok(ended??),
        _ = interrupted.recv() => {}
        _ = terminated.recv() => {}
    }
    // The attempts of remote agents are in the journal, for the next host.
    let _ = app.shut_down(Duration::from_millis(500)).await;
    Ok(driver.await??)
}
