//! Imports a process in BPMN 2.0 XML, prints what differs, and the definition.
//!
//! ```console
//! cargo run --example import_bpmn --features bpmn -- examples/processes/order.bpmn
//! ```

#![allow(clippy::print_stdout, reason = "an example talks to a person")]

use counterpoint::interop::bpmn::{Options, export, import};
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let file = std::env::args().nth(1).unwrap_or_else(|| "examples/processes/order.bpmn".to_owned());
    let document = std::fs::read_to_string(&file)?;
    let options = Options::default();
    let imported = match import(&document, &options) {
        Ok(imported) => imported,
        Err(error) => {
            // One line for each mistake and for each construct without a counterpart.
            for fault in error.faults() {
                eprintln!("{file}:{fault}");
            }
            return Err(format!("{} faults", error.faults().len()).into());
        }
    };
    for note in &imported.notes {
        eprintln!("{file}:{note}");
    }
    println!("{}", serde_json::to_string_pretty(&imported.definition)?);

    // The way back gives the same definition.
    let exported = export(&imported.definition)?;
    assert_eq!(import(&exported, &options)?.definition, imported.definition);
    Ok(())
}
