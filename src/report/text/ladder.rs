//! One request through every input: participants are columns, time runs down.

use super::clock::date;
use super::number::{counted, group};
use super::page::{Line, Page, Role};
use super::wrap::{cut_end, wrap};
use crate::follow::trace::{Connection, Event, EventKind, Trace};
use crate::units::Timestamp;

/// Columns of the time.
const TIME_COLUMNS: usize = 15;

/// The least columns for what happened.
const TEXT_COLUMNS_MIN: usize = 26;

/// Lines that one event may take.
const EVENT_LINES: usize = 3;

/// Connections that are listed of those found by address and time alone: requests may share none of them.
const GUESSED_CONNECTIONS: usize = 3;

/// The whole ladder.
pub(super) fn ladder(trace: &Trace, page: &mut Page) {
    title(trace, page);
    participants(trace, page);
    connections(trace, page);
    events(trace, page);
    left_out(trace, page);
}

fn title(trace: &Trace, page: &mut Page) {
    let what = match (&trace.request_id, &trace.connection) {
        (Some(id), _) => format!("request {id}"),
        (None, Some(connection)) => format!("connection {connection}"),
        (None, None) => String::new(),
    };
    let first = trace.events.iter().find_map(|event| event.time);
    let day = first
        .map(|time| format!("{} UTC", date(time)))
        .unwrap_or_default();
    let line = page.line().push(Role::Strong, &what);
    page.put_with_right(line, Role::Faint, &day);
}

fn participants(trace: &Trace, page: &mut Page) {
    page.blank();
    for (at, participant) in trace.participants.iter().enumerate() {
        let mut text = participant.name.clone();
        if participant.kind == "proxy" {
            text.push_str(", proxy");
        }
        let line = page
            .line()
            .pad_to(2)
            .push(Role::Strong, &(at + 1).to_string())
            .plain("  ")
            .plain(&text);
        let line = match &participant.address {
            Some(address) if *address != participant.name => line.push(Role::Faint, &format!("  {address}")),
            _ => line,
        };
        page.put(line);
    }
    let inputs: Vec<String> = trace
        .inputs
        .iter()
        .map(|(id, path)| format!("{id} {path}"))
        .collect();
    let text = format!("inputs: {}", inputs.join(", "));
    page.wrapped(2, Role::Faint, &text);
}

fn connections(trace: &Trace, page: &mut Page) {
    if trace.connections.is_empty() {
        return;
    }
    page.blank();
    let mut guessed = 0_usize;
    for (at, connection) in trace.connections.iter().enumerate() {
        guessed += usize::from(!connection.exact);
        if !connection.exact && guessed > GUESSED_CONNECTIONS {
            continue;
        }
        let Connection {
            client,
            server,
            from,
            to,
            ..
        } = connection;
        let line = page
            .line()
            .pad_to(2)
            .plain(&format!("{} → {}  {client} → {server}", from + 1, to + 1));
        let listed = trace
            .events
            .iter()
            .filter(|event| event.connection == Some(at))
            .count();
        let packets: u64 = connection.captured.iter().map(|captured| captured.packets).sum();
        let of = format!("{listed} of {}", counted(packets, "packet"));
        let note = match (connection.captured.is_empty(), connection.exact) {
            (true, _) => "not captured".to_owned(),
            (false, true) => of,
            (false, false) => format!("{of}, by address and time"),
        };
        page.put_with_right(line, Role::Faint, &note);
    }
    if let Some(more @ 1..) = guessed.checked_sub(GUESSED_CONNECTIONS) {
        let text = format!("{} {more} more, by address and time", page.ellipsis());
        let line = page.line().pad_to(9).push(Role::Faint, &text);
        page.put(line);
    }
}

/// Where columns stand.
struct Lanes {
    left: usize,
    gap: usize,
    count: usize,
    unicode: bool,
}

impl Lanes {
    fn new(trace: &Trace, page: &Page) -> Self {
        let count = trace.participants.len().max(1);
        let places = trace
            .events
            .iter()
            .map(|event| place(event).len())
            .max()
            .unwrap_or(0);
        let left = TIME_COLUMNS + 2 + places + 1;
        let room = page.width().saturating_sub(left + TEXT_COLUMNS_MIN);
        Self {
            left,
            gap: (room / count).clamp(3, 14),
            count,
            unicode: page.style().unicode,
        }
    }

    fn text_column(&self) -> usize {
        self.left + self.gap * self.count + 1
    }

    fn lane(&self, at: usize) -> usize {
        self.gap * at + self.gap / 2
    }

    /// The columns, with an arrow for an event.
    fn draw(&self, event: Option<&Event>) -> String {
        let packet = event.is_some_and(|event| event.kind == EventKind::Packet);
        let (bar, stroke, dot) = match (self.unicode, packet) {
            (true, true) => ('│', '─', '●'),
            (true, false) => ('│', '═', '●'),
            (false, true) => ('|', '-', '*'),
            (false, false) => ('|', '=', '*'),
        };
        let mut cells = vec![' '; self.gap * self.count];
        for at in 0..self.count {
            if let Some(cell) = cells.get_mut(self.lane(at)) {
                *cell = bar;
            }
        }
        let Some(event) = event else {
            return cells.into_iter().collect();
        };
        let (from, to) = (self.lane(event.from), self.lane(event.to));
        if from == to {
            if let Some(cell) = cells.get_mut(from) {
                *cell = dot;
            }
        } else {
            for column in from.min(to) + 1..from.max(to) {
                if let Some(cell) = cells.get_mut(column) {
                    *cell = stroke;
                }
            }
            let head = if from < to { to.saturating_sub(1) } else { to + 1 };
            if let Some(cell) = cells.get_mut(head) {
                *cell = if from < to { '>' } else { '<' };
            }
        }
        cells.into_iter().collect()
    }
}

/// Where an event stands, as `--ref` takes it.
fn place(event: &Event) -> String {
    match (event.line, event.frame) {
        (Some(line), _) => format!("{}:{line}", event.input.0),
        (_, Some(frame)) => format!("{}#{frame}", event.input.0),
        _ => event.input.0.to_string(),
    }
}

fn events(trace: &Trace, page: &mut Page) {
    let lanes = Lanes::new(trace, page);
    page.blank();
    let numbers: String = {
        let mut cells = vec![' '; lanes.gap * lanes.count];
        for at in 0..lanes.count {
            let text = (at + 1).to_string();
            let start = lanes.lane(at).saturating_sub(text.len() - 1);
            for (offset, digit) in text.chars().enumerate() {
                if let Some(cell) = cells.get_mut(start + offset) {
                    *cell = digit;
                }
            }
        }
        cells.into_iter().collect()
    };
    let head = page
        .line()
        .push(Role::Faint, "time")
        .pad_to(TIME_COLUMNS + 2)
        .push(Role::Faint, "place")
        .pad_to(lanes.left)
        .push(Role::Strong, &numbers);
    page.put(head);
    let room = page.width().saturating_sub(lanes.text_column());
    let mut rest = trace.events.as_slice();
    while let Some((event, after)) = rest.split_first() {
        let run = data_run(event, after);
        rest = after.get(run.len()..).unwrap_or_default();
        let role = match event.kind {
            EventKind::Request | EventKind::Response => Role::Strong,
            EventKind::Packet => Role::Plain,
            EventKind::Line => Role::Warning,
        };
        let told = if run.is_empty() {
            event.text.clone()
        } else {
            run_text(event, run)
        };
        let shown = page.shown(&told).into_owned();
        let lines = match event.kind {
            EventKind::Packet => 1,
            _ => EVENT_LINES,
        };
        for (at, part) in bounded(&shown, room, lines, page.ellipsis()).iter().enumerate() {
            let (line, drawn) = if at == 0 {
                (left(event, page), lanes.draw(Some(event)))
            } else {
                (page.line(), lanes.draw(None))
            };
            let line = line
                .pad_to(lanes.left)
                .plain(&drawn)
                .pad_to(lanes.text_column())
                .push(role, part);
            page.put(line);
        }
    }
}

/// The packets right after `event` that show nothing but data, as it does, the same way on the same connection.
pub(in crate::report) fn data_run<'e>(event: &Event, after: &'e [Event]) -> &'e [Event] {
    let alike = |other: &&Event| {
        event.data_bytes.is_some()
            && other.data_bytes.is_some()
            && (other.from, other.to, other.connection, other.input)
                == (event.from, event.to, event.connection, event.input)
    };
    let length = after.iter().take_while(alike).count();
    after.get(..length).unwrap_or_default()
}

/// `28 packets, 81,640 bytes, until 16:53:36.982117`.
pub(in crate::report) fn run_text(event: &Event, run: &[Event]) -> String {
    let of = |event: &Event| u64::from(event.data_bytes.unwrap_or(0));
    let bytes = run.iter().map(of).fold(of(event), u64::saturating_add);
    let packets = u64::try_from(run.len()).unwrap_or(u64::MAX).saturating_add(1);
    let until = run.last().map(of_day).unwrap_or_default();
    format!(
        "{} packets, {} bytes, until {until}",
        group(packets),
        group(bytes)
    )
}

/// `text` in at most so many lines, the last of them cut where there is more; at least one.
fn bounded(text: &str, columns: usize, lines: usize, ellipsis: &str) -> Vec<String> {
    let mut parts = wrap(text, columns);
    if parts.len() > lines {
        let rest = parts
            .drain(lines.saturating_sub(1)..)
            .collect::<Vec<_>>()
            .join(" ");
        parts.push(cut_end(&rest, columns, ellipsis));
    }
    if parts.is_empty() {
        parts.push(String::new());
    }
    parts
}

/// Time and place.
fn left(event: &Event, page: &Page) -> Line {
    page.line()
        .plain(&of_day(event))
        .pad_to(TIME_COLUMNS + 2)
        .push(Role::Faint, &place(event))
}

/// As fine as the input has it: rows tell milliseconds.
pub(in crate::report) fn of_day(event: &Event) -> String {
    let digits = if event.frame.is_some() { 15 } else { 12 };
    let text = event.time.as_ref().map(Timestamp::to_string).unwrap_or_default();
    text.get(11..11 + digits).unwrap_or("no time").to_owned()
}

fn left_out(trace: &Trace, page: &mut Page) {
    if let Some(note) = not_listed(trace) {
        page.blank();
        page.wrapped(2, Role::Faint, &note);
    }
}

/// What happened besides and is only counted, if there is any.
pub(in crate::report) fn not_listed(trace: &Trace) -> Option<String> {
    let mut notes: Vec<String> = Vec::new();
    let sum = |of: fn(&crate::follow::trace::Captured) -> u64| -> u64 {
        trace.connections.iter().flat_map(|c| &c.captured).map(of).sum()
    };
    for (count, what) in [
        (sum(|c| c.outside), "packets of these connections at other times"),
        (sum(|c| c.bare_acknowledgments), "acknowledgments without data"),
        (sum(|c| c.left_out), "packets beyond what is kept of a connection"),
        (trace.rows_left_out, "rows beyond what is kept"),
        (trace.lines_left_out, "component lines beyond what is kept"),
    ] {
        if count > 0 {
            notes.push(format!("{} {what}", group(count)));
        }
    }
    (!notes.is_empty()).then(|| format!("not listed: {}", notes.join(", ")))
}
