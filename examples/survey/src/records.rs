//! Three projections over the events of the survey, for use while it runs and afterwards.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use counterpoint::Entry;
use counterpoint::journal::Projection;
use counterpoint::observe::{Metrics, Progress, SvgOptions, Timeline};

use crate::RUN;
use crate::deliver::Document;

/// The projections, shared by whoever feeds them and whoever asks.
#[derive(Debug, Clone, Default)]
pub struct Records(Arc<Mutex<Books>>);

/// One for each question.
#[derive(Debug, Default)]
pub struct Books {
    /// How far is it?
    pub progress: Progress,
    /// How many, how long, by whom?
    pub metrics: Metrics,
    /// Timeline of agents?
    pub timeline: Timeline,
}

impl Records {
    /// Takes a fact in.
    pub fn note(&self, entry: &Entry) {
        let mut books = self.read();
        let Books { progress, metrics, timeline } = &mut *books;
        for book in [progress as &mut dyn Projection, metrics, timeline] {
            book.apply(entry);
        }
    }

    /// The books as they stand.
    pub fn read(&self) -> MutexGuard<'_, Books> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Pictures of the work so far: the timeline first, then the workflow with the state of each node.
    pub fn documents(&self) -> Vec<Document> {
        let books = self.read();
        let document = |name: &str, text| Document { name: name.to_owned(), text };
        let options = SvgOptions::default().with_title("Timeline of agents");
        let mut documents = vec![document("timeline.svg", books.timeline.to_svg(&options))];
        if let Some(picture) = books.progress.picture(RUN) {
            documents.push(document("workflow.mmd", picture.to_mermaid()));
            documents.push(document("workflow.dot", picture.to_dot()));
        }
        documents
    }
}
