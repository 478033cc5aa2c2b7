//! The table of routes. The router and the API description are both computed from it, so they cannot differ.

use crate::auth::admit;
use crate::{App, agents, observe, operations, reports, runs, schedules, tasks};
use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodRouter, delete, get, post, put};

/// A route.
pub(crate) struct Route {
    /// The method in lower case.
    pub method: &'static str,
    /// The path, with `{names}` for parameters.
    pub path: &'static str,
    /// A summary for people.
    pub summary: &'static str,
    /// The query parameters.
    pub parameters: &'static [&'static str],
    /// The name of the schema of the request body, if there is one.
    pub body: Option<&'static str>,
    /// The status of success, and the name of the schema of the response.
    pub answer: (u16, &'static str),
    /// Other expected statuses.
    pub refusals: &'static [u16],
    /// Whether the route needs no token.
    pub open: bool,
    /// Whether the route is answered without the host, also while the journal stores nothing.
    pub alone: bool,
    to: MethodRouter<App>,
}

/// What a request of a route is checked against before its body is read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    /// Whether the route needs no token.
    pub open: bool,
    /// Whether the route is answered without the host.
    pub alone: bool,
    /// The query parameters.
    pub parameters: &'static [&'static str],
    /// Whether requests can have an `Idempotency-Key`.
    pub key: bool,
}

impl Route {
    const fn new(method: &'static str, path: &'static str, summary: &'static str, to: MethodRouter<App>) -> Self {
        let answer = (200, "Any");
        Self {
            method,
            path,
            summary,
            parameters: &[],
            body: None,
            answer,
            refusals: &[],
            open: false,
            alone: false,
            to,
        }
    }

    fn given(mut self, parameters: &'static [&'static str]) -> Self {
        self.parameters = parameters;
        self
    }

    fn taking(mut self, body: &'static str) -> Self {
        self.body = Some(body);
        self
    }

    fn answering(mut self, status: u16, schema: &'static str) -> Self {
        self.answer = (status, schema);
        self
    }

    fn refusing(mut self, statuses: &'static [u16]) -> Self {
        self.refusals = statuses;
        self
    }

    fn open(mut self) -> Self {
        self.open = true;
        self
    }

    fn alone(mut self) -> Self {
        self.alone = true;
        self
    }

    /// Whether requests can have an `Idempotency-Key`.
    pub(crate) fn has_key(&self) -> bool {
        matches!(self.body, Some("NewTask" | "NewRun"))
    }

    fn rules(&self) -> Rules {
        Rules { open: self.open, alone: self.alone, parameters: self.parameters, key: self.has_key() }
    }
}

const REPORTS: &str =
    "Streams progress and parts of outputs as they are reported, as server-sent events, the last ones first.";

/// All routes.
pub(crate) fn routes() -> Vec<Route> {
    let mut all = of_tasks();
    all.extend(of_agents());
    all.extend(of_runs());
    all.extend(of_operators());
    all.extend(of_schedules());
    all.extend(of_watchers());
    all
}

fn of_tasks() -> Vec<Route> {
    let one = "/v1/tasks/{task}";
    vec![
        Route::new(
            "post",
            "/v1/tasks",
            "Submits a task. Repeating the same request changes nothing.",
            post(tasks::submit),
        )
        .taking("NewTask")
        .answering(201, "Task")
        .refusing(&[409, 422, 429]),
        Route::new("get", one, "Returns the state of a task, at once or when it has ended.", get(tasks::one))
            .given(&["wait"])
            .answering(200, "Task")
            .refusing(&[404, 422]),
        Route::new("get", "/v1/tasks/{task}/reports", REPORTS, get(reports::of_task)).refusing(&[404]),
        Route::new("delete", one, "Cancels a task.", delete(tasks::withdraw))
            .given(&["reason"])
            .answering(202, "Accepted")
            .refusing(&[404, 409, 422]),
    ]
}

fn of_agents() -> Vec<Route> {
    let one = "/v1/agents/{agent}";
    let message = "A message of an agent or client, or an array of them. A `poll` is held open until there is work.";
    vec![
        Route::new("post", "/v1/messages", message, post(agents::message))
            .given(&["wait"])
            .taking("Sent")
            .answering(200, "Messages")
            .refusing(&[404, 409, 422, 429]),
        Route::new("get", "/v1/agents", "Lists the agents.", get(agents::list)),
        Route::new("get", one, "Returns one agent.", get(agents::one)).answering(200, "Agent").refusing(&[404]),
        Route::new("delete", one, "Removes an agent, at once or when it has finished.", delete(agents::dismiss))
            .given(&["drain"])
            .answering(204, "")
            .refusing(&[404, 422]),
    ]
}

fn of_runs() -> Vec<Route> {
    let (one, signal) = ("/v1/runs/{run}", "/v1/runs/{run}/signals/{signal}");
    vec![
        Route::new("post", "/v1/workflows", "Defines a workflow in the definition language.", post(runs::define))
            .taking("Any")
            .answering(201, "Any")
            .refusing(&[409, 422]),
        Route::new("get", "/v1/workflows", "Lists the workflows.", get(runs::definitions)),
        Route::new("post", "/v1/runs", "Starts a run. Repeating the same request changes nothing.", post(runs::start))
            .taking("NewRun")
            .answering(201, "Run")
            .refusing(&[404, 409, 422, 429]),
        Route::new("get", "/v1/runs", "Lists runs in pages.", get(runs::list))
            .given(&["workflow", "business_key", "after"])
            .refusing(&[422]),
        Route::new("get", one, "Returns the state of a run, at once or when it has ended.", get(runs::one))
            .given(&["wait"])
            .answering(200, "Run")
            .refusing(&[404, 422]),
        Route::new("delete", one, "Cancels a run; its completed steps are compensated.", delete(runs::cancel))
            .given(&["reason"])
            .answering(202, "Accepted")
            .refusing(&[404, 409, 422]),
        Route::new("get", "/v1/runs/{run}/reports", REPORTS, get(reports::of_run)).refusing(&[404]),
        Route::new("post", signal, "Sends a signal to a run.", post(runs::signal))
            .taking("Any")
            .answering(202, "Accepted")
            .refusing(&[404, 409, 422]),
    ]
}

fn of_operators() -> Vec<Route> {
    let letter = "/v1/dead-letters/{task}";
    vec![
        Route::new(
            "post",
            "/v1/runs/{run}/decisions",
            "Decides for a node that waits for a decision, in the roles of the caller.",
            post(operations::decide),
        )
        .taking("Decision")
        .answering(202, "Accepted")
        .refusing(&[404, 409, 422]),
        Route::new(
            "post",
            "/v1/runs/{run}/operations",
            "Pauses or resumes a run, tries failed nodes again, skips or completes a node by hand.",
            post(operations::operate),
        )
        .taking("RunOperation")
        .answering(202, "Accepted")
        .refusing(&[404, 409, 422]),
        Route::new("get", "/v1/dead-letters", "Lists dead letters in pages.", get(operations::dead_letters))
            .given(&["after"])
            .answering(200, "DeadLetters"),
        Route::new(
            "post",
            "/v1/dead-letters/{task}/replay",
            "Submits the task of a dead letter again. Repeating the request changes nothing.",
            post(operations::replay),
        )
        .answering(202, "Replayed")
        .refusing(&[404, 409, 422, 429]),
        Route::new("delete", letter, "Discards a dead letter.", delete(operations::discard))
            .given(&["reason"])
            .answering(204, "")
            .refusing(&[404, 409, 422]),
    ]
}

fn of_schedules() -> Vec<Route> {
    let one = "/v1/schedules/{schedule}";
    vec![
        Route::new("get", "/v1/schedules", "Lists the schedules.", get(schedules::list)).answering(200, "Schedules"),
        Route::new("get", one, "Returns one schedule.", get(schedules::one))
            .answering(200, "Schedule")
            .refusing(&[404]),
        Route::new(
            "put",
            one,
            "Creates a schedule, or gives it another specification. Repeating the request changes nothing.",
            put(schedules::put),
        )
        .taking("ScheduleSpec")
        .answering(201, "Schedule")
        .refusing(&[404, 409, 422]),
        Route::new("delete", one, "Deletes a schedule; its runs under way continue.", delete(schedules::delete))
            .given(&["reason"])
            .answering(204, "")
            .refusing(&[404, 422]),
        Route::new(
            "post",
            "/v1/schedules/{schedule}/operations",
            "Pauses, resumes or fires a schedule.",
            post(schedules::operate),
        )
        .taking("ScheduleOperation")
        .answering(202, "Accepted")
        .refusing(&[404, 409, 422, 429]),
    ]
}

fn of_watchers() -> Vec<Route> {
    let events = "Streams events as they become durable, as server-sent events.";
    vec![
        Route::new("get", "/v1/events", events, get(observe::events))
            .given(&["after", "family", "task", "run", "agent"])
            .refusing(&[422]),
        Route::new("get", "/v1/trail", "Returns the audit trail, including rejected requests.", get(observe::trail))
            .alone(),
        Route::new("get", "/metrics", "Returns metrics for Prometheus.", get(observe::metrics)).alone(),
        Route::new("get", "/health", "Returns whether the host is running.", get(observe::health))
            .refusing(&[503])
            .open(),
        Route::new("get", "/openapi.json", "Returns this description.", get(observe::openapi)).open(),
    ]
}

/// The router of all routes.
pub fn router(app: App) -> Router {
    routes()
        .into_iter()
        .fold(Router::new(), |router, route| {
            let checks = from_fn_with_state((app.clone(), route.rules()), admit);
            router.route(route.path, route.to.route_layer(checks))
        })
        .fallback(observe::nowhere)
        .method_not_allowed_fallback(observe::not_so)
        .with_state(app)
}
