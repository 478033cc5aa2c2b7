//! The most important results, as sentences.

use crate::model::{FileFacts, LONG_FUNCTION, percent};
use crate::picture::mutual;
use crate::survey::{Finding, Survey, Tone};
use crate::words::{count, of_hundred, thousands};

/// Blocks nested deeper than this, too.
const DEEP: u64 = 7;

/// The notable things about a survey, from the general to the particular.
pub fn findings(survey: &Survey, facts: &[FileFacts]) -> Vec<Finding> {
    let found = [
        composition(survey),
        concentration(survey, facts),
        comments(survey),
        long_functions(survey, facts),
        nesting(facts),
        centre(survey),
        circles(survey),
        repetition(survey),
        notes(survey),
        losses(survey),
    ];
    found.into_iter().flatten().collect()
}

fn say(tone: Tone, text: String) -> Option<Finding> {
    Some(Finding { tone, text })
}

fn composition(survey: &Survey) -> Option<Finding> {
    let code = survey.totals.program.code;
    let row = survey.languages.first().filter(|row| row.language.is_program() && code > 0)?;
    let name = row.language.spec().name;
    let others = survey.languages.iter().filter(|row| row.language.is_program()).count() - 1;
    let share = of_hundred(percent(row.size.code, code));
    match others {
        0 => say(Tone::Plain, format!("All code is {name}.")),
        1 => say(Tone::Plain, format!("{share} of the code is {name}; the rest is in one other language.")),
        _ => say(Tone::Plain, format!("{share} of the code is {name}; the rest is in {others} other languages.")),
    }
}

fn concentration(survey: &Survey, facts: &[FileFacts]) -> Option<Finding> {
    let mut sizes: Vec<u64> = facts
        .iter()
        .filter(|file| file.language.is_program())
        .filter_map(|file| file.size.map(|size| size.code))
        .collect();
    if sizes.len() < 20 {
        return None;
    }
    sizes.sort_unstable_by(|a, b| b.cmp(a));
    let half = survey.totals.program.code.div_ceil(2);
    let mut sum = 0;
    let needed = sizes.iter().take_while(|size| {
        let more = sum < half;
        sum += **size;
        more
    });
    let needed = needed.count() as u64;
    let share = percent(needed, sizes.len() as u64);
    let text = format!("Half of the code is in {}, {} of all files.", count(needed, "file"), of_hundred(share));
    say(if share < 5.0 { Tone::Concern } else { Tone::Plain }, text)
}

fn comments(survey: &Survey) -> Option<Finding> {
    let program = survey.totals.program;
    if program.code < 100 {
        return None;
    }
    let share = program.comment_percent();
    let per = of_hundred(share);
    if share >= 15.0 {
        say(Tone::Good, format!("Well commented: {per} of the lines in programs are comments."))
    } else if share < 5.0 {
        say(Tone::Concern, format!("Sparsely commented: only {per} of the lines in programs are comments."))
    } else {
        say(Tone::Plain, format!("{per} of the lines in programs are comments."))
    }
}

fn long_functions(survey: &Survey, facts: &[FileFacts]) -> Option<Finding> {
    let longest = survey.rankings.longest.first()?;
    let long: u64 = facts.iter().flat_map(|file| &file.structure).map(|structure| structure.long).sum();
    if long == 0 {
        let text = format!(
            "No function is longer than {LONG_FUNCTION} lines; the longest, {}, has {}.",
            longest.label, longest.value
        );
        return say(Tone::Good, text);
    }
    let text = format!(
        "{} longer than {LONG_FUNCTION} lines, the longest being {} with {} ({}).",
        if long == 1 { "One function is".to_owned() } else { format!("{} functions are", thousands(long)) },
        longest.label,
        thousands(longest.value),
        longest.place
    );
    say(Tone::Concern, text)
}

fn nesting(facts: &[FileFacts]) -> Option<Finding> {
    let depth = |file: &FileFacts| file.structure.as_ref().map_or(0, |structure| structure.deepest);
    let file = facts.iter().max_by_key(|file| depth(file)).filter(|file| depth(file) > DEEP)?;
    say(Tone::Concern, format!("Blocks are nested up to {} deep, in {}.", depth(file), file.path))
}

fn centre(survey: &Survey) -> Option<Finding> {
    let row = survey.rankings.most_imported.first().filter(|row| row.value >= 3)?;
    let (path, files) = (row.path(), thousands(row.value));
    say(Tone::Plain, format!("{path} is imported most: by {files} files."))
}

fn circles(survey: &Survey) -> Option<Finding> {
    let pairs = mutual(&survey.picture);
    let label = |id: usize| survey.picture.nodes.get(id).map_or("", |node| node.label.as_str());
    match pairs.as_slice() {
        [] if survey.picture.edges.is_empty() => None,
        [] => say(Tone::Good, "No two parts of the picture import each other.".to_owned()),
        [(a, b)] => say(Tone::Concern, format!("{} and {} import each other.", label(*a), label(*b))),
        [(a, b), ..] => {
            let (a, b) = (label(*a), label(*b));
            let text = format!("{} pairs of parts import each other, {a} and {b} among them.", pairs.len());
            say(Tone::Concern, text)
        }
    }
}

fn repetition(survey: &Survey) -> Option<Finding> {
    let (lines, code) = (survey.repeats.lines, survey.totals.program.code);
    let share = percent(lines, code);
    if lines == 0 {
        return (code > 0).then(|| Finding {
            tone: Tone::Good,
            text: "No passage of six lines or more occurs in two files.".to_owned(),
        });
    }
    let text = format!("{} are duplicated in another file, {} of the code.", count(lines, "line"), of_hundred(share));
    say(if share > 5.0 { Tone::Concern } else { Tone::Plain }, text)
}

fn notes(survey: &Survey) -> Option<Finding> {
    let total = survey.totals.markers;
    if total == 0 {
        return say(Tone::Good, "There are no TODO or FIXME notes.".to_owned());
    }
    let row = survey.rankings.most_marked.first()?;
    let text = if total == 1 {
        format!("There is one TODO or FIXME note, in {}.", row.label)
    } else {
        let most = thousands(row.value);
        format!("There are {} TODO or FIXME notes, {most} of them in {}.", thousands(total), row.path())
    };
    say(Tone::Plain, text)
}

fn losses(survey: &Survey) -> Option<Finding> {
    let lost = survey.skipped.iter().filter(|skipped| skipped.reason.is_loss()).count() as u64;
    let lossy = survey.lossy.len() as u64;
    match (lost, lossy) {
        (0, 0) => say(Tone::Good, "All text files were read.".to_owned()),
        (0, _) => say(Tone::Plain, format!("{} not valid UTF-8 and read with replacement characters.", are(lossy))),
        (_, _) => say(Tone::Concern, format!("{} could not be read; see the end of the report.", count(lost, "item"))),
    }
}

fn are(files: u64) -> String {
    if files == 1 { "One file is".to_owned() } else { format!("{} files are", thousands(files)) }
}

#[cfg(test)]
mod tests {
    use crate::model::Batch;
    use crate::survey::Detail;
    use crate::synthesise::synthesise;
    use crate::testing::{facts, inventory_of};

    fn sentences(files: &[(&str, &str)]) -> String {
        let list: Vec<_> = files.iter().map(|(path, text)| facts(path, text)).collect();
        let batch = Batch { facts: list, unread: Vec::new() };
        let survey = synthesise(&inventory_of(&batch.facts), &batch, &Detail::default());
        survey.findings.iter().map(|finding| format!("{}\n", finding.text)).collect()
    }

    #[test]
    fn they_read_as_sentences() {
        let long = format!("fn long() {{\n{}}}\n// TODO: x\n", "  a();\n".repeat(150));
        let text = sentences(&[("a.rs", &long), ("b.py", "import os\n")]);
        assert!(text.contains("99% of the code is Rust; the rest is in one other language."));
        assert!(text.contains("One function is longer than 100 lines, the longest being long with 152 (a.rs:1)."));
        assert!(text.contains("There is one TODO or FIXME note, in a.rs."));
        assert!(text.contains("All text files were read."));
    }

    #[test]
    fn no_code_has_no_findings() {
        assert!(!sentences(&[]).contains("code"));
    }
}
