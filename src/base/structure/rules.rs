//! Configurations that are validated once: `Config` is plain data, `Rules` is a valid `Config`.

/// Defines `Rules` for a `Config` that has a `check` method.
macro_rules! rules {
    ($(#[$doc:meta])* derive($($extra:ident),*)) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize, $($extra),*)]
        #[serde(try_from = "Config", into = "Config")]
        pub struct Rules(Config);

        impl Rules {
            /// Rules from a configuration.
            ///
            /// # Errors
            ///
            /// Returns the first invalid setting.
            pub fn new(config: Config) -> Result<Self, crate::base::error::BadConfig> {
                config.check()?;
                Ok(Self(config))
            }

            /// The configuration that they were built from.
            #[must_use]
            pub const fn config(&self) -> &Config {
                &self.0
            }
        }

        impl Default for Rules {
            /// The default configuration.
            fn default() -> Self {
                Self(Config::default())
            }
        }

        impl TryFrom<Config> for Rules {
            type Error = crate::base::error::BadConfig;

            fn try_from(config: Config) -> Result<Self, Self::Error> {
                Self::new(config)
            }
        }

        impl From<Rules> for Config {
            fn from(rules: Rules) -> Self {
                rules.0
            }
        }

        #[cfg(test)]
        #[test]
        fn the_default_rules_make_sense() {
            assert_eq!(Rules::new(Config::default()), Ok(Rules::default()));
        }
    };
}

/// Defines setters of a `Config`.
macro_rules! with {
    ($($method:ident => $field:ident: $kind:ty),* $(,)?) => {
        impl Config {
            $(
                #[doc = concat!("Sets [`", stringify!($field), "`](Self::", stringify!($field), ").")]
                #[must_use]
                pub fn $method(mut self, $field: $kind) -> Self {
                    self.$field = $field;
                    self
                }
            )*
        }
    };
}

pub(crate) use {rules, with};
