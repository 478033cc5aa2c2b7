//! Any commands, in any order: what is held equals what is written equals what is read.
#![no_main]

use counterpoint_fuzz::asks::Format;
use counterpoint_fuzz::world;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut world = world(bytes);
    world.renew();
    let before = world.engine.snapshot();
    for format in Format::ALL {
        for from_snapshot in [false, true] {
            let engine = world.restored(*format, from_snapshot);
            assert_eq!(engine.snapshot(), before, "{format:?}, from a snapshot: {from_snapshot}");
            assert_eq!(engine.check(), Ok(()));
        }
    }
});
