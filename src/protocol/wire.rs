//! Serialisation of 64-bit numbers as decimal text, because many languages decode JSON numbers as floating point and
//! would silently change an id above 2^53. Both forms are accepted.

use crate::base::id::{AgentId, AttemptId, Incarnation, TaskId};
use crate::base::time::Time;
use core::fmt;
use core::marker::PhantomData;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A newtype over a number.
pub(super) trait Number: Copy {
    fn number(self) -> u64;
    fn of(number: u64) -> Self;
}

macro_rules! number {
    ($($name:ty: $get:ident, $new:path);* $(;)?) => {
        $(impl Number for $name {
            fn number(self) -> u64 {
                self.$get()
            }

            fn of(number: u64) -> Self {
                $new(number)
            }
        })*
    };
}

number! {
    TaskId: get, Self::new;
    AgentId: get, Self::new;
    Time: as_nanos, Self::from_nanos;
}

impl Number for u64 {
    fn number(self) -> u64 {
        self
    }

    fn of(number: u64) -> Self {
        number
    }
}

struct Either<T>(PhantomData<T>);

impl<T: Number> de::Visitor<'_> for Either<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number below 2^64 in decimal digits, as text or as a number")
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<T, E> {
        Ok(T::of(number))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        let canonical = text == "0" || (!text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit()));
        let number = if canonical { text.parse().ok() } else { None };
        number.map(T::of).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
    }
}

pub(super) fn serialize<T: Number, S: Serializer>(value: &T, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(&value.number())
}

pub(super) fn deserialize<'de, T: Number, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
    let either = Either(PhantomData);
    if from.is_human_readable() { from.deserialize_any(either) } else { from.deserialize_str(either) }
}

struct Wrapped<T>(T);

impl<T: Number> Serialize for Wrapped<T> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        serialize(&self.0, to)
    }
}

impl<'de, T: Number> Deserialize<'de> for Wrapped<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        deserialize(from).map(Self)
    }
}

/// Serialisation of an optional number.
pub(super) mod option {
    use super::{Deserialize, Deserializer, Number, Serialize, Serializer, Wrapped};

    #[allow(clippy::ref_option, reason = "the signature that serde calls")]
    pub(in super::super) fn serialize<T: Number, S: Serializer>(value: &Option<T>, to: S) -> Result<S::Ok, S::Error> {
        value.map(Wrapped).serialize(to)
    }

    pub(in super::super) fn deserialize<'de, T: Number, D: Deserializer<'de>>(from: D) -> Result<Option<T>, D::Error> {
        Ok(Option::<Wrapped<T>>::deserialize(from)?.map(|wrapped| wrapped.0))
    }
}

/// Serialisation of a list of numbers.
pub(super) mod list {
    use super::{Deserialize, Deserializer, Number, Serializer, Wrapped};

    pub(in super::super) fn serialize<T: Number, S: Serializer>(values: &[T], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(values.iter().map(|value| Wrapped(*value)))
    }

    pub(in super::super) fn deserialize<'de, T: Number, D: Deserializer<'de>>(from: D) -> Result<Vec<T>, D::Error> {
        Ok(Vec::<Wrapped<T>>::deserialize(from)?.into_iter().map(|wrapped| wrapped.0).collect())
    }
}

/// Serialisation of attempts.
pub(super) mod attempt {
    use super::{AttemptId, Deserialize, Deserializer, Serialize, Serializer, TaskId};

    #[derive(Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Form {
        #[serde(with = "super")]
        task: TaskId,
        number: u32,
    }

    pub(in super::super) fn serialize<S: Serializer>(attempt: &AttemptId, to: S) -> Result<S::Ok, S::Error> {
        Form { task: attempt.task(), number: attempt.number().get() }.serialize(to)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<AttemptId, D::Error> {
        Form::deserialize(from).map(|form| AttemptId::new(form.task, form.number))
    }
}

/// Serialisation of incarnations.
pub(super) mod incarnation {
    use super::{AgentId, Deserialize, Deserializer, Incarnation, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Form {
        #[serde(with = "super")]
        agent: AgentId,
        #[serde(with = "super")]
        number: u64,
    }

    pub(in super::super) fn serialize<S: Serializer>(incarnation: &Incarnation, to: S) -> Result<S::Ok, S::Error> {
        Form { agent: incarnation.agent(), number: incarnation.number() }.serialize(to)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Incarnation, D::Error> {
        Form::deserialize(from).map(|form| Incarnation::new(form.agent, form.number))
    }
}
