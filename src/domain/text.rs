//! What people type: stripped of control characters and measured before it goes anywhere.

use crate::domain::{Error, Result};

/// Whether line breaks and tabs belong into a text.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Lines {
    /// One line: every control character goes.
    One,
    /// Several lines: line feed and tab stay.
    Many,
}

/// Whether nobody sees a character: controls, and those that only steer how others are shown. In a name they
/// would make one look like another.
pub fn is_invisible(c: char) -> bool {
    let steers = matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' |
        '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}');
    c.is_control() || steers
}

/// The text without control characters and surrounding blanks, at least `min` and at most `max`
/// characters long.
///
/// # Errors
/// `Invalid`, naming `field`, when the cleaned text is too short or too long.
pub fn clean(field: &str, text: &str, lines: Lines, min: usize, max: usize) -> Result<String> {
    let kept: String = text
        .chars()
        .filter(|c| !c.is_control() || (lines == Lines::Many && matches!(c, '\n' | '\t')))
        .collect();
    let trimmed = kept.trim();
    // Longer in bytes than any text of `max` characters can be: no need to count.
    let length = if trimmed.len() > max * 4 { usize::MAX } else { trimmed.chars().count() };
    if length > max {
        return Err(Error::invalid(format!("{field}: at most {max} characters")));
    }
    if length < min {
        return Err(match min {
            1 => Error::invalid(format!("{field}: must not be empty")),
            _ => Error::invalid(format!("{field}: at least {min} characters")),
        });
    }
    Ok(if trimmed.len() == kept.len() { kept } else { trimmed.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_go_and_lines_stay_where_they_may() {
        assert_eq!(clean("t", " a\u{0}b\nc\u{7f}\u{85} ", Lines::One, 1, 10).unwrap(), "abc");
        assert_eq!(clean("t", "a\r\nb\tc", Lines::Many, 1, 10).unwrap(), "a\nb\tc");
    }

    #[test]
    fn length_is_counted_in_characters_and_the_field_is_named() {
        assert!(clean("t", "ÄÖÜ", Lines::One, 1, 3).is_ok());
        assert_eq!(
            clean("name", "ÄÖÜß", Lines::One, 1, 3).unwrap_err().message,
            "name: at most 3 characters"
        );
        assert_eq!(
            clean("name", " \u{1} ", Lines::One, 1, 3).unwrap_err().message,
            "name: must not be empty"
        );
    }
}
