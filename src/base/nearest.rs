//! Suggestions for mistyped names.

/// Longer names get no suggestion, to bound the cost of the comparison.
const LONGEST: usize = 64;

/// The candidate nearest to `name`, if its edit distance (insertions, deletions, substitutions and transpositions) is
/// at most a third of the length. The first of equally near ones.
pub(crate) fn nearest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let wanted: Vec<char> = name.chars().take(LONGEST + 1).collect();
    if wanted.len() > LONGEST {
        return None;
    }
    let mut best: Option<(usize, &str)> = None;
    let mut most = (wanted.len() / 3).max(1);
    for candidate in candidates.filter(|&candidate| candidate != name) {
        let letters: Vec<char> = candidate.chars().take(LONGEST + 1).collect();
        if letters.len() > LONGEST || letters.len().abs_diff(wanted.len()) > most {
            continue;
        }
        let distance = distance(&wanted, &letters);
        if distance <= most && distance < letters.len().max(wanted.len()) {
            best = Some((distance, candidate));
            // Only a strictly nearer candidate replaces it.
            match distance.checked_sub(1) {
                Some(nearer) => most = nearer,
                None => break,
            }
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// The edit distance with transpositions of neighbours, computed row by row.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    let mut last_a = None;
    for (i, &x) in a.iter().enumerate() {
        let mut row = Vec::with_capacity(above.len());
        row.push(i + 1);
        let mut last_b = None;
        for (j, &y) in b.iter().enumerate() {
            let at = |row: &[usize], place: usize| row.get(place).copied().unwrap_or(usize::MAX / 2);
            let replaced = at(&above, j) + usize::from(x != y);
            let mut least = replaced.min(at(&above, j + 1) + 1).min(at(&row, j) + 1);
            if last_a == Some(y) && last_b == Some(x) && j > 0 {
                least = least.min(at(&before, j - 1) + 1);
            }
            row.push(least);
            last_b = Some(y);
        }
        before = core::mem::replace(&mut above, row);
        last_a = Some(x);
    }
    above.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letters(text: &str) -> Vec<char> {
        text.chars().collect()
    }

    #[test]
    fn distances() {
        for (a, b, expected) in [
            ("", "", 0),
            ("a", "", 1),
            ("", "abc", 3),
            ("kitten", "sitting", 3),
            ("form", "from", 1),
            ("abc", "abc", 0),
        ] {
            assert_eq!(distance(&letters(a), &letters(b)), expected, "{a} {b}");
            assert_eq!(distance(&letters(b), &letters(a)), expected, "{b} {a}");
        }
    }

    #[test]
    fn suggests_only_what_is_near() {
        let names = ["reserve", "charge", "ship"];
        assert_eq!(nearest("resreve", names.into_iter()), Some("reserve"));
        assert_eq!(nearest("Charge", names.into_iter()), Some("charge"));
        assert_eq!(nearest("shop", names.into_iter()), Some("ship"));
        assert_eq!(nearest("invoice", names.into_iter()), None);
        assert_eq!(nearest("a", ["b"].into_iter()), None);
        assert_eq!(nearest(&"x".repeat(100), ["x"].into_iter()), None);
    }
}
