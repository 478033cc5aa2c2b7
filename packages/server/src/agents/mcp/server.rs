//! The servers of a file, and the connections to them.

use super::connection::Connection;
use super::{SERVER, Surroundings};
use crate::agents::failure;
use crate::agents::reader::{Fields, Reader};
use crate::agents::template::{Subject, Template};
use counterpoint::Failure;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// A server as the file declares it.
#[derive(Debug)]
pub(crate) struct Server {
    way: Way,
}

#[derive(Debug)]
enum Way {
    Command { words: Vec<Template>, folder: Option<Template>, environment: Vec<(String, Template)>, clean: bool },
    Web { url: Template, headers: Vec<(String, Template)> },
}

/// A server with the values of a run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Prepared {
    Command { words: Vec<String>, folder: String, environment: Vec<(String, String)>, clean: bool },
    Web { url: String, headers: Vec<(String, String)>, shown: String },
}

/// The connections of a process: at most one for each server of the file.
#[derive(Debug, Default)]
pub(crate) struct Servers {
    open: Mutex<BTreeMap<Prepared, Arc<Place>>>,
}

/// The place of a connection. Callers that need a new one wait for the same.
type Place = tokio::sync::Mutex<Option<Arc<Connection>>>;

/// The number of connections at which those that are not used are closed.
const MOST: usize = 32;

fn is_used(place: &Place) -> bool {
    let Ok(held) = place.try_lock() else { return true };
    held.as_ref().is_some_and(|connection| Arc::strong_count(connection) > 1)
}

impl Servers {
    /// The connection to a server, which is made if there is none.
    pub(super) async fn connect(&self, server: &Prepared, around: &Surroundings) -> Result<Arc<Connection>, Failure> {
        let place = {
            let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
            if open.len() >= MOST && !open.contains_key(server) {
                // Each run can have a server of its own.
                open.retain(|_, place| is_used(place));
            }
            Arc::clone(open.entry(server.clone()).or_default())
        };
        let mut held = place.lock().await;
        if let Some(connection) = held.as_ref().filter(|connection| connection.is_open()) {
            return Ok(Arc::clone(connection));
        }
        // The old server ends before another one is started.
        *held = None;
        let connection = Arc::new(Connection::open(server, around).await?);
        *held = Some(Arc::clone(&connection));
        Ok(connection)
    }

    /// Uses the connection for no further calls.
    pub(super) fn forget(&self, server: &Prepared) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(server);
    }
}

impl Server {
    /// The program, of a server that is a command.
    pub(crate) fn program(&self) -> Option<&Template> {
        match &self.way {
            Way::Command { words, .. } => words.first(),
            Way::Web { .. } => None,
        }
    }

    pub(crate) fn templates(&self) -> Vec<&Template> {
        match &self.way {
            Way::Command { words, folder, environment, .. } => {
                words.iter().chain(folder).chain(environment.iter().map(|(_, value)| value)).collect()
            }
            Way::Web { url, headers } => [url].into_iter().chain(headers.iter().map(|(_, value)| value)).collect(),
        }
    }

    /// The server with the values of a run.
    pub(crate) fn prepare(&self, subject: &Subject<'_>) -> Result<Prepared, String> {
        let pairs = |list: &[(String, Template)]| {
            list.iter()
                .map(|(name, value)| Ok((name.clone(), value.render(subject)?)))
                .collect::<Result<Vec<_>, String>>()
        };
        Ok(match &self.way {
            Way::Command { words, folder, environment, clean } => Prepared::Command {
                words: words.iter().map(|word| word.render(subject)).collect::<Result<_, _>>()?,
                folder: folder.as_ref().map(|folder| folder.render(subject)).transpose()?.unwrap_or_default(),
                environment: pairs(environment)?,
                clean: *clean,
            },
            Way::Web { url, headers } => {
                Prepared::Web { url: url.render(subject)?, headers: pairs(headers)?, shown: url.to_string() }
            }
        })
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.way {
            Way::Command { words, .. } => {
                f.write_str(&words.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
            }
            Way::Web { url, .. } => url.fmt(f),
        }
    }
}

impl Reader<'_> {
    /// A server, of the fields of a method or of a list of servers.
    pub(in crate::agents) fn server(&mut self, of: Fields<'_>) -> Option<Server> {
        let way = match (of.has("command"), of.has("url")) {
            (true, false) => {
                self.only(of, "command", &["headers"]);
                let words = self.templates(of, "command");
                if words.is_empty() {
                    self.add(of.at("command"), "expected a program with its arguments");
                    return None;
                }
                Way::Command {
                    words,
                    folder: self.template(of, "folder"),
                    environment: self.templates_by_name(of, "environment"),
                    clean: self.flag(of, "clean_environment").unwrap_or_default(),
                }
            }
            (false, true) => {
                self.only(of, "url", &["folder", "environment", "clean_environment"]);
                Way::Web { url: self.address(of, "url")?, headers: self.templates_by_name(of, "headers") }
            }
            (true, true) => {
                self.add(of.path, "`command` and `url` exclude each other");
                return None;
            }
            (false, false) => {
                self.add(of.path, "expected `command` or `url`, with which the server is reached");
                return None;
            }
        };
        let server = Server { way };
        if !server.templates().iter().all(|template| template.is_of_run()) {
            let text = "a server serves all tasks: only `env`, `run` and `folder` can be referred to";
            self.add(of.path, text);
            return None;
        }
        Some(server)
    }

    fn only(&mut self, of: Fields<'_>, with: &str, others: &[&str]) {
        for name in SERVER.iter().filter(|name| others.contains(name) && of.has(name)) {
            self.add(of.at(name), format!("`{name}` has no effect with `{with}`"));
        }
    }
}

/// A failure before anything was sent to a tool.
pub(super) fn unreached(text: String, code: &str) -> Failure {
    failure(Failure::transient(text), code)
}
