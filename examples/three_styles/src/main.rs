//! `three-styles STYLE FOLDER [TITLE]`: performs the program in one of its forms, with a journal in the folder.

#![allow(clippy::print_stdout, reason = "a program for people")]

use counterpoint::host::Durable;
use counterpoint::host::future::FutureHost;
use counterpoint::journal::sealed::Stream;
use counterpoint_journal_files::FileJournal;
use std::error::Error;
use std::path::Path;
use std::time::Duration;
use three_styles::outside::Outside;
use three_styles::{Batch, Document, Style, add_agents, config, perform};

async fn program(style: Style, folder: &Path, title: &str) -> Result<(), Box<dyn Error>> {
    let effects = folder.join("effects");
    std::fs::create_dir_all(&effects)?;
    let journal = FileJournal::new(folder.join("journal"), Stream::new("pages"));
    let away = |work: counterpoint::host::future::Blocking| drop(std::thread::spawn(work));
    let (host, driver) =
        FutureHost::durable(config()?, journal, tokio::time::sleep, Durable::new().snapshot_every(40), away).await?;
    let driver = tokio::spawn(driver);
    add_agents(&host, &Outside::folder(&effects), Duration::from_millis(60)).await?;
    println!("begun");
    let documents = [(title, 12), ("almanac", 20)];
    let documents = documents.map(|(title, pages)| Document { title: title.to_owned(), pages }).to_vec();
    match perform(&host, style, &Batch { documents }).await {
        Ok(url) => println!("published {url}"),
        Err(error) => println!("failed: {error}"),
    }
    host.shut_down(Duration::from_secs(5)).await?;
    drop(driver.await?);
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let usage = "three-styles data|builder|function FOLDER [TITLE]";
    let (style, folder) = arguments.first().zip(arguments.get(1)).ok_or(usage)?;
    let (_, style) = Style::ALL.into_iter().find(|(name, _)| name == style).ok_or(usage)?;
    let title = arguments.get(2).map_or("atlas", String::as_str);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    runtime.block_on(program(style, Path::new(folder), title))
}
