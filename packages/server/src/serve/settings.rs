//! The settings of a server: of the command line, then of the environment, then of a file, then defaults.

use crate::cli::ServeArgs;
use crate::compaction::Source;
use crate::document::read_text;
use crate::traces::Target;
use crate::trouble::{Mistake, Trouble};
use counterpoint_serving::{Identity, Limits};
use serde::Deserialize;
use std::env;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long attempts under way may take when the server is asked to end.
const PATIENCE: Duration = Duration::from_millis(500);
/// The entries from one snapshot to the next, and those before a snapshot that are retained for the pages.
const SNAPSHOT_EVENTS: u64 = 50_000;
const HISTORY_EVENTS: u64 = 50_000;
const LISTEN: &str = "127.0.0.1:8080";

/// The settings in a file. Paths in it begin at its folder.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Written {
    listen: Option<String>,
    tokens: Option<PathBuf>,
    files: Vec<PathBuf>,
    journal: Option<String>,
    journal_stream: Option<String>,
    otlp: Option<String>,
    tls_certificate: Option<PathBuf>,
    tls_key: Option<PathBuf>,
    connections: Option<u64>,
    header_seconds: Option<u64>,
    body_seconds: Option<u64>,
    body_rate: Option<u64>,
    write_seconds: Option<u64>,
    requests_per_second: Option<u64>,
    request_burst: Option<u64>,
    audit: Option<PathBuf>,
    allow_hosts: Vec<String>,
    allow_origins: Vec<String>,
    drain_seconds: Option<u64>,
    snapshot_events: Option<u64>,
    history_events: Option<u64>,
}

/// The settings.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) listen: String,
    pub(super) tokens: Option<PathBuf>,
    pub(super) files: Vec<PathBuf>,
    /// The URL of the database with the journal; by default it is in files.
    pub(super) journal: Option<String>,
    /// The name of the journal in the database.
    pub(super) journal_stream: Option<String>,
    /// Where spans are sent.
    pub(super) otlp: Option<Target>,
    pub(super) limits: Limits,
    audit: Option<PathBuf>,
    /// The values of `Host` and `Origin` that the MCP endpoint answers, besides those of this machine.
    pub(super) allow_hosts: Vec<String>,
    pub(super) allow_origins: Vec<String>,
    /// How long attempts under way may take when the server is asked to end.
    pub(super) patience: Duration,
    /// After how many entries a snapshot replaces them; none: never.
    pub(super) snapshot_events: Option<u64>,
    /// The number of entries before a snapshot that are retained for the pages.
    pub(super) history_events: u64,
    tls: Option<(PathBuf, PathBuf)>,
}

fn variable(name: &str) -> Option<PathBuf> {
    env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

impl Settings {
    pub(super) fn of(args: &ServeArgs) -> Result<Self, Trouble> {
        let path = args.config.clone().or_else(|| variable("COUNTERPOINT_CONFIG"));
        let written = path.as_deref().map(written).transpose()?.unwrap_or_default();
        let mut limits = Limits::default();
        for (option, value) in [
            ("--connections", written.connections),
            ("--header-seconds", written.header_seconds),
            ("--body-seconds", written.body_seconds),
            ("--body-rate", written.body_rate),
            ("--write-seconds", written.write_seconds),
            ("--requests-per-second", written.requests_per_second),
            ("--request-burst", written.request_burst),
        ] {
            let Some(value) = value else { continue };
            limits.set(option, &value.to_string()).map_err(|text| {
                let text = text.trim_start_matches('-').replace('-', "_");
                Trouble::Usage(format!("{}: {text}", path.as_deref().unwrap_or(Path::new("")).display()))
            })?;
        }
        let listen = args.listen.clone().or_else(|| env::var("COUNTERPOINT_LISTEN").ok()).or(written.listen);
        let certificate = args.tls_certificate.clone().or_else(|| variable("COUNTERPOINT_TLS_CERTIFICATE"));
        let key = args.tls_key.clone().or_else(|| variable("COUNTERPOINT_TLS_KEY"));
        let tls = match (certificate.or(written.tls_certificate), key.or(written.tls_key)) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            _ => return Err(Trouble::Usage("TLS needs a certificate and its key".to_owned())),
        };
        let journal = args.journal.clone().or_else(|| env::var("COUNTERPOINT_JOURNAL").ok());
        Ok(Self {
            journal: journal.filter(|url| !url.is_empty()).or(written.journal),
            journal_stream: written.journal_stream,
            otlp: Target::of(args.otlp.as_deref(), written.otlp.as_deref())?,
            listen: listen.unwrap_or_else(|| LISTEN.to_owned()),
            tokens: args.tokens.clone().or_else(|| variable("COUNTERPOINT_TOKENS")).or(written.tokens),
            files: if args.files.is_empty() { written.files } else { args.files.clone() },
            limits,
            audit: written.audit,
            allow_hosts: written.allow_hosts,
            allow_origins: written.allow_origins,
            patience: written.drain_seconds.map_or(PATIENCE, Duration::from_secs),
            snapshot_events: Some(written.snapshot_events.unwrap_or(SNAPSHOT_EVENTS)).filter(|every| *every > 0),
            history_events: written.history_events.unwrap_or(HISTORY_EVENTS),
            tls,
        })
    }

    /// Where the journal is.
    pub(super) fn source(&self, data: &Path) -> Source {
        Source { journal: self.journal.clone(), stream: self.journal_stream.clone(), data: data.to_owned() }
    }

    /// The file of the operations of callers; none if the setting is empty.
    pub(super) fn audit_in(&self, data: &Path) -> Option<PathBuf> {
        match &self.audit {
            None => Some(data.join("audit.jsonl")),
            Some(path) => Some(path.clone()).filter(|path| !path.as_os_str().is_empty()),
        }
    }

    /// The certificate, if there is one.
    pub(super) fn identity(&self) -> Result<Option<Identity>, Trouble> {
        let Some((certificate, key)) = &self.tls else { return Ok(None) };
        let read = |path: &PathBuf| std::fs::read(path).map_err(|error| Trouble::io(path, &error));
        let identity = Identity::from_pem(&read(certificate)?, &read(key)?);
        let broken = |error| Trouble::Broken(format!("{}, {}: {error}", certificate.display(), key.display()));
        identity.map(Some).map_err(broken)
    }
}

fn written(path: &Path) -> Result<Written, Trouble> {
    let text = read_text(path)?;
    let parsed: Result<Written, _> = toml::from_str(&text);
    let mut written = parsed.map_err(|error| Trouble::Mistakes {
        file: path.to_owned(),
        mistakes: vec![Mistake::new("", error.to_string().trim_end())],
    })?;
    let folder = path.parent().unwrap_or(Path::new("")).to_owned();
    let paths = [&mut written.tokens, &mut written.tls_certificate, &mut written.tls_key].into_iter().flatten();
    let audit = written.audit.as_mut().filter(|path| !path.as_os_str().is_empty());
    for path in paths.chain(&mut written.files).chain(audit) {
        *path = folder.join(&*path);
    }
    Ok(written)
}
