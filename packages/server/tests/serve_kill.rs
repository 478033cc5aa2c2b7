//! A server under load that is killed repeatedly. An outside ledger has the answers of the clients and the effects of the
//! commands. `COUNTERPOINT_KILLS` sets the number of kills.

mod common;

use common::Place;
use common::api::Served;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, RwLock};
use std::thread;
use std::time::{Duration, Instant};

const FLOW: &str = "name: book
inputs: {n: {type: integer, required: true}}
tasks:
  - {id: first, inputs: \"${inputs.n}\"}
  - {id: second, depends_on: first, inputs: \"${inputs.n}\"}
outputs: \"${second.output}\"
agents:
  desk:
    capacity: 4
    performs:
      first: {shell: 'n=$(cat); echo \"$n first $COUNTERPOINT_IDEMPOTENCY_KEY\" >> ledger; echo $n'}
      second: {shell: 'n=$(cat); echo \"$n second $COUNTERPOINT_IDEMPOTENCY_KEY\" >> ledger; echo $n'}
";

#[test]
fn nothing_that_was_accepted_is_lost() {
    let kills = std::env::var("COUNTERPOINT_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(10_u32);
    let place = Place::with(FLOW);
    // Snapshots are made and stored at every time.
    place.write("settings.toml", "snapshot_events = 60\nhistory_events = 100\n");
    let listen = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().to_string();
    let words = ["--listen", listen.as_str(), "--config", "settings.toml", "flow.yaml"];
    let served = RwLock::new(Some(Served::start(&place, &words)));
    let (done, next) = (AtomicBool::new(false), AtomicU32::new(1));
    let told = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(Ordering::Acquire) {
                    let n = next.fetch_add(1, Ordering::AcqRel);
                    let run = json!({"workflow": "book", "input": {"n": n}});
                    let key = format!("idempotency-key: book-{n}\r\n");
                    // Until it is told, as a client would; or the test ends, and the run may exist or not.
                    while !done.load(Ordering::Acquire) {
                        let sent = served
                            .read()
                            .unwrap()
                            .as_ref()
                            .map(|served| served.try_send("POST", "/v1/runs", &key, &run));
                        if let Some(Ok((200 | 201, body))) = sent {
                            told.lock().unwrap().push((n, body["id"].as_str().unwrap().to_owned()));
                            break;
                        }
                        thread::sleep(Duration::from_millis(10));
                    }
                    thread::sleep(Duration::from_millis(20));
                }
            });
        }
        for kill in 0..kills {
            thread::sleep(Duration::from_millis(150 + u64::from(kill * 97 % 400)));
            let running = served.write().unwrap().take().unwrap().running;
            running.kill();
            *served.write().unwrap() = Some(Served::start(&place, &words));
        }
        thread::sleep(Duration::from_millis(300));
        done.store(true, Ordering::Release);
    });
    let told = told.into_inner().unwrap();
    let served = served.into_inner().unwrap().unwrap();
    let end = Instant::now() + Duration::from_secs(120);
    for (n, id) in &told {
        loop {
            let run = served.get(&format!("/v1/runs/{id}?wait=20"));
            if run["outcome"].is_null() {
                assert!(Instant::now() < end, "run {n} is stuck: {run}");
                continue;
            }
            assert_eq!(run["outcome"]["succeeded"]["output"].to_string().trim_matches('"'), n.to_string(), "{run}");
            break;
        }
    }
    // Each effect is of a run that a client asked for, and repeated effects have the same key.
    let effects = effects_in(&place.read("ledger"));
    let mut repeated = 0;
    for (n, id) in &told {
        for step in ["first", "second"] {
            let keys =
                effects.get(&(*n, step.to_owned())).unwrap_or_else(|| panic!("{step} of run {id} has no effect"));
            assert!(keys.iter().all(|key| key == &keys[0]), "{n} {step}: {keys:?}");
            repeated += keys.len() - 1;
        }
    }
    assert_eq!(snapshots(&place), 1);
    let last = next.load(Ordering::Acquire);
    assert!(effects.keys().all(|(n, _)| *n < last), "an effect of no run");
    assert_eq!(served.send("GET", "/ready", &Value::Null).0, 200);
    assert!(told.len() > usize::try_from(kills).unwrap(), "there was no load: {}", told.len());
    println!("{kills} kills, {} runs accepted, 0 lost, {repeated} effects repeated with the same key", told.len());
}

/// The number of snapshots in the journal.
fn snapshots(place: &Place) -> usize {
    let files = std::fs::read_dir(place.path("data/journal")).unwrap();
    files.filter(|file| file.as_ref().unwrap().path().extension().is_some_and(|kind| kind == "snapshot")).count()
}

/// The keys of the effects in a ledger, by run and step.
fn effects_in(ledger: &str) -> BTreeMap<(u32, String), Vec<String>> {
    let mut effects: BTreeMap<(u32, String), Vec<String>> = BTreeMap::new();
    for line in ledger.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let [n, step, key] = words[..] else { panic!("{line}") };
        effects.entry((n.parse().unwrap(), step.to_owned())).or_default().push(key.to_owned());
    }
    effects
}
