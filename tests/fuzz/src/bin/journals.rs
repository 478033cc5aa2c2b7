//! Journals that nobody wrote so: a typed error, or a state that is sound and goes on.
#![no_main]

use counterpoint::journal::sealed::{Ledger, Stream};
use counterpoint::{Engine, Entry};
use counterpoint_fuzz::{asks, goes_on, mangle, renumber, split, world};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fn restore(entries: &[Entry]) {
    if let Ok(engine) = Engine::restore(asks::config(), None, entries) {
        goes_on(engine, entries, None);
    }
}

fuzz_target!(|bytes: &[u8]| {
    let Some((how, bytes)) = bytes.split_first() else { return };
    match how % 4 {
        // Sealed bytes.
        0 => {
            let stream = Stream::new("fuzz");
            let sound = stream.read(bytes, None);
            restore(&sound.entries);
            let _ = stream.open_snapshot(bytes);
            let _ = Ledger::read::<Value>(&stream, bytes);
        }
        // Sealed bytes of which some are changed.
        1 => {
            let Some((genes, harms)) = split(bytes) else { return };
            let (stream, entries) = (Stream::new("fuzz"), world(genes).journal);
            let (mut sealer, mut sealed) = stream.begin(counterpoint::journal::sealed::Head::default());
            sealer.seal(counterpoint::journal::Epoch::new(1), &entries, &mut sealed).expect("entries can be sealed");
            for harm in harms.chunks_exact(3) {
                let place = usize::from(u16::from_le_bytes([harm[0], harm[1]])) % sealed.len();
                sealed[place] ^= harm[2];
            }
            let sound = stream.read(&sealed, None);
            assert!(entries.starts_with(&sound.entries), "what is read was not written");
            if !harms.is_empty() {
                restore(&sound.entries);
            }
        }
        // Entries in a compact form.
        2 => {
            if let Ok(entries) = rmp_serde::from_slice::<Vec<Entry>>(bytes) {
                restore(&entries);
            }
        }
        // Entries of which some values are changed.
        _ => {
            let Some((genes, harms)) = split(bytes) else { return };
            let mut value = serde_json::to_value(world(genes).journal).expect("entries can be written");
            mangle(&mut value, harms);
            let Ok(mut entries) = serde_json::from_value::<Vec<Entry>>(value) else { return };
            renumber(&mut entries);
            restore(&entries);
        }
    }
});
