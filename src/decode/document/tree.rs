//! Events of a parser to the objects of a document, one after the other.
//!
//! A document is a list of objects in an envelope (`configs` of Envoy, `items` of kubectl, a bare list of istioctl). Each object is built, given
//! away and forgotten, so that what is held does not grow with the document.

use super::facts::Spot;

/// Deeper levels are left out. Envoy's own configuration is some 25 levels deep.
pub(super) const DEPTH_MAX: usize = 100;

/// Values of one object that are kept: a route table of 4,000 hosts has some 200,000.
const VALUES_MAX: usize = 1 << 19;

/// Longest scalar that is kept; a chain of certificates is some 8 KiB. What is longer is no name.
const SCALAR_BYTES_MAX: usize = 64 << 10;

/// Members that nobody asks for and that can be larger than all the rest.
const LEFT_OUT: &[&str] = &[
    "managedfields",
    "httpfilters",
    "accesslog",
    "typedperfilterconfig",
    "typedextensionprotocoloptions",
    "requestheaderstoadd",
    "responseheaderstoadd",
    "kubectl.kubernetes.io/last-applied-configuration",
];

/// Members of a document that are read: of its envelope, and of an object that stands alone. Others may be large and say
/// nothing here.
const OF_A_DOCUMENT: &[&str] = &[
    "addressType",
    "apiVersion",
    "certificates",
    "cluster_statuses",
    "configs",
    "data",
    "endpoints",
    "items",
    "kind",
    "metadata",
    "ports",
    "services",
    "spec",
    "state",
    "status",
    "subsets",
    "uptime_current_epoch",
    "workloads",
];

/// A value with its line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Node {
    /// Line on which it begins; of the value of a member the line of its name.
    pub(super) line: Spot,
    /// What it is.
    pub(super) value: Value,
}

/// A value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// Text, a number or a truth value, as written; empty for none.
    Scalar(String),
    /// Members in their order.
    Map(Vec<(String, Node)>),
    /// Items in their order.
    List(Vec<Node>),
}

/// Names of members are written `max_requests` by Envoy and `maxRequests` by istioctl.
fn is_named(name: &str, wanted: &str) -> bool {
    fn letters(text: &str) -> impl Iterator<Item = u8> {
        text.bytes()
            .filter(|byte| *byte != b'_')
            .map(|byte| byte.to_ascii_lowercase())
    }
    name == wanted || letters(name).eq(letters(wanted))
}

impl Node {
    /// The first member of this name.
    pub(super) fn get(&self, name: &str) -> Option<&Self> {
        self.members()
            .iter()
            .find(|(member, _)| is_named(member, name))
            .map(|(_, node)| node)
    }

    /// What stands at the end of a path of members.
    pub(super) fn at(&self, path: &[&str]) -> Option<&Self> {
        path.iter().try_fold(self, |node, name| node.get(name))
    }

    /// Its members; none if it is no map.
    pub(super) fn members(&self) -> &[(String, Self)] {
        match &self.value {
            Value::Map(members) => members,
            _ => &[],
        }
    }

    /// Its items; none if it is no list.
    pub(super) fn items(&self) -> &[Self] {
        match &self.value {
            Value::List(items) => items,
            _ => &[],
        }
    }

    /// Its text, if it is a scalar that is not empty.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar(text) if !text.is_empty() => Some(text),
            _ => None,
        }
    }

    /// The text of a member.
    pub(super) fn text_of(&self, name: &str) -> Option<&str> {
        self.get(name)?.text()
    }

    /// The number that a member is.
    pub(super) fn number_of(&self, name: &str) -> Option<u64> {
        self.text_of(name)?.parse().ok()
    }

    /// The items of a member.
    pub(super) fn items_of(&self, name: &str) -> &[Self] {
        self.get(name).map_or(&[], Self::items)
    }
}

/// What a parser comes across.
#[derive(Clone, Copy, Debug)]
pub(super) enum Event<'t> {
    /// A map begins.
    Map,
    /// A list begins.
    List,
    /// What was begun last ends.
    End,
    /// A scalar, or the name of a member.
    Scalar(&'t str),
}

/// Where a value stands in its envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Role {
    /// The document, a map.
    Root,
    /// List of objects, with the name of the member that it is.
    Objects(String),
    /// List of Envoy's `configs`.
    Configs,
    /// One of them: its lists are lists of objects.
    Config,
    /// Part of an object.
    Part,
}

#[derive(Debug)]
struct Open {
    role: Role,
    line: Spot,
    is_map: bool,
    /// The name of the next value, in a map.
    name: Option<(String, Spot)>,
    /// True if it is the name of a member itself, which nobody writes but YAML allows.
    is_name: bool,
    members: Vec<(String, Node)>,
    items: Vec<Node>,
}

/// An object of the document: the member that lists it (empty: none) and what it is.
pub(super) type Found<'s> = dyn FnMut(&str, Node) + 's;

/// Where lines begin.
#[derive(Debug)]
pub(super) struct Starts {
    /// Of each line but the first, within the document.
    within: Vec<u32>,
    /// Of the document, within the input.
    base_bytes: u64,
}

impl Starts {
    pub(super) fn of(data: &[u8], base_bytes: u64) -> Self {
        let after = |at: usize| u32::try_from(at).unwrap_or(u32::MAX).saturating_add(1);
        Self {
            within: memchr::memchr_iter(b'\n', data).map(after).collect(),
            base_bytes,
        }
    }

    /// The line of a byte of the document.
    pub(super) fn at(&self, offset: usize) -> Spot {
        let before = |start: &u32| usize::try_from(*start).is_ok_and(|start| start <= offset);
        let line = self.within.partition_point(before);
        self.spot(u32::try_from(line).unwrap_or(u32::MAX))
    }

    /// A line by its number, from 0.
    pub(super) fn spot(&self, line: u32) -> Spot {
        let before = usize::try_from(line).ok().and_then(|line| line.checked_sub(1));
        let within = before.and_then(|before| self.within.get(before).or(self.within.last()));
        Spot {
            line,
            offset_bytes: self
                .base_bytes
                .saturating_add(u64::from(within.copied().unwrap_or(0))),
        }
    }
}

/// Builds the objects.
pub(super) struct Builder<'s> {
    found: &'s mut Found<'s>,
    open: Vec<Open>,
    /// Levels that are open and left out.
    out: usize,
    /// The next value is left out.
    skip_next: bool,
    values: usize,
    starts: &'s Starts,
    /// Something was left out because it was too deep or too large: the line.
    pub(super) left_out_at: Option<Spot>,
}

impl<'s> Builder<'s> {
    pub(super) fn new(found: &'s mut Found<'s>, starts: &'s Starts) -> Self {
        Self {
            found,
            starts,
            open: Vec::new(),
            out: 0,
            skip_next: false,
            values: 0,
            left_out_at: None,
        }
    }

    /// Forgets what is open: a new document begins.
    pub(super) fn restart(&mut self) {
        self.open.clear();
        self.out = 0;
        self.skip_next = false;
        self.values = 0;
    }

    /// Takes the next event, on `line` from 0.
    pub(super) fn event(&mut self, event: Event<'_>, line: u32) {
        let line = self.starts.spot(line);
        match event {
            Event::Map | Event::List => self.begin(matches!(event, Event::Map), line),
            Event::End => self.end(),
            Event::Scalar(text) => self.scalar(text, line),
        }
    }

    fn begin(&mut self, is_map: bool, line: Spot) {
        if self.out > 0 || self.skip_next {
            self.skip_next = false;
            self.out = self.out.saturating_add(1);
            return;
        }
        if self.open.len() >= DEPTH_MAX {
            self.left_out_at.get_or_insert(line);
            self.out = 1;
            // The member has a name and no value.
            if let Some(last) = self.open.last_mut() {
                last.name = None;
            }
            return;
        }
        let is_name = self
            .open
            .last()
            .is_some_and(|open| open.is_map && open.name.is_none());
        let role = if is_name { Role::Part } else { self.role(is_map) };
        let line = self
            .open
            .last()
            .and_then(|open| open.name.as_ref())
            .map_or(line, |(_, line)| *line);
        self.open.push(Open {
            role,
            line,
            is_map,
            name: None,
            is_name,
            members: Vec::new(),
            items: Vec::new(),
        });
    }

    fn role(&self, is_map: bool) -> Role {
        let Some(parent) = self.open.last() else {
            return if is_map {
                Role::Root
            } else {
                Role::Objects(String::new())
            };
        };
        let name = parent.name.as_ref().map_or("", |(name, _)| name.as_str());
        match (&parent.role, is_map) {
            (Role::Root, false) if name == "configs" => Role::Configs,
            (Role::Root, false)
                if matches!(
                    name,
                    "items" | "cluster_statuses" | "workloads" | "services" | "certificates"
                ) =>
            {
                Role::Objects(name.to_owned())
            }
            (Role::Configs, true) => Role::Config,
            (Role::Config, false) => Role::Objects(name.to_owned()),
            _ => Role::Part,
        }
    }

    fn end(&mut self) {
        if self.out > 0 {
            self.out = self.out.saturating_sub(1);
            return;
        }
        let Some(closed) = self.open.pop() else { return };
        let node = Node {
            line: closed.line,
            value: if closed.is_map {
                Value::Map(closed.members)
            } else {
                Value::List(closed.items)
            },
        };
        if closed.is_name {
            if let Some(parent) = self.open.last_mut() {
                parent.name = Some((String::new(), closed.line));
            }
            return;
        }
        match closed.role {
            Role::Root => self.give("", node),
            _ => self.put(node),
        }
    }

    fn give(&mut self, list: &str, node: Node) {
        self.values = 0;
        (self.found)(list, node);
    }

    fn scalar(&mut self, text: &str, line: Spot) {
        if self.out > 0 {
            return;
        }
        if std::mem::take(&mut self.skip_next) {
            return;
        }
        let Some(open) = self.open.last_mut() else { return };
        if open.is_map && open.name.is_none() {
            let is_asked_for = open.role != Role::Root || OF_A_DOCUMENT.contains(&text);
            if !is_asked_for || LEFT_OUT.iter().any(|name| is_named(text, name)) {
                self.skip_next = true;
            } else {
                open.name = Some((bounded(text), line));
            }
            return;
        }
        let line = open.name.as_ref().map_or(line, |(_, line)| *line);
        self.put(Node {
            line,
            value: Value::Scalar(bounded(text)),
        });
    }

    /// Puts a value where it belongs, or gives it away if it is an object.
    fn put(&mut self, node: Node) {
        let Some(open) = self.open.last_mut() else { return };
        let name = open.name.take().map(|(name, _)| name).unwrap_or_default();
        match &open.role {
            Role::Objects(list) => {
                let list = list.clone();
                return self.give(&list, node);
            }
            Role::Config if matches!(node.value, Value::Map(_)) => return self.give(&name, node),
            // The envelope holds its lists no longer.
            Role::Configs | Role::Config => return,
            Role::Root | Role::Part => {}
        }
        self.values = self.values.saturating_add(1);
        if self.values > VALUES_MAX {
            self.left_out_at.get_or_insert(node.line);
        } else if open.is_map {
            open.members.push((name, node));
        } else {
            open.items.push(node);
        }
    }
}

fn bounded(text: &str) -> String {
    if text.len() > SCALAR_BYTES_MAX {
        String::new()
    } else {
        text.to_owned()
    }
}
