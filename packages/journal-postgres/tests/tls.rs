//! Encrypted connections to a server of the test's own: its certificate, the roots, and what is refused.
#![cfg(feature = "tls")]

mod common;

use common::Server;
use counterpoint::journal::{Archive, Journal as _, Takeover};
use counterpoint::{Entry, Event, Seq, Time};
use counterpoint_journal_postgres::{Database, DatabaseError, PostgresJournal};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use std::sync::atomic::{AtomicU32, Ordering};

/// A root, and a certificate of it for this name with its key; all in PEM.
fn certified(name: &str) -> (String, String, String) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let own = CertificateParams::new([name.to_owned()]).unwrap().signed_by(&key, &root).unwrap();
    (root.pem(), own.pem(), key.serialize_pem())
}

/// Takes a stream over by this URL, appends an entry and stores a snapshot. The connections stay as long as what is returned.
fn used(url: &str) -> Result<(PostgresJournal, Box<dyn Archive>), String> {
    static STREAMS: AtomicU32 = AtomicU32::new(0);
    let stream = format!("tls-{}", STREAMS.fetch_add(1, Ordering::Relaxed));
    let database: Database = url.parse().map_err(|error: DatabaseError| error.to_string())?;
    let mut journal = PostgresJournal::of(database.clone(), stream.clone());
    let taken: Takeover = journal.take_over().map_err(|error| error.to_string())?;
    let last = taken.tail.last().map_or(Seq::default(), |entry| entry.seq);
    let event = Event::Control(counterpoint::message::ControlEvent::RunsForgotten { runs: Vec::new() });
    let entry = Entry { seq: last.next(), at: Time::ZERO, event };
    journal.append(taken.epoch, last, std::slice::from_ref(&entry)).map_err(|error| error.to_string())?;
    let mut archive = journal.archive().unwrap();
    archive.keep_snapshot(taken.epoch, entry.seq, b"state".to_vec()).map_err(|error| error.to_string())?;
    assert_eq!(PostgresJournal::read(database, &stream).map_err(|error| error.to_string())?.tail, []);
    Ok((journal, archive))
}

/// The connections of journals that are encrypted, and those that are not.
fn connections(server: &Server) -> (i64, i64) {
    let counted = "SELECT count(*) FILTER (WHERE ssl), count(*) FILTER (WHERE NOT ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
        WHERE application_name LIKE 'counterpoint%'";
    let row = server.client().query_one(counted, &[]).unwrap();
    (row.get(0), row.get(1))
}

#[test]
fn a_server_is_verified_as_the_mode_has_it() {
    let (root, certificate, key) = certified("localhost");
    let server = Server::with_port("tls", Some((&certificate, &key)));
    let root = server.file("root.crt", &root).display().to_string();
    let other = server.file("other.crt", &certified("localhost").0).display().to_string();
    let url = |query: &str| format!("{}?{query}", server.url());

    let journal = used(&url(&format!("sslmode=verify-full&sslrootcert={root}"))).unwrap();
    assert_eq!(connections(&server), (2, 0), "of the journal and of its snapshots");
    drop(journal);
    for query in
        ["sslmode=require".to_owned(), "sslmode=prefer".to_owned(), format!("sslmode=verify-ca&sslrootcert={root}")]
    {
        let _used = used(&url(&query)).unwrap_or_else(|error| panic!("{query}: {error}"));
        assert_eq!(connections(&server).1, 0, "{query}");
    }
    // A root that has not signed it; with `require`, too, if roots are given. Those of the system have not.
    for query in [
        format!("sslmode=verify-full&sslrootcert={other}"),
        format!("sslmode=verify-ca&sslrootcert={other}"),
        format!("sslmode=require&sslrootcert={other}"),
    ] {
        let error = used(&url(&query)).map(drop).unwrap_err();
        assert!(error.contains("invalid peer certificate"), "{query}: {error}");
    }
    let by_system = used(&url("sslmode=verify-full")).map(drop).unwrap_err();
    assert!(
        by_system.contains("invalid peer certificate") || by_system.contains("no certificates of roots"),
        "{by_system}"
    );
    // A file without certificates, and none.
    let empty = server.file("empty.crt", "nothing").display().to_string();
    let error = used(&url(&format!("sslmode=verify-full&sslrootcert={empty}"))).map(drop).unwrap_err();
    assert!(error.contains("no certificate in PEM"), "{error}");
    assert!(used(&url("sslmode=verify-full&sslrootcert=/no/such")).map(drop).unwrap_err().contains("No such file"));
    // Without the setting, connections are as before.
    used(&url("")).unwrap();
}

#[test]
fn a_certificate_of_another_name_is_refused_by_verify_full_alone() {
    let (root, certificate, key) = certified("db.example");
    let server = Server::with_port("tls-name", Some((&certificate, &key)));
    let root = server.file("root.crt", &root).display().to_string();
    let with = |mode: &str| used(&format!("{}?sslmode={mode}&sslrootcert={root}", server.url()));
    let error = with("verify-full").map(drop).unwrap_err();
    assert!(error.contains("not valid for name") && error.contains("localhost"), "{error}");
    with("verify-ca").unwrap();
    with("require").unwrap();
    // Under its name.
    let port = server.url().rsplit_once(':').unwrap().1.split_once('/').unwrap().0.to_owned();
    let pairs = "host=db.example hostaddr=127.0.0.1 user=counterpoint dbname=postgres sslmode=verify-full";
    used(&format!("{pairs} port={port} sslrootcert='{root}'")).unwrap();
}

#[test]
fn a_server_without_encryption_is_refused_by_all_modes_that_demand_it() {
    let server = Server::with_port("tls-none", None);
    let root = server.file("root.crt", &certified("localhost").0).display().to_string();
    for query in [
        "sslmode=require".to_owned(),
        format!("sslmode=require&sslrootcert={root}"),
        format!("sslmode=verify-ca&sslrootcert={root}"),
        format!("sslmode=verify-full&sslrootcert={root}"),
    ] {
        let error = used(&format!("{}?{query}", server.url())).map(drop).unwrap_err();
        assert!(error.contains("server does not support TLS"), "{query}: {error}");
    }
    // A mode that was set after the text, and for which there is no encryption.
    let mut database: Database = server.url().parse().unwrap();
    database.config_mut().ssl_mode(postgres::config::SslMode::Require);
    assert!(database.connect().is_err());
    assert_eq!(connections(&server), (0, 0));
    used(&format!("{}?sslmode=prefer", server.url())).unwrap();
    used(&server.url()).unwrap();
}
