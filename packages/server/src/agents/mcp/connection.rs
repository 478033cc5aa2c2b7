//! A connection to a server, and the process behind it.

use super::bounded::Lines;
use super::server::{Prepared, unreached};
use super::web::{Web, cause};
use crate::agents::command::find_program;
use crate::agents::process::{self, Group, Program};
use crate::agents::{Surroundings, failure};
use counterpoint::{Failure, FailureKind};
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, ClientCapabilities, ClientConfig, ErrorCode, Implementation,
    PaginatedRequestParams,
};
use rmcp::service::{RoleClient, RunningService, ServiceError, serve_client};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use serde_json::{Map, Value};
use std::ffi::OsString;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Child;
use tokio::sync::oneshot;
use tokio::time::timeout;

/// How long a server may take to start and to introduce itself.
pub(super) const BEGIN: Duration = Duration::from_secs(30);
/// How long a server may take to end after its input was closed.
const GRACE: Duration = Duration::from_secs(2);
/// The most bytes of a message of a server.
pub(super) const MOST_BYTES: usize = 4 << 20;
/// The most tools of a server.
const MOST_TOOLS: usize = 1_000;

/// A connection. Dropped, it ends the server that was started for it.
#[derive(Debug)]
pub(crate) struct Connection {
    service: RunningService<RoleClient, ClientConfig>,
    process: Option<Process>,
}

/// What is known of a process that serves.
#[derive(Debug)]
struct Process {
    /// The end of its error output.
    errors: Arc<Mutex<Vec<u8>>>,
    /// Whether it sent a message that was too long.
    exceeded: Arc<AtomicBool>,
    /// Dropped, the process is ended.
    _open: oneshot::Sender<()>,
}

impl Process {
    /// The last line of the error output, for messages.
    fn last_line(&self) -> String {
        let errors = self.errors.lock().unwrap_or_else(PoisonError::into_inner);
        let text = String::from_utf8_lossy(&errors).into_owned();
        let last = text.trim_end().lines().last().unwrap_or_default();
        if last.is_empty() { String::new() } else { format!(": {}", last.chars().take(200).collect::<String>()) }
    }
}

impl Connection {
    /// Starts a server, or connects to one, and waits for its introduction.
    pub(super) async fn open(server: &Prepared, around: &Surroundings) -> Result<Self, Failure> {
        let limit = || {
            let limit = humantime::format_duration(BEGIN);
            unreached(format!("the MCP server did not introduce itself within {limit}"), "no-server")
        };
        match server {
            Prepared::Command { .. } => {
                let (child, group) = start(server, around)?;
                timeout(BEGIN, Self::of_process(child, group)).await.map_err(|_| limit())?
            }
            Prepared::Web { url, headers, shown } => {
                let opened = Self::of_web(url, headers, shown, around);
                timeout(BEGIN, opened).await.map_err(|_| limit())?
            }
        }
    }

    async fn of_process(mut child: Child, group: Group) -> Result<Self, Failure> {
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(mut stdin), Some(stdout), Some(stderr)) = pipes else {
            return Err(unreached("the MCP server has no pipes".to_owned(), "not-started"));
        };
        // The program begins with the first byte, which it does not see.
        let begun = stdin.write_all(b"g").await;
        begun.map_err(|error| unreached(format!("the MCP server was not started: {error}"), "not-started"))?;
        let (open, closed) = oneshot::channel();
        let (errors, exceeded) = (Arc::<Mutex<Vec<u8>>>::default(), Arc::new(AtomicBool::new(false)));
        let kept = Arc::clone(&errors);
        tokio::spawn(async move { process::tail(stderr, &kept).await });
        tokio::spawn(supervise(child, group, closed));
        let process = Process { errors, exceeded: Arc::clone(&exceeded), _open: open };
        let lines = Lines::new(stdout, MOST_BYTES, exceeded);
        match serve_client(introduction(), (lines, stdin)).await {
            Ok(service) => Ok(Self { service, process: Some(process) }),
            Err(error) => {
                let text = format!("the MCP server did not introduce itself: {error}{}", process.last_line());
                Err(unreached(text.chars().take(600).collect(), "no-server"))
            }
        }
    }

    async fn of_web(
        url: &str,
        headers: &[(String, String)],
        shown: &str,
        around: &Surroundings,
    ) -> Result<Self, Failure> {
        let bad = |text: String| failure(Failure::permanent(format!("mcp: {text}")), "template");
        let web = Web::new(around.client.clone(), url, headers).map_err(|text| bad(format!("`{shown}` {text}")))?;
        let mut config = StreamableHttpClientTransportConfig::with_uri(url);
        config.max_sse_event_size = MOST_BYTES;
        config.max_json_response_size = MOST_BYTES;
        // A call that may have been performed is not repeated behind the back of the engine.
        config.reinit_on_expired_session = false;
        let transport = StreamableHttpClientTransport::with_client(web, config);
        match serve_client(introduction(), transport).await {
            Ok(service) => Ok(Self { service, process: None }),
            Err(error) => {
                if let Some(failure) = cause(&error) {
                    return Err(failure.of_unsent(shown));
                }
                let text = format!("the MCP server at `{shown}` did not introduce itself: {error}");
                Err(unreached(text.chars().take(600).collect(), "no-server"))
            }
        }
    }

    /// Whether the server can be called.
    pub(super) fn is_open(&self) -> bool {
        !self.service.is_closed() && !self.service.is_transport_closed()
    }

    /// Calls a tool; returns its result as the protocol writes it. A call that is dropped is cancelled at the server.
    pub(super) async fn call(&self, tool: String, arguments: Option<Map<String, Value>>) -> Result<Value, Failure> {
        let mut params = CallToolRequestParams::new(tool);
        params.arguments = arguments;
        match self.service.peer().call_tool_once(params).await {
            Ok(CallToolResponse::Complete(result)) => {
                serde_json::to_value(result).map_err(|error| self.lost(&error.to_string()))
            }
            Ok(_) => Err(failure(
                Failure::permanent("the tool asks for more input, or works in the background, which tasks do not use"),
                "unsupported",
            )),
            Err(error) => Err(self.failed(&error)),
        }
    }

    /// The tools of the server.
    pub(super) async fn tools(&self) -> Result<Vec<rmcp::model::Tool>, Failure> {
        let (mut found, mut cursor) = (Vec::new(), None);
        loop {
            let params = PaginatedRequestParams::default().with_cursor(cursor);
            let page = self.service.peer().list_tools(Some(params)).await.map_err(|error| {
                let failed = self.failed(&error);
                if failed.kind != FailureKind::Unknown {
                    return failed;
                }
                // A list has no effect.
                let made = Failure::transient(failed.message.clone());
                failed.code.clone().into_iter().fold(made, Failure::with_code)
            })?;
            found.extend(page.tools);
            cursor = page.next_cursor;
            if found.len() > MOST_TOOLS {
                let text = format!("the MCP server has more than {MOST_TOOLS} tools");
                return Err(failure(Failure::permanent(text), "too-many-tools"));
            }
            if cursor.is_none() {
                return Ok(found);
            }
        }
    }

    fn lost(&self, text: &str) -> Failure {
        let last = self.process.as_ref().map(Process::last_line).unwrap_or_default();
        failure(Failure::unknown(format!("the connection to the MCP server was lost: {text}{last}")), "connection-lost")
    }

    fn failed(&self, error: &ServiceError) -> Failure {
        if self.process.as_ref().is_some_and(|process| process.exceeded.load(Ordering::Acquire)) {
            let text = format!("the MCP server sent a message of more than {MOST_BYTES} bytes and was ended");
            return failure(Failure::permanent(text), "output-too-long");
        }
        if let Some(cause) = cause(error) {
            return cause.of_call();
        }
        match error {
            ServiceError::McpError(error) => {
                let text: String = error.message.chars().take(400).collect();
                let text = format!("the MCP server answers with error {}: {text}", error.code.0);
                let made = match error.code {
                    ErrorCode::INVALID_PARAMS | ErrorCode::METHOD_NOT_FOUND | ErrorCode::INVALID_REQUEST => {
                        Failure::permanent(text)
                    }
                    // What a server has done before an error of its own is not known.
                    _ => Failure::unknown(text),
                };
                failure(made, &format!("mcp-error{}", error.code.0))
            }
            other => self.lost(&other.to_string()),
        }
    }
}

/// How this program introduces itself.
fn introduction() -> ClientConfig {
    ClientConfig::new(ClientCapabilities::default(), Implementation::new("counterpoint", env!("CARGO_PKG_VERSION")))
}

fn start(server: &Prepared, around: &Surroundings) -> Result<(Child, Group), Failure> {
    let Prepared::Command { words, folder, environment, clean } = server else {
        return Err(unreached("the MCP server is no command".to_owned(), "not-started"));
    };
    let folder = around.folder.join(folder);
    if !folder.is_dir() {
        return Err(failure(Failure::permanent("the folder of the MCP server does not exist"), "no-folder"));
    }
    let mut program: Vec<OsString> = words.iter().map(OsString::from).collect();
    let Some(first) = program.first_mut() else {
        return Err(failure(Failure::permanent("the command of the MCP server is empty"), "template"));
    };
    let Some(found) = find_program(&first.to_string_lossy(), &folder) else {
        // The name may have been rendered with a value of the environment, which may be a secret.
        return Err(failure(Failure::permanent("there is no program with the name of the MCP server"), "no-program"));
    };
    *first = found.into_os_string();
    if program.iter().any(|word| word.as_encoded_bytes().contains(&0)) {
        return Err(failure(Failure::permanent("mcp: a word contains a zero byte"), "template"));
    }
    let program = Program { words: &program, folder: &folder, environment, clean: *clean };
    process::start(&program, &around.guard)
        .map_err(|error| unreached(format!("the MCP server was not started: {error}"), "not-started"))
}

/// Waits for the end of a server. After its connection is closed it has a moment to end by itself.
async fn supervise(mut child: Child, group: Group, closed: oneshot::Receiver<()>) {
    tokio::select! {
        _ = child.wait() => {}
        _ = closed => {
            let _ = timeout(GRACE, child.wait()).await;
        }
    }
    // The group is ended, with all processes that the server has started.
    drop(group);
}
