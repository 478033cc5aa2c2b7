//! The guide, from the first task to programs that survive crashes. Every page can be read alone, and its programs run as
//! tests.
//!
//! | page | content |
//! |---|---|
//! | [Glossary](glossary) | the terms that all pages use |
//! | [Embed it in ten minutes](embed) | a program that assigns tasks to agents and runs a workflow |
//! | [Write a step with undo](step) | steps that are compensated when a later step fails |
//! | [Write a strategy](strategy) | a routing strategy of your own |
//! | [Host on tokio](tokio) | agents that are futures |
//! | [Survive a crash](crash) | a program that continues where it was killed |
//! | [Simulate before you ship](simulate) | the number of agents that a load needs, and a test with injected faults |
//! | [Deploying a new version](deploy) | three deployments and a rollback while runs are in flight |
//! | [Migrate a running workflow](migrate) | a waiting run that follows a new definition |
//! | [Test your workflow without agents](testing) | a workflow tested in milliseconds |
//! | [From one process to many machines](many) | several engines in one process, which share agents |
//! | [Schedules](schedule) | runs at times that follow from cron expressions, calendars and intervals |
//! | [Cookbook](cookbook) | short programs, one for each question |
//! | [Coming from another system](coming_from) | the terms of other systems, translated, and the features that Counterpoint does not have |
//! | [Comparison](comparison) | Counterpoint beside five other systems |
//!
//! The pages are Markdown files in the folder `docs`. This module exists in the documentation only and is not compiled into
//! your program. A page about a feature is present when the feature is enabled.

// Pages link to pages and types that a build without their features does not have.
#![allow(rustdoc::broken_intra_doc_links)]

/// A page: link targets for rustdoc, then its text. The page defines the same links as paths to files; the first definition
/// of a link wins.
macro_rules! page {
    ($file:literal) => {
        concat!(
            "[crate]: crate\n[embed]: super::embed\n[step]: super::step\n[strategy]: super::strategy\n",
            "[tokio]: super::tokio\n[crash]: super::crash\n[simulate]: super::simulate\n[migrate]: super::migrate\n[deploy]: super::deploy\n",
            "[testing]: super::testing\n[cookbook]: super::cookbook\n[coming]: super::coming_from\n",
            "[comparison]: super::comparison\n[glossary]: super::glossary\n",
            "[`ShardedHost`]: crate::host::thread::ShardedHost\n",
            "[`ThreadHost`]: crate::host::thread::ThreadHost\n[`Undo`]: crate::workflow::Undo\n",
            "[`Done`]: crate::workflow::Done\n[`routing`]: crate::routing\n[`Scheduler`]: crate::Scheduler\n",
            "[`RoutingStrategy`]: crate::routing::RoutingStrategy\n[`Journal`]: crate::journal::Journal\n",
            "[`Attempt::idempotency_key`]: crate::workflow::Attempt::idempotency_key\n[`Config`]: crate::Config\n",
            "[`FutureHost::start`]: crate::host::future::FutureHost::start\n[`Driver`]: crate::host::future::Driver\n",
            "[`Attempt`]: crate::workflow::Attempt\n[`AsyncStep`]: crate::workflow::AsyncStep\n",
            "[`StepSpec`]: crate::workflow::StepSpec\n[`Rules`]: crate::sim::Rules\n",
            "[`storm`]: crate::sim::storm\n[`Rehearsal`]: crate::testing::Rehearsal\n",
            "[`Script`]: crate::testing::Script\n[embedded]: crate::journal\n\n",
            include_str!(concat!("../docs/", $file)),
        )
    };
}

#[doc = page!("glossary.md")]
pub mod glossary {}

#[doc = page!("guide/embed.md")]
#[cfg(feature = "threads")]
pub mod embed {}

#[doc = page!("guide/step.md")]
#[cfg(feature = "threads")]
pub mod step {}

#[doc = page!("guide/strategy.md")]
pub mod strategy {}

// Its programs need tokio, on which this crate does not depend: the example package `async_hosts` runs them.
#[doc = page!("guide/tokio.md")]
#[cfg(all(feature = "async", not(doctest)))]
pub mod tokio {}

#[doc = page!("guide/crash.md")]
#[cfg(all(feature = "threads", feature = "durable"))]
pub mod crash {}

#[doc = page!("guide/simulate.md")]
#[cfg(feature = "sim")]
pub mod simulate {}

#[doc = page!("guide/deploy.md")]
#[cfg(feature = "threads")]
pub mod deploy {}

#[doc = page!("guide/migrate.md")]
#[cfg(feature = "threads")]
pub mod migrate {}

#[doc = page!("guide/long-work.md")]
#[cfg(all(feature = "threads", feature = "reports"))]
pub mod long_work {}

#[doc = page!("guide/many.md")]
#[cfg(all(feature = "cluster", feature = "threads"))]
pub mod many {}

#[doc = page!("guide/testing.md")]
#[cfg(feature = "testing")]
pub mod testing {}

#[doc = page!("guide/functions.md")]
#[cfg(all(feature = "functions", feature = "threads", feature = "testing"))]
pub mod functions {}

#[doc = page!("guide/schedule.md")]
#[cfg(all(feature = "testing", feature = "time-zones"))]
pub mod schedule {}

#[doc = page!("cookbook.md")]
#[cfg(all(feature = "threads", feature = "testing", feature = "resilience"))]
pub mod cookbook {}

#[doc = page!("coming-from.md")]
pub mod coming_from {}

#[doc = page!("comparison.md")]
pub mod comparison {}
