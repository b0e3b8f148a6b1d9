//! Invisible characters: they move the cursor, or hide or reorder their neighbours.

/// Returns a text in one visible line: line breaks and tabs become blanks, invisible characters
/// become U+FFFD. Untrusted text can then forge neither a second line nor a misleading display.
#[must_use]
pub fn one_line(text: &str) -> String {
    text.chars().map(visible).collect()
}

/// Returns the replacement of one character in [`one_line`].
#[must_use]
pub fn visible(character: char) -> char {
    match character {
        '\n' | '\r' | '\t' => ' ',
        character if character.is_control() || is_invisible(character) => '\u{fffd}',
        character => character,
    }
}

/// Returns whether the general category is Cf, Zl or Zp in Unicode 16
/// (`DerivedGeneralCategory.txt`).
fn is_invisible(character: char) -> bool {
    matches!(
        character,
        '\u{ad}'
            | '\u{600}'..='\u{605}'
            | '\u{61c}'
            | '\u{6dd}'
            | '\u{70f}'
            | '\u{890}'..='\u{891}'
            | '\u{8e2}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{110bd}'
            | '\u{110cd}'
            | '\u{13430}'..='\u{1343f}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e007f}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_line_has_neither_breaks_nor_commands_nor_marks_that_reorder_it() {
        assert_eq!(
            one_line("a\nb\r\tc\u{1b}[2J\u{7f}\u{9b}\u{202e}d\u{2066}\u{2028}é漢🎉"),
            "a b  c\u{fffd}[2J\u{fffd}\u{fffd}\u{fffd}d\u{fffd}\u{fffd}é漢🎉"
        );
    }

    proptest! {
        /// Rust's definition of printable characters is stricter, and an independent reference.
        #[test]
        fn what_can_be_printed_stays_and_a_line_is_one_line(text in "\\PC{0,30}", any: String) {
            let seen: String = text.chars().filter(|c| c.escape_debug().count() == 1).collect();
            prop_assert_eq!(one_line(&seen), seen);
            let line = one_line(&any);
            let is_obeyed = |c: char| c.is_control() || matches!(c, '\u{2028}'..='\u{202e}');
            prop_assert!(!line.contains(is_obeyed));
            prop_assert_eq!(one_line(&line), line);
        }
    }
}
