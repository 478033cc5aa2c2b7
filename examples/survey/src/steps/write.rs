//! Synthesise and review: drafts in rounds, until one is accepted.

use counterpoint::workflow::{Attempt, Step};
use counterpoint::{Failure, Policy};
use serde::{Deserialize, Serialize};

use super::extract::Listing;
use super::patient;
use crate::desk::{Desk, Ref};
use crate::model::Batch;
use crate::read::merge;
use crate::review::{review, revise};
use crate::survey::{Detail, Repeats, Survey};
use crate::synthesise::{self, Goals, collect, compare, connect};

type Collected = Ref<synthesise::Material>;

/// What a draft is made of: the facts, where the imports lead, and what is said more than once.
pub type Material = (Collected, Ref<Goals>, Ref<Repeats>);

/// A draft, and from the reviewer's desk on: what became of it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Draft {
    /// From 1.
    pub number: u32,
    pub survey: Ref<Survey>,
    /// How fine it is, or after the review: how fine the next one should be.
    pub detail: Detail,
    pub accepted: bool,
}

/// Brings the facts of all portions together.
#[derive(Debug)]
pub struct Collect(pub Desk);

impl Step for Collect {
    const KIND: &'static str = "collect";
    type Input = (Listing, Vec<Ref<Batch>>);
    type Output = Collected;

    fn run(&self, (listing, batches): Self::Input, _: &Attempt) -> Result<Collected, Failure> {
        let collected = self.0.once(listing.inventory.then(Self::KIND), || {
            let inventory = self.0.get(&listing.inventory)?;
            let all = batches.iter().map(|batch| Ok(Batch::clone(&*self.0.get(batch)?)));
            Ok(collect(&inventory, merge(all.collect::<Result<_, Failure>>()?)))
        })?;
        batches.iter().for_each(|batch| self.0.clear(batch));
        Ok(collected)
    }

    fn policy(&self) -> Policy {
        patient()
    }
}

/// Finds out where imports lead.
#[derive(Debug)]
pub struct Connect(pub Desk);

impl Step for Connect {
    const KIND: &'static str = "connect";
    type Input = Collected;
    type Output = Ref<Goals>;

    fn run(&self, facts: Collected, _: &Attempt) -> Result<Ref<Goals>, Failure> {
        self.0.once(facts.then(Self::KIND), || Ok(connect(&*self.0.get(&facts)?)))
    }

    fn policy(&self) -> Policy {
        patient()
    }
}

/// Finds what is said more than once.
#[derive(Debug)]
pub struct Compare(pub Desk);

impl Step for Compare {
    const KIND: &'static str = "compare";
    type Input = Collected;
    type Output = Ref<Repeats>;

    fn run(&self, facts: Collected, _: &Attempt) -> Result<Ref<Repeats>, Failure> {
        self.0.once(facts.then(Self::KIND), || Ok(compare(&*self.0.get(&facts)?)))
    }

    fn policy(&self) -> Policy {
        patient()
    }
}

/// Writes a draft, as fine as the review of the one before asked for.
#[derive(Debug)]
pub struct Write(pub Desk);

impl Step for Write {
    const KIND: &'static str = "write";
    type Input = (Material, Option<Draft>);
    type Output = Draft;

    fn run(&self, ((facts, goals, repeats), previous): Self::Input, _: &Attempt) -> Result<Draft, Failure> {
        let number = previous.as_ref().map_or(1, |draft| draft.number + 1);
        let detail = previous.as_ref().map_or_else(Detail::default, |draft| draft.detail);
        let survey = self.0.once(format!("draft-{number}"), || {
            let (facts, goals, repeats) = (self.0.get(&facts)?, self.0.get(&goals)?, self.0.get(&repeats)?);
            let mut survey = synthesise::draft(&facts, &goals, &repeats, &detail);
            if let Some(previous) = &previous {
                survey.verdicts.clone_from(&self.0.get(&previous.survey)?.verdicts);
            }
            Ok(survey)
        })?;
        Ok(Draft { number, survey, detail, accepted: false })
    }

    fn policy(&self) -> Policy {
        patient()
    }
}

/// Judges a draft, and writes the verdict into it.
#[derive(Debug)]
pub struct Review(pub Desk);

impl Step for Review {
    const KIND: &'static str = "review";
    type Input = Draft;
    type Output = Draft;

    fn run(&self, draft: Draft, _: &Attempt) -> Result<Draft, Failure> {
        let read = self.0.get(&draft.survey)?;
        let verdict = review(&read);
        let (accepted, detail) = (verdict.accepted, revise(&draft.detail, &verdict));
        let survey = self.0.once(draft.survey.then(Self::KIND), || {
            let mut survey = Survey::clone(&read);
            survey.verdicts.push(verdict);
            Ok(survey)
        })?;
        Ok(Draft { survey, detail, accepted, ..draft })
    }

    fn policy(&self) -> Policy {
        patient()
    }
}
