//! Functions by example, mistakes included.

use super::super::*;
use super::Fixed;

fn eval(text: &str) -> Result<Value, String> {
    let expr: Expr = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
    expr.eval(&Fixed { most: 4_096, ..Fixed::default() })
        .map(|value| value.value().clone())
        .map_err(|why| why.to_string())
}

#[test]
fn functions_have_the_documented_values() {
    for (text, expected) in [
        ("7 / 2", "3.5"),
        ("6 / 2", "3"),
        ("-7 % 3", "-1"),
        ("9223372036854775807 + 1", "9223372036854775808"),
        ("-9223372036854775808 - 0", "-9223372036854775808"),
        ("0.1 + 0.2", "0.30000000000000004"),
        ("'a' + \"b\" + 'c'", "\"abc\""),
        ("[1] + inputs.tags", "[1,\"a\",\"b\"]"),
        ("round(2.5)", "3"),
        ("round(-2.5)", "-3"),
        ("floor(-0.5)", "-1"),
        ("min([3, 1.5, 2])", "1.5"),
        ("sum([])", "0"),
        ("length('日本')", "2"),
        ("slice('日本語', 1, 2)", "\"本\""),
        ("slice([1, 2, 3], 1)", "[2,3]"),
        ("format('{} of {}', 1, ['x'])", "\"1 of [\\\"x\\\"]\""),
        ("split('a,b,,c', ',')", "[\"a\",\"b\",\"\",\"c\"]"),
        ("split('ab', '')", "[\"a\",\"b\"]"),
        ("join(inputs.tags, '; ')", "\"a; b\""),
        ("replace('aaa', 'aa', 'b')", "\"ba\""),
        ("index_of('日本', '本')", "1"),
        ("index_of([1], 2)", "null"),
        ("contains([1, 2.0], 2)", "true"),
        ("contains({a: 1}, 'a')", "true"),
        ("range(0, 5, 2)", "[0,2,4]"),
        ("range(3, 0, -1)", "[3,2,1]"),
        ("range(3, 0)", "[]"),
        ("unique([1, 1.0, '1', 2, [1], [1]])", "[1,\"1\",2,[1]]"),
        ("sort([2, 1.5, 9007199254740993, 9007199254740992.0])", "[1.5,2,9007199254740992.0,9007199254740993]"),
        ("sort(['b', 'a'])", "[\"a\",\"b\"]"),
        ("flatten([[1], 2, [[3]]])", "[1,2,[3]]"),
        ("chunks([1, 2, 3], 2)", "[[1,2],[3]]"),
        ("inputs.tags[0]", "\"a\""),
        ("inputs.tags[length(inputs.tags) - 1]", "\"b\""),
        ("put(inputs, '/n', null)", "{\"n\":null,\"tags\":[\"a\",\"b\"]}"),
        ("put(inputs, '/tags/-', {c: 1})", "{\"n\":3,\"tags\":[\"a\",\"b\",{\"c\":1}]}"),
        ("put({a: {b: 1, c: 2}}, '/a', {b: 3})", "{\"a\":{\"b\":3}}"),
        ("put(null, '/a/b~1c', 1)", "{\"a\":{\"b/c\":1}}"),
        ("keys({b: 1, a: 2})", "[\"a\",\"b\"]"),
        ("merge({a: {x: 1}}, {a: {y: 2}})", "{\"a\":{\"y\":2}}"),
        ("hash('abc')", "\"6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85\""),
        ("base64_encode('a')", "\"YQ==\""),
        ("base64_encode('日本')", "\"5pel5pys\""),
        ("base64_decode('5pel5pys')", "\"日本\""),
        ("base64_decode('')", "\"\""),
        ("json_parse('{\"a\": [1, null]}')", "{\"a\":[1,null]}"),
        ("json_print({b: 1, a: [null]})", "\"{\\\"a\\\":[null],\\\"b\\\":1}\""),
        ("time('2026-01-31T12:00:00Z')", "1769860800000000000"),
        ("time('2026-01-31T14:00:00.5+02:00')", "1769860800500000000"),
        ("time('1970-01-01T00:00:00Z')", "0"),
        ("time('2000-02-29T23:59:59.999999999-00:30') > time('2000-03-01T00:29:59Z')", "true"),
        ("time_text(time('2026-01-31T12:00:00Z') + duration('36h'))", "\"2026-02-02T00:00:00Z\""),
        ("time_text(0)", "\"1970-01-01T00:00:00Z\""),
        ("time_text(18446744073709551615)", "\"2554-07-21T23:34:33.709551615Z\""),
        ("duration('1h 30m')", "5400000000000"),
        ("type([])", "\"list\""),
        ("is_null(inputs.tags)", "false"),
        ("is_integer(2.0)", "true"),
        ("map(inputs.tags, t => t + '!')", "[\"a!\",\"b!\"]"),
        ("filter(range(0, 9), n => n % 2 == 0 && n > 2)", "[4,6,8]"),
        ("count(inputs.tags, t => t == 'a')", "1"),
        ("any([], t => true)", "false"),
        ("all([], t => false)", "true"),
        ("map([1, 2], x => map([10, 20], y => x * y))", "[[10,20],[20,40]]"),
        ("map([1], x => map([2], x => x))", "[[2]]"),
        ("if(exists(inputs.gone), 1, 2)", "2"),
        ("inputs.gone ?? inputs.n", "3"),
        ("first(inputs.gone)", "null"),
        ("number(' -2.5 ')", "-2.5"),
        ("text(null) + text('x')", "\"nullx\""),
    ] {
        let expected: Value = serde_json::from_str(expected).unwrap();
        assert_eq!(eval(text), Ok(expected), "{text}");
    }
}

#[test]
fn what_has_no_value_has_a_reason() {
    for (text, message) in [
        ("18446744073709551615 + 1", "`add` gives 18446744073709551616, which is beyond 64 bits"),
        ("-9223372036854775808 * 2", "`mul` gives -18446744073709551616, which is beyond 64 bits"),
        (
            "-(-9223372036854775808) - 1 + -(18446744073709551615)",
            "`neg` gives -18446744073709551615, which is beyond 64 bits",
        ),
        ("1 / 0", "`div` divides by zero"),
        ("1.5 % 0", "`rem` divides by zero"),
        ("1e308 * 10", "`mul` gives a number that is not finite"),
        ("1 + 'a'", "`add` expects two numbers, strings or lists, found a number and a string"),
        ("inputs.gone", "there is nothing at `inputs.gone`"),
        ("inputs.tags[7]", "there is nothing at `inputs.tags[7]`"),
        ("inputs.n.x", "there is nothing at `inputs.n.x`"),
        ("inputs[inputs.tags[0]]", "there is nothing at `[\"a\"]`"),
        ("length(1)", "`length` expects a string, a list or an object, found a number"),
        ("upper(null)", "`upper` expects a string, found null"),
        ("format('{}')", "`format` has fewer arguments than its template has `{}`"),
        ("format('', 1)", "`format` has more arguments than its template has `{}`"),
        ("slice('a', -1)", "`slice` expects an integer of at least 0, found -1"),
        ("range(0, 1, 0)", "`range` expects a step other than 0"),
        ("range(0, 9999999999)", "a value has at least 4294967295 bytes, more than allowed"),
        ("chunks([1], 0)", "`chunks` expects a size of at least 1"),
        ("sort([1, 'a'])", "`sort` expects a list of numbers, or one of strings"),
        ("min([])", "`min` expects a list that is not empty"),
        ("put([1], '/2', 1)", "`put` cannot put at `2`: there is neither an object nor such an index"),
        ("put(1, 'a', 1)", "`put` expects a JSON pointer, found [\"a\"]"),
        ("base64_decode('YQ=')", "`base64_decode` finds no Base64 of UTF-8 in the string"),
        ("base64_decode('YR==')", "`base64_decode` finds no Base64 of UTF-8 in the string"),
        ("base64_decode('/w==')", "`base64_decode` finds no Base64 of UTF-8 in the string"),
        ("json_parse('{')", "`json_parse` finds no JSON in the string (line 1, column 1)"),
        ("time('2023-02-29T00:00:00Z')", "`time` expects a date such as 2026-01-31T12:00:00Z"),
        ("time('1969-12-31T23:59:59Z')", "`time` expects a date such as 2026-01-31T12:00:00Z"),
        ("time('2026-01-31')", "`time` expects a date such as 2026-01-31T12:00:00Z"),
        ("duration('soon')", "`duration` expects a duration such as 250ms or 1h 30m"),
        ("map(inputs, x => x)", "`map` expects a list"),
    ] {
        assert_eq!(eval(text), Err(message.to_owned()), "{text}");
    }
}

#[test]
fn a_condition_treats_what_has_no_value_as_absent() {
    for (text, expected) in [
        ("inputs.gone == 1", false),
        ("inputs.gone < 1", false),
        ("!(inputs.gone < 1)", true),
        ("1 / 0 > 0", false),
        ("exists(inputs.gone)", false),
        ("exists(put(inputs, '/x', null).x)", true),
        ("exists(put(inputs, '/x', null)['x'])", true),
        ("exists(put(inputs, '/x', null)[concat('x')])", true),
        ("exists(inputs[concat('gone')])", false),
        ("is_null(put(inputs, '/x', null).x)", true),
        ("is_null(inputs.gone)", false),
        ("put(inputs, '/x', null).x == null", true),
    ] {
        let condition: Condition = text.parse().unwrap();
        assert_eq!(condition.holds(&Fixed::default()), expected, "{text}");
    }
}
