//! The server.
//!
//! `counterpoint-mcp --tokens FILE [--journal FOLDER]`: on standard input and output, with the token in
//! `COUNTERPOINT_TOKEN`. With `--http ADDRESS` over HTTP at `/mcp`, with a token in each request; then also
//! `[--allow-host HOST]... [--allow-origin ORIGIN]... [--sessions N] [--session-seconds N]` and the limits of
//! `counterpoint_serving::Options`.

use counterpoint::access::{Token, Tokens};
use counterpoint::journal::sealed::Stream;
use counterpoint::journal::{Journal, MemoryJournal};
use counterpoint_journal_files::FileJournal;
use counterpoint_mcp::{Allowed, Counterpoint, Frames, SessionLimits, router};
use counterpoint_serving::{Limits, Options, Server};
use rmcp::ServiceExt as _;
use rmcp::transport::stdio;
use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

#[derive(Default)]
struct Arguments {
    tokens: PathBuf,
    http: Option<String>,
    journal: Option<PathBuf>,
    allowed: Allowed,
    sessions: SessionLimits,
    limits: Limits,
}

fn number(option: &str, value: &str) -> Result<u64, String> {
    let number = value.parse().ok().filter(|number| *number > 0 && !value.starts_with('+'));
    number.ok_or_else(|| format!("{option}: `{value}` is not a whole number from 1 on"))
}

fn arguments() -> Result<Arguments, Box<dyn Error>> {
    let mut arguments = Arguments::default();
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let value = words.next().ok_or_else(|| format!("{word} needs a value"))?;
        match word.as_str() {
            "--tokens" => arguments.tokens = value.into(),
            "--http" => arguments.http = Some(value),
            "--journal" => arguments.journal = Some(value.into()),
            "--allow-host" => arguments.allowed.hosts.push(value),
            "--allow-origin" => arguments.allowed.origins.push(value),
            "--sessions" => arguments.sessions.sessions = usize::try_from(number(&word, &value)?)?,
            "--session-seconds" => arguments.sessions.idle = Duration::from_secs(number(&word, &value)?),
            _ if arguments.limits.set(&word, &value)? => {}
            _ => {
                let own = "--tokens, --http, --journal, --allow-host, --allow-origin, --sessions, --session-seconds";
                return Err(format!("unknown option {word}: expected {own}, {}", Options::NAMES).into());
            }
        }
    }
    Ok(arguments)
}

type Driven = JoinHandle<Result<(), counterpoint::host::HostError>>;

async fn open(journal: impl Journal + 'static, tokens: Tokens) -> Result<(Counterpoint, Driven), Box<dyn Error>> {
    let token = std::env::var("COUNTERPOINT_TOKEN").ok().map(Token::new);
    let (server, driver) = Counterpoint::open(journal, tokens, token).await?;
    // Requests that are sent before the driver is polled are handled first: no entry is missed.
    let ready = std::cell::OnceCell::new();
    let spawn = async { drop(ready.set(tokio::spawn(driver))) };
    let (watched, ()) = tokio::join!(biased; server.watch(), spawn);
    watched?;
    Ok((server, ready.into_inner().ok_or("the driver was not spawned")?))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments = arguments()?;
    let tokens: Tokens = serde_json::from_slice(&std::fs::read(&arguments.tokens)?)?;
    let (server, mut driven) = match &arguments.journal {
        Some(folder) => open(FileJournal::new(folder, Stream::new("mcp-server")), tokens.clone()).await?,
        None => open(MemoryJournal::default(), tokens.clone()).await?,
    };
    let Some(address) = arguments.http else {
        let (input, output) = stdio();
        let session = server.serve(Frames::new(input, output)).await?;
        tokio::select! {
            ended = session.waiting() => drop(ended?),
            failed = &mut driven => failed??,
        }
        return Ok(());
    };
    let serving = Server::new(arguments.limits);
    let router = router(server, tokens, arguments.limits, arguments.sessions, &arguments.allowed);
    let listener = TcpListener::bind(address).await?;
    println!("listening on http://{}/mcp", listener.local_addr()?);
    tokio::select! {
        never = serving.serve(listener, router) => match never {},
        failed = &mut driven => failed??,
    }
    Ok(())
}
