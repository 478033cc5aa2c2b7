//! Documents become pages, two agents read the pages, a language model summarises them, an editor approves, the summary is
//! published and its readers are notified. The program is written as [`data`], with the builder ([`built`]) and as a durable
//! [`function`]. Everything else is the same for the three: the steps, the agents, the journal in files.
//!
//! ```sh
//! cargo run -p three-styles -- function /tmp/pages   # `data`, `builder` or `function`; kill it, and run it again
//! ```

pub mod built;
pub mod data;
pub mod function;
pub mod outside;

use counterpoint::host::future::FutureHost;
use counterpoint::resilience::rate;
use counterpoint::task::Usage;
use counterpoint::workflow::{AsyncSteps, Attempt, Done, DurableFunctions, Flow, StepSpec, UndoSpec};
use counterpoint::{AgentId, AgentSpec, BadConfig, Config, Failure, Retry, RunId};
use outside::Outside;
use serde::{Deserialize, Serialize};
use std::error::Error;
use std::time::Duration;

/// What is read, summarised and published together.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Batch {
    /// The documents.
    pub documents: Vec<Document>,
}

/// A document.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Document {
    /// Its title.
    pub title: String,
    /// The number of its pages.
    pub pages: u32,
}

/// A page, as a scan.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Page {
    /// The title of its document.
    pub title: String,
    /// Its number, from 1.
    pub number: u32,
}

const SPLIT: StepSpec<Batch, Vec<Page>> = StepSpec::new("split");
const OCR: StepSpec<Page, String> = StepSpec::new("ocr");
const SUMMARISE: StepSpec<Vec<String>, String> = StepSpec::new("summarise");
const PUBLISH: UndoSpec<String, String> = StepSpec::new("publish").undoable();
const NOTIFY: StepSpec<String, ()> = StepSpec::new("notify");

/// How long the editor has.
const HOUR: Duration = Duration::from_secs(3_600);
/// The tokens that a run may use.
const TOKENS: u64 = 20_000;
const MODEL: AgentId = AgentId::new(4);

/// Retries of steps that are interrupted whenever the process ends.
fn patient() -> Retry {
    Retry::exponential(50, Duration::from_millis(5), Duration::from_secs(1))
}

/// The form in which the program is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// As data, in YAML.
    Data,
    /// With the builder.
    Builder,
    /// As a durable function.
    Function,
}

impl Style {
    /// All of them, by name.
    pub const ALL: [(&str, Self); 3] = [("data", Self::Data), ("builder", Self::Builder), ("function", Self::Function)];

    /// The workflow in this form.
    ///
    /// # Errors
    ///
    /// When it is not valid.
    pub fn flow(self) -> Result<Flow<Batch, String>, Box<dyn Error>> {
        match self {
            Self::Data => data::pages(),
            Self::Builder => Ok(built::pages()?),
            Self::Function => Ok(function::flow()?),
        }
    }
}

/// The settings of the engine: the model is asked at most 20 times a second.
///
/// # Errors
///
/// When a setting is invalid.
pub fn config() -> Result<Config, BadConfig> {
    let rate = rate::Rules::new(rate::Config::new(20, Duration::from_secs(1), 2))?;
    Ok(Config::default().with_agent_rate_for(MODEL, rate))
}

/// Adds the agents: one that splits, publishes and notifies, two that read, and the model. `pace` is the time that reading one
/// page takes.
///
/// # Errors
///
/// When the host has ended.
pub async fn add_agents(host: &FutureHost, outside: &Outside, pace: Duration) -> Result<(), Box<dyn Error>> {
    host.add_functions(AgentSpec::new(AgentId::new(1)), DurableFunctions::new().with(function::PAGES, function::pages))
        .await?;
    for reader in [2, 3] {
        let noted = outside.clone();
        let ocr = AsyncSteps::new().with_fn(OCR, move |page: Page, attempt| {
            let noted = noted.clone();
            async move {
                tokio::time::sleep(pace).await;
                noted.note(&attempt, &format!("{} {}", page.title, page.number))?;
                Ok(format!("{} {}", page.title, page.number))
            }
        });
        host.add_agent(AgentSpec::new(AgentId::new(reader)).with_capacity(2), ocr).await?;
    }
    let noted = outside.clone();
    let model = AsyncSteps::new().with_fn(SUMMARISE, move |texts: Vec<String>, attempt| {
        let noted = noted.clone();
        async move {
            tokio::time::sleep(pace * 3).await;
            attempt.used(Usage::default().with_tokens(texts.iter().map(|text| text.len() as u64).sum()));
            noted.note(&attempt, &texts.len().to_string())?;
            let about = texts.first().and_then(|text| text.split_once(' ')).map_or("nothing", |(title, _)| title);
            Ok(format!("{about} in {} pages", texts.len()))
        }
    });
    host.add_agent(AgentSpec::new(MODEL), model).await?;
    host.add_agent(AgentSpec::new(AgentId::new(5)).with_capacity(2), publisher(outside, pace)).await?;
    Ok(())
}

fn publisher(outside: &Outside, pace: Duration) -> AsyncSteps {
    let (publishes, withdraws, notifies) = (outside.clone(), outside.clone(), outside.clone());
    AsyncSteps::new()
        .with_fn(SPLIT, |batch: Batch, _: Attempt| async move {
            let pages = |document: Document| {
                (1..=document.pages).map(move |number| Page { title: document.title.clone(), number })
            };
            Ok(batch.documents.into_iter().flat_map(pages).collect())
        })
        .with_undo_fn(
            PUBLISH,
            move |summary: String, attempt| {
                let noted = publishes.clone();
                async move {
                    tokio::time::sleep(pace * 2).await;
                    noted.note(&attempt, &summary)?;
                    Ok(format!("https://pages.example/{}", summary.replace(' ', "-")))
                }
            },
            move |published: Done<String, String>, attempt| {
                let noted = withdraws.clone();
                async move { noted.note(&attempt, &published.input) }
            },
        )
        .with_fn(NOTIFY, move |url: String, attempt| {
            let noted = notifies.clone();
            async move {
                tokio::time::sleep(pace * 2).await;
                if url.contains("unreachable") {
                    return Err(Failure::permanent("no reader can be reached").with_code("pages.unreachable"));
                }
                noted.note(&attempt, &url)
            }
        })
}

/// Performs the program, or continues it if the engine knows the run, and lets the editor publish. Returns the address.
///
/// # Errors
///
/// When the run fails, with its outcome.
pub async fn perform(host: &FutureHost, style: Style, batch: &Batch) -> Result<String, Box<dyn Error>> {
    const RUN: RunId = RunId::new(7);
    let handle = host.run(&style.flow()?, RUN, batch).await?;
    let editor = {
        let host = host.clone();
        async move {
            // Rejected until the run asks, and after it has been told.
            while host.decide(RUN, "approval", "ada", "editor", "publish").await.is_err() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    };
    let editor = tokio::spawn(editor);
    let ended = handle.await;
    editor.abort();
    Ok(ended?)
}
