//! The command line.

use std::ffi::OsString;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::str::FromStr;
use std::thread::available_parallelism;

/// More hands than this do not make it faster.
const MAX_WORKERS: u32 = 256;

pub const HELP: &str = "\
Surveys a directory of source files: a team of agents reads the files and writes a report on them.

Usage: survey [DIRECTORY] [OPTIONS]

Arguments:
  [DIRECTORY]      the directory to survey [default: the current directory]

Options:
  --out FOLDER     the folder of the report [default: target/survey]
  --workers N      the number of agents that read and analyse [default: one for each core]
  --fail RATE      the share of attempts that fail, from 0 to 1; failed attempts are retried [default: 0]
  --seed N         the seed that selects the attempts that fail [default: 1]
  --fail-delivery  reject the report after its delivery; the delivery is then compensated
  --help           print this help
";

/// What was asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Arguments {
    pub root: PathBuf,
    pub out: PathBuf,
    pub workers: u32,
    pub fail: f64,
    pub seed: u64,
    pub fail_delivery: bool,
    pub help: bool,
}

impl Arguments {
    /// Reads what came after the program's name.
    pub fn read(words: impl IntoIterator<Item = OsString>) -> Result<Self, String> {
        let cores = available_parallelism().map_or(2, |cores| u32::try_from(cores.get()).unwrap_or(MAX_WORKERS));
        let mut read = Self {
            root: PathBuf::from("."),
            out: PathBuf::from("target/survey"),
            workers: cores.min(MAX_WORKERS),
            fail: 0.0,
            seed: 1,
            fail_delivery: false,
            help: false,
        };
        let mut words = words.into_iter();
        let mut root = None;
        while let Some(word) = words.next() {
            let mut value = |what: &str| words.next().ok_or_else(|| format!("{} needs {what}", word.to_string_lossy()));
            match word.to_str() {
                Some("--help" | "-h") => read.help = true,
                Some("--fail-delivery") => read.fail_delivery = true,
                Some("--out") => read.out = PathBuf::from(value("a folder")?),
                Some("--workers") => {
                    let what = "a whole number from 1 to 256";
                    let workers = number::<NonZeroU32>("--workers", &value(what)?, what)?.get();
                    read.workers =
                        if workers <= MAX_WORKERS { workers } else { return Err(format!("--workers needs {what}")) };
                }
                Some("--seed") => read.seed = number("--seed", &value("a whole number")?, "a whole number")?,
                Some("--fail") => {
                    let what = "a share from 0 to 1";
                    read.fail = number("--fail", &value(what)?, what)?;
                    if !(0.0..=1.0).contains(&read.fail) {
                        return Err(format!("--fail needs {what}, and {} is none", read.fail));
                    }
                }
                Some(option) if option.starts_with("--") => return Err(format!("there is no option {option}")),
                _ if root.is_none() => root = Some(PathBuf::from(word)),
                _ => return Err(format!("one directory at a time: what is {} for?", word.to_string_lossy())),
            }
        }
        read.root = root.unwrap_or(read.root);
        Ok(read)
    }
}

fn number<T: FromStr>(option: &str, word: &OsString, what: &str) -> Result<T, String> {
    let text = word.to_string_lossy();
    text.parse().map_err(|_| format!("{option} needs {what}, and {text} is none"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Arguments, String> {
        Arguments::read(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn arguments_may_have_any_order() {
        let arguments = read("--fail 0.25 src --workers 3 --out there --seed 9 --fail-delivery").unwrap();
        let Arguments { root, out, workers, fail, seed, fail_delivery, help } = arguments;
        assert_eq!((root, out), ("src".into(), "there".into()));
        assert_eq!((workers, fail, seed, fail_delivery, help), (3, 0.25, 9, true, false));
        assert_eq!(read("").unwrap().root, PathBuf::from("."));
        assert!(read("--help").unwrap().help);
    }

    #[test]
    fn wrong_arguments_are_errors() {
        assert_eq!(read("--fial 1").unwrap_err(), "there is no option --fial");
        assert_eq!(read("--fail").unwrap_err(), "--fail needs a share from 0 to 1");
        assert_eq!(read("--fail 2").unwrap_err(), "--fail needs a share from 0 to 1, and 2 is none");
        assert_eq!(read("--fail NaN").unwrap_err(), "--fail needs a share from 0 to 1, and NaN is none");
        assert_eq!(read("--workers 0").unwrap_err(), "--workers needs a whole number from 1 to 256, and 0 is none");
        assert!(read("--workers 1000").is_err());
        assert_eq!(read("a b").unwrap_err(), "one directory at a time: what is b for?");
    }
}
