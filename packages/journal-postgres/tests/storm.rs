//! Two hosts at once, hosts killed, the server killed, all in mid-run: nothing is lost, and nothing is there twice.

mod common;

use common::{Dice, Server};
use counterpoint::engine::EngineSnapshot;
use counterpoint::journal::Journal as _;
use counterpoint::{Config, Engine, RunId, RunOutcome};
use counterpoint_journal_postgres::PostgresJournal;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

const STREAM: &str = "orders";
const ITEMS: i64 = 1_000_000;

struct Shop {
    child: Child,
    lines: Receiver<String>,
}

/// What shops have told.
#[derive(Default)]
struct Ledger {
    taken: BTreeSet<u64>,
    ended: Vec<String>,
}

impl Ledger {
    fn hear(&mut self, line: &str) {
        match line.split_once(' ') {
            Some(("taken", order)) => drop(self.taken.insert(order.parse().unwrap())),
            Some(("ended", why)) => self.ended.push(why.to_owned()),
            _ => assert_eq!(line, "open"),
        }
    }
}

impl Shop {
    /// Starts one, and waits until it has taken over.
    fn start(server: &Server) -> Self {
        let shop = Self::spawn(server);
        let first = shop.lines.recv_timeout(Duration::from_secs(30));
        assert_eq!(first.as_deref(), Ok("open"), "it did not take over");
        shop
    }

    fn spawn(server: &Server) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_shop"))
            .args([&server.connection(), STREAM])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (tell, lines) = channel();
        let out = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || out.lines().map_while(Result::ok).try_for_each(|line| tell.send(line)));
        Self { child, lines }
    }

    /// Stops it where it is, or lets it continue.
    fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }

    /// Asks for these orders; one that has ended meanwhile does not hear it.
    fn ask(&mut self, orders: impl IntoIterator<Item = u64>) {
        let text: String = orders.into_iter().map(|order| format!("{order}\n")).collect();
        let _ = self.child.stdin.as_mut().unwrap().write_all(text.as_bytes());
    }

    fn hear_for(&self, ledger: &mut Ledger, span: Duration) {
        let until = Instant::now() + span;
        while let Ok(line) = self.lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
            ledger.hear(&line);
        }
    }

    /// Waits until it has taken this order on.
    fn hear_until_taken(&self, ledger: &mut Ledger, order: u64) {
        let until = Instant::now() + Duration::from_secs(60);
        while !ledger.taken.contains(&order) {
            match self.lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(line) => ledger.hear(&line),
                Err(error) => panic!("order {order} was not taken on: {error}; {:?}", ledger.ended),
            }
        }
    }

    /// `kill -9`, and what it had said by then.
    fn kill(mut self, ledger: &mut Ledger) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.lines.iter().for_each(|line| ledger.hear(&line));
    }

    /// Waits until it ends by itself, because its journal failed; and why.
    fn end(mut self, ledger: &mut Ledger) -> String {
        let before = ledger.ended.len();
        self.lines.iter().for_each(|line| ledger.hear(&line));
        assert_eq!(self.child.wait().unwrap().code(), Some(3));
        assert_eq!(ledger.ended.len(), before + 1, "it did not say why");
        ledger.ended[before].clone()
    }

    /// Lets it finish.
    fn finish(mut self, ledger: &mut Ledger) {
        drop(self.child.stdin.take());
        self.lines.iter().for_each(|line| ledger.hear(&line));
        assert!(self.child.wait().unwrap().success(), "it did not end well: {:?}", ledger.ended);
    }
}

#[test]
fn nothing_is_lost_and_nothing_is_twice() {
    let rounds: u64 = std::env::var("COUNTERPOINT_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(12);
    let mut server = Server::start("storm");
    let books = "create table deeds (order_no bigint not null, deed text not null);
                 create table stock (items bigint not null); insert into stock values (1000000);";
    server.client().batch_execute(books).unwrap();
    let (mut ledger, mut dice, mut asked) = (Ledger::default(), Dice(3), 0);
    let mut shop = Shop::start(&server);
    let seconds: u64 = std::env::var("COUNTERPOINT_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(0);
    let until = Instant::now() + Duration::from_secs(seconds);
    let (mut killed, mut fenced, mut fell, mut stopped, mut round) = (0, 0, 0, 0, 0);
    while round < rounds || Instant::now() < until {
        // What was asked for and never confirmed is asked for again: the number is the same.
        let again: Vec<u64> = (1..=asked).filter(|order| !ledger.taken.contains(order)).collect();
        let fresh = asked + 1..=asked + 5 + dice.below(10);
        asked = *fresh.end();
        shop.ask(again.into_iter().chain(fresh));
        shop.hear_for(&mut ledger, Duration::from_millis(5 + dice.below(150)));
        round += 1;
        match round % 5 {
            0 => {
                shop.kill(&mut ledger);
                shop = Shop::start(&server);
                killed += 1;
            }
            1 => {
                // A second one takes over while the first is at work, and asks for more.
                let second = Shop::start(&server);
                asked += 1;
                shop.ask([asked]);
                assert_eq!(shop.end(&mut ledger), "another writer has taken over");
                assert!(!ledger.taken.contains(&asked), "it took an order on that it could not keep");
                shop = second;
                fenced += 1;
            }
            2 => {
                // It stands still, and another takes over within the bound of `Shop::start`. When it goes on it finds
                // that it was replaced, or that the server has ended its connection.
                shop.signal("-STOP");
                let second = Shop::start(&server);
                shop.signal("-CONT");
                asked += 1;
                shop.ask([asked]);
                let why = shop.end(&mut ledger);
                let replaced = ["another writer has taken over", "it is unknown whether the entries were stored"];
                assert!(replaced.contains(&why.as_str()) || why.contains("idle-in-transaction"), "{why}");
                assert!(!ledger.taken.contains(&asked), "it took an order on that it could not keep");
                shop = second;
                stopped += 1;
            }
            3 => {
                // The next one stands still while it takes over, at any point of that, and a third one takes over.
                shop.kill(&mut ledger);
                let second = Shop::spawn(&server);
                std::thread::sleep(Duration::from_millis(dice.below(60)));
                second.signal("-STOP");
                shop = Shop::start(&server);
                second.kill(&mut ledger);
                stopped += 1;
            }
            _ => {
                // The host waits for the server, finds out which entries are stored, appends the others, and goes on.
                server.kill();
                asked += 1;
                shop.ask([asked]);
                server.start_again();
                shop.hear_until_taken(&mut ledger, asked);
                fell += 1;
            }
        }
    }
    let again: Vec<u64> = (1..=asked).filter(|order| !ledger.taken.contains(order)).collect();
    shop.ask(again);
    shop.finish(&mut ledger);
    judge(&server, &ledger, asked);
    println!("{asked} orders; {killed} hosts killed, {fenced} fenced, {stopped} stopped, the server {fell} times");
}

/// Journal and books say the same, and of every order once.
fn judge(server: &Server, ledger: &Ledger, asked: u64) {
    let taken = PostgresJournal::new(server.connection().parse().unwrap(), STREAM).take_over().unwrap();
    let snapshot: Option<EngineSnapshot> =
        taken.snapshot.as_deref().map(|state| EngineSnapshot::from_bytes(state).unwrap());
    assert!(snapshot.is_some(), "no snapshot was taken");
    let engine = Engine::restore(Config::default(), snapshot.as_ref(), &taken.tail).unwrap();
    engine.check().unwrap();
    let mut client = server.client();
    let mut deeds: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    for row in client.query("select order_no, deed from deeds order by deed desc", &[]).unwrap() {
        deeds.entry(row.get::<_, i64>(0) as u64).or_default().push(row.get(1));
    }
    let mut charged = 0;
    for order in 1..=asked {
        assert!(ledger.taken.contains(&order), "order {order} was never accepted");
        let run = engine.run(RunId::new(order)).unwrap_or_else(|| panic!("order {order} is missing"));
        let well = matches!(run.outcome(), Some(RunOutcome::Succeeded { .. }));
        assert_eq!(well, order % 5 != 0, "order {order} ended differently from the services' records");
        let expected = ["reserve", if well { "charge" } else { "release" }];
        assert_eq!(deeds[&order], expected, "order {order}");
        charged += i64::from(well);
    }
    assert_eq!(deeds.len() as u64, asked);
    let items: i64 = client.query_one("select items from stock", &[]).unwrap().get(0);
    assert_eq!(items, ITEMS - charged, "the accounts do not balance");
}
