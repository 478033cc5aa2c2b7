//! Functions of a user that may panic: the panic ends at the call.

use core::any::Any;
use core::fmt;
use core::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The longest description of a panic that is kept, in characters.
const LONGEST: usize = 240;

/// The message of a panic, shortened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Panic(Box<str>);

impl Panic {
    /// The message of a caught panic.
    pub(crate) fn of(payload: Box<dyn Any + Send>) -> Self {
        let text = payload.downcast_ref::<&str>().copied();
        let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        let shown: String = text.unwrap_or("no message").chars().take(LONGEST).collect();
        if text.is_none() {
            // The destructor of another type could panic, too.
            let _leaked = ManuallyDrop::new(payload);
        }
        Self(shown.into())
    }

    pub(crate) fn message(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Calls a function of a user, and returns its panic as an error. The caller must not use what the function may have left
/// half changed. In a program that aborts on panics there is nothing to catch.
pub(crate) fn contain<T>(call: impl FnOnce() -> T) -> Result<T, Panic> {
    catch_unwind(AssertUnwindSafe(call)).map_err(Panic::of)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panics_end_at_the_call() {
        assert_eq!(contain(|| 1), Ok(1));
        assert_eq!(
            contain(|| panic!("{} left", 2)).map_err(|panic: Panic| panic.to_string()),
            Err::<(), _>("2 left".into())
        );
        assert_eq!(contain(|| panic!("{}", "x".repeat(1_000))), Err::<(), _>(Panic("x".repeat(LONGEST).into())));
    }

    #[test]
    fn the_value_of_a_panic_is_not_dropped() {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                panic!("again");
            }
        }
        let caught = contain(|| std::panic::panic_any(Bomb));
        assert_eq!(caught.map_err(|panic: Panic| panic.to_string()), Err::<(), _>("no message".into()));
    }
}
