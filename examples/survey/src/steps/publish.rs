//! Deliver: a saga. The data that its compensation needs is recorded before the first file is written.

use std::fs;
use std::path::PathBuf;

use counterpoint::workflow::{Attempt, Done, Step, Undo};
use counterpoint::{Failure, Policy};
use serde::{Deserialize, Serialize};

use super::write::Draft;
use super::{Order, disk, patient};
use crate::deliver::{Delivery, Document, deliver, missing_folders, remove_folders, retract, settle};
use crate::desk::{Desk, Ref};
use crate::html::render_html;
use crate::markdown::render_markdown;
use crate::records::Records;

/// A report that is ready to go, and where.
#[derive(Debug, Serialize, Deserialize)]
pub struct Parcel {
    pub folder: PathBuf,
    /// Those of its folders that the delivery will have to make, the innermost first.
    pub new_folders: Vec<PathBuf>,
    pub names: Vec<String>,
    pub documents: Ref<Vec<Document>>,
}

/// A report that lies where it belongs.
pub type Delivered = Delivery;

/// Makes documents of the draft, with the story so far of its making.
#[derive(Debug)]
pub struct Pack(pub Desk, pub Records);

impl Step for Pack {
    const KIND: &'static str = "pack";
    type Input = (Order, Draft);
    type Output = Parcel;

    fn run(&self, (order, draft): Self::Input, _: &Attempt) -> Result<Parcel, Failure> {
        let documents = self.0.once(draft.survey.then(Self::KIND), || {
            let survey = self.0.get(&draft.survey)?;
            let mut documents = self.1.documents();
            let timeline = documents.first().map(|timeline| timeline.text.as_str());
            let html = Document { name: "survey.html".to_owned(), text: render_html(&survey, timeline) };
            documents.push(html);
            documents.push(Document { name: "survey.md".to_owned(), text: render_markdown(&survey) });
            Ok(documents)
        })?;
        let names = self.0.get(&documents)?.iter().map(|document| document.name.clone()).collect();
        Ok(Parcel { new_folders: missing_folders(&order.out), folder: order.out, names, documents })
    }

    fn policy(&self) -> Policy {
        patient()
    }
}

/// Puts the documents where they belong; undone by taking them back.
#[derive(Debug)]
pub struct Deliver(pub Desk);

impl Step for Deliver {
    const KIND: &'static str = "deliver";
    type Input = Parcel;
    type Output = Delivered;

    fn run(&self, parcel: Parcel, _: &Attempt) -> Result<Delivered, Failure> {
        let documents = self.0.get(&parcel.documents)?;
        deliver(&parcel.folder, &documents).map_err(disk("the report cannot be written"))
    }

    fn policy(&self) -> Policy {
        patient()
    }
}

impl Undo for Deliver {
    fn undo(&self, done: Done<Parcel, Delivered>, _: &Attempt) -> Result<(), Failure> {
        // What was asked for is enough to know what may lie there, whether or not an answer ever came.
        let Parcel { folder, new_folders, names, .. } = done.input;
        retract(&folder, &names).map_err(disk("the report cannot be removed"))?;
        remove_folders(&new_folders).map_err(disk("a folder cannot be removed"))
    }

    fn undo_policy() -> Policy {
        patient()
    }
}

/// Reads what was delivered, word by word.
#[derive(Debug)]
pub struct Proofread(pub Desk);

impl Step for Proofread {
    const KIND: &'static str = "proofread";
    type Input = (Order, Parcel, Delivered);
    type Output = Delivered;

    fn run(&self, (order, parcel, delivered): Self::Input, _: &Attempt) -> Result<Delivered, Failure> {
        if order.fail_delivery {
            return Err(Failure::permanent("the proofreader was configured to fail"));
        }
        for document in self.0.get(&parcel.documents)?.iter() {
            let there = fs::read(parcel.folder.join(&document.name)).map_err(disk(&document.name))?;
            if there != document.text.as_bytes() {
                return Err(Failure::permanent(format!("{} is not what was delivered", document.name)));
            }
        }
        Ok(delivered)
    }

    fn policy(&self) -> Policy {
        patient()
    }
}

/// Makes the delivery final. From here on there is no way back.
#[derive(Debug)]
pub struct Settle;

impl Step for Settle {
    const KIND: &'static str = "settle";
    type Input = (Parcel, Delivered);
    type Output = Delivered;

    fn run(&self, (parcel, delivered): Self::Input, _: &Attempt) -> Result<Delivered, Failure> {
        settle(&parcel.folder, &delivered.names).map_err(disk("the old report cannot be removed"))?;
        Ok(delivered)
    }

    fn policy(&self) -> Policy {
        patient()
    }
}
