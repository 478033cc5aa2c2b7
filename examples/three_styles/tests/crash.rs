//! A crash after every event of the program, in each of its forms, leads to the same result and the same effects outside.

use counterpoint::host::future::FutureHost;
use counterpoint::journal::MemoryJournal;
use counterpoint::task::JournalId;
use counterpoint::{Config, Entry, Event};
use std::collections::BTreeMap;
use std::time::Duration;
use three_styles::outside::Outside;
use three_styles::{Batch, Document, Style, add_agents, config, perform};

type Effects = BTreeMap<String, String>;

/// The end of the program and its effects outside, from the first entries of a journal on.
fn from(style: Style, title: &str, entries: &[Entry], before: &Outside) -> (String, Effects, Vec<Entry>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let journal = MemoryJournal::with_entries(entries.to_vec());
        let settings: Config = config().unwrap().with_journal(JournalId::new(7));
        let (host, driver) = FutureHost::open(settings, journal.clone(), tokio::time::sleep).await.unwrap();
        let driver = tokio::spawn(driver);
        add_agents(&host, before, Duration::ZERO).await.unwrap();
        let documents = vec![Document { title: title.to_owned(), pages: 3 }];
        let ended = match perform(&host, style, &Batch { documents }).await {
            Ok(url) => format!("published {url}"),
            Err(error) => format!("failed: {error}"),
        };
        host.shut_down(Duration::from_secs(5)).await.unwrap();
        drop(driver.await);
        (ended, before.effects().unwrap(), journal.entries())
    })
}

fn every_event(style: Style, title: &str) {
    let (ended, effects, all) = from(style, title, &[], &Outside::memory());
    let is_published = ended == format!("published https://pages.example/{title}-in-3-pages");
    assert_eq!(is_published, title == "atlas", "{ended}");
    // Three pages, the summary, the publication, and the notice or the withdrawal.
    assert_eq!(effects.len(), 6, "{effects:?}");
    let began = all.iter().position(|entry| matches!(entry.event, Event::Run { .. })).unwrap();
    for len in began + 1..all.len() {
        let (again, repeated, _) = from(style, title, &all[..len], &Outside::memory());
        assert_eq!(again, ended, "after {len} of {} events", all.len());
        for (key, effect) in &repeated {
            assert_eq!(effects.get(key), Some(effect), "after {len} of {} events", all.len());
        }
    }
}

#[test]
fn as_data() {
    ["atlas", "unreachable"].into_iter().for_each(|title| every_event(Style::Data, title));
}

#[test]
fn with_the_builder() {
    ["atlas", "unreachable"].into_iter().for_each(|title| every_event(Style::Builder, title));
}

#[test]
fn as_a_durable_function() {
    ["atlas", "unreachable"].into_iter().for_each(|title| every_event(Style::Function, title));
}
