//! The program as data.

use crate::Batch;
use counterpoint::Limits;
use counterpoint::language::Document;
use counterpoint::workflow::Flow;
use std::error::Error;

/// The workflow of the document, with the types of its input and its output.
///
/// # Errors
///
/// When the document is not a valid workflow.
pub fn pages() -> Result<Flow<Batch, String>, Box<dyn Error>> {
    let document: Document = serde_saphyr::from_str(include_str!("pages.yaml"))?;
    let definition = document.compile(&Limits::default())?;
    Ok(Flow::from_definition(definition, &Limits::default())?)
}
