//! Payloads that only agents and callers can read: the journal has them encrypted, with the id of their key, so that keys can be
//! rotated.
//!
//! ```text
//! cargo run --features codecs --example encrypted
//! ```

#![allow(clippy::print_stdout, reason = "an example shows its results")]

use aes_gcm::aead::{Aead, Generate, Key, KeyInit};
use aes_gcm::{Aes256Gcm, Nonce};
use counterpoint::host::thread::ThreadHost;
use counterpoint::host::{CodecError, Durable, Encoding, PayloadCodec};
use counterpoint::journal::MemoryJournal;
use counterpoint::workflow::{Attempt, Flow, StepSpec, Steps, Workflow};
use counterpoint::{AgentId, AgentSpec, Config, Payload, RunId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::error::Error;

/// The header of an encrypted payload (the id of the key), its nonce, and the cipher text as hexadecimal digits.
#[derive(Serialize, Deserialize)]
struct Sealed {
    key: u32,
    nonce: String,
    text: String,
}

/// AES-256-GCM under several keys: the newest encrypts, and the others decrypt what is older.
#[derive(Clone)]
struct Keys(BTreeMap<u32, Aes256Gcm>);

impl PayloadCodec for Keys {
    fn encode(&self, plain: &Payload) -> Result<Payload, CodecError> {
        let (id, cipher) = self.0.last_key_value().ok_or_else(|| CodecError::new("there is no key"))?;
        let nonce = Nonce::generate();
        let text = cipher.encrypt(&nonce, plain.to_string().as_bytes()).map_err(failed)?;
        let sealed = Sealed { key: *id, nonce: hex(&nonce), text: hex(&text) };
        Payload::of(&sealed).map_err(failed)
    }

    fn decode(&self, encoded: &Payload) -> Result<Payload, CodecError> {
        let sealed: Sealed = encoded.to().map_err(failed)?;
        let cipher =
            self.0.get(&sealed.key).ok_or_else(|| CodecError::new(format!("key {} is unknown", sealed.key)))?;
        let nonce = Nonce::try_from(&*bytes(&sealed.nonce)?).map_err(failed)?;
        let text = cipher.decrypt(&nonce, &*bytes(&sealed.text)?).map_err(failed)?;
        Ok(Payload::new(serde_json::from_slice(&text).map_err(failed)?))
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it maps errors")]
fn failed(error: impl ToString) -> CodecError {
    CodecError::new(error.to_string())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes(hex: &str) -> Result<Vec<u8>, CodecError> {
    let digits = hex.as_bytes().chunks(2).map(|two| std::str::from_utf8(two).map_err(failed));
    digits.map(|two| u8::from_str_radix(two?, 16).map_err(failed)).collect()
}

const DIAGNOSE: StepSpec<String, String> = StepSpec::new("diagnose");

fn flow() -> Result<Flow<String, String>, Box<dyn Error>> {
    let flow = Workflow::<String, String>::named("patient");
    let found = flow.step(DIAGNOSE, flow.input());
    Ok(flow.output(found)?)
}

fn host(journal: &MemoryJournal, keys: Keys) -> Result<ThreadHost, Box<dyn Error>> {
    let host =
        ThreadHost::durable(Config::default(), journal.clone(), Durable::new())?.with_encoding(Encoding::new(keys));
    let steps = Steps::new().with_fn(DIAGNOSE, |patient, _: &Attempt| Ok(format!("{patient}: all is well")));
    host.add_agent(AgentSpec::new(AgentId::new(1)), steps)?;
    Ok(host)
}

fn main() -> Result<(), Box<dyn Error>> {
    let journal = MemoryJournal::default();
    let (run, patient) = (RunId::from_key("visit 7"), "Ada Lovelace".to_owned());
    let mut keys = Keys(BTreeMap::from([(1, Aes256Gcm::new(&Key::<Aes256Gcm>::generate()))]));
    let first = host(&journal, keys.clone())?;
    assert_eq!(first.run(&flow()?, run, &patient)?.wait()?, "Ada Lovelace: all is well");
    drop(first);

    // A new key: what was encrypted with the first one stays readable.
    keys.0.insert(2, Aes256Gcm::new(&Key::<Aes256Gcm>::generate()));
    let second = host(&journal, keys.clone())?;
    assert_eq!(second.run(&flow()?, run, &patient)?.wait()?, "Ada Lovelace: all is well");
    second.run(&flow()?, "visit 8", &patient)?.wait()?;
    drop(second);

    let entries = serde_json::to_string(&journal.entries())?;
    assert!(!entries.contains("Ada") && entries.contains("cp.encoded"));
    println!("{} events, none of them with a name of a patient", journal.len());

    // Without the first key, its payloads cannot be read, and nothing else happens to them.
    keys.0.remove(&1);
    let third = host(&journal, keys)?;
    println!(
        "without key 1: {}",
        third.attach::<String>(run)?.wait().map_or_else(|error| error.to_string(), |_| "read".into())
    );
    Ok(())
}
