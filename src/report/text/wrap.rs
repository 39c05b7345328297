//! Text fitted into columns. What comes in is escaped already, so a character is as wide as it says.

use unicode_width::UnicodeWidthChar;

/// Columns that `text` takes.
pub(super) fn width_of(text: &str) -> usize {
    text.chars().map(width_of_char).sum()
}

fn width_of_char(c: char) -> usize {
    c.width().unwrap_or(0)
}

/// The longest start of `text` that fits `columns`, and the rest.
fn split_at_width(text: &str, columns: usize) -> (&str, &str) {
    let mut used = 0;
    for (at, c) in text.char_indices() {
        used += width_of_char(c);
        if used > columns {
            return text.split_at(at);
        }
    }
    (text, "")
}

/// The longest end of `text` that fits `columns`.
fn end_of_width(text: &str, columns: usize) -> &str {
    let mut used = 0;
    for (at, c) in text.char_indices().rev() {
        used += width_of_char(c);
        if used > columns {
            return text.split_at(at + c.len_utf8()).1;
        }
    }
    text
}

/// `text` in at most `columns`, its middle replaced by `ellipsis`: names of one mesh differ at either end.
pub(super) fn cut_middle(text: &str, columns: usize, ellipsis: &str) -> String {
    if width_of(text) <= columns {
        return text.to_owned();
    }
    let room = columns.saturating_sub(width_of(ellipsis));
    let head = split_at_width(text, room / 2).0;
    let tail = end_of_width(text, room - width_of(head));
    split_at_width(&format!("{head}{ellipsis}{tail}"), columns)
        .0
        .to_owned()
}

/// `text` in at most `columns`, its end replaced by `ellipsis`.
pub(super) fn cut_end(text: &str, columns: usize, ellipsis: &str) -> String {
    if width_of(text) <= columns {
        return text.to_owned();
    }
    let head = split_at_width(text, columns.saturating_sub(width_of(ellipsis))).0;
    split_at_width(&format!("{head}{ellipsis}"), columns).0.to_owned()
}

/// Words of `text` in lines of at most `columns`; a word that is wider is broken after a separator of names.
pub(super) fn wrap(text: &str, columns: usize) -> Vec<String> {
    pack(text.split_whitespace(), " ", columns)
}

/// `words` in lines of at most `columns`, joined by `gap`.
pub(super) fn pack<'word>(words: impl Iterator<Item = &'word str>, gap: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(1);
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in words {
        if !line.is_empty() && width_of(&line) + width_of(gap) + width_of(word) <= columns {
            line.push_str(gap);
            line.push_str(word);
            continue;
        }
        if !line.is_empty() {
            lines.push(std::mem::take(&mut line));
        }
        let mut rest = word;
        while width_of(rest) > columns {
            let (head, tail) = break_word(rest, columns);
            lines.push(head.to_owned());
            rest = tail;
        }
        rest.clone_into(&mut line);
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines
}

/// Breaks a word wider than `columns` after the last separator that leaves at least half a line, else
/// wherever the line ends. Always takes at least one character.
fn break_word(word: &str, columns: usize) -> (&str, &str) {
    let (head, tail) = split_at_width(word, columns);
    if head.is_empty() {
        let first = word.chars().next().map_or(0, char::len_utf8);
        return word.split_at(first);
    }
    match head.rfind(['/', '_', '.', ',', ';', '|', '&', '=', '-']) {
        Some(at) if width_of(head.split_at(at).0) * 2 >= columns => word.split_at(at + 1),
        _ => (head, tail),
    }
}

/// A shell command in lines of at most `columns`, broken at spaces outside quotes and with ` \` there, so that
/// it can be pasted as it is. A word that is wider than a line stays whole: broken, it would be another word.
pub(super) fn wrap_command(command: &str, columns: usize) -> Vec<String> {
    if width_of(command) <= columns {
        return vec![command.to_owned()];
    }
    let room = columns.saturating_sub(2).max(1);
    let mut lines: Vec<String> = Vec::new();
    for word in shell_words(command) {
        match lines.last_mut() {
            Some(line) if width_of(line) + 1 + width_of(word) <= room => {
                line.push(' ');
                line.push_str(word);
            }
            Some(line) => {
                line.push_str(" \\");
                lines.push(word.to_owned());
            }
            None => lines.push(word.to_owned()),
        }
    }
    lines
}

/// Splits at spaces outside quotes, leaving the quotes where they are.
pub(super) fn shell_words(command: &str) -> Vec<&str> {
    let mut quote = None;
    command
        .split(move |c: char| {
            match (c, quote) {
                ('\'' | '"', None) => quote = Some(c),
                (_, Some(open)) if c == open => quote = None,
                _ => {}
            }
            c == ' ' && quote.is_none()
        })
        .filter(|word| !word.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_keep_both_ends() {
        assert_eq!(cut_middle("ratings:9080", 12, "…"), "ratings:9080");
        assert_eq!(
            cut_middle("outbound|9080|v1|ratings.prod", 15, "…"),
            "outboun…gs.prod"
        );
        assert_eq!(
            cut_middle("東京東京東京", 7, "…"),
            "東…東京",
            "wide characters are never halved"
        );
        assert_eq!(cut_middle("abcdef", 2, "..."), "..");
        assert_eq!(cut_end("abcdefgh", 5, "…"), "abcd…");
    }

    #[test]
    fn words_wrap_and_long_ones_break_at_separators() {
        assert_eq!(wrap("one two  three", 8), ["one two", "three"]);
        assert_eq!(
            wrap(
                "upstream_reset_before_response_started{connection_termination} x",
                28
            ),
            [
                "upstream_reset_before_",
                "response_started{connection_",
                "termination} x"
            ]
        );
        assert_eq!(wrap("abcdefghij", 4), ["abcd", "efgh", "ij"]);
        assert!(wrap("  ", 4).is_empty());
    }

    #[test]
    fn commands_stay_commands() {
        assert_eq!(wrap_command("kubectl get pods", 40), ["kubectl get pods"]);
        assert_eq!(
            wrap_command("istioctl pc clusters web-v1 --fqdn 'a b c' -o json", 30),
            ["istioctl pc clusters web-v1 \\", "--fqdn 'a b c' -o json"],
            "quoted words travel together"
        );
        assert_eq!(
            wrap_command("jq '.items[].metadata.name' file", 16),
            ["jq \\", "'.items[].metadata.name' \\", "file"],
            "a word stays whole, whatever its width"
        );
    }

    proptest! {
        #[test]
        fn nothing_is_wider_and_nothing_lost(text in "[a-z/_. 東]{0,80}", columns in 2usize..40) {
            let lines = wrap(&text, columns);
            prop_assert!(lines.iter().all(|line| width_of(line) <= columns));
            let kept: String = lines.concat().split_whitespace().collect();
            let given: String = text.split_whitespace().collect();
            prop_assert_eq!(kept, given);
            prop_assert!(width_of(&cut_middle(&text, columns, "…")) <= columns);
            prop_assert!(width_of(&cut_end(&text, columns, "…")) <= columns);
        }

        #[test]
        fn a_wrapped_command_is_the_same_command(text in "[a-z/'\"|. ]{0,80}", columns in 2usize..40) {
            let lines = wrap_command(&text, columns);
            let is_word = |line: &str| shell_words(line.trim_end_matches(" \\")).len() <= 1;
            prop_assert!(lines.iter().all(|line| width_of(line) <= columns || is_word(line)));
            // What a shell makes of it: a backslash at the end of a line joins it with the next.
            let joined = lines.join("\n").replace("\\\n", "");
            prop_assert_eq!(shell_words(&joined), shell_words(&text));
        }
    }
}
