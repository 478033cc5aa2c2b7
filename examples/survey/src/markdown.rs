//! The report as Markdown, for terminals and for storage beside the code.

use std::fmt::Write as _;

use crate::survey::{Picture, Row, Survey};
use crate::words::{bytes, count, of_hundred, thousands};

/// Renders the report.
pub fn render_markdown(survey: &Survey) -> String {
    let totals = &survey.totals;
    let mut text = format!("# Survey of {}\n\n", plain(&survey.name));
    let _ = writeln!(
        text,
        "{} ({}) hold {}, {} of them code; {}, {}.\n",
        count(totals.files, "file"),
        bytes(totals.bytes),
        count(totals.all.lines, "line"),
        thousands(totals.program.code),
        count(totals.functions, "function"),
        count(totals.markers, "note")
    );
    if !survey.shared.is_empty() {
        let _ = writeln!(text, "All paths are relative to {}.\n", plain(&survey.shared));
    }
    if !survey.findings.is_empty() {
        text.push_str("## What stands out\n\n");
        for finding in &survey.findings {
            let _ = writeln!(text, "- {}", plain(&finding.text));
        }
        text.push('\n');
    }
    languages(&mut text, survey);
    picture(&mut text, &survey.picture);
    for (title, unit, rows) in survey.rankings.tables() {
        ranking(&mut text, title, unit, rows);
    }
    repeats(&mut text, survey);
    notes(&mut text, survey);
    unread(&mut text, survey);
    drafts(&mut text, survey);
    text
}

/// A text without meaning to Markdown, in one line, fit for a cell of a table.
fn plain(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '|' | '#' | '&' => {
                safe.push('\\');
                safe.push(c);
            }
            c if c.is_control() => safe.push(' '),
            c => safe.push(c),
        }
    }
    safe
}

fn languages(text: &mut String, survey: &Survey) {
    if survey.languages.is_empty() {
        return;
    }
    text.push_str("## Languages\n\n| Language | Files | Lines | Code | Comments | Functions |\n");
    text.push_str("| :-- | --: | --: | --: | --: | --: |\n");
    for row in &survey.languages {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} |",
            plain(row.language.spec().name),
            thousands(row.files),
            thousands(row.size.lines),
            thousands(row.size.code),
            of_hundred(row.size.comment_percent()),
            thousands(row.functions)
        );
    }
    text.push('\n');
}

fn picture(text: &mut String, picture: &Picture) {
    if picture.edges.is_empty() {
        return;
    }
    text.push_str("## Dependencies\n\n");
    let label = |id: usize| picture.nodes.get(id).map_or_else(String::new, |node| plain(&node.label));
    for (id, node) in picture.nodes.iter().enumerate() {
        let mut edges: Vec<_> = picture.edges.iter().filter(|edge| edge.from == id).collect();
        edges.sort_by_key(|edge| std::cmp::Reverse(edge.count));
        let targets: Vec<String> =
            edges.iter().map(|edge| format!("{} ({})", label(edge.to), thousands(edge.count))).collect();
        let targets = if targets.is_empty() { "nothing".to_owned() } else { targets.join(", ") };
        let _ = writeln!(text, "- **{}**, {} of code, imports {targets}", plain(&node.label), count(node.code, "line"));
    }
    text.push('\n');
}

fn ranking(text: &mut String, title: &str, unit: &str, rows: &[Row]) {
    if rows.is_empty() {
        return;
    }
    let _ = writeln!(text, "## {title}\n\n| | Where | {unit} |\n| :-- | :-- | --: |");
    for row in rows {
        let value = row.shown(unit);
        let _ = writeln!(text, "| {} | {} | {value} |", plain(&row.label), plain(&row.place));
    }
    text.push('\n');
}

fn repeats(text: &mut String, survey: &Survey) {
    if survey.repeats.groups.is_empty() {
        return;
    }
    text.push_str("## Duplicated code\n\n");
    for group in &survey.repeats.groups {
        let places: Vec<String> =
            group.places.iter().map(|(path, from, to)| format!("{}:{from}-{to}", plain(path))).collect();
        let _ = writeln!(
            text,
            "- {} in {}, shared by {}: {}",
            count(group.lines, "line"),
            count(group.passages, "passage"),
            count(group.files, "file"),
            places.join(", ")
        );
    }
    text.push('\n');
}

fn notes(text: &mut String, survey: &Survey) {
    if survey.markers.is_empty() {
        return;
    }
    let (shown, all) = (thousands(survey.markers.len() as u64), thousands(survey.totals.markers));
    let _ = writeln!(text, "## TODO and FIXME notes ({shown} of {all})\n");
    for row in &survey.markers {
        let _ = writeln!(text, "- {}:{} **{}** {}", plain(&row.path), row.line, row.tag, plain(&row.text));
    }
    text.push('\n');
}

fn unread(text: &mut String, survey: &Survey) {
    text.push_str("## Not read\n\n");
    if survey.skipped.is_empty() && survey.lossy.is_empty() {
        text.push_str("All files of the directory were read.\n\n");
        return;
    }
    for group in survey.skipped.chunk_by(|a, b| a.reason.title() == b.reason.title()) {
        let Some(first) = group.first() else { continue };
        let paths: Vec<String> = group.iter().take(20).map(|skipped| plain(&skipped.path)).collect();
        let more = if group.len() > paths.len() { ", ..." } else { "" };
        let (title, number) = (first.reason.title(), thousands(group.len() as u64));
        let _ = writeln!(text, "- {number} {title}: {}{more}", paths.join(", "));
    }
    for path in &survey.lossy {
        let _ = writeln!(text, "- {} is not valid UTF-8; some characters were replaced", plain(path));
    }
    text.push('\n');
}

fn drafts(text: &mut String, survey: &Survey) {
    if survey.verdicts.is_empty() {
        return;
    }
    text.push_str("## How this survey was made\n\n");
    for (number, verdict) in (1..).zip(&survey.verdicts) {
        let word = if verdict.accepted { "accepted." } else { "sent back." };
        let _ = write!(text, "{number}. Draft {number} was {word}");
        for remark in &verdict.remarks {
            let _ = write!(text, " {}", plain(&remark.text));
        }
        text.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Batch;
    use crate::survey::Detail;
    use crate::synthesise::synthesise;
    use crate::testing::{facts, inventory_of};

    #[test]
    fn names_cannot_break_the_tables() {
        let list = vec![facts("top.rs", ""), facts("a|b/<x>_y.rs", "// TODO: *now* `x` | y\nfn f() {}\n")];
        let batch = Batch { facts: list, unread: Vec::new() };
        let survey = synthesise(&inventory_of(&batch.facts), &batch, &Detail::default());
        let text = render_markdown(&survey);
        assert!(text.contains("| \\<x\\>\\_y.rs | a\\|b | 1 |"));
        assert!(text.contains("\\*now\\* \\`x\\` \\| y"));
    }

    #[test]
    fn nothing_is_still_a_report() {
        assert!(render_markdown(&Survey::default()).contains("All files of the directory were read."));
    }
}
