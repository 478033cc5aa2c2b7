//! The text form by example.

use super::super::*;

fn parsed(text: &str) -> Expr {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn mistake(text: &str) -> String {
    text.parse::<Expr>().expect_err(text).to_string()
}

#[test]
fn operators_have_precedence() {
    for (text, same) in [
        ("1 + 2 * 3 - 4", "(1 + (2 * 3)) - 4"),
        ("a.output ?? 0 + 1 > 2", "(a.output ?? (0 + 1)) > 2"),
        ("inputs.a && inputs.b || !inputs.c == true", "(inputs.a && inputs.b) || ((!inputs.c) == true)"),
        ("-inputs.a * 2", "(-(inputs.a)) * 2"),
        ("inputs.a>=1", "1 <= inputs.a"),
        ("inputs.a != 'x'", "!(inputs.a == \"x\")"),
        ("inputs.a - 1", "sub(inputs.a, 1)"),
        ("inputs.list[0].x[\"y z\"]", "at(inputs, \"/list/0/x/y z\")"),
        ("inputs.list[inputs.n].x", "at(get(at(inputs, \"/list\"), at(inputs, \"/n\")), \"/x\")"),
        ("fetch-2.output.a", "at(node(\"fetch-2\"), \"/a\")"),
        ("a.failure.code", "at(end(\"a\"), \"/failure/code\")"),
    ] {
        assert_eq!(parsed(text), parsed(same), "{text}");
    }
}

#[test]
fn constants_are_json() {
    for text in
        ["null", "true", "-5", "1.5e3", "\"a\\u00e9\\n\"", "[1, [], {}]", "{\"a\": [null]}", "18446744073709551615"]
    {
        let value: Value = serde_json::from_str(text).unwrap();
        assert_eq!(parsed(text), Expr::Const(Payload::new(value)), "{text}");
    }
    assert_eq!(parsed("'it\\'s \"so\"'"), Expr::value("it's \"so\""));
}

#[test]
fn mistakes_are_found_where_they_are() {
    for (text, message) in [
        ("", "expected a value, found the end (at character 1)"),
        ("1 +", "expected a value, found the end (at character 4)"),
        ("1 2", "expected the end, found `2` (at character 3)"),
        ("inputs.", "expected the name of a part, found the end (at character 8)"),
        ("(1", "expected `)`, found the end (at character 3)"),
        ("[1, ", "expected a value, found the end (at character 5)"),
        ("{a 1}", "expected `:`, found `1` (at character 4)"),
        ("{a: 1, a: 2}", "duplicate field `a` (at character 8)"),
        ("'é' == 'x", "the string has no end (at character 8)"),
        ("'\\q'", "invalid escape in a string (at character 1)"),
        ("99999999999999999999", "`99999999999999999999` is no number of 64 bits (at character 1)"),
        ("1e999", "`1e999` is no number of 64 bits (at character 1)"),
        ("1 < 2 < 3", "comparisons do not chain: put one of `<` and `<` in parentheses (at character 7)"),
        ("lenght(inputs)", "unknown function `lenght`, did you mean `length`? (at character 1)"),
        ("length()", "`length` takes 1, found 0 (at character 1)"),
        ("slice(inputs)", "`slice` takes 2 to 3, found 1 (at character 1)"),
        ("if(true, 1)", "`if` takes 3 arguments, found 2 (at character 1)"),
        ("matches(inputs.a, inputs.b)", "`matches` takes a string here, not an expression (at character 1)"),
        (
            "analyze",
            "expected `.output`, `.status`, `.attempts` or `.failure` after `analyze`, found the end (at character 8)",
        ),
        ("analyze.outptu", "unknown part of `analyze` `outptu`, did you mean `output`? (at character 9)"),
        ("input.x", "unknown name `input`, did you mean `inputs`? (at character 1)"),
        ("run.nam", "unknown part of `run` `nam`, did you mean `name`? (at character 5)"),
        ("context", "expected the name of a variable, as in context.found, found the end (at character 8)"),
        ("map(inputs, 1)", "expected a name for the item, as in `x => x.total`, found `1` (at character 13)"),
        ("map(inputs, item => 1)", "`item` cannot be the name of an item (at character 13)"),
    ] {
        assert_eq!(mistake(text), message, "{text}");
    }
}

#[test]
fn nesting_has_a_limit_and_texts_too() {
    for text in [
        "(".repeat(100_000),
        "[".repeat(60_000),
        "-".repeat(60_000),
        "!".repeat(60_000),
        "1+".repeat(30_000) + "1",
        "a.output[0+".repeat(5_000),
        "inputs".to_owned() + &"[inputs]".repeat(5_000),
        "if(".repeat(5_000),
        "{a:".repeat(20_000),
    ] {
        let error = text.parse::<Expr>().unwrap_err();
        assert!(error.message.contains("nested") || error.message.contains("at most 65536 bytes"), "{error}");
    }
    let chain = "inputs.a && ".repeat(4_000) + "inputs.b";
    assert!(
        matches!(parsed(&chain), Expr::Test(all) if matches!(&*all, Condition::All(parts) if parts.len() == 4_001))
    );
}

/// What was parsed is printed, and parsed again to the same.
fn printed(text: &str) -> String {
    let expr = parsed(text);
    let printed = expr.to_string();
    assert_eq!(printed.parse::<Expr>().as_ref(), Ok(&expr), "{text}: {printed}");
    printed
}

/// The name of an item may be that of a function, which is called with parentheses, or of a node, which is then written with
/// `node` or `end`.
#[test]
fn the_name_of_an_item_hides_no_function_and_no_node() {
    for (text, same) in [
        ("map(inputs, length => length(length) + length)", "map(inputs, length => length(length) + length)"),
        ("map(inputs, map => map(map, x => [x, map]))", "map(inputs, map => map(map, x => [x, map]))"),
        ("map(inputs, a => [a.output, node('a')])", "map(inputs, a => [a.output, node(\"a\")])"),
        ("map(inputs, a => [a.status, at(end('a'), '/status')])", "map(inputs, a => [a.status, end(\"a\").status])"),
        ("map(node('a'), a => map(a, b => node('a')))", "map(a.output, a => map(a, b => node(\"a\")))"),
    ] {
        assert_eq!(printed(text), same);
    }
    let item = Expr::Local("a".into()).at("/output");
    assert!(matches!(parsed("map(inputs, a => a.output)"), Expr::Each(each) if each.body == item));
}

/// Whatever the limit on nesting lets in is printed within the limit.
#[test]
fn what_is_nested_deep_is_printed_within_the_limit() {
    for sign in ["-", "!", "- !", "!-"] {
        for value in ["inputs", "5", "(5)", "(inputs.a + 1)", "exists(inputs)", "inputs.a[inputs.b]", "[inputs]"] {
            let mut accepted = 0;
            for count in 0..70 {
                let text = sign.repeat(count) + value;
                if text.parse::<Expr>().is_ok() {
                    printed(&text);
                    accepted = count;
                }
            }
            assert!(accepted >= 10, "{sign} {value}: {accepted}");
        }
    }
    assert_eq!(printed(&("-".repeat(40) + "inputs.a")), "-".repeat(40) + "inputs.a");
    assert_eq!(printed("-(5)"), "-(5)");
}

/// The limit holds for a template as a whole.
#[test]
fn templates_are_nested_within_the_limit() {
    let deep = |depth: usize| "[".repeat(depth) + "inputs" + &"]".repeat(depth);
    let mut refused = 0;
    for depth in 1..64 {
        for text in [format!("${{{}}}", deep(depth)), format!("a ${{{}}} b", deep(depth))] {
            match Expr::template(&text) {
                Ok(expr) => assert_eq!(expr.to_string().parse::<Expr>(), Ok(expr)),
                Err(error) => {
                    assert!(error.message.contains("nested at most 64 deep"), "{error}");
                    refused += 1;
                }
            }
        }
    }
    assert!(refused > 1);
}

#[test]
fn templates_put_texts_and_values_together() {
    let template = |text: &str| Expr::template(text).map(|expr| expr.to_string()).map_err(|error| error.to_string());
    for (text, same) in [
        ("", "\"\""),
        ("plain }", "\"plain }\""),
        ("${ inputs.a }", "inputs.a"),
        ("a${inputs.a}${inputs.b}", "concat(\"a\", inputs.a, inputs.b)"),
        ("${'}'}!", "concat(\"}\", \"!\")"),
        ("${{a: {b: inputs.x}}}", "{\"a\": {\"b\": inputs.x}}"),
    ] {
        assert_eq!(template(text).as_deref(), Ok(same), "{text}");
    }
    assert_eq!(template("x ${inputs.a").unwrap_err(), "expected `}`, found the end (at character 13)");
    assert_eq!(template("x ${}").unwrap_err(), "expected a value, found `}` (at character 5)");
}

#[test]
fn expressions_are_data() {
    let expr = parsed("if(run.name == 'x', map(inputs.a, x => x + 1), count(inputs.b, y => y in [1]))");
    let json = serde_json::to_string(&expr).unwrap();
    assert_eq!(serde_json::from_str::<Expr>(&json).unwrap(), expr);
    let expected = concat!(
        r#"{"if":[{"equal":[{"meta":"run_name"},{"const":"x"}]},"#,
        r#"{"each":{"kind":"map","over":{"at":["input","/a"]},"name":"x","body":{"call":["add",[{"local":"x"},{"const":1}]]}}},"#,
        r#"{"each":{"kind":"count","over":{"at":["input","/b"]},"name":"y","body":{"test":{"in":[{"local":"y"},{"const":[1]}]}}}}]}"#
    );
    assert_eq!(json, expected);
}
