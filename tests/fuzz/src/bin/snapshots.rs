//! Snapshots that nobody wrote so: a typed error, or a state that is sound and goes on.
#![no_main]

use counterpoint::Engine;
use counterpoint::engine::EngineSnapshot;
use counterpoint_fuzz::{asks, goes_on, mangle, split, world};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((how, bytes)) = bytes.split_first() else { return };
    let snapshot: Option<EngineSnapshot> = match how % 4 {
        0 => serde_json::from_slice(bytes).ok(),
        1 => rmp_serde::from_slice(bytes).ok(),
        _ => split(bytes).and_then(|(genes, harms)| {
            let snapshot = world(genes).engine.snapshot();
            let mut value = serde_json::to_value(snapshot).expect("a snapshot can be written");
            mangle(&mut value, harms);
            serde_json::from_value(value).ok()
        }),
    };
    let Some(snapshot) = snapshot else { return };
    if let Ok(engine) = Engine::restore(asks::config(), Some(&snapshot), []) {
        goes_on(engine, &[], Some(&snapshot));
    }
});
