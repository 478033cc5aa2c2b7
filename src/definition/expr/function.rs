//! The functions of expressions: their names, how many arguments they take, and what they give.

use serde::{Deserialize, Serialize};

/// A function of expressions. It always gives the same value for the same arguments, and its work is bounded by their size
/// and that of the value.
///
/// An argument of another type than the function expects, an integer beyond 64 bits, a division by zero and the like are
/// errors: see [`Expr`](super::Expr) for what follows from an error.
///
/// ```
/// use counterpoint::definition::{Expr, Function};
///
/// let total = Expr::call(Function::Mul, [Expr::Input.at("/count"), Expr::value(3)]);
/// assert_eq!("inputs.count * 3".parse::<Expr>()?, total);
/// # Ok::<(), counterpoint::definition::ExprError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Function {
    /// `a + b`: the sum of two numbers, or two strings or lists put together. Integers are added exactly.
    Add,
    /// `a - b`: the difference.
    Sub,
    /// `a * b`: the product.
    Mul,
    /// `a / b`: an integer if both are integers and nothing remains, otherwise a floating-point number.
    Div,
    /// `a % b`: the remainder, with the sign of `a`.
    Rem,
    /// `-a`: the number with the other sign.
    Neg,
    /// `abs(a)`: the number without its sign.
    Abs,
    /// `floor(a)`: the largest integer that is not above the number.
    Floor,
    /// `ceil(a)`: the smallest integer that is not below the number.
    Ceil,
    /// `round(a)`: the nearest integer; a half is rounded away from zero.
    Round,
    /// `min(list)`: the smallest of a list of numbers, which is not empty.
    Min,
    /// `max(list)`: the largest of a list of numbers, which is not empty.
    Max,
    /// `sum(list)`: the sum of a list of numbers.
    Sum,
    /// `number(a)`: the number that a string contains; a number itself.
    Number,
    /// `text(a)`: a string itself; of other values the JSON.
    Text,
    /// `length(a)`: the number of characters of a string, items of a list or fields of an object.
    Length,
    /// `upper(string)`: the string in upper case.
    Upper,
    /// `lower(string)`: the string in lower case.
    Lower,
    /// `trim(string)`: the string without white space at its ends.
    Trim,
    /// `format(template, a, ...)`: the template with each `{}` replaced by an argument as by `text`.
    Format,
    /// `concat(a, ...)`: the arguments as by `text`, put together.
    Concat,
    /// `split(string, separator)`: the parts between the separators. An empty separator separates all characters.
    Split,
    /// `join(list, separator)`: the items as by `text`, with the separator between them.
    Join,
    /// `slice(a, from, to)`: the characters or items from one index up to, not including, another; to the end without `to`.
    /// Indexes beyond the end count as the end.
    Slice,
    /// `starts_with(string, start)`: whether it does.
    StartsWith,
    /// `ends_with(string, end)`: whether it does.
    EndsWith,
    /// `contains(a, b)`: whether the string contains the string, the list the item, or the object the field.
    Contains,
    /// `replace(string, old, new)`: the string with each occurrence replaced. The old one is not empty.
    Replace,
    /// `index_of(a, b)`: the index of the first occurrence in a string or list; null if there is none.
    IndexOf,
    /// `range(from, to, step)`: the integers from one up to, not including, another; the step is 1 if not given.
    Range,
    /// `unique(list)`: the list without repeated items; the first of equal ones stays.
    Unique,
    /// `reverse(list)`: the items from the last to the first.
    Reverse,
    /// `sort(list)`: the numbers, or the strings, in ascending order.
    Sort,
    /// `flatten(list)`: the items of the lists in the list; other items stay.
    Flatten,
    /// `chunks(list, size)`: the list in lists of this many items; the last may have fewer.
    Chunks,
    /// `get(a, key)`, also `a[key]`: the item or field with this index or name. An error as a path that leads nowhere.
    Get,
    /// `put(a, pointer, value)`: the value with the part at the JSON pointer replaced, not merged. Missing objects are made;
    /// the index after the last item of a list, or `-`, adds an item.
    Put,
    /// `keys(object)`: the names of the fields, sorted.
    Keys,
    /// `values(object)`: the values of the fields, sorted by their names.
    Values,
    /// `merge(a, b)`: the fields of both objects. A field of the second replaces one of the first; nested objects are not
    /// merged.
    Merge,
    /// `hash(a)`: the BLAKE3 hash of a string, or of other values as JSON with sorted fields, in hexadecimal.
    Hash,
    /// `base64_encode(string)`: Base64 (RFC 4648, with padding) of the string in UTF-8.
    Base64Encode,
    /// `base64_decode(string)`: the string that Base64 contains in UTF-8.
    Base64Decode,
    /// `json_parse(string)`: the value of which the string is the JSON.
    JsonParse,
    /// `json_print(a)`: the value as compact JSON.
    JsonPrint,
    /// `time(string)`: the time of a date by RFC 3339 from 1970 to 2554, in nanoseconds since 1970-01-01T00:00:00Z.
    Time,
    /// `time_text(time)`: the date by RFC 3339 in UTC.
    TimeText,
    /// `duration(string)`: a duration such as `1h 30m` in nanoseconds.
    Duration,
    /// `type(a)`: `null`, `boolean`, `number`, `string`, `list` or `object`.
    Type,
    /// `is_null(a)`: whether the value is there and null.
    IsNull,
    /// `is_boolean(a)`: whether it is true or false.
    IsBoolean,
    /// `is_number(a)`: whether it is a number.
    IsNumber,
    /// `is_integer(a)`: whether it is a number without a fraction, as in `3` and `3.0`.
    IsInteger,
    /// `is_string(a)`: whether it is a string.
    IsString,
    /// `is_list(a)`: whether it is a list.
    IsList,
    /// `is_object(a)`: whether it is an object.
    IsObject,
}

/// A function with its name and the least and largest number of arguments.
struct Entry(Function, &'static str, usize, usize);

/// The largest number of arguments of `format` and `concat`.
const MANY: usize = 1_024;

const FUNCTIONS: &[Entry] = &[
    Entry(Function::Add, "add", 2, 2),
    Entry(Function::Sub, "sub", 2, 2),
    Entry(Function::Mul, "mul", 2, 2),
    Entry(Function::Div, "div", 2, 2),
    Entry(Function::Rem, "rem", 2, 2),
    Entry(Function::Neg, "neg", 1, 1),
    Entry(Function::Abs, "abs", 1, 1),
    Entry(Function::Floor, "floor", 1, 1),
    Entry(Function::Ceil, "ceil", 1, 1),
    Entry(Function::Round, "round", 1, 1),
    Entry(Function::Min, "min", 1, 1),
    Entry(Function::Max, "max", 1, 1),
    Entry(Function::Sum, "sum", 1, 1),
    Entry(Function::Number, "number", 1, 1),
    Entry(Function::Text, "text", 1, 1),
    Entry(Function::Length, "length", 1, 1),
    Entry(Function::Upper, "upper", 1, 1),
    Entry(Function::Lower, "lower", 1, 1),
    Entry(Function::Trim, "trim", 1, 1),
    Entry(Function::Format, "format", 1, MANY),
    Entry(Function::Concat, "concat", 0, MANY),
    Entry(Function::Split, "split", 2, 2),
    Entry(Function::Join, "join", 2, 2),
    Entry(Function::Slice, "slice", 2, 3),
    Entry(Function::StartsWith, "starts_with", 2, 2),
    Entry(Function::EndsWith, "ends_with", 2, 2),
    Entry(Function::Contains, "contains", 2, 2),
    Entry(Function::Replace, "replace", 3, 3),
    Entry(Function::IndexOf, "index_of", 2, 2),
    Entry(Function::Range, "range", 2, 3),
    Entry(Function::Unique, "unique", 1, 1),
    Entry(Function::Reverse, "reverse", 1, 1),
    Entry(Function::Sort, "sort", 1, 1),
    Entry(Function::Flatten, "flatten", 1, 1),
    Entry(Function::Chunks, "chunks", 2, 2),
    Entry(Function::Get, "get", 2, 2),
    Entry(Function::Put, "put", 3, 3),
    Entry(Function::Keys, "keys", 1, 1),
    Entry(Function::Values, "values", 1, 1),
    Entry(Function::Merge, "merge", 2, 2),
    Entry(Function::Hash, "hash", 1, 1),
    Entry(Function::Base64Encode, "base64_encode", 1, 1),
    Entry(Function::Base64Decode, "base64_decode", 1, 1),
    Entry(Function::JsonParse, "json_parse", 1, 1),
    Entry(Function::JsonPrint, "json_print", 1, 1),
    Entry(Function::Time, "time", 1, 1),
    Entry(Function::TimeText, "time_text", 1, 1),
    Entry(Function::Duration, "duration", 1, 1),
    Entry(Function::Type, "type", 1, 1),
    Entry(Function::IsNull, "is_null", 1, 1),
    Entry(Function::IsBoolean, "is_boolean", 1, 1),
    Entry(Function::IsNumber, "is_number", 1, 1),
    Entry(Function::IsInteger, "is_integer", 1, 1),
    Entry(Function::IsString, "is_string", 1, 1),
    Entry(Function::IsList, "is_list", 1, 1),
    Entry(Function::IsObject, "is_object", 1, 1),
];

impl Function {
    /// All functions.
    pub fn all() -> impl Iterator<Item = Self> {
        FUNCTIONS.iter().map(|entry| entry.0)
    }

    fn entry(self) -> Option<&'static Entry> {
        FUNCTIONS.iter().find(|entry| entry.0 == self)
    }

    /// The name in expressions.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.entry().map_or("", |entry| entry.1)
    }

    /// The least and the largest number of arguments.
    pub(crate) fn arity(self) -> (usize, usize) {
        self.entry().map_or((0, 0), |entry| (entry.2, entry.3))
    }

    /// The function of this name.
    pub(super) fn named(name: &str) -> Option<Self> {
        FUNCTIONS.iter().find(|entry| entry.1 == name).map(|entry| entry.0)
    }

    /// The operator for the function, if there is one between two operands.
    pub(super) fn operator(self) -> Option<&'static str> {
        let operators = [(Self::Add, "+"), (Self::Sub, "-"), (Self::Mul, "*"), (Self::Div, "/"), (Self::Rem, "%")];
        operators.into_iter().find(|(function, _)| *function == self).map(|(_, operator)| operator)
    }
}
