//! The server.
//!
//! `counterpoint-mcp --tokens FILE [--http ADDRESS] [--journal FOLDER]`: on standard input and output, with the token
//! in `COUNTERPOINT_TOKEN`, or over HTTP at `/mcp`, with a token in each request.

use axum::Router;
use axum::middleware::from_fn_with_state;
use counterpoint::access::{Token, Tokens};
use counterpoint::journal::sealed::Stream;
use counterpoint::journal::{Journal, MemoryJournal};
use counterpoint_journal_files::FileJournal;
use counterpoint_mcp::{Counterpoint, guard};
use rmcp::ServiceExt as _;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService, stdio};
use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

#[derive(Default)]
struct Arguments {
    tokens: PathBuf,
    http: Option<String>,
    journal: Option<PathBuf>,
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
            _ => return Err(format!("unknown option {word}: expected --tokens, --http, --journal").into()),
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
        let session = server.serve(stdio()).await?;
        tokio::select! {
            ended = session.waiting() => drop(ended?),
            failed = &mut driven => failed??,
        }
        return Ok(());
    };
    let service = StreamableHttpService::new(
        move || Ok(server.clone()),
        Arc::<LocalSessionManager>::default(),
        StreamableHttpServerConfig::default(),
    );
    let router = Router::new().nest_service("/mcp", service).layer(from_fn_with_state(Arc::new(tokens), guard));
    let listener = TcpListener::bind(address).await?;
    println!("listening on http://{}/mcp", listener.local_addr()?);
    tokio::select! {
        served = axum::serve(listener, router) => served?,
        failed = &mut driven => failed??,
    }
    Ok(())
}
