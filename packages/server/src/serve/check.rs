//! `counterpoint serve --check`: what a start would do, on a copy of the journal in memory.

use super::settings::Settings;
use super::store::{Content, Place};
use super::{load, read_tokens, work};
use crate::cli::ServeArgs;
use crate::doctor::Findings;
use crate::document::WorkFile;
use crate::trouble::Trouble;
use counterpoint::host::future::FutureHost;
use counterpoint::journal::{AppendError, Epoch, Journal, JournalError, Takeover};
use counterpoint::{Config, Entry, Seq};
use std::path::Path;

/// Reads everything that a start would read, and rehearses it. Changes nothing.
pub(super) async fn check(args: &ServeArgs, data: &Path, json: bool) -> Result<(), Trouble> {
    let mut found = Findings::default();
    let settings = Settings::of(args)?;
    let files = load(&settings.files)?;
    files.iter().for_each(|file| found.add(true, format!("{} has no mistakes", file.path.display())));
    match settings.identity() {
        Ok(None) => {}
        Ok(Some(_)) => found.add(true, "the certificate and its key can be used".to_owned()),
        Err(trouble) => found.add(false, trouble.to_string()),
    }
    let tokens = settings.tokens.clone().unwrap_or_else(|| data.join("tokens.json"));
    if settings.tokens.is_some() || tokens.exists() {
        match read_tokens(&tokens) {
            Ok(_) => found.add(true, format!("the tokens in {} can be read", tokens.display())),
            Err(trouble) => found.add(false, trouble.to_string()),
        }
    } else {
        found.add(true, format!("a token would be made in {}", tokens.display()));
    }
    let place = Place::of(settings.journal.as_deref(), settings.journal_stream.as_deref(), data)?;
    let (name, reading) = (place.name(), tokio::task::spawn_blocking(move || place.read()));
    match reading.await.map_err(|error| Trouble::Broken(error.to_string()))? {
        Err(trouble) => found.add(false, format!("the journal: {trouble}")),
        Ok(content) => rehearse(&name, content, &files, &mut found).await?,
    }
    found.tell(json)
}

/// Restores an engine from the content, and gives it the workflows and schedules of files.
async fn rehearse(name: &str, content: Content, files: &[WorkFile], found: &mut Findings) -> Result<(), Trouble> {
    let count = content.entries.len();
    if let Some(torn) = &content.torn {
        found.add(true, format!("{name}: {torn}, as after a crash; it would be discarded, and was never acknowledged"));
    }
    let before = if content.snapshot.is_some() { "a snapshot and " } else { "" };
    let journal = Copied(Takeover::new(Epoch::new(1), content.snapshot, content.entries));
    let (host, driver) = match FutureHost::open(Config::default(), journal, tokio::time::sleep).await {
        Ok(opened) => opened,
        Err(error) => {
            found.add(false, format!("{name}: {error}"));
            return Ok(());
        }
    };
    found.add(
        true,
        format!("{name}: {before}{count} entries in formats that this version reads and writes; nothing to upgrade"),
    );
    let driver = tokio::spawn(driver);
    for file in files {
        let workflow = &file.definition.name;
        match work::define(file, &host).await {
            Ok(deployed) => {
                let (moved, kept) = (deployed.migrated.len(), deployed.pinned.len());
                let text = format!(
                    "workflow `{workflow}`: {moved} runs would follow a change, {kept} would keep the earlier one"
                );
                found.add(true, text);
            }
            Err(trouble) => found.add(false, trouble.to_string()),
        }
        if let Err(trouble) = work::plan(file, &host).await {
            found.add(false, trouble.to_string());
        }
    }
    driver.abort();
    Ok(())
}

/// The content of a journal, to which nothing is added.
struct Copied(Takeover);

impl Journal for Copied {
    fn take_over(&mut self) -> Result<Takeover, JournalError> {
        Ok(std::mem::take(&mut self.0))
    }

    fn append(&mut self, _: Epoch, _: Seq, _: &[Entry]) -> Result<(), AppendError> {
        Ok(())
    }
}
