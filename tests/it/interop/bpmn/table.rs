//! Each row of the table in `docs/interop.md`, with documents that have the element.

use super::{process, xml};
use counterpoint::interop::bpmn::{Options, export, import};

/// `start s`, these elements and flows, and `end e`.
fn with(lines: &str) -> String {
    process(&format!("start s; end e; {lines}"))
}

/// Elements between a start and an end event, of which the first has this id.
fn between(inside: &str) -> String {
    xml(&format!(
        "<startEvent id=\"s\"/>{inside}<endEvent id=\"e\"/>
         <sequenceFlow id=\"in\" sourceRef=\"s\" targetRef=\"a\"/><sequenceFlow id=\"out\" sourceRef=\"a\" targetRef=\"e\"/>"
    ))
}

/// The document with what events refer to.
fn named(document: &str) -> String {
    let names = "<message id=\"m\" name=\"paid\"/><signal id=\"g\" name=\"alarm\"/><error id=\"x\" errorCode=\"Card.Declined\"/>
         <error id=\"y\" name=\"no money!\"/><escalation id=\"c\" escalationCode=\"late\"/>";
    document.replace("</definitions>", &format!("{names}</definitions>"))
}

fn around(element: &str, inside: &str) -> String {
    named(&between(&format!("<{element} id=\"a\">{inside}</{element}>")))
}

/// A task with a boundary event.
fn boundary(attributes: &str, definition: &str) -> String {
    named(&between(&format!(
        "<serviceTask id=\"a\"/><boundaryEvent id=\"b\" attachedToRef=\"a\"{attributes}>{definition}</boundaryEvent>
         <serviceTask id=\"t\"/><sequenceFlow id=\"f\" sourceRef=\"b\" targetRef=\"t\"/><sequenceFlow id=\"h\" sourceRef=\"t\" targetRef=\"d\"/>
         <endEvent id=\"d\"/>"
    )))
}

const MESSAGE: &str = "<messageEventDefinition messageRef=\"m\"/>";
const SIGNAL: &str = "<signalEventDefinition signalRef=\"g\"/>";
const ERROR: &str = "<errorEventDefinition errorRef=\"x\"/>";
const ESCALATION: &str = "<escalationEventDefinition escalationRef=\"c\"/>";
const CONDITIONAL: &str = "<conditionalEventDefinition><condition>${a > 1}</condition></conditionalEventDefinition>";

fn timer(inside: &str) -> String {
    format!("<timerEventDefinition>{inside}</timerEventDefinition>")
}

/// A process that starts with this event.
fn starting(definition: &str) -> String {
    let document = format!(
        "<startEvent id=\"s\">{definition}</startEvent><endEvent id=\"e\"/><sequenceFlow id=\"f\" sourceRef=\"s\" targetRef=\"e\"/>"
    );
    named(&xml(&document))
}

/// A process that ends with this event.
fn ending(definition: &str) -> String {
    let document = format!(
        "<startEvent id=\"s\"/><endEvent id=\"e\">{definition}</endEvent><sequenceFlow id=\"f\" sourceRef=\"s\" targetRef=\"e\"/>"
    );
    named(&xml(&document))
}

/// A sub-process with these elements and events at its end.
fn sub(end: &str, more: &str) -> String {
    format!(
        "<subProcess id=\"a\"><startEvent id=\"i\"/><endEvent id=\"j\">{end}</endEvent>
         <sequenceFlow id=\"k\" sourceRef=\"i\" targetRef=\"j\"/>{more}</subProcess>"
    )
}

/// An event sub-process that starts with this event.
fn event_sub(attributes: &str, definition: &str) -> String {
    format!(
        "<subProcess id=\"v\" triggeredByEvent=\"true\"><startEvent id=\"w\"{attributes}>{definition}</startEvent><serviceTask id=\"z\"/>
         <endEvent id=\"q\"/><sequenceFlow id=\"n\" sourceRef=\"w\" targetRef=\"z\"/><sequenceFlow id=\"o\" sourceRef=\"z\" targetRef=\"q\"/>
         </subProcess>"
    )
}

fn multi(attributes: &str, inside: &str) -> Vec<String> {
    let element = format!("<multiInstanceLoopCharacteristics{attributes}>{inside}</multiInstanceLoopCharacteristics>");
    vec![
        between(&format!("<serviceTask id=\"a\">{element}</serviceTask>")),
        between(&sub("", &element)),
        between(&format!("<callActivity id=\"a\" calledElement=\"other\">{element}</callActivity>")),
    ]
}

fn looped(attributes: &str, inside: &str) -> String {
    let element = format!("<standardLoopCharacteristics{attributes}>{inside}</standardLoopCharacteristics>");
    between(&format!("<serviceTask id=\"a\">{element}</serviceTask>"))
}

fn condition(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    between(&format!(
        "<exclusiveGateway id=\"a\" default=\"out\"/><endEvent id=\"d\"/>
         <sequenceFlow id=\"f\" sourceRef=\"a\" targetRef=\"d\"><conditionExpression>{text}</conditionExpression></sequenceFlow>"
    ))
}

/// Documents for the beginning of a row.
fn documents(row: &str) -> Vec<String> {
    match row {
        "`process` with one start event" => vec![with("s>e")],
        "several processes in a document" => vec![with("s>e").replace("</process>", "</process><process id=\"q\"/>")],
        "pools, message flows, lanes" => vec![
            with("s>e").replace("<process", "<collaboration id=\"c\"/><process"),
            with("s>e").replace("<startEvent", "<laneSet id=\"l\"/><startEvent"),
        ],
        "`task`, `serviceTask`, `businessRuleTask`" => ["task", "serviceTask", "businessRuleTask"]
            .map(|element| around(element, ""))
            .into_iter()
            .chain([between("<serviceTask id=\"a\" implementation=\"charge\"/>")])
            .collect(),
        "`userTask`, `manualTask`" => ["userTask", "manualTask"].map(|element| around(element, "")).into(),
        "`scriptTask`" => vec![around("scriptTask", "<script>1 + 1</script>")],
        "`sendTask`" => vec![around("sendTask", "")],
        "`receiveTask`" => vec![named(&between("<receiveTask id=\"a\" messageRef=\"m\"/>"))],
        "`subProcess`" => vec![
            between(&sub("", "")),
            between(&sub("<terminateEventDefinition/>", "")),
            named(&between(&sub(ERROR, ""))),
        ],
        "`subProcess` that an event starts" => [timer("<timeDuration>PT5M</timeDuration>"), ERROR.into(), MESSAGE.into()]
            .iter()
            .flat_map(|event| {
                let whole = named(&between(&format!("<serviceTask id=\"a\"/>{}", event_sub("", event))));
                [whole, named(&between(&sub("", &event_sub("", event))))]
            })
            .collect(),
        "`transaction`" => vec![around("transaction", "")],
        "`adHocSubProcess`" => vec![around("adHocSubProcess", "")],
        "`callActivity`" => vec![between("<callActivity id=\"a\" calledElement=\"other\"/>")],
        "`exclusiveGateway`" => vec![with("xor g; task t; xor j; s>g; g>t ${x > 1}; g>j default; t>j; j>e")],
        "`parallelGateway`" => vec![with("and g; task t; task u; and j; s>g; g>t; g>u; t>j; u>j; j>e")],
        "`inclusiveGateway`" => {
            vec![with("or g; task t; task u; or j; s>g; g>t ${x > 1}; g>u ${x > 2}; g>j default; t>j; u>j; j>e")]
        }
        "`eventBasedGateway`" => vec![named(&xml(&format!(
            "<startEvent id=\"s\"/><eventBasedGateway id=\"first\"/><endEvent id=\"d\"/><serviceTask id=\"t\"/><endEvent id=\"e\"/>
             <intermediateCatchEvent id=\"b\">{MESSAGE}</intermediateCatchEvent>
             <intermediateCatchEvent id=\"c1\">{}</intermediateCatchEvent>
             <sequenceFlow id=\"f1\" sourceRef=\"s\" targetRef=\"first\"/><sequenceFlow id=\"f2\" sourceRef=\"first\" targetRef=\"b\"/>
             <sequenceFlow id=\"f3\" sourceRef=\"first\" targetRef=\"c1\"/><sequenceFlow id=\"f4\" sourceRef=\"b\" targetRef=\"t\"/>
             <sequenceFlow id=\"f5\" sourceRef=\"c1\" targetRef=\"d\"/><sequenceFlow id=\"f6\" sourceRef=\"t\" targetRef=\"e\"/>",
            timer("<timeDuration>P1D</timeDuration>")
        )))],
        "`complexGateway`" => vec![around("complexGateway", "")],
        "flows with conditions after an activity" => {
            vec![with("task a; task t; task u; s>a; a>t ${x > 1}; a>u default; t>e; u>e")]
        }
        "an activity that several flows lead to" => {
            vec![with("xor g; task t; task u; s>g; g>t ${x}; g>u default; t>u; u>e")]
        }
        "a cycle" => vec![
            with("xor j; task t; xor g; s>j; j>t; t>g; g>j ${x < 3}; g>e default"),
            with("task t; xor g; task u; s>t; t>g; g>u ${x < 3}; g>e default; u>t"),
            with("task t; xor g; task u; xor h; end d; s>t; t>g; g>t ${a}; g>u default; u>h; h>u ${b}; h>t ${c}; h>d ${d}; h>e default"),
        ],
        "a cycle that is entered at several places" => {
            vec![with("xor g; xor i; xor j; s>g; g>i ${x}; g>j default; i>j ${y}; i>e default; j>i")]
        }
        "a cycle that several tokens can leave" => {
            vec![with("xor j; and f; xor g; end d; s>j; j>f; f>g; f>e; g>j ${x}; g>d default")]
        }
        "a place that several tokens can reach" => vec![with("and f; task a; task b; task c; s>f; f>a; f>b; a>c; b>c; c>e")],
        "a parallel gateway that can wait for ever" => {
            vec![with("xor g; task a; task b; and k; s>g; g>a ${x}; g>b default; a>k; b>k; k>e")]
        }
        "start event: none" => vec![starting("")],
        "start event: message, signal, timer" => {
            vec![starting(MESSAGE), starting(SIGNAL), starting(&timer("<timeCycle>R3/PT1H</timeCycle>"))]
        }
        "start event: conditional" => vec![starting(CONDITIONAL)],
        "several start events" => vec![process("start s; start t; end e; s>e; t>e")],
        "end event: none, terminate, error" => {
            vec![ending(""), ending("<terminateEventDefinition/>"), ending(ERROR), ending("<errorEventDefinition/>")]
        }
        "an error whose code is not one of the engine" => vec![ending("<errorEventDefinition errorRef=\"y\"/>")],
        "end event and throwing event: message, signal" => vec![
            ending(MESSAGE),
            ending(SIGNAL),
            around("intermediateThrowEvent", MESSAGE),
            around("intermediateThrowEvent", SIGNAL),
        ],
        "throwing event: none, link" => vec![
            around("intermediateThrowEvent", ""),
            xml("<startEvent id=\"s\"/><intermediateThrowEvent id=\"a\"><linkEventDefinition name=\"on\"/></intermediateThrowEvent>
                 <intermediateCatchEvent id=\"b\"><linkEventDefinition name=\"on\"/></intermediateCatchEvent><endEvent id=\"e\"/>
                 <sequenceFlow id=\"f\" sourceRef=\"s\" targetRef=\"a\"/><sequenceFlow id=\"g\" sourceRef=\"b\" targetRef=\"e\"/>"),
        ],
        "escalation from a sub-process" => {
            let caught = format!("<boundaryEvent id=\"b\" attachedToRef=\"a\">{ESCALATION}</boundaryEvent><endEvent id=\"d\"/><sequenceFlow id=\"f\" sourceRef=\"b\" targetRef=\"d\"/>");
            vec![named(&between(&(sub(ESCALATION, "") + &caught)))]
        }
        "escalation of the whole process" => vec![ending(ESCALATION)],
        "catching event: message, signal" => {
            vec![around("intermediateCatchEvent", MESSAGE), around("intermediateCatchEvent", SIGNAL)]
        }
        "catching event: timer with a duration or a date" => [
            "<timeDuration>PT1H30M</timeDuration>",
            "<timeDate>2030-01-01T00:00:00Z</timeDate>",
            "<timeDate>${order.due}</timeDate>",
        ]
        .map(|inside| around("intermediateCatchEvent", &timer(inside)))
        .into(),
        "catching event: timer with a cycle, or a duration from data" => {
            ["<timeCycle>R3/PT1H</timeCycle>", "<timeDuration>${x}</timeDuration>"]
                .map(|inside| around("intermediateCatchEvent", &timer(inside)))
                .into()
        }
        "catching event and boundary event: conditional" => vec![
            around("intermediateCatchEvent", CONDITIONAL),
            boundary("", CONDITIONAL),
            boundary(" cancelActivity=\"false\"", CONDITIONAL),
            between(&sub(
                "",
                &format!(
                    "<intermediateCatchEvent id=\"l\">{CONDITIONAL}</intermediateCatchEvent><sequenceFlow id=\"m1\" sourceRef=\"i\"
                     targetRef=\"l\"/><sequenceFlow id=\"m2\" sourceRef=\"l\" targetRef=\"z\"/><endEvent id=\"z\"/>"
                ),
            )),
        ],
        "conditional event that starts an event sub-process" => {
            vec![between(&format!("<serviceTask id=\"a\"/>{}", event_sub("", CONDITIONAL)))]
        }
        "boundary event: error" => vec![boundary("", ERROR), boundary("", "<errorEventDefinition/>")],
        "boundary event: timer with a duration" => {
            let event = timer("<timeDuration>PT5M</timeDuration>");
            vec![boundary("", &event), boundary(" cancelActivity=\"false\"", &event)]
        }
        "boundary event: timer with a date or a cycle" => vec![
            boundary("", &timer("<timeDate>2030-01-01T00:00:00Z</timeDate>")),
            boundary(" cancelActivity=\"false\"", &timer("<timeCycle>R3/PT1H</timeCycle>")),
        ],
        "boundary event: message, signal" => {
            vec![boundary("", MESSAGE), boundary(" cancelActivity=\"false\"", SIGNAL)]
        }
        "boundary event: compensation, with its handler" => {
            let handler = "<boundaryEvent id=\"b\" attachedToRef=\"a\"><compensateEventDefinition/></boundaryEvent>
                 <serviceTask id=\"u\" isForCompensation=\"true\" implementation=\"refund\"/>
                 <association id=\"l\" sourceRef=\"b\" targetRef=\"u\"/>";
            // The handler of a sub-process takes the place of the handlers in it.
            ["<serviceTask id=\"a\"/>".to_owned(), sub("", "")]
                .map(|activity| between(&format!("{activity}{handler}")))
                .into()
        }
        "end event and throwing event: compensation" => vec![
            ending("<compensateEventDefinition/>"),
            ending("<compensateEventDefinition activityRef=\"s\" waitForCompletion=\"true\"/>"),
            around("intermediateThrowEvent", "<compensateEventDefinition/>"),
            between(&sub("<compensateEventDefinition activityRef=\"i\"/>", "")),
        ],
        "compensation that is thrown within a cycle, or not waited for" => vec![
            xml(&format!(
                "<startEvent id=\"s\"/><exclusiveGateway id=\"j\"/><intermediateThrowEvent id=\"a\"><compensateEventDefinition/>
                 </intermediateThrowEvent><exclusiveGateway id=\"g\" default=\"f5\"/><endEvent id=\"e\"/>
                 <sequenceFlow id=\"f1\" sourceRef=\"s\" targetRef=\"j\"/><sequenceFlow id=\"f2\" sourceRef=\"j\" targetRef=\"a\"/>
                 <sequenceFlow id=\"f3\" sourceRef=\"a\" targetRef=\"g\"/><sequenceFlow id=\"f4\" sourceRef=\"g\" targetRef=\"j\">
                 {}</sequenceFlow><sequenceFlow id=\"f5\" sourceRef=\"g\" targetRef=\"e\"/>",
                "<conditionExpression>${x}</conditionExpression>"
            )),
            ending("<compensateEventDefinition waitForCompletion=\"false\"/>"),
            between(&sub("<compensateEventDefinition activityRef=\"s\"/>", "")),
        ],
        "cancel events" => vec![ending("<cancelEventDefinition/>"), boundary("", "<cancelEventDefinition/>")],
        "events with several definitions" => vec![around("intermediateCatchEvent", &format!("{MESSAGE}{SIGNAL}"))],
        "multi-instance, with a collection" => [
            multi("", "<loopDataInputRef>order.items</loopDataInputRef><inputDataItem name=\"item\"/>"),
            multi(" isSequential=\"true\"", "<loopDataInputRef>items</loopDataInputRef><loopDataOutputRef>done</loopDataOutputRef>"),
        ]
        .concat(),
        "multi-instance, with a cardinality" => {
            [multi("", "<loopCardinality>3</loopCardinality>"), multi("", "<loopCardinality>${order.count}</loopCardinality>")].concat()
        }
        "multi-instance, with a condition of completion" => multi(
            "",
            "<loopCardinality>5</loopCardinality><completionCondition>${nrOfCompletedInstances / nrOfInstances >= 0.6 || nrOfActiveInstances == 1}</completionCondition>",
        ),
        "standard loop" => vec![
            looped("", "<loopCondition>${x &lt; 3}</loopCondition>"),
            looped(" testBefore=\"true\"", "<loopCondition>${x &lt; 3}</loopCondition>"),
            looped(" loopMaximum=\"4\"", ""),
            looped(" testBefore=\"true\" loopMaximum=\"4\"", "<loopCondition>${x &lt; 3 &amp;&amp; y}</loopCondition>"),
        ],
        "conditions with paths, comparisons, `and`, `or`, `not`" => [
            "${a}",
            "${a.b.c > 3 && !(d == 'x') || e <= 2.5}",
            "#{a['b c'][0] != null}",
            "= a = \"x\" and (b or not(c)) and d >= -1",
            "a < b + 2 * c - 1",
            "${a ge 1 and b ne true}",
            "${true}",
            "${!a && (b || c) && 1 < 2}",
        ]
        .map(condition)
        .into(),
        "functions, methods, ranges and other forms" => {
            ["= count(list) > 2", "${order.getTotal() > 3}", "= x in [1..5]", "= if a then b else c"].map(condition).into()
        }
        "expressions in other languages" => vec![condition("a > 1").replace(
            "<conditionExpression>",
            "<conditionExpression language=\"http://www.w3.org/1999/XPath\">",
        )],
        "data objects, data stores, properties, `ioSpecification`" => {
            vec![with("dataObject d; s>e"), around("serviceTask", "<ioSpecification id=\"io\"/>")]
        }
        "`documentation`, text annotations, groups" => {
            vec![around("serviceTask", "<documentation>why</documentation>"), with("textAnnotation t; s>e")]
        }
        "names of elements" => vec![with("task a; s>a; a>e").replace("<serviceTask", "<serviceTask name=\"Charge\"")],
        "extension elements and attributes of other formats" => vec![
            around("serviceTask", "<extensionElements><x:retries xmlns:x=\"urn:x\"/></extensionElements>"),
            with("task a; s>a; a>e").replace("<serviceTask", "<serviceTask xmlns:x=\"urn:x\" x:async=\"true\""),
        ],
        "the kind of a task in an extension (`taskDefinition`, `topic`)" => vec![
            around("serviceTask", "<extensionElements><z:taskDefinition xmlns:z=\"urn:z\" type=\"charge\"/></extensionElements>"),
            with("task a; s>a; a>e").replace("<serviceTask", "<serviceTask xmlns:x=\"urn:x\" x:topic=\"charge\""),
        ],
        "the diagram" => vec![with("s>e").replace("</definitions>", "<BPMNDiagram xmlns=\"urn:di\"/></definitions>")],
        other => panic!("no document for the row {other}"),
    }
}

/// The rows of the part of the page about processes.
fn rows() -> Vec<(&'static str, &'static str)> {
    let page = include_str!("../../../../docs/interop.md").split("\n## BPMN").nth(1).unwrap();
    let lines = page.lines().filter(|line| line.starts_with("| ")).skip(1);
    let rows: Vec<(&str, &str)> = lines
        .map(|line| {
            let mut cells = line.trim_start_matches("| ").split(" | ");
            (cells.next().unwrap(), cells.next().unwrap())
        })
        .collect();
    assert!(rows.len() > 50, "only {} rows", rows.len());
    rows
}

#[test]
fn every_row_of_the_table_is_as_it_is_stated() {
    let mut wrong = Vec::new();
    for (row, result) in rows() {
        for document in documents(row) {
            let found = import(&document, &Options::default());
            let is_so = match (result, &found) {
                ("imported", Ok(imported)) => imported.notes.is_empty(),
                ("note", Ok(imported)) => !imported.notes.is_empty(),
                ("refused", Err(error)) => {
                    let text = error.to_string();
                    let refuses = ["cannot be carried over", "expected", "only a constant index"];
                    refuses.iter().any(|refuses| text.contains(refuses)) && error.faults()[0].place.contains(':')
                }
                _ => false,
            };
            if !is_so {
                let found = found.map(|imported| imported.notes).map_err(|error| error.to_string());
                wrong.push(format!("{row} is {result}: {found:?}\n{document}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn whatever_is_imported_is_exported_again() {
    let (mut count, mut wrong) = (0, Vec::new());
    for (row, _) in rows() {
        for document in documents(row) {
            let Ok(imported) = import(&document, &Options::default()) else { continue };
            count += 1;
            let exported = match export(&imported.definition) {
                Ok(exported) => exported,
                Err(error) => {
                    wrong.push(format!("{row}: {error}\n{document}"));
                    continue;
                }
            };
            let again = import(&exported, &Options::default()).map(|again| again.definition);
            if again.as_ref() != Ok(&imported.definition) {
                wrong.push(format!("{row}: {:?}\n{document}\n{exported}", again.err()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    assert!(count > 80, "{count} documents");
}
