//! Text that stays text in Markdown.
//!
//! Backslashes keep markup from being read; but what a forge makes of the result (mentions, bare addresses, numbers of
//! issues) no backslash stops. Words in which such a thing could be stand in code spans, where nothing is read.

use crate::report::escape::{Charset, escape};
use std::fmt::Write as _;

/// Characters of one text; longer ones are cut, with a mark.
const MAX_CHARS: usize = 2000;

fn cut(text: &str) -> String {
    let shown = escape(text, Charset::Unicode);
    match shown.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => shown.get(..end).unwrap_or_default().to_owned() + "…",
        None => shown.into_owned(),
    }
}

/// Text in a sentence, a list item or a heading.
pub(super) fn prose(text: &str) -> String {
    let shown = cut(text);
    let mut result = String::with_capacity(shown.len() + 16);
    for (number, word) in shown.split(' ').enumerate() {
        if number > 0 {
            result.push(' ');
        }
        if acts(word) {
            result.push_str(&code_of(word));
        } else {
            push_escaped(&mut result, word, number == 0);
        }
    }
    result
}

/// Whether a forge may make something of a word: a mention, an address, the number of an issue.
fn acts(word: &str) -> bool {
    let lower = word.to_ascii_lowercase();
    let numbered = word
        .split_once(['#', '!'])
        .is_some_and(|(_, after)| after.starts_with(|c: char| c.is_ascii_digit()));
    numbered
        || lower.contains('@')
        || lower.contains("://")
        || lower.contains("www.")
        || lower.contains("mailto:")
}

fn push_escaped(result: &mut String, word: &str, first: bool) {
    let mut leading = first;
    let mut digits = first;
    for c in word.chars() {
        // A list, a rule, a number or an underline of a heading, where a line begins.
        let at_start = leading && "-+=:".contains(c);
        let after_digits = digits && !leading && ".)".contains(c);
        if at_start || after_digits || "\\`*_{}[]<>#|~&!$^".contains(c) {
            result.push('\\');
        }
        result.push(c);
        digits = digits && c.is_ascii_digit();
        leading = false;
    }
}

/// Text in a code span.
pub(super) fn code(text: &str) -> String {
    code_of(&cut(text))
}

fn code_of(shown: &str) -> String {
    if shown.is_empty() {
        return "–".to_owned();
    }
    let fence = "`".repeat(longest_run(shown) + 1);
    // Spaces keep ticks at the ends, and spaces, as they are.
    let pad = if shown.starts_with(['`', ' ']) || shown.ends_with(['`', ' ']) {
        " "
    } else {
        ""
    };
    format!("{fence}{pad}{shown}{pad}{fence}")
}

/// Text in a cell of a table.
pub(super) fn cell(text: &str) -> String {
    prose(text).replace("\\|", "&#124;").replace('|', "&#124;")
}

/// Text in a code span in a cell, where a bar ends the cell even inside code.
pub(super) fn code_cell(text: &str) -> String {
    code(text).replace('|', "\\|")
}

/// Lines that were escaped, in a block behind `indent`.
pub(super) fn fenced(lines: &str, indent: &str) -> String {
    let fence = "`".repeat(longest_run(lines).max(2) + 1);
    let mut block = format!("\n{indent}{fence}text\n");
    for line in lines.lines() {
        // Writing to a String cannot fail.
        let _ = writeln!(block, "{indent}{line}");
    }
    block + indent + &fence + "\n"
}

fn longest_run(text: &str) -> usize {
    let (mut longest, mut run) = (0, 0);
    for c in text.chars() {
        run = if c == '`' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    longest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_stays_text() {
        for (text, shown) in [
            ("plain words, 12 ms", "plain words, 12 ms"),
            ("# no heading", "\\# no heading"),
            ("- no item", "\\- no item"),
            ("1. no number", "1\\. no number"),
            ("12) neither", "12\\) neither"),
            ("=== no underline", "\\=== no underline"),
            ("![x](y) [a](b)", "\\!\\[x\\](y) \\[a\\](b)"),
            ("<img src=x> &lt;", "\\<img src=x\\> \\&lt;"),
            ("*a* _b_ ~~c~~ `d`", "\\*a\\* \\_b\\_ \\~\\~c\\~\\~ \\`d\\`"),
            ("a\nb\u{202e}", "a\\\\nb\\\\u\\{202e\\}"),
            ("ask @team now", "ask `@team` now"),
            ("see https://evil.example/x", "see `https://evil.example/x`"),
            ("WWW.evil.example", "`WWW.evil.example`"),
            ("fixes owner/repo#12", "fixes `owner/repo#12`"),
        ] {
            assert_eq!(prose(text), shown, "{text}");
        }
    }

    #[test]
    fn code_has_a_fence_that_its_text_has_not() {
        assert_eq!(code("a"), "`a`");
        assert_eq!(code("a`b``c"), "```a`b``c```");
        assert_eq!(code("`"), "`` ` ``");
        assert_eq!(code(""), "–");
        assert_eq!(code_cell("a|b"), "`a\\|b`");
        assert_eq!(cell("a|b"), "a&#124;b");
        assert_eq!(fenced("x ```` y\n", ""), "\n`````text\nx ```` y\n`````\n");
    }
}
