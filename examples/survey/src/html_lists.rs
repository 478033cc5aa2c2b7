//! The tables and lists of the HTML report.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::html::section;
use crate::model::{Reason, percent};
use crate::survey::{LanguageRow, Repeat, Row, Survey};
use crate::words::{bytes, count, escape, of_hundred, shorten, thousands};

/// Rows of a ranking that are shown at once; the others unfold.
const SHOWN: usize = 8;
/// Letters of a place that fit into one line of a card.
const MAX_PLACE: usize = 58;
/// Groups of repetitions shown at once.
const SHOWN_REPEATS: usize = 8;
/// Paths listed for each reason that something was not read.
const MAX_PATHS: usize = 200;
/// Colours that the style sheet has for languages; the others are grey.
const COLOURS: usize = 8;

fn colour(place: usize) -> String {
    if place < COLOURS { format!("var(--c{place})") } else { "var(--cx)".to_owned() }
}

/// The languages: shares of the code in a strip, then each in numbers.
pub fn languages(survey: &Survey) -> String {
    if survey.languages.is_empty() {
        return String::new();
    }
    let mut strip = String::from("<div class=\"strip\">");
    for (place, row) in survey.languages.iter().enumerate() {
        if row.language.is_program() && row.size.code > 0 {
            let share = percent(row.size.code, survey.totals.program.code);
            let _ = write!(
                strip,
                "<i style=\"width:{share:.2}%;background:{}\" title=\"{} {}\"></i>",
                colour(place),
                row.language.spec().name,
                of_hundred(share)
            );
        }
    }
    strip.push_str("</div>");
    let most = survey.languages.iter().map(|row| row.size.lines).max().unwrap_or(1).max(1);
    let mut table = String::from(
        "<div class=\"scroll\"><table>\n<thead><tr><th>Language</th><th></th><th>Files</th><th>Size</th>\
         <th>Code or text</th><th>Comments</th><th>Functions</th></tr></thead><tbody>\n",
    );
    for (place, row) in survey.languages.iter().enumerate() {
        table.push_str(&language_row(row, &colour(place), most));
    }
    table.push_str("</tbody></table></div>");
    let legend = "<div class=\"legend\"><span><i></i>code or text</span><span><i style=\"opacity:.5\"></i>comment</span>\
                  <span><i style=\"opacity:.2\"></i>blank</span></div>";
    let hint =
        "The strip divides the lines of code among the programming languages; the table also has data and prose.";
    section("Languages", hint, &format!("<div class=\"card\">{strip}{table}{legend}</div>"))
}

fn language_row(row: &LanguageRow, colour: &str, most: u64) -> String {
    let size = row.size;
    let part = |lines: u64, class: &str| {
        let width = percent(lines, most);
        format!("<i class=\"{class}\" style=\"width:{width:.2}%;background:{colour}\"></i>")
    };
    let comments = if row.language.is_program() { of_hundred(size.comment_percent()) } else { String::new() };
    let functions = if row.functions > 0 { thousands(row.functions) } else { String::new() };
    format!(
        "<tr><td><span class=\"dot\" style=\"background:{colour}\"></span>{}</td><td class=\"wide\"><div class=\"bar\">{}{}{}</div></td>\
         <td class=\"quiet\">{}</td><td class=\"quiet\">{}</td><td>{}</td><td class=\"quiet\">{comments}</td><td class=\"quiet\">{functions}</td></tr>\n",
        row.language.spec().name,
        part(size.code, "cd"),
        part(size.comment, "cm"),
        part(size.blank, "bl"),
        thousands(row.files),
        bytes(row.bytes),
        thousands(size.code),
    )
}

/// The rankings, side by side.
pub fn rankings(survey: &Survey) -> String {
    let mut cards = Vec::new();
    for (title, unit, rows) in survey.rankings.tables() {
        if !rows.is_empty() {
            cards.push(ranking(title, unit, rows));
        }
    }
    if !survey.externals.is_empty() {
        cards.push(outside(survey));
    }
    if cards.is_empty() {
        return String::new();
    }
    // Two columns that are filled in turn: cards of unlike height leave no holes.
    let column = |odd: usize| cards.iter().skip(odd).step_by(2).map(String::as_str).collect::<String>();
    let content = format!("<div class=\"pair\"><div>{}</div><div>{}</div></div>", column(0), column(1));
    section("Extremes", "Starting points for a reader or a reviewer.", &content)
}

fn ranking(title: &str, unit: &str, rows: &[Row]) -> String {
    let most = rows.iter().map(|row| row.value).max().unwrap_or(1);
    let item = |row: &Row| {
        // From the least upwards, a bar would show next to nothing.
        let bar = if unit.starts_with('%') {
            String::new()
        } else {
            let width = percent(row.value, most);
            format!("<span class=\"b\"><i style=\"width:{width:.1}%\"></i></span>")
        };
        let place = if row.place.is_empty() { "." } else { &row.place };
        format!(
            "<li><b>{}</b><span class=\"v\">{}</span><small title=\"{}\">{}</small>{bar}</li>\n",
            escape(&row.label),
            row.shown(unit),
            escape(place),
            escape(&shorten(place, MAX_PLACE)),
        )
    };
    let (first, others) = rows.split_at(SHOWN.min(rows.len()));
    let mut card = format!(
        "<div class=\"card\" style=\"margin-bottom:16px\"><h3>{title}<small>{unit}</small></h3>\n<ol class=\"rank\">{}</ol>",
        first.iter().map(item).collect::<String>()
    );
    if !others.is_empty() {
        let _ = write!(
            card,
            "<details><summary>{} more</summary><ol class=\"rank\">{}</ol></details>",
            others.len(),
            others.iter().map(item).collect::<String>()
        );
    }
    card.push_str("</div>\n");
    card
}

/// Packages from outside, as a card among the rankings.
fn outside(survey: &Survey) -> String {
    let chip = |(name, files): &(String, u64)| format!("<span>{}<em>{}</em></span>", escape(name), thousands(*files));
    format!(
        "<div class=\"card\" style=\"margin-bottom:16px\"><h3>From outside<small>packages, and how many files use \
         them</small></h3><div class=\"chips\">{}</div></div>\n",
        survey.externals.iter().map(chip).collect::<String>()
    )
}

/// Some items of a list, and the others where a click unfolds them.
pub fn unfolding(items: &[String], shown: usize) -> String {
    let (first, others) = items.split_at(shown.min(items.len()));
    let list = |items: &[String]| format!("<ul class=\"list\">\n{}</ul>", items.concat());
    if others.is_empty() {
        return list(first);
    }
    let more = others.len();
    format!("{}<details><summary>{more} more</summary>{}</details>", list(first), list(others))
}

/// Passages that occur in several files.
pub fn repeats(survey: &Survey) -> String {
    let repeats = &survey.repeats;
    if repeats.groups.is_empty() {
        return String::new();
    }
    let items: Vec<String> = repeats.groups.iter().map(repeat).collect();
    let list = format!("<div class=\"card\">{}</div>", unfolding(&items, SHOWN_REPEATS));
    let hint = format!(
        "Six lines of code or more that are the same but for white space and comments. {} of {} groups of files, \
         the costliest first but varied; the places are those of the longest passage.",
        thousands(repeats.groups.len() as u64),
        thousands(repeats.found)
    );
    section("Duplicated code", &hint, &list)
}

fn repeat(group: &Repeat) -> String {
    let mut item = format!(
        "<li><b>{}</b> <span class=\"quiet\">in {}, shared by {}</span>",
        count(group.lines, "line"),
        count(group.passages, "passage"),
        count(group.files, "file")
    );
    for (path, from, to) in &group.places {
        let _ = write!(item, "<span class=\"place\">{}:{from}\u{2013}{to}</span>", escape(path));
    }
    let unnamed = group.files.saturating_sub(group.places.len() as u64);
    if unnamed > 0 {
        let _ = write!(item, "<span class=\"place\">and {}</span>", count(unnamed, "other file"));
    }
    item.push_str("</li>\n");
    item
}

/// Everything that was not read, or not read faithfully, by reason.
pub fn unread(survey: &Survey) -> String {
    let mut reasons: BTreeMap<(bool, &str), Vec<String>> = BTreeMap::new();
    for skipped in &survey.skipped {
        let extra = match &skipped.reason {
            Reason::Unreadable { message } => format!(" \u{2014} {message}"),
            Reason::TooLarge { bytes: size, limit } => {
                format!(" \u{2014} {}, the limit is {}", bytes(*size), bytes(*limit))
            }
            Reason::NameNotUnicode
            | Reason::Utf16
            | Reason::TooDeep
            | Reason::TooMany
            | Reason::Binary
            | Reason::Symlink
            | Reason::Special
            | Reason::IgnoredFolder => String::new(),
        };
        let key = (!skipped.reason.is_loss(), skipped.reason.title());
        reasons.entry(key).or_default().push(format!("{}{extra}", skipped.path));
    }
    if !survey.lossy.is_empty() {
        reasons.insert((false, "read, but not valid UTF-8: some characters were replaced"), survey.lossy.clone());
    }
    if reasons.is_empty() {
        let all = "<div class=\"card quiet\">All files of the directory were read.</div>";
        return section("Not read", "Files that this report does not cover.", all);
    }
    let mut list = String::from("<div class=\"card\"><ul class=\"list\">\n");
    for ((on_purpose, title), paths) in &reasons {
        let class = if *on_purpose { "tag" } else { "tag hot" };
        let open = if !on_purpose && paths.len() <= 12 { " open" } else { "" };
        let _ = write!(
            list,
            "<li><span class=\"{class}\">{}</span>{title}<details{open}><summary>Which</summary>",
            thousands(paths.len() as u64)
        );
        for path in paths.iter().take(MAX_PATHS) {
            let _ = write!(list, "<span class=\"place\">{}</span>", escape(path));
        }
        if paths.len() > MAX_PATHS {
            let more = (paths.len() - MAX_PATHS) as u64;
            let _ = write!(list, "<span class=\"place\">and {} more</span>", thousands(more));
        }
        list.push_str("</details></li>\n");
    }
    list.push_str("</ul></div>");
    let hint = "Files that this report does not cover. Orange: could not be read; grey: left out on purpose.";
    section("Not read", hint, &list)
}
