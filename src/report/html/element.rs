//! HTML of which every text is escaped: the only way to write any is an [`Element`], and it escapes.
//!
//! Names of elements and attributes are those of the program (`&'static str`), never of a log. What acts on the text
//! around it (control characters, direction marks) is shown as an escape first, then `&<>"'` as entities.

use crate::report::escape::{Charset, escape};
use std::fmt::Write;

/// Characters of one text; longer ones are cut, with a mark.
const MAX_TEXT_CHARS: usize = 2000;

/// Elements that have no content.
const VOID: [&str; 3] = ["meta", "br", "hr"];

/// An element with what is in it.
#[derive(Clone, Debug)]
pub(super) struct Element {
    tag: &'static str,
    attributes: String,
    inside: String,
}

/// An element without anything in it; one without a name is only what is put in it.
pub(super) fn el(tag: &'static str) -> Element {
    Element {
        tag,
        attributes: String::new(),
        inside: String::new(),
    }
}

impl Element {
    /// With an attribute, its value escaped.
    pub(super) fn attr(mut self, name: &'static str, value: impl AsRef<str>) -> Self {
        self.attributes.push(' ');
        self.attributes.push_str(name);
        self.attributes.push_str("=\"");
        push_escaped(&mut self.attributes, value.as_ref());
        self.attributes.push('"');
        self
    }

    /// With a class.
    pub(super) fn class(self, class: impl AsRef<str>) -> Self {
        self.attr("class", class)
    }

    /// With coordinates and sizes of SVG: one decimal is a tenth of a pixel.
    pub(super) fn at<const N: usize>(mut self, values: [(&'static str, f64); N]) -> Self {
        for (name, value) in values {
            let value = if value.is_finite() { value } else { 0.0 };
            // Writing to a String cannot fail.
            let _ = write!(self.attributes, " {name}=\"{}\"", (value * 10.0).round() / 10.0);
        }
        self
    }

    /// With the path that it draws: nothing but commands and numbers, of any length.
    pub(super) fn path(mut self, drawn: &str) -> Self {
        self.attributes.push_str(" d=\"");
        let of_paths = |c: &char| "MLHVCZmlhvcz0123456789.- ".contains(*c);
        self.attributes.extend(drawn.chars().filter(of_paths));
        self.attributes.push('"');
        self
    }

    /// With numbers for the script of the page: nothing else, of any length.
    pub(super) fn numbers(mut self, name: &'static str, numbers: &str) -> Self {
        self.attributes.push(' ');
        self.attributes.push_str(name);
        self.attributes.push_str("=\"");
        let of_numbers = |c: &char| "0123456789.,: ".contains(*c);
        self.attributes.extend(numbers.chars().filter(of_numbers));
        self.attributes.push('"');
        self
    }

    /// With a text in it.
    pub(super) fn text(mut self, text: impl AsRef<str>) -> Self {
        push_escaped(&mut self.inside, text.as_ref());
        self
    }

    /// With a text of several lines in it, which stay lines.
    pub(super) fn lines(mut self, text: &str) -> Self {
        for (number, line) in text.lines().enumerate() {
            if number > 0 {
                self.inside.push('\n');
            }
            push_escaped(&mut self.inside, line);
        }
        self
    }

    /// With an element in it.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "an element is in one place; pages are made of calls in each other"
    )]
    pub(super) fn child(mut self, child: Element) -> Self {
        child.write(&mut self.inside);
        self
    }

    /// With elements in it.
    pub(super) fn children(mut self, children: impl IntoIterator<Item = Element>) -> Self {
        for child in children {
            child.write(&mut self.inside);
        }
        self
    }

    /// With style or script of the program in it: the text of a file of its source, for `style` and `script` alone.
    pub(super) fn source(mut self, text: &'static str) -> Self {
        self.inside.push_str(text);
        self
    }

    /// Whether nothing is in it.
    pub(super) fn is_empty(&self) -> bool {
        self.inside.is_empty()
    }

    /// As text.
    pub(super) fn finish(self) -> String {
        let mut html = String::with_capacity(self.inside.len() + self.attributes.len() + 16);
        self.write(&mut html);
        html
    }

    fn write(&self, html: &mut String) {
        if self.tag.is_empty() {
            html.push_str(&self.inside);
            return;
        }
        // Writing to a String cannot fail.
        let _ = write!(html, "<{}{}>{}", self.tag, self.attributes, self.inside);
        if !VOID.contains(&self.tag) {
            let _ = write!(html, "</{}>", self.tag);
        }
    }
}

fn push_escaped(html: &mut String, text: &str) {
    let end = text.char_indices().nth(MAX_TEXT_CHARS).map(|(at, _)| at);
    let kept = end.and_then(|end| text.get(..end)).unwrap_or(text);
    for c in escape(kept, Charset::Unicode).chars() {
        match c {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            c => html.push(c),
        }
    }
    if end.is_some() {
        html.push('…');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_values_cannot_leave_their_place() {
        let hostile = "</p><script>alert('x')</script>\" onload=\"&amp;\u{202e}\n";
        let shown = "&lt;/p&gt;&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&quot; onload=&quot;&amp;amp;\\u{202e}\\n";
        let html = el("p").attr("title", hostile).text(hostile).finish();
        assert_eq!(html, format!("<p title=\"{shown}\">{shown}</p>"));
    }

    #[test]
    fn lines_stay_lines_and_long_texts_are_cut() {
        assert_eq!(
            el("pre").lines("a: <1>\n  b").finish(),
            "<pre>a: &lt;1&gt;\n  b</pre>"
        );
        let long = el("p").text("ü".repeat(3000)).finish();
        assert_eq!(long.chars().count(), 2000 + 1 + "<p></p>".len());
    }

    #[test]
    fn paths_are_whole_and_nothing_else() {
        let path = "M1.5 -2L3 4H".repeat(500);
        assert_eq!(
            el("path").path(&path).finish(),
            format!("<path d=\"{path}\"></path>")
        );
        assert_eq!(el("path").path("M1\"><b>2").finish(), "<path d=\"M12\"></path>");
        let numbers = "7:3.1,2 ".repeat(500);
        assert_eq!(
            el("tr").numbers("data-n", &format!("{numbers}\"a=\"<")).finish(),
            format!("<tr data-n=\"{numbers}\"></tr>")
        );
    }

    #[test]
    fn numbers_that_are_none_draw_nothing_wrong() {
        let rect = el("rect").at([("x", f64::NAN), ("width", 10.04), ("height", f64::INFINITY)]);
        assert_eq!(rect.finish(), "<rect x=\"0\" width=\"10\" height=\"0\"></rect>");
    }
}
