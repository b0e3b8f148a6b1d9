//! The known name that a wrong one was probably meant to be.

/// The nearest of the known names, if any is near: no more than a third of its characters added, left out, replaced or
/// swapped with their neighbour. Hyphens and underscores, and upper and lower case, are the same.
pub(crate) fn nearest(wrong: &str, known: impl IntoIterator<Item = String>) -> Option<String> {
    let letters = letters(wrong)?;
    known
        .into_iter()
        .filter_map(|name| Some((distance(&letters, &self::letters(&name)?), name)))
        .filter(|(distance, name)| distance * 3 <= name.len())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// What is compared; `None` for what is too long to be any name.
fn letters(name: &str) -> Option<Vec<u8>> {
    (name.len() <= MAX_LEN).then(|| {
        name.bytes()
            .map(|byte| match byte {
                b'-' => b'_',
                byte => byte.to_ascii_lowercase(),
            })
            .collect()
    })
}

/// Damerau's distance, restricted: no letter is edited twice. Three rows of the table are enough.
fn distance(one: &[u8], other: &[u8]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=other.len()).collect();
    let mut above = None;
    for (row, a) in one.iter().enumerate() {
        let mut current = vec![row + 1];
        let mut left = None;
        for (column, b) in other.iter().enumerate() {
            let cell =
                |row: &[usize], column: usize| row.get(column).copied().unwrap_or(usize::MAX / 2);
            let mut least = (cell(&last, column) + usize::from(a != b))
                .min(cell(&last, column + 1) + 1)
                .min(cell(&current, column) + 1);
            if left == Some(a) && above == Some(b) {
                least = least.min(cell(&before, column.saturating_sub(1)) + 1);
            }
            current.push(least);
            left = Some(b);
        }
        above = Some(a);
        before = std::mem::replace(&mut last, current);
    }
    last.last().copied().unwrap_or_default()
}

const MAX_LEN: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn distances_are_edits() {
        for (one, other, edits) in [
            ("", "", 0),
            ("", "ab", 2),
            ("abc", "abc", 0),
            ("abc", "acb", 1),
            ("abc", "ac", 1),
            ("kitten", "sitting", 3),
            ("ca", "abc", 3),
        ] {
            assert_eq!(
                distance(one.as_bytes(), other.as_bytes()),
                edits,
                "{one} {other}"
            );
            assert_eq!(
                distance(other.as_bytes(), one.as_bytes()),
                edits,
                "{other} {one}"
            );
        }
    }

    #[test]
    fn a_name_is_meant_only_when_it_is_near() {
        let known = || ["api_url", "agent_token", "debug"].map(str::to_owned);
        assert_eq!(nearest("api-url", known()).unwrap(), "api_url");
        assert_eq!(nearest("agent_tokne", known()).unwrap(), "agent_token");
        assert_eq!(nearest("DEBUG", known()).unwrap(), "debug");
        assert_eq!(nearest("zebra", known()), None);
        assert_eq!(nearest(&"a".repeat(65), known()), None);
    }

    proptest! {
        #[test]
        fn any_two_names_have_a_distance(one in "[a-c]{0,8}", other in "[a-c]{0,8}") {
            let edits = distance(one.as_bytes(), other.as_bytes());
            prop_assert!(edits <= one.len().max(other.len()));
            prop_assert_eq!(edits == 0, one == other);
            prop_assert_eq!(edits, distance(other.as_bytes(), one.as_bytes()));
        }
    }
}
