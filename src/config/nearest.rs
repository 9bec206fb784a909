//! The known word that a mistyped one was probably meant to be.

/// The nearest of `known` to `said`, if it is near enough to be worth a question.
pub(super) fn nearest<'a>(said: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let fold = |text: &str| -> Vec<char> { text.replace('-', "_").to_lowercase().chars().collect() };
    let said = fold(said);
    let most = (said.len() / 3).max(1);
    let mut best: Option<(usize, &str)> = None;
    for candidate in known {
        let folded = fold(candidate);
        if folded.len().abs_diff(said.len()) > most {
            continue;
        }
        let distance = distance(&said, &folded);
        if distance <= most && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// How many single-character edits lie between the two; neighbours swapped count as one (Damerau and
/// Levenshtein's optimal string alignment).
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let change = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = change.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(before[j - 2] + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_finds_its_word_and_another_word_finds_none() {
        let known = ["timeout", "connect_timeout", "stall", "max"];
        for (said, meant) in [
            ("timout", Some("timeout")),
            ("tiemout", Some("timeout")),
            ("Connect-Timeout", Some("connect_timeout")),
            ("mx", Some("max")),
            ("color", None),
            ("", None),
        ] {
            assert_eq!(nearest(said, known), meant, "{said:?}");
        }
    }

    #[test]
    fn neighbours_swapped_are_one_edit() {
        let chars = |text: &str| text.chars().collect::<Vec<_>>();
        for (a, b, edits) in [("ab", "ba", 1), ("abc", "", 3), ("kitten", "sitting", 3), ("镜像", "像镜", 1)]
        {
            assert_eq!(distance(&chars(a), &chars(b)), edits, "{a} {b}");
        }
    }
}
