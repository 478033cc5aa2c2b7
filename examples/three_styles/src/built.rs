//! The program with the builder.

use crate::{Batch, HOUR, NOTIFY, OCR, PUBLISH, SPLIT, SUMMARISE, TOKENS, patient};
use counterpoint::definition::{Budget, Decision, Fail, RaceOption, WaitFor};
use counterpoint::workflow::{DefinitionError, Flow, Workflow};

/// The workflow.
///
/// # Errors
///
/// When it is not valid.
pub fn pages() -> Result<Flow<Batch, String>, DefinitionError> {
    let flow = Workflow::<Batch, String>::named("pages").budget(Budget::default().with_tokens(TOKENS));
    let split = flow.step(SPLIT, flow.input());
    let texts = flow.map(OCR, split).max_concurrent(4).retry(patient());
    let summary = flow.step(SUMMARISE, texts).retry(patient());
    let approval = flow
        .race([
            RaceOption::new("decided", Decision::by("editor", ["publish", "reject"]).into()),
            RaceOption::new("late", WaitFor::After(HOUR)),
        ])
        .named("approval");
    approval.node().after(summary);
    let refused = Fail::new("the editor does not publish it").with_code("pages.refused");
    flow.fail_with(refused, summary).on_any([approval.case("reject"), approval.case("late")]);
    let url = flow.step(PUBLISH, summary).on(approval.case("publish")).retry(patient()).undoable();
    let _ = flow.step(NOTIFY, url).retry(patient());
    flow.output(url)
}
