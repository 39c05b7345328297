//! Cited lines and frames with what stands around them.

use super::clock::date;
use super::number::group;
use super::page::{Line, Page, Role};
use super::wrap::wrap;
use crate::follow::frame::Frame;
use crate::follow::show::{Excerpt, Shown, ShownFrame, ShownLine};
use crate::units::Timestamp;
use std::fmt::Write as _;

/// All of them. `width` is that of the terminal, which headings keep to; the page may be wider.
pub(super) fn excerpts(shown: &Shown, width: usize, page: &mut Page) {
    let mut before: Option<&Excerpt> = None;
    for excerpt in &shown.excerpts {
        if before.is_some_and(|before| before.path == excerpt.path && excerpt.says.is_empty())
            && !excerpt.lines.is_empty()
        {
            let line = page.line().push(Role::Faint, "  --");
            page.put(line);
        } else {
            heading(excerpt, width, page);
        }
        lines(&excerpt.lines, page);
        frames(&excerpt.frames, width, page);
        before = Some(excerpt);
    }
    if shown.lines_left_out > 0 {
        page.blank();
        let text = format!(
            "{} lines were too much to keep and are left out",
            group(shown.lines_left_out)
        );
        let line = page.line().push(Role::Faint, &text);
        page.put(line);
    }
}

fn heading(excerpt: &Excerpt, width: usize, page: &mut Page) {
    page.blank();
    let mut line = page.line().push(Role::Strong, &excerpt.path);
    if let (Some(client), Some(server)) = (&excerpt.client, &excerpt.server) {
        line = line.plain(&format!("  {client} → {server}"));
    }
    let first = excerpt.frames.first().and_then(|shown| shown.frame.time);
    if let Some(time) = first {
        line = line.push(Role::Faint, &format!("  {} UTC", date(time)));
    }
    page.put(line);
    let remarks = excerpt.says.iter().cloned().chain(
        excerpt
            .wireshark
            .iter()
            .map(|filter| format!("Wireshark: {filter}")),
    );
    for remark in remarks {
        for part in wrap(&page.shown(&remark), width.saturating_sub(2)) {
            let line = page.line().pad_to(2).push(Role::Faint, &part);
            page.put(line);
        }
    }
}

/// What marks the place that was asked for.
fn mark(line: Line, cited: bool) -> Line {
    if cited {
        line.push(Role::Warning, "> ")
    } else {
        line.plain("  ")
    }
}

fn lines(lines: &[ShownLine], page: &mut Page) {
    let digits = digits_of(lines.last().map(|line| line.line));
    for shown in lines {
        let number = format!("{:>digits$}", shown.line);
        let line = mark(page.line(), shown.cited)
            .push(Role::Faint, &number)
            .plain("  ");
        let role = if shown.cited { Role::Strong } else { Role::Plain };
        page.put(line.push(role, &shown.text));
    }
}

fn digits_of(greatest: Option<u64>) -> usize {
    greatest.unwrap_or(0).to_string().len()
}

fn frames(frames: &[ShownFrame], width: usize, page: &mut Page) {
    let digits = digits_of(frames.last().map(|shown| shown.frame.frame));
    let mut next = None;
    for ShownFrame { cited, frame } in frames {
        if let Some(skipped) = next
            .and_then(|next| frame.nth.checked_sub(next))
            .filter(|n| *n > 0)
        {
            let text = format!(
                "    {} {} more of this connection",
                page.ellipsis(),
                group(skipped)
            );
            let line = page.line().push(Role::Faint, &text);
            page.put(line);
        }
        next = Some(frame.nth.saturating_add(1));
        let number = format!("{:>digits$}", frame.frame);
        let role = if *cited { Role::Strong } else { Role::Plain };
        let line = mark(page.line(), *cited)
            .push(Role::Faint, &number)
            .push(Role::Faint, &format!("  {}  ", clock(frame.time)))
            .push(role, &segment(frame));
        let text = said(frame);
        if text.is_empty() {
            page.put(line);
        } else if line.width() + 2 + page.shown(&text).chars().count() <= width {
            page.put(line.plain("  ").push(role, &text));
        } else {
            page.put(line);
            let below = page.line().pad_to(digits + 6).push(role, &text);
            page.put(below);
        }
    }
}

/// What the payload of a frame says, after its protocol.
pub(super) fn said(frame: &Frame) -> String {
    match frame.application {
        // A request line and a status line say themselves what they are.
        Some(protocol) if protocol != "HTTP/1" => format!("{protocol} {}", frame.text),
        _ => frame.text.clone(),
    }
}

/// `16:53:25.469264`, with nanoseconds where the capture has them.
pub(super) fn clock(time: Option<Timestamp>) -> String {
    // `Timestamp` prints a fixed layout: 2026-11-02T03:12:44.120431Z.
    time.and_then(|time| {
        let text = time.to_string();
        text.get(11..)
            .map(|of_day| of_day.trim_end_matches('Z').to_owned())
    })
    .unwrap_or_else(|| "no time".to_owned())
}

/// Direction, flags, numbers, length.
pub(super) fn segment(frame: &Frame) -> String {
    let arrow = if frame.from_client { "→" } else { "←" };
    if frame.protocol != "TCP" {
        return format!("{arrow} {} len {}", frame.protocol, frame.payload_bytes);
    }
    // Writing to a String cannot fail.
    let mut text = format!("{arrow} [{}]", frame.flags);
    if let Some(sequence) = frame.sequence {
        let _ = write!(text, " seq {sequence}");
        if frame.payload_bytes > 0 {
            let _ = write!(text, ":{}", sequence.wrapping_add(frame.payload_bytes));
        }
    }
    if let Some(acknowledgment) = frame.acknowledgment {
        let _ = write!(text, " ack {acknowledgment}");
    }
    if let Some(window) = frame.window_bytes {
        let _ = write!(text, " win {window}");
    }
    let _ = write!(text, " len {}", frame.payload_bytes);
    if frame.again {
        text.push_str(" again");
    }
    text
}
