//! Documents that are wrong or hostile: each gives an error with its place.

use super::{process, refused, xml};

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
