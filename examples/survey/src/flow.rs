//! The survey as a workflow: the steps and the links between them.
//!
//! The agents, retries and limits of concurrency are defined by the steps, the team and the engine. The compiler checks
//! the types of inputs and outputs; validation checks the rest when the workflow is built.

use counterpoint::definition::{Condition, Expr};
use counterpoint::workflow::{DefinitionError, Flow, Workflow};

use crate::desk::{Desk, Ref};
use crate::model::Batch;
use crate::steps::analyse::{Fingerprint, Gather, Links, Markers, Measure, Read, Structure};
use crate::steps::extract::{Portion, Split, Walk};
use crate::steps::publish::{Deliver, Delivered, Pack, Proofread, Settle};
use crate::steps::write::{Collect, Compare, Connect, Draft, Material, Review, Write};
use crate::steps::{Order, Staffroom};

/// Drafts after which the last one goes out with its remarks, for all to see.
pub const MAX_DRAFTS: u32 = 5;

/// The whole survey: from an order to a report that lies where it belongs.
pub fn survey(room: &Staffroom) -> Result<Flow<Order, (Draft, Delivered)>, DefinitionError> {
    let (desk, records) = (&room.desk, &room.records);
    let flow = Workflow::<Order, (Draft, Delivered)>::named("survey");
    let order = flow.input();

    // Extract: list the files, and split them into portions.
    let listing = flow.step(Walk(desk.clone()), order);
    let portions = flow.step(Split(desk.clone()), listing);

    // Analyse: every portion by every skill, so many portions at a time as fit on the desk.
    let portion = analyse(desk)?;
    let facts = flow.map(&portion, portions).max_concurrent(room.at_once);
    let collected = flow.step(Collect(desk.clone()), (listing, facts));

    // Synthesise and review, until a draft is accepted.
    let links = flow.step(Connect(desk.clone()), collected);
    let repeats = flow.step(Compare(desk.clone()), collected);
    let round = draft(desk)?;
    let accepted = Condition::Is(Expr::Item.at("/accepted"));
    let enough = Condition::equal(Expr::Item.at("/number"), Expr::value(MAX_DRAFTS));
    let draft = flow.repeat_with(
        &round,
        |previous| ((collected, links, repeats), previous),
        Condition::Any(vec![accepted, enough]),
        MAX_DRAFTS,
    );

    // Deliver: a saga. If the proof-reader finds fault, what was written is taken back.
    let parcel = flow.step(Pack(desk.clone(), records.clone()), (order, draft));
    let delivered = flow.step(Deliver(desk.clone()), parcel).undoable();
    let proof = flow.step(Proofread(desk.clone()), (order, parcel, delivered));
    let settled = flow.step(Settle, (parcel, proof)).pivot();
    flow.output((draft, settled))
}

/// One portion: read it once, have each skill look at it, and bring together what they found.
fn analyse(desk: &Desk) -> Result<Flow<Portion, Ref<Batch>>, DefinitionError> {
    let flow = Workflow::named("analyse");
    let pages = flow.step(Read(desk.clone()), flow.input());
    let findings = [
        flow.step(Measure(desk.clone()), pages).plain(),
        flow.step(Structure(desk.clone()), pages).plain(),
        flow.step(Links(desk.clone()), pages).plain(),
        flow.step(Markers(desk.clone()), pages).plain(),
        flow.step(Fingerprint(desk.clone()), pages).plain(),
    ];
    flow.output(flow.step(Gather(desk.clone()), (pages, findings)))
}

/// One draft, written in the light of the one before, and its review.
fn draft(desk: &Desk) -> Result<Flow<(Material, Option<Draft>), Draft>, DefinitionError> {
    let flow = Workflow::named("draft");
    let written = flow.step(Write(desk.clone()), flow.input());
    flow.output(flow.step(Review(desk.clone()), written))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::Records;

    #[test]
    fn the_workflow_is_sound() {
        let room = Staffroom { desk: Desk::default(), records: Records::default(), at_once: 4 };
        let flow = survey(&room).unwrap();
        let names: Vec<_> = flow.definition().nodes.iter().map(|node| node.name.as_str()).collect();
        assert_eq!(names.join(" "), "walk split analyse collect connect compare draft pack deliver proofread settle");
    }
}
