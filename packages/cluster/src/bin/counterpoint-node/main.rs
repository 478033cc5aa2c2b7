//! A node of a deployment as a program. See docs/guide/many.md.

mod api;

use clap::Parser;
use counterpoint::cluster::Shards;
use counterpoint_cluster::{
    Deployment, HttpTransport, Inbox, NatsTransport, NodeHost, NodeRules, PostgresStore, Transport,
};
use counterpoint_serving::{Limits, Server};
use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A node of a Counterpoint deployment: hosts shards whose journals are in PostgreSQL, and connects agents.
#[derive(Parser)]
#[command(version)]
struct Options {
    /// The database, as `postgres` reads it: "host=... user=... dbname=...".
    #[arg(long, env = "COUNTERPOINT_DATABASE", hide_env_values = true)]
    database: String,
    /// A NATS server for the messages between nodes; without it they are sent over HTTP.
    #[arg(long, env = "COUNTERPOINT_NATS", hide_env_values = true)]
    nats: Option<String>,
    /// Where the API, and messages of other nodes, are taken.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// How other nodes reach that address; by default as it is.
    #[arg(long)]
    reached: Option<String>,
    /// The number of shards: a power of two, the same on all nodes and for ever.
    #[arg(long, default_value_t = 64)]
    shards: u16,
    /// How long a node that does not report counts as alive, in milliseconds; the same on all nodes.
    #[arg(long, default_value_t = 3_000)]
    lease_ms: u64,
    /// The environment, which idempotency keys depend on; the same on all nodes.
    #[arg(long, default_value = "default")]
    environment: String,
    /// The secret that every request must carry as `Authorization: Bearer SECRET`.
    #[arg(long, env = "COUNTERPOINT_SECRET", hide_env_values = true)]
    secret: String,
    /// How long a node that is asked to end gives its shards to others, in milliseconds.
    #[arg(long, default_value_t = 10_000)]
    patience_ms: u64,
    /// How long it stays after that, to refuse what other nodes have sent before they knew, in milliseconds.
    #[arg(long, default_value_t = 1_000)]
    linger_ms: u64,
}

/// How long a node that has ended says so.
const REFUSING: Duration = Duration::from_millis(500);

fn main() -> std::process::ExitCode {
    match run(Options::parse()) {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(reason) => {
            let _closed = writeln!(std::io::stderr(), "counterpoint-node: {reason}");
            std::process::ExitCode::FAILURE
        }
    }
}

fn run(options: Options) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    if options.secret.is_empty() {
        return Err("the secret is empty".into());
    }
    let bind = tokio::net::TcpListener::bind(options.listen);
    let listener = runtime.block_on(bind).map_err(|error| format!("{}: {error}", options.listen))?;
    let own = listener.local_addr().map_err(|error| error.to_string())?;
    let secret: Arc<str> = options.secret.into();
    let reached = options.reached.unwrap_or_else(|| format!("http://{own}"));
    let shards = Shards::new(options.shards).map_err(|error| error.to_string())?;
    let deployment = Deployment::new(shards)
        .with_lease(Duration::from_millis(options.lease_ms))
        .with_environment(options.environment);
    let database = options.database.parse().map_err(|error: postgres::Error| error.to_string())?;
    let rules = NodeRules::default().with_linger(Duration::from_millis(options.linger_ms));
    let kept: Arc<Mutex<Option<Inbox>>> = Arc::default();
    let transport = |inbox: Inbox| -> Result<Box<dyn Transport>, String> {
        *kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(inbox.clone());
        match &options.nats {
            Some(url) => Ok(Box::new(NatsTransport::connect(runtime.handle(), url, inbox)?)),
            None => Ok(Box::new(HttpTransport::new(runtime.handle(), reached, Arc::clone(&secret)))),
        }
    };
    let store = Box::new(PostgresStore::new(database));
    let node = NodeHost::start(&deployment, store, rules, transport).map_err(|error| error.to_string())?;
    let node = Arc::new(node);
    let _closed = writeln!(std::io::stdout(), "{} listens at http://{own}", node.node());
    let inbox = kept.lock().unwrap_or_else(PoisonError::into_inner).take();
    let mut router = api::router(Arc::clone(&node), Arc::clone(&secret));
    if let (None, Some(inbox)) = (&options.nats, inbox) {
        router = router.merge(HttpTransport::router(inbox, Arc::clone(&secret)));
    }
    let noted = Arc::clone(&node);
    std::thread::spawn(move || {
        loop {
            for note in noted.notes() {
                let _closed = writeln!(std::io::stderr(), "{}: {note}", noted.node());
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    });
    runtime.spawn(async move { Server::new(Limits::default()).serve(listener, router).await });
    runtime.block_on(ended());
    node.shut_down(Duration::from_millis(options.patience_ms));
    // Calls are refused before connections are: without an answer, a caller would not know whether its command was executed.
    std::thread::sleep(REFUSING);
    runtime.shutdown_background();
    Ok(())
}

/// Waits for a request to end.
async fn ended() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut term) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = term.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
            return;
        }
    }
    let _failed = tokio::signal::ctrl_c().await;
}
