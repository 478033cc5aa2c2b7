//! Durable functions that continue as new: their calls are forgotten with their child runs.

use super::book::{Book, Folded, UNKNOWN_RUN};
use crate::base::id::RunId;
use crate::base::time::Time;
use crate::message::event::{NodeEvent, NodeRef};
use crate::task::Spending;
use crate::workflow::machine::{RunInput, leaves_effects, note_continued};

/// A function continues as new: the child runs of its calls, which have ended, are forgotten. Their usage stays in its accounts.
pub(super) fn continued(book: &mut Book, id: RunId, (node, event): (&NodeRef, &NodeEvent), now: Time) -> Folded {
    let known = book.runs.get(id).and_then(|run| run.graph().node(node.index)).ok_or(UNKNOWN_RUN)?;
    let instances = known.state.instances();
    let children: Vec<RunId> = instances.children().collect();
    let mut leaves = known.function_work().is_some_and(|work| work.leaves_effects(instances));
    let (mut spent, mut line) = (Spending::default(), children.clone());
    while let Some(run) = line.pop().and_then(|child| book.runs.get(child)) {
        spent = spent + run.workforce().spent();
        leaves |= leaves_effects(run);
        line.extend(run.workforce().children());
    }
    book.apply(id, RunInput::Node(node, event), now)?;
    children.into_iter().try_for_each(|child| forget_family(book, child))?;
    if let Some(run) = book.runs.get_mut(id) {
        note_continued(run, node.index, spent, leaves);
    }
    Ok(())
}

/// Forgets a run and its descendants.
pub(super) fn forget_family(book: &mut Book, id: RunId) -> Folded {
    let mut family = vec![id];
    while let Some(id) = family.pop() {
        let run = book.runs.remove(id).ok_or("an unknown run is forgotten")?;
        if !run.is_finished() {
            return Err("a forgotten run has not ended".into());
        }
        book.close_accounts(id);
        family.extend(run.workforce().children());
    }
    Ok(())
}
