//! Imports a state machine of the Amazon States Language, prints what differs, and the definition.
//!
//! ```console
//! cargo run --example import_asl --features interop -- examples/state-machines/order.json
//! ```

#![allow(clippy::print_stdout, reason = "an example talks to a person")]

use counterpoint::interop::asl::{Options, export, import};
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let file = std::env::args().nth(1).unwrap_or_else(|| "examples/state-machines/order.json".to_owned());
    let document = serde_json::from_str(&std::fs::read_to_string(&file)?)?;
    let options = Options::named("imported");
    let imported = match import(&document, &options) {
        Ok(imported) => imported,
        Err(error) => {
            // One line for each mistake and for each construct without a counterpart.
            for fault in error.faults() {
                eprintln!("{file}{fault}");
            }
            return Err(format!("{} faults", error.faults().len()).into());
        }
    };
    for note in &imported.notes {
        eprintln!("{file}{note}");
    }
    println!("{}", serde_json::to_string_pretty(&imported.definition)?);

    // The way back gives the same definition.
    let exported = export(&imported.definition)?;
    assert_eq!(import(&exported.document, &options)?.definition, imported.definition);
    Ok(())
}
