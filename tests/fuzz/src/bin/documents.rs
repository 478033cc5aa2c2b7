//! Documents of the definition language, as YAML or JSON: typed errors, or a workflow that is sound and that an engine takes.
#![no_main]

use counterpoint::language::Document;
use counterpoint::{Command, Engine, Limits, Outbox, Payload, RunId, RunSpec, Time};
use counterpoint_fuzz::asks;
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};

fuzz_target!(|bytes: &[u8]| {
    let Some((how, bytes)) = bytes.split_first() else { return };
    let document: Option<Document> = if how % 2 == 0 {
        serde_json::from_slice(bytes).ok()
    } else {
        std::str::from_utf8(bytes).ok().and_then(|text| serde_saphyr::from_str(text).ok())
    };
    let Some(definition) = document.and_then(|document| document.compile(&Limits::default()).ok()) else { return };
    let mut engine = Engine::new(asks::config());
    let mut out = Outbox::default();
    let now = Time::from_secs(1);
    let taken = engine.handle(now, Command::define(definition.clone()), &mut out);
    assert!(taken.is_ok(), "the engine refuses a definition that was compiled within its limits: {taken:?}");
    for (id, given) in [(1, Value::Null), (2, json!({})), (3, json!({"input": "a", "n": 3}))] {
        let input = Payload::new(given);
        let is_taken = definition.check_input(&input).is_ok();
        let started = engine.handle(
            now,
            Command::start(RunSpec::new(RunId::new(id), &definition.name).with_input(input)),
            &mut out,
        );
        assert!(is_taken || started.is_err(), "{started:?}");
        assert_eq!(engine.check(), Ok(()));
    }
    let _ = engine.handle(Time::from_secs(100_000), Command::Tick, &mut out);
    assert_eq!(engine.check(), Ok(()));
    let again = Engine::restore(asks::config(), None, out.entries()).expect("an engine reads its own journal");
    assert_eq!(again.snapshot(), engine.snapshot());
});
