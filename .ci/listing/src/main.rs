//! Lists the public API of a crate, one item a line, from rustdoc's JSON: `listing counterpoint.json`.

use std::process::ExitCode;

fn main() -> ExitCode {
    let Some(path) = std::env::args_os().nth(1) else {
        eprintln!("usage: listing FILE.json");
        return ExitCode::FAILURE;
    };
    // What every type has, and what is derived, says nothing about a change.
    let listing = public_api::Builder::from_rustdoc_json(path)
        .omit_blanket_impls(true)
        .omit_auto_trait_impls(true)
        .omit_auto_derived_impls(true)
        .build();
    match listing {
        Ok(api) => print!("{api}"),
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
