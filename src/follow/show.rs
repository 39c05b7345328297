//! Cited places as they stand in the inputs, with what stands around them.

use super::cited::Cited;
use super::frame::{FlowId, Frame, Numbering, connection_filter};
use super::reference::{Place, resolve};
use super::{Opened, open, text_of};
use crate::decode::log::Layouts;
use crate::decode::packet::PacketBlock;
use crate::input::{BlockReader, Source, lines_of};
use crate::pipeline::capture_reader::CaptureReader;
use crate::units::InputId;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

/// The value of [`Shown::schema`].
pub const SCHEMA: &str = "postmesh.show/1";

/// Bytes of lines that are kept in all.
const MAX_TEXT_BYTES: usize = 64 << 20;

/// Frames of all connections of a capture that are kept in case the next one is cited.
const MAX_RECENT_FRAMES: usize = 1 << 17;

/// Connections of a capture that are remembered at a time.
const MAX_FLOWS: usize = 1 << 16;

/// What was asked for, as it stands in the inputs.
#[derive(Clone, Debug, Serialize)]
pub struct Shown {
    /// Always [`SCHEMA`].
    pub schema: &'static str,
    /// Runs of lines and frames, by input, then by line or first frame.
    pub excerpts: Vec<Excerpt>,
    /// What could not be found.
    pub unresolved: Vec<Unresolved>,
    /// Lines that were left out because there was too much to keep.
    pub lines_left_out: u64,
}

/// A place that could not be found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unresolved {
    /// As a report writes it.
    pub reference: String,
    /// Why, one line.
    pub why: String,
}

/// Cited places of one input that stand together.
#[derive(Clone, Debug, Serialize)]
pub struct Excerpt {
    /// Number of the input.
    pub input: InputId,
    /// Its name.
    pub path: String,
    /// What the report says that these places show; empty if nobody said.
    pub says: Vec<String>,
    /// Lines of a log; empty for a capture.
    pub lines: Vec<ShownLine>,
    /// Connection or exchange of the frames: client, or sender of the first one.
    pub client: Option<String>,
    /// The other side.
    pub server: Option<String>,
    /// Display filter of Wireshark for the connection.
    pub wireshark: Option<String>,
    /// Frames of a capture; empty for a log.
    pub frames: Vec<ShownFrame>,
}

/// A line.
#[derive(Clone, Debug, Serialize)]
pub struct ShownLine {
    /// Its number, from 1.
    pub line: u64,
    /// True if it was asked for; else it is context.
    pub cited: bool,
    /// Without its line end; bytes that are not UTF-8 as `\xNN`.
    pub text: String,
}

/// A frame.
#[derive(Clone, Debug, Serialize)]
pub struct ShownFrame {
    /// True if it was asked for; else it is context.
    pub cited: bool,
    /// The frame.
    #[serde(flatten)]
    pub frame: Frame,
}

/// Finds `wanted` in `sources`, with `context` lines, or frames of the same connection, before and after each.
///
/// Opens the inputs that are named and no others, each once, and reads no further than to the last place asked for.
pub fn show(sources: &[Source], wanted: &[Cited], context: usize) -> Shown {
    let mut shown = Shown {
        schema: SCHEMA,
        excerpts: Vec::new(),
        unresolved: Vec::new(),
        lines_left_out: 0,
    };
    let mut by_input: BTreeMap<InputId, (&Source, BTreeMap<Place, BTreeSet<String>>)> = BTreeMap::new();
    for cited in wanted {
        match resolve(&cited.reference.input, sources) {
            Ok(source) => {
                let (_, places) = by_input.entry(source.id).or_insert((source, BTreeMap::new()));
                let says = places.entry(cited.reference.place).or_default();
                if !cited.says.is_empty() {
                    says.insert(cited.says.clone());
                }
            }
            Err(why) => shown.miss(&cited.reference.input, cited.reference.place, &why),
        }
    }
    let mut budget = MAX_TEXT_BYTES;
    for (source, places) in by_input.into_values() {
        shown.of_input(source, places, context, &mut budget);
    }
    shown.unresolved.sort_by(|a, b| a.reference.cmp(&b.reference));
    shown.unresolved.dedup();
    shown
}

impl Shown {
    fn miss(&mut self, input: &str, place: Place, why: &str) {
        let reference = super::reference::Reference {
            input: input.to_owned(),
            place,
        };
        self.unresolved.push(Unresolved {
            reference: reference.to_string(),
            why: why.to_owned(),
        });
    }

    fn of_input(
        &mut self,
        source: &Source,
        places: BTreeMap<Place, BTreeSet<String>>,
        context: usize,
        budget: &mut usize,
    ) {
        let name = &source.display_path;
        let (mut lines, mut frames) = (BTreeMap::new(), BTreeMap::new());
        for (place, says) in places {
            match place {
                Place::Line(line) => lines.insert(line, says),
                Place::Frame(frame) => frames.insert(frame, says),
            };
        }
        let missed: Vec<(Place, String)> = match open(source, &Layouts::default()) {
            Err(error) => lines
                .keys()
                .map(|line| Place::Line(*line))
                .chain(frames.keys().map(|frame| Place::Frame(*frame)))
                .map(|place| (place, format!("{name}: {error}")))
                .collect(),
            Ok(Opened::Log(reader)) => {
                let last = self.lines(source, *reader, &lines, context, budget);
                let beyond = lines
                    .range(last.saturating_add(1)..)
                    .map(|(line, _)| (Place::Line(*line), format!("{name} has {last} lines")));
                let wrong = frames
                    .keys()
                    .map(|frame| (Place::Frame(*frame), format!("{name} is a log: it has lines")));
                beyond.chain(wrong).collect()
            }
            Ok(Opened::Capture(reader)) => {
                let (missing, last) = self.frames(source, *reader, &frames, context);
                let absent = missing.into_iter().map(|frame| {
                    let why = if frame > last {
                        format!("{name} has {last} frames that could be read")
                    } else {
                        format!("{name}: this frame holds no packet")
                    };
                    (Place::Frame(frame), why)
                });
                let wrong = lines.keys().map(|line| {
                    (
                        Place::Line(*line),
                        format!("{name} is a capture: write '{name} frame {line}'"),
                    )
                });
                absent.chain(wrong).collect()
            }
            Ok(Opened::Other(what)) => lines
                .keys()
                .map(|line| Place::Line(*line))
                .chain(frames.keys().map(|frame| Place::Frame(*frame)))
                .map(|place| (place, format!("{name} {what}")))
                .collect(),
        };
        for (place, why) in missed {
            self.miss(name, place, &why);
        }
    }

    /// Gives the number of the last line that was read.
    fn lines(
        &mut self,
        source: &Source,
        mut reader: BlockReader,
        wanted: &BTreeMap<u64, BTreeSet<String>>,
        context: usize,
        budget: &mut usize,
    ) -> u64 {
        let around = u64::try_from(context).unwrap_or(u64::MAX);
        let Some((&furthest, _)) = wanted.last_key_value() else {
            return 0;
        };
        let mut before = 0_u64;
        let mut buffer = Vec::new();
        let mut excerpt = Excerpt::of(source);
        while before < furthest.saturating_add(around) {
            let Some(block) = reader.next_block(std::mem::take(&mut buffer)) else {
                break;
            };
            let after = before.saturating_add(lines_of(&block.data));
            let near = wanted.range(before.saturating_sub(around)..=after.saturating_add(around));
            if near.count() > 0 {
                for (number, text) in
                    (before.saturating_add(1)..).zip(block.data.split(|byte| *byte == b'\n'))
                {
                    if number > after {
                        break;
                    }
                    let mut close =
                        wanted.range(number.saturating_sub(around)..=number.saturating_add(around));
                    if close.next().is_none() {
                        continue;
                    }
                    if text.len() > *budget {
                        self.lines_left_out = self.lines_left_out.saturating_add(1);
                        continue;
                    }
                    *budget = budget.saturating_sub(text.len());
                    let apart = excerpt
                        .lines
                        .last()
                        .is_some_and(|last| last.line.saturating_add(1) < number);
                    if apart {
                        self.excerpts
                            .push(std::mem::replace(&mut excerpt, Excerpt::of(source)));
                    }
                    let says = wanted.get(&number);
                    excerpt.say(says);
                    excerpt.lines.push(ShownLine {
                        line: number,
                        cited: says.is_some(),
                        text: text_of(text.strip_suffix(b"\r").unwrap_or(text)),
                    });
                }
            }
            before = after;
            buffer = block.data;
        }
        if !excerpt.lines.is_empty() {
            self.excerpts.push(excerpt);
        }
        before
    }

    /// Gives the frames that were not found, and the last one that was read.
    fn frames(
        &mut self,
        source: &Source,
        mut reader: CaptureReader,
        wanted: &BTreeMap<u64, BTreeSet<String>>,
        context: usize,
    ) -> (BTreeSet<u64>, u64) {
        let mut missing: BTreeSet<u64> = wanted.keys().copied().collect();
        let mut recent = Recent {
            context,
            flows: HashMap::new(),
            held: 0,
            awaited: 0,
            closing: false,
            excerpts: BTreeMap::new(),
        };
        let mut last = 0;
        let mut block = PacketBlock::default();
        while !missing.is_empty() || recent.awaited > 0 {
            let Some(next) = reader.next_block(std::mem::take(&mut block)) else {
                break;
            };
            for packet in &next.packets {
                last = packet.at.frame;
                let cited = wanted.get(&packet.at.frame);
                missing.remove(&packet.at.frame);
                recent.closing = missing.is_empty();
                recent.packet(source, packet, packet.payload.of(&next.data), cited);
            }
            block = next;
        }
        self.excerpts.extend(recent.excerpts.into_values());
        (missing, last)
    }
}

impl Excerpt {
    fn of(source: &Source) -> Self {
        Self {
            input: source.id,
            path: source.display_path.clone(),
            says: Vec::new(),
            lines: Vec::new(),
            client: None,
            server: None,
            wireshark: None,
            frames: Vec::new(),
        }
    }

    fn say(&mut self, says: Option<&BTreeSet<String>>) {
        for text in says.into_iter().flatten() {
            if !self.says.contains(text) {
                self.says.push(text.clone());
            }
        }
    }
}

/// The last frames of each connection, in case the next one is cited.
struct Recent {
    context: usize,
    flows: HashMap<FlowId, Flow>,
    /// Frames that are kept.
    held: usize,
    /// Connections of which further frames are wanted.
    awaited: usize,
    /// All that was asked for has come: only what is awaited is kept.
    closing: bool,
    /// What was cited, by its first frame.
    excerpts: BTreeMap<u64, Excerpt>,
}

struct Flow {
    numbering: Numbering,
    frames: VecDeque<Frame>,
    /// Frames that are wanted after a cited one.
    after: usize,
    /// First frame of the excerpt.
    excerpt: Option<u64>,
    last: u64,
}

impl Recent {
    fn packet(
        &mut self,
        source: &Source,
        packet: &crate::decode::packet::Packet,
        payload: &[u8],
        cited: Option<&BTreeSet<String>>,
    ) {
        if self.held > MAX_RECENT_FRAMES || self.flows.len() > MAX_FLOWS {
            self.forget();
        }
        let id = FlowId::of(packet);
        let awaited = |flow: &Flow| flow.after > 0;
        if self.closing && cited.is_none() && !self.flows.get(&id).is_some_and(awaited) {
            return;
        }
        let context = self.context;
        let flow = self.flows.entry(id).or_insert_with(|| Flow {
            numbering: Numbering::new(packet),
            frames: VecDeque::new(),
            after: 0,
            excerpt: None,
            last: 0,
        });
        let frame = flow.numbering.frame(packet, payload);
        flow.last = frame.frame;
        if cited.is_none() && flow.after == 0 {
            self.held += 1;
            flow.frames.push_back(frame);
            while flow.frames.len() > context {
                flow.frames.pop_front();
                self.held = self.held.saturating_sub(1);
            }
            return;
        }
        self.held = self.held.saturating_sub(flow.frames.len());
        let first = flow.frames.front().map_or(frame.frame, |first| first.frame);
        let key = *flow.excerpt.get_or_insert(first);
        let excerpt = self.excerpts.entry(key).or_insert_with(|| Excerpt {
            wireshark: Some(connection_filter(&id)),
            ..Excerpt::of(source)
        });
        excerpt.client = Some(flow.numbering.client().to_string());
        excerpt.server = Some(flow.numbering.server().to_string());
        excerpt.say(cited);
        let earlier = flow
            .frames
            .drain(..)
            .map(|frame| ShownFrame { cited: false, frame });
        excerpt.frames.extend(earlier);
        excerpt.frames.push(ShownFrame {
            cited: cited.is_some(),
            frame,
        });
        let was = flow.after > 0;
        flow.after = if cited.is_some() {
            context
        } else {
            flow.after.saturating_sub(1)
        };
        match (was, flow.after > 0) {
            (false, true) => self.awaited += 1,
            (true, false) => self.awaited = self.awaited.saturating_sub(1),
            _ => {}
        }
    }

    /// Forgets the half of the connections that have been silent for longest.
    fn forget(&mut self) {
        let mut lasts: Vec<u64> = self.flows.values().map(|flow| flow.last).collect();
        if lasts.is_empty() {
            return;
        }
        let middle = lasts.len() / 2;
        let median = *lasts.select_nth_unstable(middle).1;
        self.flows.retain(|_, flow| flow.after > 0 || flow.last > median);
        self.held = self.flows.values().map(|flow| flow.frames.len()).sum();
    }
}
