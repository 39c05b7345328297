//! Templates: `{name}` stands for a name out of the logs; `{{name}}` writes `{name}`.
//!
//! Names come from logs and are hostile until proven otherwise: each is quoted for the place where it lands.
//! A name that is not known is written `<name>`, to be filled in by the reader.

use std::borrow::Cow;

/// The names that a template may ask for; `None` where the logs do not tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Placeholders {
    /// Calling workload.
    pub source: Option<String>,
    /// A pod of the calling workload.
    pub source_pod: Option<String>,
    /// Called workload or service.
    pub destination: Option<String>,
    /// A pod of the called workload.
    pub destination_pod: Option<String>,
    /// Namespace of the destination.
    pub namespace: Option<String>,
    /// Kubernetes service.
    pub service: Option<String>,
    /// Host (authority).
    pub host: Option<String>,
    /// Port.
    pub port: Option<String>,
    /// Envoy cluster.
    pub cluster: Option<String>,
    /// Path of a request.
    pub path: Option<String>,
    /// Subset of a destination rule.
    pub subset: Option<String>,
    /// Node.
    pub node: Option<String>,
}

impl Placeholders {
    /// The names of all placeholders.
    pub const NAMES: [&'static str; 12] = [
        "cluster",
        "destination",
        "destination_pod",
        "host",
        "namespace",
        "node",
        "path",
        "port",
        "service",
        "source",
        "source_pod",
        "subset",
    ];

    /// The value of a placeholder; the outer `None` means that there is no such placeholder.
    #[expect(
        clippy::option_option,
        reason = "an unknown name and an unknown value are answered differently"
    )]
    fn value(&self, name: &str) -> Option<Option<&str>> {
        let value = match name {
            "cluster" => &self.cluster,
            "destination" => &self.destination,
            "destination_pod" => &self.destination_pod,
            "host" => &self.host,
            "namespace" => &self.namespace,
            "node" => &self.node,
            "path" => &self.path,
            "port" => &self.port,
            "service" => &self.service,
            "source" => &self.source,
            "source_pod" => &self.source_pod,
            "subset" => &self.subset,
            _ => return None,
        };
        Some(value.as_deref())
    }
}

/// Puts names into prose, as they are.
pub fn fill(template: &str, names: &Placeholders) -> String {
    fill_with(template, names, Cow::Borrowed)
}

/// Puts names into a shell command: what holds anything but `[A-Za-z0-9._:/@-]` is single-quoted (POSIX shell,
/// section 2.2.2).
pub fn fill_command(template: &str, names: &Placeholders) -> String {
    fill_with(template, names, quote_shell)
}

/// Puts names into a YAML manifest: anything but a plain word is double-quoted with its escapes (YAML 1.2.2,
/// section 7.3.1).
pub fn fill_yaml(template: &str, names: &Placeholders) -> String {
    fill_with(template, names, quote_yaml)
}

/// Puts names into a display filter; bytes that could end a word of the filter are left out.
pub fn fill_filter(template: &str, names: &Placeholders) -> String {
    fill_with(template, names, |value| {
        if value.bytes().all(is_plain) {
            Cow::Borrowed(value)
        } else {
            value
                .chars()
                .filter(|c| c.is_ascii() && is_plain(*c as u8))
                .collect()
        }
    })
}

/// The first placeholder of the template that does not exist.
pub(super) fn unknown_placeholder(template: &str) -> Option<&str> {
    let names = Placeholders::default();
    pieces(template).find_map(|piece| match piece {
        Piece::Name(name) if names.value(name).is_none() => Some(name),
        _ => None,
    })
}

/// The first placeholder of a command that stands inside quotes, where its own quotes would end them.
pub(super) fn quoted_placeholder(command: &str) -> Option<&str> {
    let mut open: Option<char> = None;
    pieces(command).find_map(|piece| match piece {
        Piece::Name(name) if open.is_some() => Some(name),
        Piece::Name(_) => None,
        Piece::Text(text) => {
            open = text.chars().fold(open, quote_after);
            None
        }
    })
}

/// The quote that is open after a character. Backslashes are not looked at: a template needs none before a
/// quote that matters here.
fn quote_after(open: Option<char>, c: char) -> Option<char> {
    match open {
        None if c == '\'' || c == '"' => Some(c),
        Some(quote) if quote == c => None,
        _ => open,
    }
}

fn fill_with<'value>(
    template: &str,
    names: &'value Placeholders,
    quote: impl Fn(&'value str) -> Cow<'value, str>,
) -> String {
    let mut out = String::with_capacity(template.len() + 32);
    for piece in pieces(template) {
        match piece {
            Piece::Text(text) => out.push_str(text),
            Piece::Name(name) => match names.value(name).flatten() {
                Some(value) if !value.is_empty() => out.push_str(&quote(value)),
                _ => push_unknown(&mut out, name),
            },
        }
    }
    out
}

fn push_unknown(out: &mut String, name: &str) {
    out.push('<');
    out.extend(name.chars().map(|c| if c == '_' { '-' } else { c }));
    out.push('>');
}

/// A run of a template.
enum Piece<'template> {
    Text(&'template str),
    Name(&'template str),
}

fn pieces(template: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = template;
    std::iter::from_fn(move || {
        let (piece, after) = next_piece(rest)?;
        rest = after;
        Some(piece)
    })
}

/// The first piece and what follows it.
fn next_piece(rest: &str) -> Option<(Piece<'_>, &str)> {
    if rest.is_empty() {
        return None;
    }
    if let Some((name, after)) = braced(rest) {
        return Some((Piece::Name(name), after));
    }
    if let Some((_, after)) = rest.strip_prefix('{').and_then(braced)
        && let Some(after) = after.strip_prefix('}')
    {
        // `{{name}}`: the inner braces are text.
        let inner_bytes = rest.len() - after.len() - 1;
        return Some((Piece::Text(rest.get(1..inner_bytes).unwrap_or_default()), after));
    }
    let first_bytes = rest.chars().next().map_or(0, char::len_utf8);
    let text_bytes = rest
        .get(first_bytes..)
        .and_then(|tail| tail.find('{'))
        .map_or(rest.len(), |at| at + first_bytes);
    rest.split_at_checked(text_bytes)
        .map(|(text, after)| (Piece::Text(text), after))
}

/// `{name}` at the start of the text, where a name is of lower-case letters and `_`.
fn braced(text: &str) -> Option<(&str, &str)> {
    let (name, after) = text.strip_prefix('{')?.split_once('}')?;
    let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    is_name.then_some((name, after))
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"._:/@-".contains(&byte)
}

/// Quotes for a POSIX shell. A leading `-` is quoted too, although quotes do not keep a program from taking it
/// for an option: no name of Kubernetes begins with one, and the reader should stumble.
fn quote_shell(value: &str) -> Cow<'_, str> {
    if value.bytes().all(is_plain) && !value.starts_with('-') {
        return Cow::Borrowed(value);
    }
    let mut out = String::with_capacity(value.len() + 2);
    out.push('\'');
    for c in value.chars() {
        match c {
            '\'' => out.push_str(r"'\''"),
            // A control character in a quoted word is still sent to the terminal that shows the command.
            c if c.is_control() => out.push('?'),
            c => out.push(c),
        }
    }
    out.push('\'');
    Cow::Owned(out)
}

/// Quotes for YAML. Words that YAML would read as something else than text (numbers, `no`) are quoted by the
/// template where it matters; here only what could break out of a scalar counts.
fn quote_yaml(value: &str) -> Cow<'_, str> {
    let plain = value
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b"._/-".contains(&b));
    if plain && value.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return Cow::Borrowed(value);
    }
    let mut out = String::with_capacity(value.len() + 2);
    out.push('"');
    for c in value.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => out.push('?'),
            c => out.push(c),
        }
    }
    out.push('"');
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn names(host: &str) -> Placeholders {
        Placeholders {
            host: Some(host.to_owned()),
            port: Some("9080".to_owned()),
            ..Placeholders::default()
        }
    }

    #[test]
    fn prose() {
        let cases = [
            ("{host}:{port} is down", "reviews:9080 is down"),
            ("from {source_pod}", "from <source-pod>"),
            ("{{connection_termination}}", "{connection_termination}"),
            ("a {{host}} b {host}", "a {host} b reviews"),
            (
                "jsonpath='{.spec.nodeName}' [{}] {",
                "jsonpath='{.spec.nodeName}' [{}] {",
            ),
            ("{{{host}}}", "{{host}}"),
            ("", ""),
            ("ä{host}ö", "äreviewsö"),
        ];
        for (template, expected) in cases {
            assert_eq!(fill(template, &names("reviews")), expected, "{template}");
        }
    }

    #[test]
    fn unknown_names_are_found() {
        assert_eq!(unknown_placeholder("{host} {hosts} {port}"), Some("hosts"));
        assert_eq!(unknown_placeholder("{{hosts}} {host} {Upper} {}"), None);
        for name in Placeholders::NAMES {
            assert_eq!(unknown_placeholder(&format!("{{{name}}}")), None, "{name}");
        }
    }

    #[test]
    fn placeholders_inside_quotes_are_found() {
        let cases = [
            ("get {host} -o 'x' {port}", None),
            ("sh -c 'nc {host}'", Some("host")),
            ("sh -c \"it's {port}\"", Some("port")),
            ("echo \"a'b\" {host}", None),
            ("jq '{{host}}' {port}", None),
        ];
        for (command, expected) in cases {
            assert_eq!(quoted_placeholder(command), expected, "{command}");
        }
    }

    #[test]
    fn each_place_has_its_quotes() {
        let hostile = names("a'; rm -rf \"$HOME\" #\n");
        assert_eq!(
            fill_command("curl {host}:{port}", &hostile),
            "curl 'a'\\''; rm -rf \"$HOME\" #?':9080"
        );
        assert_eq!(
            fill_yaml("host: {host}", &hostile),
            "host: \"a'; rm -rf \\\"$HOME\\\" #?\""
        );
        assert_eq!(
            fill_filter("ip.addr == {host}", &hostile),
            "ip.addr == arm-rfHOME"
        );
        assert_eq!(
            fill_command("get {host}", &names("reviews.default.svc:80/x@y-z")),
            "get reviews.default.svc:80/x@y-z"
        );
        assert_eq!(fill_command("get {host}", &names("--all")), "get '--all'");
        assert_eq!(fill_command("get {host}", &names("")), "get <host>");
    }

    /// What a POSIX shell makes of one word, or `None` where it is not one word.
    fn unquote(word: &str) -> Option<String> {
        let mut out = String::new();
        let mut chars = word.chars();
        while let Some(c) = chars.next() {
            match c {
                '\'' => loop {
                    match chars.next()? {
                        '\'' => break,
                        inner => out.push(inner),
                    }
                },
                '\\' => out.push(chars.next()?),
                c if c.is_ascii() && is_plain(c as u8) => out.push(c),
                _ => return None,
            }
        }
        Some(out)
    }

    proptest! {
        #[test]
        fn a_shell_sees_one_word(value in ".{1,40}") {
            let shown: String = value.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
            prop_assert_eq!(unquote(&fill_command("{host}", &names(&value))), Some(shown));
        }

        #[test]
        fn no_template_breaks_it(template in ".{0,60}") {
            let filled = fill(&template, &Placeholders::default());
            prop_assert!(filled.len() <= template.len());
        }
    }
}
