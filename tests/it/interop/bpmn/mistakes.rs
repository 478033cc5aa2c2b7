//! Documents that are wrong or hostile: each gives an error with its place.

use super::{imported, process, refused, xml};
use counterpoint::definition::{Action, Condition, Definition, Expr, Link, Node, Work};
use counterpoint::interop::bpmn::{Options, export, import};

/// The lines of the error, without those of the document before the process.
fn lines(document: &str) -> Vec<String> {
    refused(document).faults().iter().map(ToString::to_string).collect()
}

#[test]
fn mistakes_are_listed_with_their_places() {
    let document = "<definitions xmlns=\"http://www.omg.org/spec/BPMN/20100524/MODEL\">
<process id=\"p\">
  <startEvent id=\"s\"/>
  <serviceTask id=\"pay\"/>
  <exclusiveGateway id=\"g\" default=\"nowhere\"/>
  <sequenceFlow id=\"a\" sourceRef=\"s\" targetRef=\"payy\"/>
  <sequenceFlow id=\"b\" sourceRef=\"pay\" targetRef=\"g\"/>
  <sequenceFlow id=\"c\" sourceRef=\"g\" targetRef=\"e\"/>
  <sequenceFlow id=\"d\" sourceRef=\"g\" targetRef=\"e\">
    <conditionExpression>${size(list) > 3}</conditionExpression>
  </sequenceFlow>
  <sequenceFlow id=\"f\" targetRef=\"e\"/>
  <complexGateway id=\"x\"/>
  <serviceTusk id=\"y\"/>
  <endEvent id=\"e\"/>
  <endEvent id=\"e\"/>
</process>
</definitions>";
    assert_eq!(
        lines(document),
        [
            "16:3 (e): the id `e` is used twice",
            "13:3 (x): a complex gateway cannot be carried over: its activation condition has no counterpart",
            "14:3 (y): unknown element `serviceTusk`",
            "6:3 (a): unknown element `payy`, did you mean `pay`?",
            "10:5 <conditionExpression>: the function `size` cannot be carried over",
            "12:3 (f): `sourceRef` is missing",
            "5:3 (g): unknown sequence flow `nowhere`",
        ]
    );
}

#[test]
fn nothing_is_dropped_in_silence() {
    let document = xml(
        "<startEvent id=\"s\"/><serviceTask id=\"t\" odd=\"1\"><outgoing>g</outgoing></serviceTask><exclusiveGateway id=\"x\">
         <documentation>why</documentation></exclusiveGateway><endEvent id=\"e\"><extra xmlns=\"urn:x\"/></endEvent>
         <sequenceFlow id=\"f\" sourceRef=\"s\" targetRef=\"t\"/><sequenceFlow id=\"g\" sourceRef=\"t\" targetRef=\"x\"/>
         <sequenceFlow id=\"h\" sourceRef=\"x\" targetRef=\"e\"/>",
    );
    let notes: Vec<String> = imported(&document).notes.iter().map(|note| note.message.clone()).collect();
    assert_eq!(
        notes,
        ["the attribute `odd` is left out", "`documentation` is left out", "`extra` is not of BPMN and is left out",]
    );
    let found = lines(&document.replace("<outgoing>g</outgoing>", "<outgone>g</outgone>"));
    assert_eq!(found, ["3:49 <outgone>: unknown element `outgone`"]);
}

#[test]
fn expressions_that_are_not_well_formed() {
    let cases = [
        ("${a >}", "the expression ends too early"),
        ("${a > 1", "`${a > 1` has no `}` at its end"),
        ("${a = 1}", "`=` does not compare: write `==`"),
        ("a > 1 b", "`b` is not expected after the expression"),
        ("${a.b()}", "calls of methods cannot be carried over"),
        ("= a[1] > 2", "an index is carried over only in `${}`, where it begins at 0"),
        ("${a[b]}", "only a constant index can be carried over"),
        ("= some x in y satisfies x", "`some` cannot be carried over"),
        ("${'a}", "a text has no end"),
        ("${(a}", "`)` is missing"),
        ("${a # b}", "`#` is not expected"),
        ("", "the expression ends too early"),
        ("${99999999999999999999}", "`99999999999999999999` is not a number of 64 bits"),
    ];
    for (text, expected) in cases {
        let document = xml(&format!(
            "<startEvent id=\"s\"/><serviceTask id=\"t\"/><endEvent id=\"e\"/>
             <sequenceFlow id=\"f\" sourceRef=\"s\" targetRef=\"t\"/><sequenceFlow id=\"g\" sourceRef=\"t\" targetRef=\"e\">
<conditionExpression><![CDATA[{text}]]></conditionExpression></sequenceFlow>"
        ));
        assert_eq!(lines(&document), [format!("5:1 <conditionExpression>: {expected}")], "{text}");
    }
    let deep = format!("{}a{}", "(".repeat(5_000), ")".repeat(5_000));
    for text in [deep, format!("{}a", "!".repeat(9_000)), format!("a{}", "+1".repeat(4_000)), "a.".repeat(9_000)] {
        let found = refused(&process(&format!("start s; task t; end e; s>t; t>e ${{{text}}}")));
        assert_eq!(found.faults().len(), 1, "{found}");
    }
}

#[test]
fn hostile_documents_are_refused_quickly() {
    let bomb = "<!DOCTYPE a [<!ENTITY b \"bbbb\"><!ENTITY c \"&b;&b;&b;&b;\">]><definitions>&c;</definitions>";
    let deep = format!("{}{}", "<a>".repeat(200_000), "</a>".repeat(200_000));
    let many = format!("<a>{}</a>", "<b/>".repeat(500_000));
    let attributes: String = (0..9_000).map(|number| format!(" a{number}=\"\"")).collect();
    let names: String = (0..500).map(|number| format!("<a xmlns:n{number}=\"u\"></a>")).collect();
    let cases = [
        (bomb.to_owned(), "declarations of types (DTD) and of entities are not read"),
        ("<!DOCTYPE a SYSTEM \"file:///etc/passwd\"><a/>".to_owned(), "declarations of types (DTD)"),
        (deep, "more than 64 levels"),
        (many, "more than 65536 elements"),
        (format!("<a{attributes}/>"), "more than 64 attributes"),
        (format!("<a b=\"{}\"/>", "x".repeat(100_000)), "a tag has more than 65536 bytes"),
        (format!("<a>{names}</a>"), "declares more than 64 namespaces"),
        ("x".repeat(5 << 20), "more than 4194304 bytes"),
        ("<a>&lol;</a>".to_owned(), "not well formed"),
        ("<a><b></a>".to_owned(), "not well formed"),
        ("<a b=\"1\" b=\"2\"/>".to_owned(), "not well formed"),
        ("".to_owned(), "not well formed"),
        ("<a".to_owned(), "not well formed"),
        ("<!-- ".to_owned(), "not well formed"),
        ("<x:a/>".to_owned(), "not well formed"),
        ("<definitions/>".to_owned(), "expected `definitions` of http://www.omg.org/spec/BPMN/20100524/MODEL"),
        (
            "<definitions xmlns=\"urn:else\"><process id=\"p\"/></definitions>".to_owned(),
            "found `definitions of urn:else`",
        ),
    ];
    for (document, expected) in cases {
        let found = lines(&document);
        assert!(found[0].contains(expected), "{found:?}");
        assert!(found[0].len() < 400, "{found:?}");
    }
}

#[test]
fn sub_processes_in_each_other_are_bounded() {
    let begin = |number: u32| format!("<subProcess id=\"u{number}\"><startEvent id=\"s{number}\"/>");
    let inside: String = (0..40).map(begin).collect::<String>() + &"</subProcess>".repeat(40);
    let found = refused(&xml(&inside)).to_string();
    assert!(found.contains("more than 16 levels"), "{found}");
}

#[test]
fn a_flow_that_is_too_wide_to_examine_is_refused() {
    let gateways: String = (0..14)
        .map(|number| {
            let g = format!("g{number}");
            format!("xor {g}; task a{number}; task b{number}; and>{g}; {g}>a{number} ${{x}}; {g}>b{number} default; a{number}>j; b{number}>k;")
        })
        .collect();
    let found =
        refused(&process(&format!("start s; and and; or j; or k; end e; s>and; j>e; k>e; {gateways}"))).to_string();
    assert!(found.contains("too many choices"), "{found}");
}

#[test]
fn what_has_no_counterpart_is_refused_with_the_node() {
    let sub = "<startEvent id=\"s\"/><subProcess id=\"a\"><startEvent id=\"i\"/><serviceTask id=\"t\"/><endEvent id=\"j\"/>
         <sequenceFlow id=\"k\" sourceRef=\"i\" targetRef=\"t\"/><sequenceFlow id=\"l\" sourceRef=\"t\" targetRef=\"j\"/></subProcess>
         <endEvent id=\"e\"/><sequenceFlow id=\"in\" sourceRef=\"s\" targetRef=\"a\"/><sequenceFlow id=\"out\" sourceRef=\"a\" targetRef=\"e\"/>";
    let whole = imported(&xml(sub)).definition;
    let inner = |change: fn(&mut Node)| {
        let mut whole = whole.clone();
        let Action::Do(counterpoint::definition::Body::Flow(part)) = &mut whole.nodes[1].action else {
            panic!("a sub-process")
        };
        change(&mut std::sync::Arc::make_mut(part).nodes[1]);
        whole
    };
    let choice = imported(&process("start s; xor g; end e; end d; s>g; g>e ${x}; g>d default")).definition;
    let mut odd = choice.clone();
    let Action::Choose { cases, .. } = &mut odd.nodes[1].action else { panic!("a choice") };
    cases[0].when = Condition::predicate("known", Expr::Item);
    let alone = |node: Node| Definition::new("w").with_node(node);
    let cases = [
        (inner(|node| node.input = Expr::value(1)), "p/a/t: a part of it has no counterpart"),
        (inner(|node| node.pivot = true), "p/a/t: a part of it has no counterpart"),
        (
            inner(|node| node.action = Action::Wait { signal: None, timer: None }),
            "p/a/t: this action has no counterpart",
        ),
        (
            inner(|node| node.undo = Some(Work::new("u").with_tier(counterpoint::Tier::Low))),
            "p/a/t: the settings of its compensation have no counterpart",
        ),
        (inner(|node| node.after = vec![Link::always("i")]), "p/a/t: one of its links has no counterpart"),
        (odd, "p/e: one of its links has no counterpart"),
        (choice.clone().with_version(3), "p: a part of it has no counterpart"),
        (alone(Node::new("a", Action::Pass).with_input(Expr::Input)), "w/a: a part of it has no counterpart"),
        (alone(Node::new("a b", Action::Pass)), "w: the document would not be imported: 4:5 (a b): expected an id"),
    ];
    for (definition, expected) in cases {
        let found = export(&definition).expect_err(expected).to_string();
        assert!(found.starts_with(expected), "{found}, not {expected}");
    }
}

#[test]
fn damaged_documents_are_read_or_refused() {
    let (mut read, mut refused) = (0, 0);
    for name in ["order", "travel", "subscription", "review", "import", "payment"] {
        let path = format!("{}/examples/processes/{name}.bpmn", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(path).unwrap().trim_end().to_owned();
        let lines: Vec<&str> = text.lines().collect();
        for number in 0..lines.len() {
            let (mut without, mut twice, mut swapped) = (lines.clone(), lines.clone(), lines.clone());
            without.remove(number);
            twice.insert(number, lines[number]);
            swapped.swap(number, (number * 7 + 3) % lines.len());
            for damaged in [without, twice, swapped] {
                match import(&damaged.join("\n"), &Options::default()) {
                    Ok(imported) => {
                        super::exported(&imported, &Options::default());
                        read += 1;
                    }
                    Err(error) => {
                        assert!(error.faults().iter().all(|fault| fault.place.contains(':')), "{error}");
                        refused += 1;
                    }
                }
            }
        }
        for at in (0..text.len()).step_by(97).filter(|at| text.is_char_boundary(*at)) {
            assert!(import(&text[..at], &Options::default()).is_err(), "{name} up to {at}");
        }
    }
    assert!(read > 20 && refused > 100, "{read} read, {refused} refused");
}
