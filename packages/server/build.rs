//! Embeds the playground, if `COUNTERPOINT_PLAYGROUND` is the path of the module that `packages/playground/build` makes.

use std::path::PathBuf;
use std::{env, fs};

fn main() {
    println!("cargo:rerun-if-env-changed=COUNTERPOINT_PLAYGROUND");
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default()).join("playground.wasm");
    let module = env::var_os("COUNTERPOINT_PLAYGROUND").map(|path| {
        println!("cargo:rerun-if-changed={}", path.display());
        fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    });
    if let Err(error) = fs::write(&out, module.unwrap_or_default()) {
        panic!("{}: {error}", out.display());
    }
}
