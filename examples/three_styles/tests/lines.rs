//! The guide gives the lines of each form.

/// The lines of a form without imports, comments and blank lines.
fn lines(text: &str) -> usize {
    let is_code = |line: &&str| {
        let line = line.trim();
        !line.is_empty() && !["//", "#", "use "].iter().any(|start| line.starts_with(start))
    };
    text.lines().filter(is_code).count()
}

#[test]
fn the_guide_counts_them() {
    let (function, built) = (lines(include_str!("../src/function.rs")), lines(include_str!("../src/built.rs")));
    let data = lines(include_str!("../src/pages.yaml"));
    let row = format!("| lines of `examples/three_styles` | {function} | {built} | {data} |");
    assert!(include_str!("../../../docs/guide/functions.md").contains(&row), "expected: {row}");
}
