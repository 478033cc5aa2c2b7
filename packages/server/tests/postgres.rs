//! `serve` with its journal in PostgreSQL: a database of the test's own, kills of both sides, a database that is away, and copies
//! by the programs of PostgreSQL.
#![cfg(feature = "postgres")]

mod common;
#[path = "../../journal-postgres/tests/common/mod.rs"]
mod database;

use common::api::{Served, TOKENS};
use common::{Place, until};
use database::Server as Database;
use serde_json::{Value, json};
use std::process::Command;

/// The URL of a database on this server.
fn url(server: &Database, name: &str) -> String {
    let connection = server.connection();
    let socket = connection.split(' ').find_map(|word| word.strip_prefix("host=")).unwrap();
    format!("postgres://counterpoint@/{name}?host={socket}")
}

fn start(place: &Place, url: &str) -> Served {
    // Snapshots are made between kills.
    place.write("settings.toml", "snapshot_events = 25\nhistory_events = 30\n");
    Served::start(place, &["--listen", "127.0.0.1:0", "--journal", url, "--config", "settings.toml"])
}

fn submit(served: &Served, task: u64) -> u16 {
    served.send("POST", "/v1/tasks", &json!({"id": task.to_string(), "kind": "read", "payload": task})).0
}

fn has_all(served: &Served, tasks: impl IntoIterator<Item = u64>) {
    for task in tasks {
        assert_eq!(served.send("GET", &format!("/v1/tasks/{task}"), &Value::Null).0, 200, "task {task} is lost");
    }
}

#[test]
fn what_was_acknowledged_survives_kills_of_both_sides() {
    let mut database = Database::start("serve-kills");
    let (place, url) = (Place::new(), url(&database, "postgres"));
    let mut task = 0;
    let mut submitted = |served: &Served, count: u64| {
        for _ in 0..count {
            task += 1;
            assert_eq!(submit(served, task), 201);
        }
        task
    };
    let mut served = start(&place, &url);
    assert!(!place.path("data/journal").exists(), "the journal is not in files");
    let mut last = submitted(&served, 20);
    for _ in 0..3 {
        served.running.kill();
        served = start(&place, &url);
        has_all(&served, 1..=last);
        last = submitted(&served, 20);
    }
    // The database is away: everyone is told, and the server goes on when it is back.
    database.kill();
    let refused = served.send("POST", "/v1/tasks", &json!({"id": "777777", "kind": "read"}));
    assert_eq!(refused.0, 503, "{}", refused.1);
    until("it is known that the database is away", || {
        served.send("GET", "/ready", &Value::Null).1["code"] == "journal"
    });
    assert_eq!(served.get("/health")["status"], "waits");
    assert!(served.running.is_alive());
    database.start_again();
    until("the server goes on", || served.send("GET", "/ready", &Value::Null).0 == 200);
    has_all(&served, 1..=last);
    last = submitted(&served, 20);
    assert!([200, 201].contains(&served.send("POST", "/v1/tasks", &json!({"id": "777777", "kind": "read"})).0));
    served.running.signal("TERM");
    served.running.end().with(0);
    let again = start(&place, &url);
    has_all(&again, (1..=last).chain([777_777]));
    let stored = "select (select count(*) from counterpoint_snapshot), (select count(*) from counterpoint_journal)";
    until("a snapshot has replaced entries", || {
        let row = database.client().query_one(stored, &[]).unwrap();
        row.get::<_, i64>(0) == 1 && row.get::<_, i64>(1) < 80
    });
}

#[test]
fn a_start_is_rehearsed_without_a_change() {
    let database = Database::start("serve-check");
    let (place, url) = (Place::new(), url(&database, "postgres"));
    place.write("tokens.json", TOKENS);
    let words = ["serve", "--check", "--data", "data", "--tokens", "tokens.json", "--journal", &url];
    let state = || {
        let mut client = database.client();
        let rows = client.query("select stream, epoch, last_seq from counterpoint_head", &[]);
        rows.map(|rows| {
            rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect::<Vec<(String, i64, i64)>>()
        })
    };
    place.run(words).with(0).says("0 entries");
    assert!(state().is_err(), "a check has made the tables");
    let served = start(&place, &url);
    assert_eq!(submit(&served, 1), 201);
    // Beside a server that works, and after it.
    let before = state().unwrap();
    place.run(words).with(0).says("nothing to upgrade");
    assert_eq!(state().unwrap(), before);
    assert_eq!(submit(&served, 2), 201);
    served.running.kill();
    database
        .client()
        .execute("update counterpoint_journal set event = replace(event, 'read', 'rest') where seq = 2", &[])
        .unwrap();
    let ended = place.run(words).with(6);
    ended.says("entry #2 is damaged");
    let mut start = words.to_vec();
    start.retain(|word| *word != "--check");
    place.run(start).with(6).says("entry #2 is damaged");
}

#[test]
fn of_two_servers_with_one_journal_the_later_one_goes_on() {
    let database = Database::start("serve-two");
    let (first, second, url) = (Place::new(), Place::new(), url(&database, "postgres"));
    let old = start(&first, &url);
    assert_eq!(submit(&old, 1), 201);
    let new = start(&second, &url);
    // It finds out at its next append, acknowledges nothing more, and ends.
    let answer = old.try_send("POST", "/v1/tasks", "", &json!({"id": "2", "kind": "read"}));
    assert!(answer.is_err() || answer.is_ok_and(|(status, _)| status == 503));
    old.running.end().with(6).says("another writer");
    assert_eq!((submit(&new, 3), new.send("GET", "/v1/tasks/2", &Value::Null).0), (201, 404));
}

#[test]
fn a_copy_by_pg_dump_goes_on_elsewhere() {
    let database = Database::start("serve-dump");
    let place = Place::new();
    let served = start(&place, &url(&database, "postgres"));
    assert!((1..=20).all(|task| submit(&served, task) == 201));
    database.client().batch_execute("create database other").unwrap();
    let folder = database.connection();
    let folder = folder.split(' ').find_map(|word| word.strip_prefix("host=")).unwrap();
    // The documented lines, beside a server that works.
    let copy = "pg_dump --table='counterpoint_*' postgres | psql --quiet --set=ON_ERROR_STOP=1 other";
    let copied = Command::new("sh").args(["-ec", copy]).env("PGHOST", folder).env("PGUSER", "counterpoint").output();
    let copied = copied.unwrap();
    assert!(copied.status.success(), "{}", String::from_utf8_lossy(&copied.stderr));
    assert_eq!(submit(&served, 21), 201);
    let other = start(&Place::new(), &url(&database, "other"));
    has_all(&other, 1..=20);
    assert_eq!(other.send("GET", "/v1/tasks/21", &Value::Null).0, 404);
    assert_eq!(submit(&other, 22), 201);
}

#[test]
fn a_database_that_cannot_be_used_is_an_error_at_the_start() {
    let place = Place::new();
    place.write("tokens.json", TOKENS);
    let with = |url: &str| place.run(["serve", "--data", "data", "--tokens", "tokens.json", "--journal", url]);
    with("postgres://nobody:secret@127.0.0.1:1/none").with(6).says("Connection refused");
    let wrong = with("postgres://nobody:secret@127.0.0.1:port/none").with(2);
    let other = with("mysql://nobody:secret@127.0.0.1/none").with(2);
    other.says("postgres://");
    // A password is in no message.
    for ended in [wrong, other] {
        assert!(!ended.stderr.contains("secret"), "{}", ended.stderr);
    }
}

#[test]
fn a_journal_over_an_encrypted_connection() {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let database = Database::with_port("serve-tls", Some((&certificate, &key)));
    let root = database.file("root.crt", &certificate).display().to_string();
    let place = Place::new();
    let verified = format!("{}?sslmode=verify-full&sslrootcert={root}", database.url());
    let mut served = start(&place, &verified);
    assert_eq!(submit(&served, 1), 201);
    let plain = "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
        WHERE application_name LIKE 'counterpoint%' AND NOT ssl";
    assert_eq!(database.client().query_one(plain, &[]).unwrap().get::<_, i64>(0), 0);
    served.running.kill();
    served = start(&place, &verified);
    has_all(&served, 1..=1);
    drop(served);
    // A server that is not the one that was meant, and one that cannot encrypt.
    let with = |url: &str| place.run(["serve", "--data", "data", "--tokens", "tokens.json", "--journal", url]);
    let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let other = database.file("other.crt", &other.cert.pem()).display().to_string();
    with(&format!("{}?sslmode=verify-full&sslrootcert={other}", database.url())).with(6).says("certificate");
    with("postgres://u:secret@localhost/d?sslmode=verify").with(2).says("`sslmode` is `verify`");
    let unable = Database::with_port("serve-no-tls", None);
    with(&format!("{}?sslmode=require", unable.url())).with(6).says("server does not support TLS");
}
