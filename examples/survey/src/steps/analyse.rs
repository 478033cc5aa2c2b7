//! Analyse: reads a portion of the files, passes it to each skill, and combines the results.

use counterpoint::workflow::{Attempt, Step};
use counterpoint::{Failure, Policy};

use super::extract::Portion;
use super::patient;
use crate::desk::{Desk, Ref};
use crate::model::{Batch, Limits, Skill};
use crate::read::{Pages, analyse_pages, merge, read_pages};

/// Reads the files of a portion.
#[derive(Debug)]
pub struct Read(pub Desk);

impl Step for Read {
    const KIND: &'static str = "read";
    type Input = Portion;
    type Output = Ref<Pages>;

    fn run(&self, portion: Portion, _: &Attempt) -> Result<Ref<Pages>, Failure> {
        self.0.once(portion.entries.then(Self::KIND), || {
            let entries = self.0.get(&portion.entries)?;
            Ok(read_pages(&portion.root, &entries, &Limits::default()))
        })
    }

    fn policy(&self) -> Policy {
        patient()
    }
}

/// A step for each skill: they differ in their name and in whom they can be given to.
macro_rules! skills {
    ($($(#[$doc:meta])* $skill:ident = $kind:literal),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $skill(pub Desk);

        impl Step for $skill {
            const KIND: &'static str = $kind;
            type Input = Ref<Pages>;
            type Output = Ref<Batch>;

            fn run(&self, pages: Ref<Pages>, _: &Attempt) -> Result<Ref<Batch>, Failure> {
                self.0.once(pages.then($kind), || Ok(analyse_pages(&*self.0.get(&pages)?, &[Skill::$skill])))
            }

            fn policy(&self) -> Policy {
                patient()
            }
        }
    )*};
}

skills! {
    /// Counts lines.
    Measure = "measure",
    /// Finds functions.
    Structure = "structure",
    /// Finds imports.
    Links = "links",
    /// Finds the notes that people left for later.
    Markers = "markers",
    /// Takes the lines' fingerprints.
    Fingerprint = "fingerprint",
}

/// Joins what the skills found in a portion, and clears its pages from the desk.
#[derive(Debug)]
pub struct Gather(pub Desk);

impl Step for Gather {
    const KIND: &'static str = "gather";
    type Input = (Ref<Pages>, Vec<Ref<Batch>>);
    type Output = Ref<Batch>;

    fn run(&self, (pages, findings): Self::Input, _: &Attempt) -> Result<Ref<Batch>, Failure> {
        let gathered = self.0.once(pages.then(Self::KIND), || {
            let batches = findings.iter().map(|batch| Ok(Batch::clone(&*self.0.get(batch)?)));
            Ok(merge(batches.collect::<Result<_, Failure>>()?))
        })?;
        findings.iter().for_each(|batch| self.0.clear(batch));
        self.0.clear(&pages);
        Ok(gathered)
    }

    fn policy(&self) -> Policy {
        patient()
    }
}
