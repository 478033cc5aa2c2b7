//! The limits of a server.

use std::time::Duration;

/// Descriptors that are left for the journal, the listener and the runtime.
const RESERVED: u64 = 128;
/// The number of connections where the descriptors allow more.
const MOST: u64 = 10_000;
/// The number of connections where the limit on descriptors is unknown.
const FEW: usize = 512;

/// The limits of a server.
///
/// | limit | default | protects |
/// |---|---|---|
/// | [`connections`](Self::connections) | the soft limit on descriptors without 128 (or half of it, if that is less), at most 10,000 | the descriptors of the journal |
/// | [`header_time`](Self::header_time) | 10 s | connections, from clients that send a header slowly or nothing |
/// | [`header_bytes`](Self::header_bytes) | 32 KiB | memory of each connection |
/// | [`body_time`](Self::body_time), [`body_rate`](Self::body_rate) | 10 s, then 1,024 bytes per second | connections and memory, from clients that send a body slowly |
/// | [`body_bytes`](Self::body_bytes) | 1 MiB and 64 KiB | memory and processor time for one request |
/// | [`held_bytes`](Self::held_bytes) | 64 MiB | memory for the bodies of all requests together |
/// | [`write_time`](Self::write_time) | 30 s | connections and memory, from clients that do not read |
/// | [`requests_per_second`](Self::requests_per_second), [`request_burst`](Self::request_burst) | none | processor time, from callers with a token |
/// | [`parsers`](Self::parsers) | 2 | processor time: large bodies are parsed beside the event loop, this many at once |
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The number of open connections. At this number a new connection closes the one that has been without a request for
    /// the longest time; if all of them have requests under way, the new one is answered by 503 and closed.
    pub connections: usize,
    /// The time for a complete header, from the start of a connection or from the previous response on. It is also the time
    /// for which a connection without a request stays open.
    pub header_time: Duration,
    /// The size of a header, and of the buffer of each connection. At least 8 KiB.
    pub header_bytes: usize,
    /// The time for a body before [`body_rate`](Self::body_rate) applies.
    pub body_time: Duration,
    /// The number of bytes per second that a body must reach, on average.
    pub body_rate: u64,
    /// The size of a body.
    pub body_bytes: usize,
    /// The size of all bodies that are read or parsed at the same time.
    pub held_bytes: usize,
    /// The time after which a connection is closed if it accepts no byte of a response.
    pub write_time: Duration,
    /// The number of large bodies that are parsed at the same time.
    pub parsers: usize,
    /// The number of requests of each caller per second, on average; 0 is no limit. See [`Rates`](crate::Rates).
    pub requests_per_second: u32,
    /// The number of requests that each caller may make at once; 0 is one second's worth.
    pub request_burst: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: connections(descriptors()),
            header_time: Duration::from_secs(10),
            header_bytes: 32 << 10,
            body_time: Duration::from_secs(10),
            body_rate: 1_024,
            body_bytes: (1 << 20) + (64 << 10),
            held_bytes: 64 << 20,
            write_time: Duration::from_secs(30),
            parsers: 2,
            requests_per_second: 0,
            request_burst: 0,
        }
    }
}

/// The options of a command line that set limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options;

impl Options {
    /// The names of the options, for the message about an unknown one.
    pub const NAMES: &str = "--connections, --header-seconds, --body-seconds, --body-rate, --write-seconds, \
                             --requests-per-second, --request-burst";
}

impl Limits {
    /// Sets the limit with the name of this option of a command line; see [`Options::NAMES`]. Returns whether there is one.
    ///
    /// # Errors
    ///
    /// When the value is not a number from 1 on, or the number of connections needs more descriptors than the process has.
    pub fn set(&mut self, option: &str, value: &str) -> Result<bool, String> {
        let number = || match value.parse::<u64>() {
            Ok(number) if number > 0 && value.bytes().all(|byte| byte.is_ascii_digit()) => Ok(number),
            _ => Err(format!("{option}: `{value}` is not a whole number from 1 on")),
        };
        match option {
            "--connections" => {
                let (asked, most) = (number()?, connections(descriptors()) as u64);
                if asked > most {
                    return Err(format!(
                        "{option}: {asked} connections are more than the limit on descriptors allows ({most})"
                    ));
                }
                self.connections = usize::try_from(asked).unwrap_or(usize::MAX);
            }
            "--header-seconds" => self.header_time = Duration::from_secs(number()?),
            "--body-seconds" => self.body_time = Duration::from_secs(number()?),
            "--body-rate" => self.body_rate = number()?,
            "--write-seconds" => self.write_time = Duration::from_secs(number()?),
            "--requests-per-second" => self.requests_per_second = u32::try_from(number()?).unwrap_or(u32::MAX),
            "--request-burst" => self.request_burst = u32::try_from(number()?).unwrap_or(u32::MAX),
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// The soft limit on descriptors of this process; none if it is unlimited or unknown.
#[cfg(unix)]
fn descriptors() -> Option<u64> {
    rustix::process::getrlimit(rustix::process::Resource::Nofile).current
}

#[cfg(not(unix))]
fn descriptors() -> Option<u64> {
    None
}

/// The number of connections that leaves descriptors for the rest of the process.
fn connections(descriptors: Option<u64>) -> usize {
    let Some(descriptors) = descriptors else { return FEW };
    let room = descriptors - RESERVED.min(descriptors / 2);
    usize::try_from(room.clamp(1, MOST)).unwrap_or(FEW)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_descriptors_for_the_journal() {
        assert_eq!(connections(Some(1_024)), 896);
        assert_eq!(connections(Some(64)), 32);
        assert_eq!(connections(Some(0)), 1);
        assert_eq!(connections(Some(u64::MAX)), 10_000);
        assert_eq!(connections(None), 512);
    }

    #[test]
    fn an_option_sets_its_limit_and_rejects_what_is_no_number() {
        let mut limits = Limits::default();
        assert_eq!(limits.set("--header-seconds", "3"), Ok(true));
        assert_eq!(limits.header_time, Duration::from_secs(3));
        assert_eq!(limits.set("--colour", "3"), Ok(false));
        for wrong in ["0", "+3", "-1", "3.5", "", "many"] {
            assert!(limits.set("--body-rate", wrong).is_err(), "{wrong}");
        }
        assert!(limits.set("--connections", "1000000000000").is_err());
    }
}
