//! Templates: `{name}` stands for a name out of the logs; `{{name}}` writes `{name}`.
//!
//! Names come from logs and are hostile until proven otherwise: each is quoted for the place where it lands.
//! A name that is not known is written `<name>`, to be filled in by the reader; a command or manifest that asks for one that
//! cannot be there is left out.

use std::borrow::Cow;

/// What is known of a name that a template asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Name {
    /// It is known.
    Known(String),
    /// There are several of them, and all are meant.
    Several(Vec<String>),
    /// There is one, and the logs do not tell it.
    #[default]
    Unknown,
    /// There is none, as an external host has no namespace: what asks for it does not apply.
    Absent,
}

impl Name {
    /// This name if it is told, else the other.
    #[must_use]
    pub fn or_else(self, other: impl FnOnce() -> Self) -> Self {
        match self {
            Self::Unknown => other(),
            told => told,
        }
    }

    /// The names themselves.
    fn values(&self) -> &[String] {
        match self {
            Self::Known(value) => std::slice::from_ref(value),
            Self::Several(values) => values,
            Self::Unknown | Self::Absent => &[],
        }
    }
}

impl From<Option<String>> for Name {
    fn from(value: Option<String>) -> Self {
        value
            .filter(|value| !value.is_empty())
            .map_or(Self::Unknown, Self::Known)
    }
}

impl From<&str> for Name {
    fn from(value: &str) -> Self {
        Self::from(Some(value.to_owned()))
    }
}

/// Declares [`Placeholders`] with their names and how they are found by these.
macro_rules! placeholders {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// The names that a template may ask for.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct Placeholders {
            $($(#[$doc])* pub $name: Name,)*
        }

        impl Placeholders {
            /// The names of all placeholders.
            pub const NAMES: &'static [&'static str] = &[$(stringify!($name)),*];

            /// What is known of a placeholder; `None` if there is no such placeholder.
            fn get(&self, name: &str) -> Option<&Name> {
                match name {
                    $(stringify!($name) => Some(&self.$name),)*
                    _ => None,
                }
            }
        }
    };
}

placeholders! {
    /// Address and port of a called pod, as its caller's proxy connects to it.
    address,
    /// Envoy cluster.
    cluster,
    /// Called workload or service, for prose.
    destination,
    /// A pod of the called workload.
    destination_pod,
    /// Address that is no pod's and no service's.
    external_address,
    /// Host outside of the mesh.
    external_host,
    /// Whole name of the called service or host.
    fqdn,
    /// Host (authority).
    host,
    /// The address of [`Self::address`] alone.
    ip,
    /// Namespace of the destination.
    namespace,
    /// Node.
    node,
    /// Path of a request.
    path,
    /// Port of the called pod, which need not be that of its service.
    pod_port,
    /// Port of the called service.
    port,
    /// What is spoken at the port, as a `ServiceEntry` names it.
    protocol,
    /// The same path as it is routed.
    routed_path,
    /// Kubernetes service.
    service,
    /// Calling workload, for prose.
    source,
    /// Namespace of the caller.
    source_namespace,
    /// A pod of the calling workload.
    source_pod,
    /// Identity of the caller, as policies name it: a SPIFFE id without its scheme.
    source_principal,
    /// Calling workload as `kind/name`.
    source_workload,
    /// Subset of a destination rule.
    subset,
    /// Called workloads as `kind/name`.
    workload,
}

/// True if all that the template asks for can be there; what asks for an absent name does not apply.
pub(super) fn applies(template: &str, names: &Placeholders) -> bool {
    asked(template, names).all(|name| *name != Name::Absent)
}

/// True if all that the template asks for is known.
pub(super) fn is_known(template: &str, names: &Placeholders) -> bool {
    asked(template, names).all(|name| !name.values().is_empty())
}

fn asked<'names>(template: &str, names: &'names Placeholders) -> impl Iterator<Item = &'names Name> {
    pieces(template).filter_map(|piece| match piece {
        Piece::Name(name) => names.get(name),
        Piece::Text(_) => None,
    })
}

/// Puts names into prose, as they are.
pub fn fill(template: &str, names: &Placeholders) -> String {
    fill_with(template, names, ", ", Cow::Borrowed)
}

/// Puts names into a shell command: what holds anything but `[A-Za-z0-9._:/@-]` is single-quoted (POSIX shell,
/// section 2.2.2).
pub fn fill_command(template: &str, names: &Placeholders) -> String {
    fill_with(template, names, " ", quote_shell)
}

/// Puts names into a YAML manifest: anything but a plain word is double-quoted with its escapes (YAML 1.2.2,
/// section 7.3.1).
pub fn fill_yaml(template: &str, names: &Placeholders) -> String {
    fill_with(template, names, ", ", quote_yaml)
}

/// Puts names into a display filter; bytes that could end a word of the filter are left out.
pub fn fill_filter(template: &str, names: &Placeholders) -> String {
    fill_with(template, names, " ", |value| {
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
        Piece::Name(name) if names.get(name).is_none() => Some(name),
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
    gap: &str,
    quote: impl Fn(&'value str) -> Cow<'value, str>,
) -> String {
    let mut out = String::with_capacity(template.len() + 32);
    for piece in pieces(template) {
        match piece {
            Piece::Text(text) => out.push_str(text),
            Piece::Name(name) => match names.get(name).map(Name::values) {
                None | Some([]) => push_unknown(&mut out, name),
                Some(values) => {
                    for (at, value) in values.iter().enumerate() {
                        out.push_str(if at == 0 { "" } else { gap });
                        out.push_str(&quote(value));
                    }
                }
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
            host: host.into(),
            port: "9080".into(),
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

    #[test]
    fn several_names_are_words_of_their_own() {
        let names = Placeholders {
            workload: Name::Several(vec!["deployment/a".to_owned(), "deployment/b c".to_owned()]),
            ..Placeholders::default()
        };
        assert_eq!(
            fill_command("kubectl rollout restart {workload} -n {namespace}", &names),
            "kubectl rollout restart deployment/a 'deployment/b c' -n <namespace>"
        );
        assert_eq!(
            fill("restart {workload}", &names),
            "restart deployment/a, deployment/b c"
        );
    }

    #[test]
    fn what_asks_for_an_absent_name_does_not_apply() {
        let names = Placeholders {
            namespace: Name::Absent,
            port: "443".into(),
            ..Placeholders::default()
        };
        assert!(!applies("get pods -n {namespace}", &names));
        assert!(
            applies("get {service} {port} {{namespace}}", &names),
            "unknown is no reason"
        );
        assert!(is_known("tcp.port == {port}", &names) && !is_known("{port} {service}", &names));
        assert_eq!(Name::Absent.or_else(|| "x".into()), Name::Absent);
        assert_eq!(Name::Unknown.or_else(|| "x".into()), Name::Known("x".to_owned()));
        assert_eq!(Name::from(""), Name::Unknown);
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
