//! The program as a durable function.

use crate::{Batch, HOUR, NOTIFY, OCR, PUBLISH, SPLIT, SUMMARISE, TOKENS, patient};
use counterpoint::definition::Budget;
use counterpoint::workflow::{Ctx, DefinitionError, Flow, FunctionSpec};
use counterpoint::{Failure, Limits};

/// The name and the types of the function.
pub const PAGES: FunctionSpec<Batch, String> = FunctionSpec::new("pages");

/// The code.
///
/// # Errors
///
/// When a step fails for good, or the editor does not publish the summary.
pub async fn pages(ctx: Ctx, batch: Batch) -> Result<String, Failure> {
    let pages = ctx.step("split", SPLIT, &batch).await?;
    let texts = ctx.map("ocr", OCR, &pages).max_concurrent(4).retry(patient()).await?;
    let summary = ctx.step("summarise", SUMMARISE, &texts).retry(patient()).await?;
    let options = ["publish", "reject"].map(str::to_owned);
    let decided = ctx.decision("approval", "editor", &options).within(HOUR).await;
    if !decided.is_ok_and(|decided| decided.option == "publish") {
        return Err(Failure::permanent("the editor does not publish it").with_code("pages.refused"));
    }
    let url = ctx.step("publish", PUBLISH, &summary).retry(patient()).undoable().await?;
    ctx.step("notify", NOTIFY, &url).retry(patient()).await?;
    Ok(url)
}

/// The workflow that is this function.
///
/// # Errors
///
/// When it is not valid.
pub fn flow() -> Result<Flow<Batch, String>, DefinitionError> {
    let definition = PAGES.function().definition("pages").with_budget(Budget::default().with_tokens(TOKENS));
    Flow::from_definition(definition, &Limits::default())
}
