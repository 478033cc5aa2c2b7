//! What the targets share: worlds drawn from bytes by the generators of `tests/hostile`, and what must hold of an engine that
//! was restored from bytes.

#[path = "../../hostile/asks.rs"]
pub mod asks;
#[path = "../../hostile/draw.rs"]
pub mod draw;

use asks::{Ask, World};
use counterpoint::engine::EngineSnapshot;
use counterpoint::{AgentId, AgentSpec, Command, Engine, Entry, Outbox, Seq, Time};
use proptest::strategy::{BoxedStrategy, Strategy as _, ValueTree as _};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::Value;

/// Each of these bytes draws one command: to leave out, to repeat or to move some is to do that with commands.
pub const GENE: usize = 3;

thread_local! {
    static ASKS: BoxedStrategy<Ask> = asks::asks();
}

/// The command of these bytes. None: the generator gave up, as it does when it finds no sound definition.
fn ask(gene: &[u8]) -> Option<Ask> {
    let mut seed = [1; 16];
    seed.iter_mut().zip(gene).for_each(|(to, from)| *to = *from);
    let rng = TestRng::from_seed(RngAlgorithm::XorShift, &seed);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    ASKS.with(|asks| asks.new_tree(&mut runner).ok().map(|tree| tree.current()))
}

/// An engine that has been asked all of this, and was checked after each command.
pub fn world(genes: &[u8]) -> World {
    let mut world = World::new();
    let able = AgentSpec::new(AgentId::new(4)).with_skill("work", 1).with_amount("memory", u64::MAX).with_capacity(4);
    let first = [Ask::Say(Command::register(able))].into_iter();
    for ask in first.chain(genes.chunks_exact(GENE).filter_map(ask)) {
        if let Err(why) = world.ask(ask) {
            panic!("{why}");
        }
    }
    world
}

/// It resumes, takes commands, and comes to the end of time; what it writes on the way can be read again.
pub fn goes_on(mut engine: Engine, journal: &[Entry], from: Option<&EngineSnapshot>) {
    let now = journal.last().map_or(from.map_or(Time::ZERO, |from| from.scheduler.at), |entry| entry.at);
    let mut out = Outbox::default();
    assert_eq!(engine.check(), Ok(()), "after the restore");
    engine.resume(now, &mut out);
    assert_eq!(engine.check(), Ok(()), "after resume");
    for agent in 1..3 {
        let agent = AgentSpec::new(AgentId::new(agent)).with_skill("work", 1);
        let _ = engine.handle(now, Command::register(agent), &mut out);
        assert_eq!(engine.check(), Ok(()), "after a command");
    }
    let _ = engine.handle(Time::MAX, Command::Tick, &mut out);
    assert_eq!(engine.check(), Ok(()), "at the end of time");
    let all: Vec<Entry> = journal.iter().chain(out.entries()).cloned().collect();
    match Engine::restore(asks::config(), from, &all) {
        Ok(again) => assert_eq!(again.snapshot(), engine.snapshot()),
        Err(why) => panic!("what it wrote cannot be read: {why}"),
    }
}

/// Numbers the entries from one, and lets no time go back.
pub fn renumber(entries: &mut [Entry]) {
    let mut at = Time::ZERO;
    for (number, entry) in (1..).zip(entries) {
        (entry.seq, at) = (Seq::new(number), at.max(entry.at));
        entry.at = at;
    }
}

/// Changes values: for each four bytes the place (two of them), what is done, and a byte for it.
pub fn mangle(value: &mut Value, harms: &[u8]) {
    for harm in harms.chunks_exact(4) {
        let place = usize::from(u16::from_le_bytes([harm[0], harm[1]]));
        let count = count(value);
        if let Some(found) = at(value, &mut (place % count)) {
            change(found, harm[2], harm[3]);
        }
    }
}

fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(count).sum(),
        Value::Object(fields) => fields.values().map(count).sum(),
        _ => 0,
    }
}

/// The value at a place, counted from the outside.
fn at<'a>(value: &'a mut Value, place: &mut usize) -> Option<&'a mut Value> {
    if *place == 0 {
        return Some(value);
    }
    *place -= 1;
    match value {
        Value::Array(items) => items.iter_mut().find_map(|item| at(item, place)),
        Value::Object(fields) => fields.values_mut().find_map(|item| at(item, place)),
        _ => None,
    }
}

fn change(value: &mut Value, how: u8, with: u8) {
    let which = usize::from(with);
    match value {
        Value::Number(number) => {
            let number = number.as_u64().unwrap_or_default();
            *value = match how % 4 {
                0 => number ^ (1 << (with % 64)),
                1 => u64::from(with),
                2 => u64::MAX - u64::from(with),
                _ => number.wrapping_add(1),
            }
            .into();
        }
        Value::Array(items) if !items.is_empty() => {
            let (one, other) = (which % items.len(), which / 16 % items.len());
            match how % 3 {
                0 => drop(items.remove(one)),
                1 => items.insert(other, items[one].clone()),
                _ => items.swap(one, other),
            }
        }
        Value::Object(fields) => {
            let name = fields.keys().nth(which % fields.len().max(1)).cloned();
            name.map(|name| fields.remove(&name));
        }
        Value::Bool(is) => *is = !*is,
        Value::String(text) => *text = ["", "a", "b", "none"][which % 4].to_owned(),
        Value::Null | Value::Array(_) => *value = u64::from(with).into(),
    }
}

/// The first bytes, as many as the first one says, and the rest.
pub fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (first, rest) = bytes.split_first()?;
    rest.split_at_checked(usize::from(*first))
}
