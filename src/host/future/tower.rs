//! Services of `tower` as agents, and the engine as a service.

use super::agent::{Assignment, AsyncAgent};
use super::timer::BoxFuture;
use super::{FutureHost, RunHandle, TaskHandle};
use crate::base::payload::Payload;
use crate::host::{HostError, RunError};
use crate::message::run::RunSpec;
use crate::task::{Failure, TaskOutcome, TaskSpec, codes};
use core::fmt;
use core::marker::PhantomData;
use core::task::{Context, Poll};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, PoisonError};
use thiserror::Error;
use tower_service::Service;

type Classify<E> = dyn Fn(E) -> Failure + Send + Sync;

/// An agent that passes its work to a service: the task's payload is the request, the response is the output.
///
/// Each attempt clones the service and waits until the clone is ready; a service that cannot be cloned needs a buffer
/// layer. A cancelled attempt is dropped at once, together with its call. A service that is not ready has had no side
/// effects, which is a transient failure. What an error of a call means depends on the service: without
/// [`with_classifier`](Self::with_classifier) the outcome is unknown.
///
/// ```
/// use counterpoint::Failure;
/// use counterpoint::host::future::ServiceAgent;
/// # use std::task::{Context, Poll};
/// # #[derive(Clone)]
/// # struct Double;
/// # impl tower_service::Service<u32> for Double {
/// #     type Response = u32;
/// #     type Error = String;
/// #     type Future = std::future::Ready<Result<u32, String>>;
/// #     fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), String>> { Poll::Ready(Ok(())) }
/// #     fn call(&mut self, number: u32) -> Self::Future {
/// #         std::future::ready(number.checked_mul(2).ok_or_else(|| "too large".to_owned()))
/// #     }
/// # }
///
/// // `Double` is a `Service<u32, Response = u32, Error = String>`, under any layers.
/// let agent = ServiceAgent::new(Double).with_classifier(|error: String| Failure::permanent(error));
/// // host.add_custom_agent(spec, agent).await?;
/// ```
pub struct ServiceAgent<S: Service<R>, R> {
    /// Locked only for cloning: a service need not be `Sync`.
    service: Mutex<S>,
    classify: Arc<Classify<S::Error>>,
    request: PhantomData<fn(R)>,
}

impl<S: Service<R>, R> ServiceAgent<S, R>
where
    S::Error: fmt::Display,
{
    /// An agent over this service.
    pub fn new(service: S) -> Self {
        let classify = Arc::new(|error: S::Error| Failure::unknown(error.to_string()));
        Self { service: Mutex::new(service), classify, request: PhantomData }
    }
}

impl<S: Service<R>, R> ServiceAgent<S, R> {
    /// Sets the function that converts an error of a call to a failure.
    #[must_use]
    pub fn with_classifier(mut self, classify: impl Fn(S::Error) -> Failure + Send + Sync + 'static) -> Self {
        self.classify = Arc::new(classify);
        self
    }
}

impl<S, R> AsyncAgent for ServiceAgent<S, R>
where
    S: Service<R> + Clone + Send + 'static,
    R: DeserializeOwned + Send + 'static,
    S::Response: Serialize + Send,
    S::Error: fmt::Display + Send + 'static,
    S::Future: Send,
{
    fn perform(&self, assignment: Assignment) -> impl Future<Output = Result<Payload, Failure>> + Send {
        let mut service = self.service.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let classify = Arc::clone(&self.classify);
        async move {
            let request = assignment.input()?;
            let cancelled = assignment.attempt.cancelled();
            let work = async {
                let ready = poll_fn(|cx| service.poll_ready(cx)).await;
                ready.map_err(|error| {
                    Failure::transient(format!("the service is not ready: {error}")).with_code(codes::NOT_READY)
                })?;
                let response = service.call(request).await.map_err(|error| classify(error))?;
                // The work is done, so a failure without side effects would be wrong.
                Payload::of(&response).map_err(|error| {
                    Failure::unknown(format!("the service responded, but its response is not JSON: {error}"))
                        .with_code(codes::STEP_OUTPUT)
                })
            };
            let mut work = core::pin::pin!(work);
            let mut cancelled = core::pin::pin!(cancelled);
            poll_fn(|cx| match work.as_mut().poll(cx) {
                Poll::Ready(result) => Poll::Ready(result),
                Poll::Pending => cancelled
                    .as_mut()
                    .poll(cx)
                    .map(|()| Err(Failure::unknown("the call was cancelled").with_code(codes::AGENT_CANCELLED))),
            })
            .await
        }
    }
}

impl<S: Service<R>, R> fmt::Debug for ServiceAgent<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServiceAgent")
    }
}

/// The engine as a service: the request is a [`TaskSpec`] or a [`RunSpec`], the response is the output of the task or
/// run.
///
/// The service is ready unless the host's inbox is full. Dropping the future of a call cancels its task or run, as a
/// timeout layer expects. Layers wrap it as any service; `map_request` converts other requests to tasks.
///
/// ```
/// use counterpoint::host::future::{FutureHost, HostService};
/// use counterpoint::{Config, TaskId, TaskSpec};
/// use std::time::Duration;
/// use tower_service::Service;
///
/// let (host, driver) = FutureHost::start(Config::default(), |_: Duration| async {})?;
/// let mut service = HostService::new(host);
/// let output = service.call(TaskSpec::new(TaskId::new(1), "greet")); // a future of `Result<Payload, CallError>`
/// # let _: &dyn std::future::Future<Output = Result<counterpoint::Payload, counterpoint::host::future::CallError>> = &output;
/// # drop((output, driver));
/// # Ok::<(), counterpoint::host::HostError>(())
/// ```
pub struct HostService {
    host: FutureHost,
    /// Set while the inbox is full.
    room: Option<BoxFuture<Result<(), HostError>>>,
}

impl HostService {
    /// The service of this host.
    #[must_use]
    pub const fn new(host: FutureHost) -> Self {
        Self { host, room: None }
    }

    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), CallError>> {
        if self.room.is_none() {
            if self.host.has_ended() {
                return Poll::Ready(Err(HostError::Ended.into()));
            }
            if self.host.has_room() {
                return Poll::Ready(Ok(()));
            }
            let host = self.host.clone();
            // This request is answered after all those in the inbox.
            self.room = Some(Box::pin(async move { host.inspect(|_| ()).await }));
        }
        let polled = self.room.as_mut().map_or(Poll::Ready(Ok(())), |room| room.as_mut().poll(cx));
        if polled.is_ready() {
            self.room = None;
        }
        polled.map_err(CallError::from)
    }
}

impl Clone for HostService {
    fn clone(&self) -> Self {
        Self::new(self.host.clone())
    }
}

impl Service<TaskSpec> for HostService {
    type Response = Payload;
    type Error = CallError;
    type Future = BoxFuture<Result<Payload, CallError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), CallError>> {
        self.poll_room(cx)
    }

    fn call(&mut self, task: TaskSpec) -> Self::Future {
        let host = self.host.clone();
        Box::pin(async move {
            let handle: TaskHandle = host.submit(task).await?.cancel_on_drop();
            let outcome = handle.await?;
            if let TaskOutcome::Succeeded(output) = outcome { Ok(output) } else { Err(CallError::Task(outcome)) }
        })
    }
}

impl Service<RunSpec> for HostService {
    type Response = Payload;
    type Error = CallError;
    type Future = BoxFuture<Result<Payload, CallError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), CallError>> {
        self.poll_room(cx)
    }

    fn call(&mut self, run: RunSpec) -> Self::Future {
        let host = self.host.clone();
        Box::pin(async move {
            let handle: RunHandle<Payload> = host.start_run(run).await?.cancel_on_drop();
            Ok(handle.await?)
        })
    }
}

impl fmt::Debug for HostService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostService").field("host", &self.host).finish_non_exhaustive()
    }
}

/// The reason why a call returned no output.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CallError {
    /// The engine rejected the request, or the host has ended.
    #[error(transparent)]
    Host(#[from] HostError),
    /// The task ended without an output.
    #[error("the task {0}")]
    Task(TaskOutcome),
    /// The run ended without an output.
    #[error(transparent)]
    Run(#[from] RunError),
}
