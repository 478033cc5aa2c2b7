//! How to reach a database: the settings of a connection, and whether it is encrypted.

#[cfg(feature = "tls")]
use crate::tls::Tls;
use core::error::Error;
use core::fmt;
use core::str::FromStr;
use postgres::config::SslMode;
use postgres::{Client, Config, NoTls};
use std::path::{Path, PathBuf};

/// How to reach a database: the settings of a connection, and whether it is encrypted.
///
/// It is parsed from a URL or from `name=value` pairs as [`Config`] is, with two more settings, which have the meaning of the
/// programs of PostgreSQL:
///
/// | `sslmode` | connection |
/// |---|---|
/// | none, `disable` | not encrypted |
/// | `prefer` | encrypted if the server can; the server is not verified |
/// | `require` | encrypted; the server is not verified, or, with `sslrootcert`, as with `verify-ca` |
/// | `verify-ca` | encrypted; the server has a certificate that a root has signed |
/// | `verify-full` | encrypted; the certificate is also that of the name in `host` |
///
/// `sslrootcert` is a file with the certificates of roots in PEM; without it, or with the value `system`, the roots are those of the
/// operating system, or of the file in the variable `SSL_CERT_FILE`. A connection that must be encrypted is an error if it cannot be,
/// never one that is not. Encrypted connections need the feature `tls`.
///
/// ```
/// use counterpoint_journal_postgres::{Database, DatabaseError};
///
/// let database: Database = "postgres://app@db.example/app?sslmode=disable".parse()?;
/// assert!(!database.is_encrypted());
/// assert!(matches!("postgres://db.example/app?sslmode=maybe".parse::<Database>(), Err(DatabaseError::Mode(_))));
/// # Ok::<(), DatabaseError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Database {
    config: Config,
    #[cfg(feature = "tls")]
    tls: Option<Tls>,
}

/// Why a text does not tell how to reach a database. No text repeats a password.
#[derive(Debug)]
#[non_exhaustive]
pub enum DatabaseError {
    /// The settings other than those of encryption.
    Settings(postgres::Error),
    /// `sslmode` has another value than those of [`Database`].
    Mode(String),
    /// `sslrootcert` is given, and `sslmode` asks for no verification.
    Unverified,
    /// `sslmode` asks for an encrypted connection, and the crate has been built without the feature `tls`.
    NoTls,
    /// The file with roots cannot be read, or has no certificate.
    Roots {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// There are no roots on this system.
    NoRoots(String),
}

impl fmt::Display for DatabaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Settings(error) => {
                let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
                write!(f, "{error}{cause}")
            }
            Self::Mode(mode) => {
                write!(f, "`sslmode` is `{mode}`, which is none of disable, prefer, require, verify-ca and verify-full")
            }
            Self::Unverified => f.write_str("`sslrootcert` needs `sslmode` require, verify-ca or verify-full"),
            Self::NoTls => f.write_str("this program was built without encrypted connections (the feature `tls`)"),
            Self::Roots { path, reason } => write!(f, "`sslrootcert` {}: {reason}", path.display()),
            Self::NoRoots(reason) => {
                write!(f, "this system has no certificates of roots, so `sslrootcert` is needed{reason}")
            }
        }
    }
}

impl Error for DatabaseError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        if let Self::Settings(error) = self { Some(error) } else { None }
    }
}

/// How a server is verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verified {
    Not,
    Chain,
    Name,
}

impl Database {
    /// The settings of the connection. A value of `ssl_mode` that differs from that of the text is obeyed if it is stricter.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// The same, for changes.
    #[must_use]
    pub const fn config_mut(&mut self) -> &mut Config {
        &mut self.config
    }

    /// Whether no connection is made without encryption.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        self.config.get_ssl_mode() == SslMode::Require
    }

    /// A connection.
    ///
    /// # Errors
    ///
    /// When there is none, or it must be encrypted and cannot be.
    pub fn connect(&self) -> Result<Client, postgres::Error> {
        self.connect_with(&self.config)
    }

    pub(crate) fn connect_as(&self, name: &str) -> Result<Client, postgres::Error> {
        self.connect_with(self.config.clone().application_name(name))
    }

    fn connect_with(&self, config: &Config) -> Result<Client, postgres::Error> {
        #[cfg(feature = "tls")]
        if let Some(tls) = &self.tls {
            return config.connect(tls.connector());
        }
        // An error if the mode is `require`.
        config.connect(NoTls)
    }

    fn encrypted(
        mut config: Config,
        mode: SslMode,
        verified: Verified,
        roots: Option<&str>,
    ) -> Result<Self, DatabaseError> {
        config.ssl_mode(mode);
        let roots = roots.filter(|path| *path != "system").map(Path::new);
        #[cfg(feature = "tls")]
        return Ok(Self { config, tls: Some(Tls::new(verified, roots)?) });
        #[cfg(not(feature = "tls"))]
        {
            let _ = (config, verified, roots);
            Err(DatabaseError::NoTls)
        }
    }
}

impl From<Config> for Database {
    /// A connection that is not encrypted. With [`SslMode::Require`] there is none.
    fn from(config: Config) -> Self {
        Self {
            config,
            #[cfg(feature = "tls")]
            tls: None,
        }
    }
}

impl FromStr for Database {
    type Err = DatabaseError;

    fn from_str(text: &str) -> Result<Self, DatabaseError> {
        let is_url = text.starts_with("postgres://") || text.starts_with("postgresql://");
        let (rest, taken) = if is_url { of_url(text) } else { of_pairs(text) };
        let config: Config = rest.parse().map_err(DatabaseError::Settings)?;
        let last = |name: &str| taken.iter().rev().find(|(known, _)| *known == name).map(|(_, value)| value.as_str());
        let roots = last("sslrootcert").filter(|roots| !roots.is_empty());
        match last("sslmode") {
            None | Some("" | "disable" | "prefer") if roots.is_some() => Err(DatabaseError::Unverified),
            None | Some("" | "disable") => {
                let mut config = config;
                config.ssl_mode(SslMode::Disable);
                Ok(config.into())
            }
            Some("prefer") => Self::encrypted(config, SslMode::Prefer, Verified::Not, None),
            Some("require") => {
                let verified = if roots.is_some() { Verified::Chain } else { Verified::Not };
                Self::encrypted(config, SslMode::Require, verified, roots)
            }
            Some("verify-ca") => Self::encrypted(config, SslMode::Require, Verified::Chain, roots),
            Some("verify-full") => Self::encrypted(config, SslMode::Require, Verified::Name, roots),
            Some(other) => Err(DatabaseError::Mode(other.to_owned())),
        }
    }
}

/// The settings that this crate reads itself.
const OWN: [&str; 2] = ["sslmode", "sslrootcert"];

type Taken = Vec<(&'static str, String)>;

fn own(name: &str) -> Option<&'static str> {
    OWN.into_iter().find(|own| *own == name)
}

/// Takes the own settings out of a URL.
fn of_url(url: &str) -> (String, Taken) {
    let Some((base, query)) = url.split_once('?') else { return (url.to_owned(), Vec::new()) };
    let (mut kept, mut taken) = (Vec::new(), Vec::new());
    for part in query.split('&') {
        match part.split_once('=').and_then(|(name, value)| Some((own(name)?, value))) {
            Some((name, value)) => taken.push((name, decoded(value))),
            None => kept.push(part),
        }
    }
    (if kept.is_empty() { base.to_owned() } else { format!("{base}?{}", kept.join("&")) }, taken)
}

/// A text with `%` and two hexadecimal digits decoded.
fn decoded(text: &str) -> String {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((first, after)) = rest.split_first() {
        let code = after.get(..2).filter(|code| *first == b'%' && code.iter().all(u8::is_ascii_hexdigit));
        let code = code.and_then(|code| u8::from_str_radix(str::from_utf8(code).ok()?, 16).ok());
        bytes.push(code.unwrap_or(*first));
        rest = if code.is_some() { after.get(2..).unwrap_or_default() } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Takes the own settings out of `name=value` pairs. Spaces around `=`, quotes and backslashes are those of PostgreSQL.
fn of_pairs(text: &str) -> (String, Taken) {
    let (mut kept, mut taken, mut rest) = (String::new(), Vec::new(), text.trim_start());
    while !rest.is_empty() {
        let Some((name, after)) = rest.split_once('=') else {
            // A mistake, which is reported with the rest.
            kept.push_str(rest);
            break;
        };
        let after = after.trim_start();
        let (length, value) = value(after);
        let whole_length = rest.len() - after.len() + length;
        let whole = rest.get(..whole_length).unwrap_or(rest);
        match own(name.trim()) {
            Some(name) => taken.push((name, value)),
            None => {
                kept.push_str(whole);
                kept.push(' ');
            }
        }
        rest = rest.get(whole_length..).unwrap_or_default().trim_start();
    }
    (kept, taken)
}

/// The value at the beginning of a text, and its length in the text.
fn value(text: &str) -> (usize, String) {
    let quoted = text.starts_with('\'');
    let mut found = String::new();
    let mut characters = text.char_indices().skip(usize::from(quoted));
    while let Some((at, character)) = characters.next() {
        match character {
            '\'' if quoted => return (at + 1, found),
            _ if !quoted && character.is_whitespace() => return (at, found),
            '\\' => found.extend(characters.next().map(|(_, next)| next)),
            _ => found.push(character),
        }
    }
    (text.len(), found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_settings_are_taken_out_of_both_forms() {
        let (rest, taken) =
            of_url("postgres://u:p%3D@h/d?sslmode=verify-full&application_name=x&sslrootcert=%2Fa%20b.pem");
        assert_eq!(rest, "postgres://u:p%3D@h/d?application_name=x");
        assert_eq!(taken, [("sslmode", "verify-full".to_owned()), ("sslrootcert", "/a b.pem".to_owned())]);
        let (rest, taken) =
            of_pairs(r"host = h sslmode = require password='a \' sslmode=disable' sslrootcert='/a b\\c'");
        assert_eq!(rest, r"host = h password='a \' sslmode=disable' ");
        assert_eq!(taken, [("sslmode", "require".to_owned()), ("sslrootcert", r"/a b\c".to_owned())]);
        for odd in ["", "=", "a", "'", "sslmode", "sslmode=", "a='", "a=\\", "é=é é", "sslmode='é"] {
            let _ = odd.parse::<Database>();
        }
    }

    #[test]
    fn a_mode_that_is_unknown_or_unfit_is_an_error() {
        let of = |query: &str| format!("postgres://u:secret@h/d?{query}").parse::<Database>();
        assert!(matches!(of("sslmode=allow"), Err(DatabaseError::Mode(_))));
        assert!(matches!(of("sslrootcert=x"), Err(DatabaseError::Unverified)));
        assert!(matches!(of("sslmode=disable&sslrootcert=x"), Err(DatabaseError::Unverified)));
        assert!(matches!(of("sslmodes=require"), Err(DatabaseError::Settings(_))));
        let plain = [of(""), of("sslmode=disable"), of("sslmode=require&sslmode=disable")];
        assert!(plain.into_iter().all(|plain| !plain.unwrap().is_encrypted()));
        if cfg!(feature = "tls") {
            assert!(of("sslmode=disable&sslmode=require").unwrap().is_encrypted());
            let missing = of("sslmode=verify-full&sslrootcert=/no/such/file").unwrap_err();
            assert!(matches!(missing, DatabaseError::Roots { .. }), "{missing}");
        } else {
            assert!(matches!(of("sslmode=require"), Err(DatabaseError::NoTls)));
        }
    }
}
