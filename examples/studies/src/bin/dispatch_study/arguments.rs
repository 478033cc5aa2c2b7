//! The command line.

use std::error::Error;
use std::path::PathBuf;

/// How to run the study.
#[derive(Debug, Clone, PartialEq)]
pub struct Arguments {
    /// The directory whose folder `traces` holds the recorded loads.
    pub data: Option<PathBuf>,
    /// Where the chart goes.
    pub out: PathBuf,
    pub seed: u64,
    /// A few seconds instead of a minute: shorter loads, fewer agents.
    pub small: bool,
    /// Only the comparison of the orders.
    pub orders: bool,
    /// Only the parameters of the deferring discipline, for the load of this name.
    pub tune: Option<String>,
}

impl Arguments {
    /// # Errors
    ///
    /// When something is asked for that is not known.
    pub fn read(mut words: impl Iterator<Item = String>) -> Result<Self, Box<dyn Error>> {
        let data = std::env::var_os("COUNTERPOINT_DATA").map(PathBuf::from);
        let mut asked =
            Self { data, out: "target/dispatch_study.svg".into(), seed: 1, small: false, orders: false, tune: None };
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
            match word.as_str() {
                "--data" => asked.data = Some(value()?.into()),
                "--out" => asked.out = value()?.into(),
                "--seed" => asked.seed = value()?.parse()?,
                "--small" => asked.small = true,
                "--tune" => asked.tune = Some(value()?),
                "--orders" => asked.orders = true,
                _ => {
                    return Err(format!(
                        "unknown option {word}: expected --data, --out, --seed, --small, --orders and --tune"
                    )
                    .into());
                }
            }
        }
        Ok(asked)
    }
}
