//! Long work as tasks of the protocol, as the client of the protocol's Rust SDK sees it.

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, CancelTaskParams, ClientCapabilities, ClientConfig,
    DetailedTask, ErrorCode, ErrorData, GetTaskParams, Implementation, InputResponses, ProgressNotificationParam,
    ProtocolVersion, Task, TaskPayload, TaskStatus, UpdateTaskParams,
};
use rmcp::service::{NotificationContext, RunningService, ServiceError};
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::transport::{StreamableHttpClientTransport, TokioChildProcess};
use rmcp::{ClientHandler, ClientLifecycleMode, ClientServiceExt as _, RoleClient};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const BINARY: &str = env!("CARGO_BIN_EXE_counterpoint-mcp");

/// A folder of a test's own, with tokens in it.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("tasks-{name}"));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    let tokens = json!([
        {"token": "t-ada", "name": "ada", "roles": ["submitter"]},
        {"token": "t-ted", "name": "ted", "roles": ["submitter"], "tenants": ["blue"]},
        {"token": "t-7", "name": "agent 7", "roles": ["agent"], "agents": [7]},
        {"token": "t-ops", "name": "grace", "roles": ["operator", "agent"], "agents": [7]},
        {"token": "t-eve", "name": "eve", "roles": ["auditor"]},
    ]);
    std::fs::write(folder.join("tokens.json"), tokens.to_string()).unwrap();
    folder
}

/// A server of ours, over HTTP on this machine. It ends with the test, as if it had crashed.
struct Server {
    child: Child,
    url: String,
}

impl Server {
    fn start(folder: &Path) -> Self {
        let tokens = folder.join("tokens.json");
        let mut command = Command::new(BINARY);
        command.arg("--tokens").arg(tokens).args(["--http", "127.0.0.1:0"]).arg("--journal");
        let mut child = command.arg(folder.join("journal")).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.split_whitespace().last().expect("it says where it listens").to_owned();
        Self { child, url }
    }

    fn crash(self) {}

    /// A client that follows tasks.
    async fn follower(&self, token: &str) -> Client {
        self.client(token, true, modern()).await
    }

    async fn client(&self, token: &str, follows: bool, lifecycle: ClientLifecycleMode) -> Client {
        let config = StreamableHttpClientTransportConfig::with_uri(self.url.clone()).auth_header(token);
        let transport = StreamableHttpClientTransport::from_config(config);
        Client(Listener::new(follows).serve_with_lifecycle(transport, lifecycle).await.unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// The protocol of the version that has the extension.
fn modern() -> ClientLifecycleMode {
    ClientLifecycleMode::Discover { preferred_versions: vec![ProtocolVersion::V_2026_07_28] }
}

/// Writes down the progress that it is told.
#[derive(Clone)]
struct Listener {
    config: ClientConfig,
    told: Arc<Mutex<Vec<String>>>,
}

impl Listener {
    fn new(follows: bool) -> Self {
        let capabilities = ClientCapabilities::builder();
        let capabilities = if follows { capabilities.enable_tasks().build() } else { capabilities.build() };
        Self { config: ClientConfig::new(capabilities, Implementation::from_build_env()), told: Arc::default() }
    }
}

impl ClientHandler for Listener {
    fn get_info(&self) -> ClientConfig {
        self.config.clone()
    }

    async fn on_progress(&self, told: ProgressNotificationParam, _: NotificationContext<RoleClient>) {
        self.told.lock().unwrap().push(told.message.unwrap_or_default());
    }
}

struct Client(RunningService<RoleClient, Listener>);

impl Client {
    async fn ask(&self, tool: &'static str, arguments: Value) -> CallToolResponse {
        let Value::Object(arguments) = arguments else { panic!("{arguments}") };
        self.0.call_tool_once(CallToolRequestParams::new(tool).with_arguments(arguments)).await.unwrap()
    }

    /// What a tool answers, which hands out no task.
    async fn call(&self, tool: &'static str, arguments: Value) -> Value {
        let CallToolResponse::Complete(result) = self.ask(tool, arguments).await else { panic!("a task") };
        assert_ne!(result.is_error, Some(true), "{result:?}");
        result.structured_content.unwrap()
    }

    /// The task that a tool hands out.
    async fn brought(&self, tool: &'static str, arguments: Value) -> Task {
        let CallToolResponse::Task(created) = self.ask(tool, arguments).await else { panic!("no task") };
        assert_eq!(created.task.status, TaskStatus::Working);
        let (kind, number) = created.task.task_id.split_once('-').unwrap();
        assert_eq!(created.meta.unwrap().0[&format!("counterpoint/{kind}")], number);
        created.task
    }

    async fn get(&self, task: &str) -> Result<DetailedTask, ErrorData> {
        refused(self.0.get_task(GetTaskParams::new(task)).await).map(|result| result.task)
    }

    async fn cancel(&self, task: &str) -> Result<(), ErrorData> {
        refused(self.0.cancel_task(CancelTaskParams::new(task)).await)
    }

    async fn update(&self, task: &str) -> Result<(), ErrorData> {
        refused(self.0.update_task(UpdateTaskParams::new(task, InputResponses::new())).await)
    }

    /// Asks until the task is over, as clients do.
    async fn over(&self, task: &str) -> DetailedTask {
        for _ in 0..500 {
            let now = self.get(task).await.unwrap();
            if now.status().is_terminal() {
                return now;
            }
            assert_eq!(now.payload, TaskPayload::Working);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{task} does not end")
    }

    /// Registers agent 7 and returns its incarnation.
    async fn joins(&self) -> Value {
        self.call("register_agent", json!({"agent": "7", "skills": {"square": 1, "write": 1}})).await["incarnation"]
            .clone()
    }

    /// The work that agent 7 holds, once it holds some.
    async fn work(&self) -> Value {
        let mut now = self.call("get_status", json!({"agent": "7", "wait_seconds": 20})).await;
        assert_eq!(now["work"].as_array().unwrap().len(), 1, "{now}");
        now["work"][0].take()
    }

    async fn answers(&self, incarnation: &Value, given: &Value, verdict: Value) {
        let mut answer =
            json!({"agent": "7", "incarnation": incarnation, "task": given["task"], "attempt": given["attempt"]});
        answer.as_object_mut().unwrap().extend(verdict.as_object().unwrap().clone());
        self.call("handle_task_response", answer).await;
    }
}

/// The error that the server answered.
fn refused<T>(result: Result<T, ServiceError>) -> Result<T, ErrorData> {
    result.map_err(|error| match error {
        ServiceError::McpError(error) => error,
        other => panic!("{other}"),
    })
}

/// The error of the protocol with which a request is refused, by the code that ours has.
fn code<T: std::fmt::Debug>(result: Result<T, ErrorData>) -> String {
    let error = result.unwrap_err();
    assert_eq!(error.code, ErrorCode::INVALID_PARAMS, "{error:?}");
    error.data.unwrap()["code"].as_str().unwrap().to_owned()
}

/// The result of a tool in a task that is completed.
fn result(task: DetailedTask) -> Value {
    let TaskPayload::Completed { result } = task.payload else { panic!("{task:?}") };
    let result: CallToolResult = serde_json::from_value(result.into()).unwrap();
    assert_eq!(result.is_error, Some(false));
    let text: Value = serde_json::from_str(&result.content[0].as_text().unwrap().text).unwrap();
    assert_eq!(Some(&text), result.structured_content.as_ref());
    text
}

fn message(task: &DetailedTask) -> &str {
    task.task.status_message.as_deref().unwrap()
}

fn square(key: &str) -> Value {
    json!({"key": key, "kind": "square", "payload": 7, "wait_seconds": 600, "attempts": 2})
}

/// A workflow of two steps.
async fn report(ops: &Client) {
    let document = json!({"name": "report", "tasks": [{"id": "square"}, {"id": "write", "depends_on": ["square"]}]});
    let goal = json!({"goal": "a report", "name": "report", "document": document, "kinds": ["square", "write"]});
    ops.call("decompose_goal", goal).await;
}

#[tokio::test]
async fn a_task_is_handed_out_at_once_and_completed_with_what_the_tool_would_have_answered() {
    let server = Server::start(&folder("completed"));
    let (ada, seven) = (server.follower("t-ada").await, server.follower("t-7").await);
    assert!(ada.0.peer_info().unwrap().capabilities.supports_tasks());
    let incarnation = seven.joins().await;
    // It asks to wait for ten minutes, and is not kept waiting.
    let task = ada.brought("distribute_task", square("a")).await;
    assert_eq!((task.ttl_ms, task.poll_interval_ms), (None, Some(1_000)));
    let first = ada.get(&task.task_id).await.unwrap();
    assert_eq!((first.status(), &first.task.created_at), (TaskStatus::Working, &task.created_at));

    // Each fact of its life is its message, as it would have been told as progress.
    let given = seven.work().await;
    let held = ada.get(&task.task_id).await.unwrap();
    assert!(message(&held).starts_with("running: ") && message(&held).contains("assigned"), "{held:?}");
    seven.answers(&incarnation, &given, json!({"failure": {"kind": "transient", "message": "no ink"}})).await;
    let waits = ada.get(&task.task_id).await.unwrap();
    assert!(message(&waits).starts_with("backing off: ") && message(&waits).contains("no ink"), "{waits:?}");
    assert!(waits.task.last_updated_at > held.task.last_updated_at, "{waits:?}");
    seven.answers(&incarnation, &seven.work().await, json!({"output": 49})).await;

    let done = ada.over(&task.task_id).await;
    assert_eq!((message(&done), done.task.poll_interval_ms), ("succeeded", None));
    assert!(done.task.created_at == task.created_at && done.task.last_updated_at > waits.task.last_updated_at);
    assert_eq!(ada.get(&task.task_id).await.unwrap(), done);
    let answered = result(done);
    assert_eq!((&answered["outcome"], &answered["attempts"]), (&json!({"succeeded": 49}), &json!(2)));
    // The same as the tools say; and who brings it again need not follow anything.
    assert_eq!(ada.call("get_status", json!({"task": answered["task"]})).await, answered);
    assert_eq!(ada.call("distribute_task", square("a")).await, answered);
}

#[tokio::test]
async fn a_call_without_a_wait_is_answered_at_once() {
    let server = Server::start(&folder("unwaited"));
    let ada = server.follower("t-ada").await;
    let answered = ada.call("distribute_task", json!({"key": "a", "kind": "square"})).await;
    assert_eq!(answered["state"], "queued");
    // Its id is a task of the protocol all the same.
    let task = ada.get(&format!("task-{}", answered["task"].as_str().unwrap())).await.unwrap();
    assert_eq!(task.status(), TaskStatus::Working);
    // What is refused is the tool's result, and no task.
    let CallToolResponse::Complete(refused) =
        ada.ask("distribute_task", json!({"key": "a", "kind": "cube", "wait_seconds": 9})).await
    else {
        panic!("a task")
    };
    assert_eq!((refused.is_error, &refused.structured_content.unwrap()["code"]), (Some(true), &json!("task_conflict")));
}

/// `failed` is for errors of the protocol; work that fails is a tool's answer.
#[tokio::test]
async fn failed_work_is_a_completed_task_with_an_error() {
    let server = Server::start(&folder("failed"));
    let (ada, ops) = (server.follower("t-ada").await, server.follower("t-ops").await);
    let incarnation = ops.joins().await;
    report(&ops).await;
    let task = ada.brought("distribute_task", square("a")).await;
    let verdict = json!({"failure": {"kind": "permanent", "message": "no ink"}});
    ops.answers(&incarnation, &ops.work().await, verdict.clone()).await;
    let done = ada.over(&task.task_id).await;
    assert!(message(&done).starts_with("failed (") && message(&done).contains("no ink"), "{done:?}");
    let answered = result(done);
    assert_eq!((&answered["state"], &answered["outcome"]["failed"]["message"]), (&json!("failed"), &json!("no ink")));

    let run = ada.brought("start_workflow", json!({"key": "r", "workflow": "report", "wait_seconds": 600})).await;
    let busy = json!({"kind": "overloaded", "message": "two jobs before this", "retry_after_seconds": 0});
    ops.answers(&incarnation, &ops.work().await, json!({"failure": busy})).await;
    let details = json!({"cartridge": "black"});
    let verdict =
        json!({"failure": {"kind": "permanent", "message": "no ink", "code": "printer.ink", "details": details}});
    ops.answers(&incarnation, &ops.work().await, verdict).await;
    let done = ada.over(&run.task_id).await;
    assert!(message(&done).contains("node square failed"), "{done:?}");
    let answered = result(done);
    assert_eq!(answered, ada.call("get_status", json!({"run": answered["run"]})).await);
    let failure = answered["outcome"]["failed"]["cause"]["node"]["failure"].clone();
    assert_eq!((&failure["message"], &failure["code"]), (&json!("no ink"), &json!("printer.ink")), "{answered}");
    assert_eq!((&failure["details"], &failure["path"][0]["node"]), (&details, &json!("square")), "{answered}");
}

#[tokio::test]
async fn a_run_reports_progress_and_is_completed_with_its_nodes() {
    let server = Server::start(&folder("run"));
    let (ada, ops) = (server.follower("t-ada").await, server.follower("t-ops").await);
    let incarnation = ops.joins().await;
    report(&ops).await;
    let run = ada.brought("start_workflow", json!({"key": "r", "workflow": "report", "wait_seconds": 600})).await;
    assert!(run.status_message.unwrap().contains("0 of 2 nodes"));
    let mut last = run.last_updated_at;
    for far in ["0 of 2 nodes", "1 of 2 nodes"] {
        let given = ops.work().await;
        let now = ada.get(&run.task_id).await.unwrap();
        assert!(message(&now).contains(far), "{now:?}");
        assert_eq!(now.task.last_updated_at > last, far == "1 of 2 nodes", "{now:?}");
        last = now.task.last_updated_at;
        ops.answers(&incarnation, &given, json!({"output": 1})).await;
    }
    let done = ada.over(&run.task_id).await;
    assert!(message(&done) == "succeeded" && done.task.last_updated_at > last, "{done:?}");
    let ended = done.task.last_updated_at.clone();
    let answered = result(done);
    assert_eq!(answered["nodes"].as_array().unwrap().len(), 2);
    assert_eq!(ada.call("get_status", json!({"run": answered["run"]})).await, answered);

    // So much happens that the engine cannot tell its story any more, nor that of a task that waits.
    let waits = ada.brought("distribute_task", json!({"key": "w", "kind": "fly", "wait_seconds": 600})).await;
    let steps = (0..400).map(|step| json!({"id": format!("step-{step}"), "pass": true}));
    let document = json!({"name": "long", "tasks": steps.collect::<Vec<_>>()});
    ops.call("decompose_goal", json!({"goal": "a lot", "name": "long", "document": document})).await;
    let facts = async || ops.call("get_status", json!({})).await["events"].as_u64().unwrap();
    let before = facts().await;
    for key in ["a", "b", "c"] {
        ops.call("start_workflow", json!({"key": key, "workflow": "long"})).await;
    }
    assert!(facts().await > before + 1_100);
    let then = ada.get(&run.task_id).await.unwrap();
    assert_eq!((then.task.last_updated_at.clone(), result(then)), (ended, answered));
    let waits_then = ada.get(&waits.task_id).await.unwrap();
    assert_eq!((message(&waits_then), &waits_then.task.last_updated_at), ("queued", &waits.created_at));
}

#[tokio::test]
async fn what_is_cancelled_is_not_done() {
    let server = Server::start(&folder("cancelled"));
    let (ada, ops) = (server.follower("t-ada").await, server.follower("t-ops").await);
    // One that waits is withdrawn.
    let waits = ada.brought("distribute_task", square("waits")).await;
    ada.cancel(&waits.task_id).await.unwrap();
    let gone = ada.get(&waits.task_id).await.unwrap();
    assert_eq!((&gone.payload, message(&gone)), (&TaskPayload::Cancelled, "cancelled (tasks/cancel)"));
    ada.cancel(&waits.task_id).await.unwrap();
    assert_eq!(ada.get(&waits.task_id).await.unwrap(), gone);
    assert_eq!(ada.call("distribute_task", square("waits")).await["state"], "cancelled");

    // One that is held is the agent's until it answers; it is told.
    let incarnation = ops.joins().await;
    let held = ada.brought("distribute_task", square("held")).await;
    let given = ops.work().await;
    assert!(given.get("cancelled").is_none(), "{given}");
    ada.cancel(&held.task_id).await.unwrap();
    let now = ada.get(&held.task_id).await.unwrap();
    assert!(now.payload == TaskPayload::Working && message(&now).starts_with("being cancelled: "), "{now:?}");
    let unwanted = ops.work().await;
    assert_eq!(unwanted["cancelled"], true);
    ops.answers(&incarnation, &unwanted, json!({"failure": {"kind": "permanent", "message": "stopped"}})).await;
    assert_eq!(ada.over(&held.task_id).await.status(), TaskStatus::Cancelled);

    // What is done stays done.
    let done = ada.brought("distribute_task", square("done")).await;
    ops.answers(&incarnation, &ops.work().await, json!({"output": 49})).await;
    ada.cancel(&done.task_id).await.unwrap();
    assert_eq!(ada.get(&done.task_id).await.unwrap().status(), TaskStatus::Completed);

    // A run, with the step that nobody does then.
    report(&ops).await;
    let run = ops.brought("start_workflow", json!({"key": "r", "workflow": "report", "wait_seconds": 600})).await;
    let given = ops.work().await;
    let step = format!("task-{}", given["task"].as_str().unwrap());
    assert_eq!(code(ops.cancel(&step).await), "task_of_run");
    assert_eq!(ops.get(&step).await.unwrap().status(), TaskStatus::Working);
    ops.cancel(&run.task_id).await.unwrap();
    assert_eq!(ops.get(&run.task_id).await.unwrap().status(), TaskStatus::Working);
    ops.answers(&incarnation, &given, json!({"failure": {"kind": "permanent", "message": "stopped"}})).await;
    let gone = ops.over(&run.task_id).await;
    assert!(gone.status() == TaskStatus::Cancelled && message(&gone).contains("tasks/cancel"), "{gone:?}");
    ops.cancel(&run.task_id).await.unwrap();
    let idle = ops.call("get_status", json!({"agent": "7"})).await;
    assert_eq!(idle["work"], json!([]));
}

/// A run that has turned back is not cancelled any more, and one that is past its pivot cannot be.
#[tokio::test]
async fn what_cannot_be_cancelled_any_more_is_acknowledged_or_refused() {
    let server = Server::start(&folder("too-late"));
    let ops = server.follower("t-ops").await;
    let incarnation = ops.joins().await;
    let step = json!({"id": "square", "compensate": "write"});
    let last = json!({"id": "write", "depends_on": ["square"], "pivot": true});
    let end = json!({"id": "end", "type": "square", "depends_on": ["write"]});
    let document = json!({"name": "saga", "tasks": [step, last, end]});
    let goal = json!({"goal": "a saga", "name": "saga", "document": document, "kinds": ["square", "write"]});
    ops.call("decompose_goal", goal).await;
    let verdict = json!({"failure": {"kind": "permanent", "message": "no ink"}});

    let back =
        ops.brought("start_workflow", json!({"key": "back", "workflow": "saga", "wait_seconds": 600})).await.task_id;
    ops.answers(&incarnation, &ops.work().await, json!({"output": 1})).await;
    ops.answers(&incarnation, &ops.work().await, verdict).await;
    let undoing = ops.work().await;
    ops.cancel(&back).await.unwrap();
    let now = ops.get(&back).await.unwrap();
    assert!(now.status() == TaskStatus::Working && message(&now).contains("compensating"), "{now:?}");
    ops.answers(&incarnation, &undoing, json!({"output": 1})).await;
    let end = ops.over(&back).await;
    assert!(message(&end).starts_with("compensated (node write failed"), "{end:?}");
    assert_eq!(result(end)["phase"], "finished");

    let on = ops.brought("start_workflow", json!({"key": "on", "workflow": "saga", "wait_seconds": 600})).await.task_id;
    ops.answers(&incarnation, &ops.work().await, json!({"output": 1})).await;
    ops.answers(&incarnation, &ops.work().await, json!({"output": 1})).await;
    assert_eq!(code(ops.cancel(&on).await), "past_pivot");
    ops.answers(&incarnation, &ops.work().await, json!({"output": 1})).await;
    assert_eq!(ops.over(&on).await.status(), TaskStatus::Completed);
}

#[tokio::test]
async fn strangers_read_nothing_and_change_nothing() {
    let server = Server::start(&folder("strangers"));
    let (ada, ops, seven) =
        (server.follower("t-ada").await, server.follower("t-ops").await, server.follower("t-7").await);
    let (eve, ted) = (server.follower("t-eve").await, server.follower("t-ted").await);
    report(&ops).await;
    let task = ada.brought("distribute_task", square("a")).await.task_id;
    let run =
        ada.brought("start_workflow", json!({"key": "r", "workflow": "report", "wait_seconds": 600})).await.task_id;
    for work in [&task, &run] {
        // An agent that has nothing to do with it, and one who is confined to a tenant that it is not of.
        for stranger in [&seven, &ted] {
            assert_eq!(code(stranger.get(work).await), "denied");
            assert_eq!(code(stranger.update(work).await), "denied");
            assert_eq!(code(stranger.cancel(work).await), "denied");
        }
        // Who reads all may see it, and no more.
        assert_eq!(eve.get(work).await.unwrap().status(), TaskStatus::Working);
        assert_eq!(code(eve.cancel(work).await), "denied");
        ada.update(work).await.unwrap();
    }
    // Runs are cancelled by operators.
    assert_eq!(code(ada.cancel(&run).await), "denied");
    for work in [&task, &run] {
        assert_eq!(ada.get(work).await.unwrap().status(), TaskStatus::Working);
        ops.cancel(work).await.unwrap();
        assert_eq!(ada.over(work).await.status(), TaskStatus::Cancelled);
    }
    // Whoever is confined cannot find out what there is.
    assert_eq!(
        ted.get("task-5").await.unwrap_err().message.replace("task-5", ""),
        ted.get(&task).await.unwrap_err().message.replace(&task, "")
    );
    let own = json!({"key": "blue", "kind": "square", "tenant": "blue", "wait_seconds": 600});
    let own = ted.brought("distribute_task", own).await.task_id;
    assert_eq!(ted.get(&own).await.unwrap().status(), TaskStatus::Working);
}

#[tokio::test]
async fn what_is_no_task_is_an_error() {
    let server = Server::start(&folder("errors"));
    let ops = server.follower("t-ops").await;
    for (unknown, why) in [("task-5", "unknown_task"), ("run-5", "unknown_run")] {
        assert_eq!(code(ops.get(unknown).await), why);
        assert_eq!(code(ops.update(unknown).await), why);
        assert_eq!(code(ops.cancel(unknown).await), why);
    }
    let known = ops.brought("distribute_task", square("a")).await.task_id;
    let number = known.strip_prefix("task-").unwrap();
    let padded = [format!("task-0{number}"), format!("task-+{number}"), format!("{known} "), format!("TASK-{number}")];
    let broken =
        ["", "task-", "run-x", "task--1", "task-18446744073709551616", "786512e2-9e0d-44bd-8f29-789f320fe840", number];
    for text in broken.into_iter().chain(padded.iter().map(String::as_str)) {
        assert_eq!(code(ops.get(text).await), "bad_id", "{text}");
        assert_eq!(code(ops.update(text).await), "bad_id", "{text}");
        assert_eq!(code(ops.cancel(text).await), "bad_id", "{text}");
    }
    // A run is no task of the same number.
    assert_eq!(code(ops.get(&format!("run-{number}")).await), "unknown_run");
}

#[tokio::test]
async fn tasks_outlive_the_server_that_handed_them_out() {
    let folder = folder("restart");
    let server = Server::start(&folder);
    let (ada, ops) = (server.follower("t-ada").await, server.follower("t-ops").await);
    report(&ops).await;
    let incarnation = ops.joins().await;
    let done = ada.brought("distribute_task", square("done")).await;
    ops.answers(&incarnation, &ops.work().await, json!({"output": 49})).await;
    let done_then = ada.over(&done.task_id).await;
    let cancelled = ada.brought("distribute_task", square("cancelled")).await;
    ada.cancel(&cancelled.task_id).await.unwrap();
    ops.answers(&incarnation, &ops.work().await, json!({"output": 49})).await;
    let cancelled_then = ada.over(&cancelled.task_id).await;
    let run = ada.brought("start_workflow", json!({"key": "r", "workflow": "report", "wait_seconds": 600})).await;
    ops.answers(&incarnation, &ops.work().await, json!({"output": 1})).await;
    let half = ada.get(&run.task_id).await.unwrap();
    let task = ada.brought("distribute_task", square("task")).await;
    server.crash();

    let server = Server::start(&folder);
    let (ada, ops) = (server.follower("t-ada").await, server.follower("t-ops").await);
    assert_eq!(ada.get(&done.task_id).await.unwrap(), done_then);
    assert_eq!(ada.get(&cancelled.task_id).await.unwrap(), cancelled_then);
    let now = ada.get(&run.task_id).await.unwrap();
    assert!(now.payload == TaskPayload::Working && message(&now).contains("1 of 2 nodes"), "{now:?}");
    assert_eq!(now.task.created_at, run.created_at);
    assert!(now.task.last_updated_at >= half.task.last_updated_at, "{now:?}");
    assert_eq!(ada.get(&task.task_id).await.unwrap().task.created_at, task.created_at);
    ada.cancel(&task.task_id).await.unwrap();
    assert_eq!(ada.over(&task.task_id).await.status(), TaskStatus::Cancelled);
    let incarnation = ops.joins().await;
    ops.answers(&incarnation, &ops.work().await, json!({"output": 2})).await;
    let end = ada.over(&run.task_id).await;
    assert_eq!(result(end.clone())["phase"], "finished");
    server.crash();

    // The moments are those of then, not of the restart.
    let server = Server::start(&folder);
    let ada = server.follower("t-ada").await;
    assert_eq!(ada.get(&run.task_id).await.unwrap(), end);
}

#[tokio::test]
async fn a_client_without_tasks_waits_for_the_answer() {
    let server = Server::start(&folder("plain"));
    let seven = server.follower("t-7").await;
    let incarnation = seven.joins().await;
    // A client without the extension; and one of the protocol before, in which a request cannot say that it has it.
    let legacy = ClientLifecycleMode::Initialize;
    for (key, follows, lifecycle) in [("new", false, modern()), ("old", false, legacy.clone()), ("said", true, legacy)]
    {
        let ada = server.client("t-ada", follows, lifecycle).await;
        let (answered, ()) = tokio::join!(ada.call("distribute_task", square(key)), async {
            seven.answers(&incarnation, &seven.work().await, json!({"output": 49})).await;
        });
        assert_eq!(answered["outcome"], json!({"succeeded": 49}));
        assert!(ada.0.service().told.lock().unwrap().iter().any(|told| told.contains("assigned")));
        if !follows {
            let task = format!("task-{}", answered["task"].as_str().unwrap());
            let needed = ErrorCode::MISSING_REQUIRED_CLIENT_CAPABILITY;
            assert_eq!(ada.get(&task).await.unwrap_err().code, needed);
            assert_eq!(ada.update(&task).await.unwrap_err().code, needed);
            assert_eq!(ada.cancel(&task).await.unwrap_err().code, needed);
        }
    }
}

/// A task has no notifications of progress; `get_status` has, for the same work.
#[tokio::test]
async fn a_client_that_follows_a_task_can_receive_its_progress() {
    let server = Server::start(&folder("progress"));
    let (ada, ops) = (server.follower("t-ada").await, server.follower("t-ops").await);
    let incarnation = ops.joins().await;
    report(&ops).await;
    let run = ada.brought("start_workflow", json!({"key": "r", "workflow": "report", "wait_seconds": 600})).await;
    let number = run.task_id.strip_prefix("run-").unwrap();
    let (now, ()) = tokio::join!(ada.call("get_status", json!({"run": number, "wait_seconds": 20})), async {
        for _ in 0..2 {
            let given = ops.work().await;
            ops.answers(&incarnation, &given, json!({"output": 1})).await;
        }
    });
    assert_eq!(now, result(ada.get(&run.task_id).await.unwrap()));
    let told = ada.0.service().told.lock().unwrap().clone();
    assert!(told.len() >= 2 && told.last().unwrap() == &"█".repeat(20), "{told:?}");
}

/// The call of an agent that reports on its work.
fn reports(incarnation: &Value, given: &Value, report: Value) -> Value {
    let mut about = json!({"task": given["task"], "attempt": given["attempt"]});
    about.as_object_mut().unwrap().extend(report.as_object().unwrap().clone());
    json!({"agent": "7", "incarnation": incarnation, "status": "online", "attempts": [about]})
}

#[tokio::test]
async fn long_work_is_reported_as_progress_and_the_next_attempt_has_the_details() {
    let server = Server::start(&folder("long"));
    let (ada, ops) = (server.follower("t-ada").await, server.follower("t-ops").await);
    let incarnation = ops.joins().await;
    let task = ada.brought("distribute_task", square("a")).await;
    let number = task.task_id.strip_prefix("task-").unwrap();
    let (now, ()) = tokio::join!(ada.call("get_status", json!({"task": number, "wait_seconds": 20})), async {
        let first = ops.work().await;
        assert_eq!(first.get("last_details"), None, "{first}");
        for page in [1, 2] {
            let progress =
                json!({"details": page, "progress": 0.5, "text": format!("page {page}"), "chunk": "a paragraph"});
            ops.call("update_agent_status", reports(&incarnation, &first, progress)).await;
        }
        while !ada.0.service().told.lock().unwrap().join("\n").contains("a paragraph") {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        ops.answers(&incarnation, &first, json!({"failure": {"kind": "transient", "message": "no network"}})).await;
        let second = ops.work().await;
        assert_eq!(second["last_details"], 2, "{second}");
        ops.answers(&incarnation, &second, json!({"output": 49})).await;
    });
    assert_eq!(now["outcome"], json!({"succeeded": 49}));
    let told = ada.0.service().told.lock().unwrap().join("\n");
    assert!(told.contains("50 % page 2") && told.contains("a paragraph"), "{told}");
}

#[tokio::test]
async fn bad_reports_are_refused() {
    let server = Server::start(&folder("bad-reports"));
    let ops = server.follower("t-ops").await;
    let incarnation = ops.joins().await;
    let _task = ops.brought("distribute_task", square("a")).await;
    let given = ops.work().await;
    let refused = async |report: Value, code: &str| {
        let asked = reports(&incarnation, &given, report);
        let CallToolResponse::Complete(result) = ops.ask("update_agent_status", asked).await else { panic!("a task") };
        assert_eq!(result.is_error, Some(true), "{result:?}");
        assert!(format!("{result:?}").contains(code), "{result:?}");
    };
    refused(json!({"details": 1, "progress": 1.5}), "progress").await;
    refused(json!({"details": "x".repeat(20_000)}), "too_large").await;
    refused(json!({"attempt": 9}), "stale_attempt").await;
    // What was refused has left nothing.
    let held = ops.work().await;
    assert_eq!(held.get("last_details"), None, "{held}");
}

#[tokio::test]
async fn on_standard_input_and_output_too() {
    let folder = folder("stdio");
    let connect = || async {
        let mut command = tokio::process::Command::new(BINARY);
        command.arg("--tokens").arg(folder.join("tokens.json")).arg("--journal").arg(folder.join("journal"));
        let transport = TokioChildProcess::new({
            command.env("COUNTERPOINT_TOKEN", "t-ops");
            command
        });
        Client(Listener::new(true).serve_with_lifecycle(transport.unwrap(), modern()).await.unwrap())
    };
    let ops = connect().await;
    let task = ops.brought("distribute_task", square("a")).await;
    ops.0.cancel().await.unwrap();

    let ops = connect().await;
    let incarnation = ops.joins().await;
    ops.answers(&incarnation, &ops.work().await, json!({"output": 49})).await;
    assert_eq!(result(ops.over(&task.task_id).await)["outcome"], json!({"succeeded": 49}));
    ops.0.cancel().await.unwrap();
}

#[tokio::test]
async fn a_budget_ends_work_by_what_agents_report() {
    let server = Server::start(&folder("budget"));
    let ops = server.follower("t-ops").await;
    let incarnation = ops.joins().await;
    let tasks = json!([{"id": "square"}, {"id": "write", "depends_on": ["square"]}]);
    let document = json!({"name": "report", "budget": {"tokens": 500}, "tasks": tasks});
    let goal = json!({"goal": "a report", "name": "report", "document": document, "kinds": ["square", "write"]});
    ops.call("decompose_goal", goal).await;
    let run = ops.brought("start_workflow", json!({"key": "r", "workflow": "report", "wait_seconds": 600})).await;
    ops.answers(&incarnation, &ops.work().await, json!({"output": 1, "tokens": 600})).await;
    let done = ops.over(&run.task_id).await;
    assert!(result(done)["outcome"].to_string().contains("budget"));
}
