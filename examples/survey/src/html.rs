//! The report as one HTML page: without scripts and external resources, with all text escaped.

use std::fmt::Write as _;

use crate::chord::chord;
use crate::html_lists::{languages, rankings, repeats, unfolding, unread};
use crate::model::percent;
use crate::picture::short_labels;
use crate::style::STYLE;
use crate::survey::{Edge, MarkerRow, Picture, Survey, Tone, Verdict};
use crate::words::{bytes, compact, count, escape, of_hundred, thousands};

/// Rows of the lists beside the picture.
const TIES: usize = 7;
/// Notes shown at once.
const NOTES: usize = 10;

/// Renders the report. The timeline of the survey's own making is shown if it is given and is
/// plain SVG.
pub fn render_html(survey: &Survey, timeline_svg: Option<&str>) -> String {
    let sections = [
        header(survey),
        findings(survey),
        languages(survey),
        picture(&survey.picture),
        rankings(survey),
        repeats(survey),
        notes(survey),
        unread(survey),
        making(survey, timeline_svg),
    ];
    let mut page = String::from("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    page.push_str("<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n");
    let _ = writeln!(page, "<title>Survey of {}</title>", escape(&survey.name));
    let _ = writeln!(page, "<style>{STYLE}</style>\n</head>\n<body>\n<main>");
    page.push_str(&sections.concat());
    page.push_str(
        "<footer>Functions, nesting and imports are told by simple signs, not by compilers: \
         take them as good estimates. A line with code and a comment counts as code.</footer>\n\
         </main>\n</body>\n</html>\n",
    );
    page
}

/// A section with a heading and a sentence that says how to read it. Both are our own text.
pub fn section(title: &str, hint: &str, content: &str) -> String {
    format!("<section>\n<h2>{title}</h2>\n<p class=\"hint\">{hint}</p>\n{content}\n</section>\n")
}

fn header(survey: &Survey) -> String {
    let totals = &survey.totals;
    let languages = survey.languages.len() as u64;
    let mut text = format!(
        "<header>\n<p class=\"kicker\">Survey</p>\n<h1>{}</h1>\n<p class=\"lead\">{} in {} hold {}, {} of them code.</p>\n",
        escape(&survey.name),
        count(totals.files, "file"),
        count(languages, "language"),
        count(totals.all.lines, "line"),
        thousands(totals.program.code),
    );
    if !survey.shared.is_empty() {
        let _ =
            writeln!(text, "<p class=\"quiet\">All paths are relative to <code>{}</code>.</p>", escape(&survey.shared));
    }
    let lost = survey.skipped.iter().filter(|skipped| skipped.reason.is_loss()).count() as u64;
    let keys = [
        (thousands(totals.files), format!("files read, {}", bytes(totals.bytes))),
        (compact(totals.program.code), "lines of code".to_owned()),
        (of_hundred(totals.program.comment_percent()), "of lines in programs are comments".to_owned()),
        (thousands(totals.functions), "functions".to_owned()),
        (compact(survey.repeats.lines), "duplicated lines".to_owned()),
        (thousands(totals.markers), "TODO and FIXME notes".to_owned()),
        (thousands(lost), "could not be read".to_owned()),
    ];
    text.push_str("<div class=\"keys\">\n");
    for (number, meaning) in keys {
        let _ = writeln!(text, "<div class=\"card\"><div class=\"num\">{number}</div><p>{meaning}</p></div>");
    }
    text.push_str("</div>\n</header>\n");
    text
}

fn findings(survey: &Survey) -> String {
    let mut list = String::from("<div class=\"card\"><ul class=\"findings\">\n");
    for finding in &survey.findings {
        let class = match finding.tone {
            Tone::Plain => "plain",
            Tone::Good => "good",
            Tone::Concern => "concern",
        };
        let _ = writeln!(list, "<li class=\"{class}\">{}</li>", escape(&finding.text));
    }
    list.push_str("</ul></div>");
    section("What stands out", "Green: good. Orange: check this.", &list)
}

fn picture(picture: &Picture) -> String {
    let title = "Dependencies";
    let Some(svg) = chord(picture) else {
        let none = "<div class=\"card quiet\">No part imports another one.</div>";
        return section(title, "The parts of the programs, and the imports between them.", none);
    };
    let hint = "Each arc is a part of the tree, the thicker the more code it holds. A ribbon is wide at \
                the part that imports and ends in a tip at the part that is imported; point at a part to \
                see only what it imports.";
    let content = format!(
        "<div class=\"split\">\n<div class=\"card chart\">{svg}</div>\n<div class=\"stack\">{}</div>\n</div>\n{}",
        strongest(picture),
        parts(picture)
    );
    section(title, hint, &content)
}

/// Beside the picture: which parts matter most to the others, and the busiest pairs.
fn strongest(picture: &Picture) -> String {
    let labels = short_labels(picture);
    let label = |id: usize| labels.get(id).map_or("", String::as_str);
    let whole = |id: usize| picture.nodes.get(id).is_some_and(|node| node.folded == 0);
    let mut edges: Vec<_> = picture.edges.iter().filter(|e| whole(e.from) && whole(e.to)).collect();
    edges.sort_by_key(|edge| std::cmp::Reverse(edge.count));
    let degree = |end: fn(&Edge) -> usize, what: &str| {
        let mut degrees: Vec<(usize, u64)> = (0..labels.len())
            .map(|id| (id, edges.iter().filter(|edge| end(edge) == id).count() as u64))
            .filter(|(_, degree)| *degree > 0)
            .collect();
        degrees.sort_by_key(|(_, degree)| std::cmp::Reverse(*degree));
        let rows = degrees.iter().map(|(id, degree)| (label(*id).to_owned(), String::new(), *degree));
        tie_list(what, &rows.take(TIES).collect::<Vec<_>>())
    };
    let leaned = degree(|edge| edge.to, "Most imported parts<small>parts that import it</small>");
    // Where every tie is a single import, the strongest ones say nothing.
    let busiest = if edges.first().is_some_and(|edge| edge.count > 1) {
        let rows =
            edges.iter().map(|edge| (label(edge.from).to_owned(), format!("imports {}", label(edge.to)), edge.count));
        tie_list("Strongest dependencies<small>imports by file</small>", &rows.take(TIES).collect::<Vec<_>>())
    } else {
        degree(|edge| edge.from, "Most imports<small>parts it imports</small>")
    };
    format!("{leaned}{busiest}")
}

fn tie_list(title: &str, rows: &[(String, String, u64)]) -> String {
    let most = rows.first().map_or(1, |(_, _, value)| *value);
    let mut list = format!("<div class=\"card\"><h3>{title}</h3>\n<ol class=\"rank\">");
    for (label, place, value) in rows {
        let place = if place.is_empty() { String::new() } else { format!("<small>{}</small>", escape(place)) };
        let _ = writeln!(
            list,
            "<li><b>{}</b><span class=\"v\">{}</span>{place}<span class=\"b\"><i style=\"width:{:.1}%\"></i></span></li>",
            escape(label),
            thousands(*value),
            percent(*value, most),
        );
    }
    list.push_str("</ol></div>\n");
    list
}

fn parts(picture: &Picture) -> String {
    let mut text = String::from(
        "<details><summary>All parts in numbers</summary><div class=\"card scroll\"><table>\n<thead><tr>\
         <th>Part</th><th>Files</th><th>Lines of code</th><th>Imports within</th><th>Imports out</th>\
         <th>Imported</th></tr></thead><tbody>\n",
    );
    for (id, node) in picture.nodes.iter().enumerate() {
        let sum = |own: fn(&Edge) -> usize| -> u64 {
            picture.edges.iter().filter(|edge| own(edge) == id).map(|edge| edge.count).sum()
        };
        let folded = if node.folded > 0 { format!(" ({} parts)", thousands(node.folded)) } else { String::new() };
        let _ = writeln!(
            text,
            "<tr><td>{}{folded}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            escape(&node.label),
            thousands(node.files),
            thousands(node.code),
            thousands(node.inner),
            thousands(sum(|edge| edge.from)),
            thousands(sum(|edge| edge.to)),
        );
    }
    text.push_str("</tbody></table></div></details>");
    text
}

fn notes(survey: &Survey) -> String {
    if survey.markers.is_empty() {
        return String::new();
    }
    let item = |row: &MarkerRow| {
        let hot = if row.tag == "FIXME" { " hot" } else { "" };
        let text = if row.text.is_empty() { "(no text)" } else { row.text.as_str() };
        format!(
            "<li><span class=\"tag{hot}\">{}</span>{}<span class=\"place\">{}:{}</span></li>\n",
            escape(&row.tag),
            escape(text),
            escape(&row.path),
            row.line
        )
    };
    let items: Vec<String> = survey.markers.iter().map(item).collect();
    let list = format!("<div class=\"card\">{}</div>", unfolding(&items, NOTES));
    let shown = survey.markers.len() as u64;
    let hint = if shown < survey.totals.markers {
        format!(
            "{} of {} notes, the most urgent first, at most a few per file.",
            thousands(shown),
            thousands(survey.totals.markers)
        )
    } else {
        "All notes, the most urgent first.".to_owned()
    };
    section("TODO and FIXME notes", &hint, &list)
}

fn making(survey: &Survey, timeline_svg: Option<&str>) -> String {
    let drafts = drafts(&survey.verdicts);
    let timeline = timeline_svg.map(str::trim).filter(|svg| is_plain_svg(svg));
    let timeline = timeline.map_or_else(String::new, |svg| {
        format!("<div class=\"card timeline\" style=\"margin-bottom:16px\">{svg}</div>\n")
    });
    if drafts.is_empty() && timeline.is_empty() {
        return String::new();
    }
    let hint = "Agents read the files, and a review checked every draft of this report before its delivery.";
    section("How this survey was made", hint, &format!("{timeline}{drafts}"))
}

/// The timeline comes from outside this module: it must be a picture and nothing but.
fn is_plain_svg(svg: &str) -> bool {
    let lower = svg.to_ascii_lowercase();
    let active = ["<script", "javascript:", "<foreignobject", "<iframe"];
    lower.starts_with("<svg") && !active.iter().any(|mark| lower.contains(mark))
}

fn drafts(verdicts: &[Verdict]) -> String {
    if verdicts.is_empty() {
        return String::new();
    }
    let mut list = String::from("<div class=\"card\"><ul class=\"list\">\n");
    for (number, verdict) in (1..).zip(verdicts) {
        let (class, word) = if verdict.accepted { ("tag", "accepted") } else { ("tag hot", "sent back") };
        let remarks: Vec<String> = verdict.remarks.iter().map(|remark| escape(&remark.text)).collect();
        let _ = writeln!(
            list,
            "<li><b>Draft {number}</b> <span class=\"{class}\">{word}</span> <span class=\"quiet\">{}</span></li>",
            remarks.join(" ")
        );
    }
    list.push_str("</ul></div>");
    list
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Batch, Reason, Skipped};
    use crate::review::review;
    use crate::survey::Detail;
    use crate::synthesise::synthesise;
    use crate::testing::{facts, inventory_of};

    fn evil() -> Survey {
        let list = vec![
            facts("<b>/\"x\".rs", "// TODO: <script>alert(1)</script>\nuse crate::y;\nfn f() {}\n"),
            facts("<b>/y.rs", "fn g() {}\n"),
            facts("<b>/main.rs", "mod y;\n"),
        ];
        let mut inventory = inventory_of(&list);
        inventory.name = "<i>name".to_owned();
        let message = "<u>no".to_owned();
        let gone = Skipped { path: "<s>".into(), reason: Reason::Unreadable { message } };
        let batch = Batch { facts: list, unread: vec![gone] };
        let mut survey = synthesise(&inventory, &batch, &Detail::default());
        survey.verdicts.push(review(&survey));
        survey
    }

    #[test]
    fn everything_is_escaped_and_nothing_comes_from_outside() {
        let page = render_html(&evil(), None);
        for bad in ["<script", "<b>/", "<i>name", "<u>", "<s>", "http:", "https:", "url("] {
            assert!(!page.contains(bad), "{bad}");
        }
        assert!(page.contains("&lt;script&gt;alert(1)"));
    }

    #[test]
    fn every_element_that_opens_closes() {
        let page = render_html(&evil(), Some("<svg></svg>"));
        for name in ["section", "div", "ul", "ol", "li", "table", "details", "svg", "g", "span", "p"] {
            let opened = page.matches(&format!("<{name}>")).count() + page.matches(&format!("<{name} ")).count();
            assert_eq!(opened, page.matches(&format!("</{name}>")).count(), "{name}");
        }
    }

    #[test]
    fn the_timeline_must_be_a_picture() {
        let page = |svg| render_html(&Survey::default(), Some(svg));
        assert!(page(" <svg id=\"t\"></svg>").contains("id=\"t\""));
        assert!(!page("<svg id=\"t\"><script></script></svg>").contains("id=\"t\""));
        assert!(!page("<p id=\"t\">").contains("id=\"t\""));
    }
}
