//! The review: decides whether a draft is accepted, and lists the remarks on it.

use crate::language::Kind;
use crate::model::Size;
use crate::survey::{Demand, Detail, Picture, Remark, Survey, Verdict};
use crate::words::{count, thousands};

/// More nodes than this cannot be told apart in one picture.
const MAX_NODES: usize = 25;
/// Fewer than this tell too little, if there is more to be had.
const MIN_NODES: usize = 6;
/// Longer tables are not read.
const MAX_ROWS: usize = 20;

/// Judges a draft.
pub fn review(survey: &Survey) -> Verdict {
    let checks = [accounted(survey), complete(survey), sums(survey), edges(survey), nodes(survey), rows(survey)];
    let remarks: Vec<Remark> = checks.into_iter().flatten().collect();
    Verdict { accepted: remarks.is_empty(), remarks }
}

/// The detail for the next draft. The same again if the remarks are about something else.
pub fn revise(detail: &Detail, verdict: &Verdict) -> Detail {
    let mut next = *detail;
    for remark in &verdict.remarks {
        match &remark.demand {
            Demand::Depth(depth) => next.depth = *depth,
            Demand::Nodes(nodes) => next.nodes = Some(*nodes),
            Demand::Rows(rows) => next.rows = *rows,
            Demand::Analyse(_) | Demand::Recount => {}
        }
    }
    next
}

fn accounted(survey: &Survey) -> Option<Remark> {
    let coverage = &survey.coverage;
    if !coverage.missing.is_empty() {
        let text = format!(
            "{} listed by the walk, but neither analysed nor reported as unread.",
            count(coverage.missing.len() as u64, "file")
        );
        return Some(Remark { text, demand: Demand::Analyse(coverage.missing.clone()) });
    }
    let known = coverage.analysed + coverage.unread;
    (known != coverage.listed).then(|| Remark {
        text: format!("{} files are covered, {} were listed.", thousands(known), thousands(coverage.listed)),
        demand: Demand::Recount,
    })
}

fn complete(survey: &Survey) -> Option<Remark> {
    let incomplete = &survey.coverage.incomplete;
    (!incomplete.is_empty()).then(|| Remark {
        text: format!("{} not analysed by every skill.", count(incomplete.len() as u64, "file")),
        demand: Demand::Analyse(incomplete.clone()),
    })
}

fn sums(survey: &Survey) -> Option<Remark> {
    let totals = &survey.totals;
    let (mut all, mut program, mut files, mut markers) = (Size::default(), Size::default(), 0, 0);
    for row in &survey.languages {
        all.add(row.size);
        files += row.files;
        markers += row.markers;
        if row.language.spec().kind == Kind::Program {
            program.add(row.size);
        }
    }
    let drawn: u64 = survey.picture.nodes.iter().map(|node| node.code).sum();
    let wrong = if files != totals.files || files != survey.coverage.analysed {
        "The files of the languages do not add up to the total."
    } else if all != totals.all || program != totals.program {
        "The lines of the languages do not add up to the total."
    } else if all.lines != all.code + all.comment + all.blank {
        "Code, comment and blank do not add up to the lines."
    } else if markers != totals.markers {
        "The notes of the languages do not add up to the total."
    } else if drawn != program.code {
        "The picture does not contain all of the code."
    } else {
        return None;
    };
    Some(Remark { text: wrong.to_owned(), demand: Demand::Recount })
}

fn edges(survey: &Survey) -> Option<Remark> {
    let nodes = survey.picture.nodes.len();
    let loose = survey.picture.edges.iter().any(|e| e.from >= nodes || e.to >= nodes || e.from == e.to);
    loose.then(|| Remark { text: "The picture has an edge without a target.".to_owned(), demand: Demand::Recount })
}

fn nodes(survey: &Survey) -> Option<Remark> {
    let picture = &survey.picture;
    let has = picture.nodes.len();
    if has <= MAX_NODES {
        return None;
    }
    let depth = best_depth(picture);
    let (demand, advice) = if depth < picture.depth {
        let parts = if depth == 1 { "the first part".to_owned() } else { format!("{depth} parts") };
        (Demand::Depth(depth), format!("distinguish parts by {parts} of the path only"))
    } else {
        let keep = MAX_NODES - 1;
        (Demand::Nodes(keep), format!("keep the {} best connected and fold the others", keep - 1))
    };
    Some(Remark { text: format!("The picture has {has} nodes and cannot be read: {advice}."), demand })
}

/// The greatest depth that fits; one more if what fits would tell too little.
fn best_depth(picture: &Picture) -> usize {
    let fitting = picture.nodes_at_depth.iter().take_while(|nodes| **nodes <= MAX_NODES).count();
    let tells = fitting.checked_sub(1).and_then(|at| picture.nodes_at_depth.get(at));
    if tells.is_some_and(|nodes| *nodes >= MIN_NODES) { fitting } else { fitting + 1 }
}

fn rows(survey: &Survey) -> Option<Remark> {
    let tables = survey.rankings.tables();
    let ranked = tables.iter().map(|(_, _, rows)| rows.len()).max().unwrap_or(0);
    let others = [survey.repeats.groups.len(), survey.markers.len(), survey.externals.len()];
    let longest = others.into_iter().fold(ranked, usize::max);
    (longest > MAX_ROWS).then(|| Remark {
        text: format!("The longest table has {longest} rows: the limit is {MAX_ROWS}."),
        demand: Demand::Rows(MAX_ROWS),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Batch;
    use crate::synthesise::synthesise;
    use crate::testing::{facts, inventory_of};

    fn tree(top: usize, inner: usize) -> Batch {
        let mut list = Vec::new();
        for folder in 0..top {
            for file in 0..inner {
                let path = format!("f{folder:02}/g{file:02}/m.py");
                list.push(facts(&path, "# c\nx = 1\ny = 2  # TODO: z\n"));
            }
        }
        Batch { facts: list, unread: Vec::new() }
    }

    /// The number of drafts until one was accepted, and the last one's nodes.
    fn drafts(batch: &Batch) -> (usize, usize) {
        let inventory = inventory_of(&batch.facts);
        let mut detail = Detail::default();
        for number in 1..10 {
            let survey = synthesise(&inventory, batch, &detail);
            let verdict = review(&survey);
            if verdict.accepted {
                return (number, survey.picture.nodes.len());
            }
            detail = revise(&detail, &verdict);
        }
        panic!("never accepted");
    }

    #[test]
    fn small_trees_pass_at_once() {
        assert_eq!(drafts(&tree(2, 2)), (1, 4));
        assert_eq!(drafts(&Batch::default()), (1, 0));
    }

    #[test]
    fn larger_trees_are_sent_back_and_then_pass() {
        assert_eq!(drafts(&tree(10, 10)), (2, 10));
        assert_eq!(drafts(&tree(40, 3)), (3, 24));
        assert_eq!(drafts(&tree(2, 40)), (3, 24));
    }

    #[test]
    fn files_without_an_analysis_are_sent_back() {
        let mut batch = tree(2, 2);
        let inventory = inventory_of(&batch.facts);
        batch.facts.pop();
        batch.facts[0].prints = None;
        let verdict = review(&synthesise(&inventory, &batch, &Detail::default()));
        let demands: Vec<_> = verdict.remarks.into_iter().map(|remark| remark.demand).collect();
        let again = |path: &str| Demand::Analyse(vec![path.to_owned()]);
        assert_eq!(demands, [again("f01/g01/m.py"), again("f00/g00/m.py")]);
    }

    #[test]
    fn wrong_sums_are_noticed() {
        let batch = tree(2, 2);
        let good = synthesise(&inventory_of(&batch.facts), &batch, &Detail::default());
        let spoil: [fn(&mut Survey); 5] = [
            |s| s.totals.files += 1,
            |s| s.totals.all.blank += 1,
            |s| s.totals.markers += 1,
            |s| s.picture.nodes[0].code += 1,
            |s| s.picture.edges.push(crate::survey::Edge { from: 0, to: 99, count: 1 }),
        ];
        for change in spoil {
            let mut bad = good.clone();
            change(&mut bad);
            let verdict = review(&bad);
            assert_eq!(verdict.remarks.len(), 1);
            assert_eq!(verdict.remarks[0].demand, Demand::Recount);
        }
    }
}
