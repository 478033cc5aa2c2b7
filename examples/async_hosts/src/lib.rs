//! The part that the programs of this package share. It is independent of an async runtime.
//!
//! It models a press office: articles are fetched, translated by services that sometimes fail, and collected in an
//! issue. An attempt is notified when it is cancelled. The caller chooses the runtime that polls the futures.

use counterpoint::host::RunError;
use counterpoint::host::future::{BoxFuture, FutureHost};
use counterpoint::journal::{AppendError, Epoch, Journal, JournalError, Takeover};
use counterpoint::workflow::{AsyncStep, AsyncSteps, Attempt, Flow, Step, Steps, Workflow};
use counterpoint::{AgentId, AgentSpec, Entry, Failure, Policy, Retry, RunId, Seq};
use std::sync::Arc;
use std::time::Duration;

/// A function that sleeps: all that is asked of a runtime.
pub type Sleep = Arc<dyn Fn(Duration) -> BoxFuture<()> + Send + Sync>;

/// Finds the articles of an issue, by its number.
#[derive(Debug, Clone, Copy)]
pub struct Fetch;

impl Step for Fetch {
    const KIND: &'static str = "fetch";
    type Input = u32;
    type Output = Vec<String>;

    fn run(&self, number: u32, _: &Attempt) -> Result<Vec<String>, Failure> {
        Ok((1..=12).map(|article| format!("article {article} of issue {number}")).collect())
    }
}

/// Translates an article by a service far away; one in three fails the first time.
#[derive(Clone)]
pub struct Translate(Sleep);

impl AsyncStep for Translate {
    const KIND: &'static str = "translate";
    type Input = String;
    type Output = String;

    async fn run(&self, article: String, attempt: Attempt) -> Result<String, Failure> {
        (self.0)(Duration::from_millis(20)).await;
        if attempt.is_cancelled() {
            return Err(Failure::transient("cancelled"));
        }
        if article.len().is_multiple_of(3) && attempt.number() == 1 {
            return Err(Failure::transient("the service is busy"));
        }
        Ok(article.to_uppercase())
    }

    fn policy(&self) -> Policy {
        Policy::default().with_retry(Retry::exponential(5, Duration::from_millis(5), Duration::from_millis(50)))
    }
}

impl std::fmt::Debug for Translate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Translate")
    }
}

/// Makes an issue of articles.
#[derive(Debug, Clone, Copy)]
pub struct Print;

impl Step for Print {
    const KIND: &'static str = "print";
    type Input = Vec<String>;
    type Output = String;

    fn run(&self, articles: Vec<String>, _: &Attempt) -> Result<String, Failure> {
        Ok(format!("{} articles, the last is {:?}", articles.len(), articles.last()))
    }
}

/// The workflow: an issue by its number.
///
/// # Panics
///
/// Never: the definition is valid.
#[must_use]
pub fn issue(sleep: &Sleep) -> Flow<u32, String> {
    let flow = Workflow::<u32, String>::named("issue");
    let articles = flow.step(Fetch, flow.input());
    let translated = flow.map(Translate(Arc::clone(sleep)), articles);
    let printed = flow.step(Print, translated);
    flow.output(printed).expect("the definition is valid")
}

/// The services, as the steps of an agent: those that need not wait, and one that asks somebody far away.
#[must_use]
pub fn services(sleep: &Sleep) -> AsyncSteps {
    AsyncSteps::new().with_steps(&Steps::new().with(Fetch).with(Print)).with(Translate(Arc::clone(sleep)))
}

/// Runs three issues at once and follows the first; gives back lines for a person.
///
/// # Errors
///
/// When the host ends, or a run does not succeed.
pub async fn publish(host: &FutureHost, sleep: &Sleep) -> Result<Vec<String>, Box<dyn std::error::Error>> {
    let spec = AgentSpec::new(AgentId::new(1)).with_name("services").with_capacity(8);
    host.add_agent(spec, services(sleep)).await?;
    let flow = issue(sleep);
    let mut runs = Vec::new();
    for number in 1..=3 {
        runs.push(host.run(&flow, RunId::new(number), &u32::try_from(number)?).await?);
    }
    let mut progress = host.progress(RunId::new(1)).await?;
    let mut seen = 0;
    while progress.next().await.is_some() {
        seen += 1;
    }
    let mut lines = Vec::new();
    for run in runs {
        let id = run.id();
        let issue: Result<String, RunError> = run.await;
        lines.push(format!("{id}: {}", issue?));
    }
    lines.push(format!("progress was reported: {}", seen > 2));
    host.shut_down(Duration::from_secs(5)).await?;
    Ok(lines)
}

/// The page of the guide about tokio: its programs run as tests here, since the library does not depend on tokio.
#[cfg(all(doctest, feature = "runtimes"))]
#[doc = include_str!("../../../docs/guide/tokio.md")]
struct GuideOnTokio;

/// A journal that keeps nothing, for programs that measure the host and not a list in memory.
#[derive(Debug, Clone, Copy)]
pub struct Forget;

impl Journal for Forget {
    fn take_over(&mut self) -> Result<Takeover, JournalError> {
        Ok(Takeover::default())
    }

    fn append(&mut self, _: Epoch, _: Seq, _: &[Entry]) -> Result<(), AppendError> {
        Ok(())
    }
}
