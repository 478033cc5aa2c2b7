//! The dependency picture: files are grouped by folder, imports become edges between the folders.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::FileFacts;
use crate::survey::{Edge, Node, Picture};

/// The letters of a label in the picture.
pub const LABEL: usize = 24;
/// Depths up to this one are tried when looking for the right size.
const MAX_DEPTH: usize = 6;

/// Draws together the programs among the files: nodes by the first `depth` parts of their
/// paths, and all but `limit` of the nodes folded into one.
pub fn picture(
    facts: &[FileFacts],
    goals: &[(BTreeSet<usize>, BTreeSet<String>)],
    depth: usize,
    limit: Option<usize>,
) -> Picture {
    let shared = shared_folders(facts);
    let name = |file: &FileFacts, depth| node_name(&file.path, shared, depth);
    let nodes_at_depth = (1..=MAX_DEPTH)
        .map(|depth| programs(facts).map(|(_, f)| name(f, depth)).collect::<BTreeSet<_>>().len())
        .collect();
    let names: BTreeSet<String> = programs(facts).map(|(_, f)| name(f, depth)).collect();
    let position: BTreeMap<&str, usize> = names.iter().map(String::as_str).zip(0..).collect();
    let node_of: Vec<Option<usize>> = facts
        .iter()
        .map(|file| position.get(name(file, depth).as_str()).copied())
        .zip(facts)
        .map(|(node, file)| node.filter(|_| file.language.is_program()))
        .collect();
    let mut nodes: Vec<Node> = names.iter().map(|label| empty(label.clone())).collect();
    for (file, node) in facts.iter().zip(&node_of) {
        if let Some(node) = node.and_then(|id| nodes.get_mut(id)) {
            node.files += 1;
            node.code += file.size.map_or(0, |size| size.code);
        }
    }
    let mut links: BTreeMap<(usize, usize), u64> = BTreeMap::new();
    for (from, (targets, _)) in node_of.iter().zip(goals) {
        for to in targets {
            if let (Some(from), Some(Some(to))) = (*from, node_of.get(*to)) {
                *links.entry((from, *to)).or_default() += 1;
            }
        }
    }
    let (nodes, links) = fold(nodes, links, limit);
    assemble(depth, nodes, links, nodes_at_depth)
}

fn programs(facts: &[FileFacts]) -> impl Iterator<Item = (usize, &FileFacts)> {
    facts.iter().enumerate().filter(|(_, file)| file.language.is_program())
}

const fn empty(label: String) -> Node {
    Node { label, files: 0, code: 0, folded: 0, inner: 0 }
}

/// How many leading folders all programs have in common: they would tell nothing apart.
fn shared_folders(facts: &[FileFacts]) -> usize {
    let mut shared: Option<Vec<&str>> = None;
    for (_, file) in programs(facts) {
        let mut parts: Vec<&str> = file.path.split('/').collect();
        parts.pop();
        match &mut shared {
            None => shared = Some(parts),
            Some(shared) => {
                let same = shared.iter().zip(&parts).take_while(|(a, b)| a == b).count();
                shared.truncate(same);
            }
        }
    }
    shared.map_or(0, |parts| parts.len())
}

fn node_name(path: &str, shared: usize, depth: usize) -> String {
    let parts: Vec<&str> = path.split('/').skip(shared).take(depth.max(1)).collect();
    parts.join("/")
}

/// Links between nodes, counted by pairs of files.
type Links = BTreeMap<(usize, usize), u64>;

/// Folds the least connected nodes, and of those the smallest first, into a last one.
fn fold(nodes: Vec<Node>, links: Links, limit: Option<usize>) -> (Vec<Node>, Links) {
    let Some(limit) = limit.filter(|limit| nodes.len() > *limit) else {
        return (nodes, links);
    };
    let mut weight = vec![0_u64; nodes.len()];
    for ((from, to), count) in &links {
        if from != to {
            for end in [from, to] {
                if let Some(weight) = weight.get_mut(*end) {
                    *weight += count;
                }
            }
        }
    }
    let mut order: Vec<usize> = (0..nodes.len()).collect();
    let rank = |id: &usize| {
        let code = nodes.get(*id).map_or(0, |node| node.code);
        std::cmp::Reverse((weight.get(*id).copied().unwrap_or(0), code))
    };
    order.sort_by_key(rank);
    let mut kept: Vec<usize> = order.into_iter().take(limit.saturating_sub(1)).collect();
    kept.sort_unstable();
    let rest = kept.len();
    let place: Vec<usize> = (0..nodes.len()).map(|id| kept.binary_search(&id).unwrap_or(rest)).collect();
    let mut folded = empty("everything else".to_owned());
    let mut small = Vec::new();
    for (id, node) in nodes.into_iter().enumerate() {
        if place.get(id) == Some(&rest) {
            folded.files += node.files;
            folded.code += node.code;
            folded.folded += 1;
        } else {
            small.push(node);
        }
    }
    small.push(folded);
    let mut merged = Links::new();
    for ((from, to), count) in links {
        if let (Some(from), Some(to)) = (place.get(from), place.get(to)) {
            *merged.entry((*from, *to)).or_default() += count;
        }
    }
    (small, merged)
}

fn assemble(depth: usize, mut nodes: Vec<Node>, links: Links, at_depth: Vec<usize>) -> Picture {
    let mut edges = Vec::new();
    for ((from, to), count) in links {
        if from != to {
            edges.push(Edge { from, to, count });
        } else if let Some(node) = nodes.get_mut(from) {
            node.inner = count;
        }
    }
    Picture { depth, nodes, edges, nodes_at_depth: at_depth }
}

/// For every node, as much of the end of its path as fits into a label, and at least as much as tells it from the others.
pub fn short_labels(picture: &Picture) -> Vec<String> {
    let end = |label: &str, parts: usize| {
        let all: Vec<&str> = label.split('/').collect();
        all.get(all.len().saturating_sub(parts)..).unwrap_or_default().join("/")
    };
    let short = |node: &Node| {
        let whole = node.label.split('/').count();
        let unique = |parts: &usize| {
            let own = end(&node.label, *parts);
            picture.nodes.iter().filter(|other| end(&other.label, *parts) == own).count() == 1
        };
        let fits = |parts: &usize| end(&node.label, *parts).chars().count() <= LABEL;
        let least = (1..whole).find(unique).unwrap_or(whole);
        end(&node.label, (least..=whole).rev().find(fits).unwrap_or(least))
    };
    picture.nodes.iter().map(short).collect()
}

/// Pairs of nodes that import each other, the folded one left out.
pub fn mutual(picture: &Picture) -> Vec<(usize, usize)> {
    let whole = |id: usize| picture.nodes.get(id).is_some_and(|node| node.folded == 0);
    let ends: BTreeSet<(usize, usize)> = picture.edges.iter().map(|e| (e.from, e.to)).collect();
    let back = |(from, to): &&(usize, usize)| from < to && ends.contains(&(*to, *from));
    ends.iter().filter(back).filter(|(a, b)| whole(*a) && whole(*b)).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resolve::Index;
    use crate::testing::facts;

    fn draw(files: &[(&str, &str)], depth: usize, limit: Option<usize>) -> Picture {
        let facts: Vec<_> = files.iter().map(|(path, text)| facts(path, text)).collect();
        picture(&facts, &Index::new(&facts).resolve_all(), depth, limit)
    }

    const FILES: &[(&str, &str)] = &[
        ("top/a/x.py", "import top.b.y\nimport top.a.z\n"),
        ("top/a/z.py", "import top.b.y\n"),
        ("top/b/y.py", "import top.c.w\n"),
        ("top/c/w.py", "import top.b.y\n"),
        ("top/readme.md", "# Not a program\n"),
    ];

    #[test]
    fn files_gather_to_folders_below_what_all_share() {
        let drawn = draw(FILES, 1, None);
        let labels: Vec<_> = drawn.nodes.iter().map(|node| node.label.as_str()).collect();
        assert_eq!(labels, ["a", "b", "c"]);
        assert_eq!(drawn.nodes[0].inner, 1);
        assert_eq!(drawn.edges[0], Edge { from: 0, to: 1, count: 2 });
        assert_eq!(drawn.nodes_at_depth[..2], [3, 4]);
        assert_eq!(mutual(&drawn), [(1, 2)]);
    }

    #[test]
    fn folding_keeps_the_sums() {
        let (whole, folded) = (draw(FILES, 2, None), draw(FILES, 2, Some(2)));
        let code = |picture: &Picture| picture.nodes.iter().map(|node| node.code).sum::<u64>();
        assert_eq!(folded.nodes.len(), 2);
        assert_eq!(folded.nodes[1].folded, 3);
        assert_eq!(code(&whole), code(&folded));
        let count = |p: &Picture| p.edges.iter().map(|e| e.count).chain(p.nodes.iter().map(|n| n.inner)).sum::<u64>();
        assert_eq!(count(&whole), count(&folded));
    }

    #[test]
    fn labels_are_as_much_of_the_path_as_fits() {
        let label = |text: &str| empty(text.to_owned());
        let long = "a-folder-with-a-long-name/and-another-one/it";
        let nodes =
            vec![label("tests/it"), label("a/c/x.rs"), label("x.rs"), label(long), label(&long.replace("one", "1"))];
        let drawn = Picture { nodes, ..Picture::default() };
        assert_eq!(short_labels(&drawn), ["tests/it", "a/c/x.rs", "x.rs", "and-another-one/it", "and-another-1/it"]);
    }

    #[test]
    fn nothing_gives_an_empty_picture() {
        assert!(draw(&[], 3, Some(5)).nodes.is_empty());
    }
}
