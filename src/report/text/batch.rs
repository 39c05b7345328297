//! Many incidents: a line each, then the causes that come back.

use super::number::counted;
use super::page::{Page, Role};
use super::table::{Cell, Column, Set, Table};
use crate::report::batch::{Batch, Incident};
use crate::report::model::{Severity, State};

/// The lines.
pub(super) fn batch(batch: &Batch, page: &mut Page) {
    let mut table = Table::new(vec![
        Column::new("incident", Set::Flexible(12)),
        Column::new("verdict", Set::Left),
        Column::new("cause", Set::Prose(14)),
        Column::dropped("scope", Set::Flexible(16), 2),
        Column::dropped("since (UTC)", Set::Left, 1),
        Column::dropped("impact", Set::Prose(16), 3),
    ]);
    for incident in &batch.incidents {
        let (role, mark) = mark(incident);
        let cause = incident
            .cause
            .as_ref()
            .or(incident.error.as_ref())
            .unwrap_or(&incident.headline);
        table.row(vec![
            Cell::plain(incident.name.clone()),
            Cell(role, mark.to_owned()),
            Cell::plain(cause.clone()),
            Cell::plain(incident.scope.replace(".svc.cluster.local", "")),
            Cell::plain(incident.since_text.clone()),
            Cell::plain(incident.impact.clone()),
        ]);
    }
    table.put(page);
    let mut again: Vec<(&String, u64)> = batch
        .causes
        .iter()
        .map(|(cause, count)| (cause, *count))
        .filter(|(_, count)| *count > 1)
        .collect();
    again.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    if again.is_empty() {
        return;
    }
    page.heading("CAUSES THAT COME BACK", "");
    for (cause, count) in again {
        page.wrapped(
            2,
            Role::Plain,
            &format!("{cause}: {}", counted(count, "incident")),
        );
    }
}

fn mark(incident: &Incident) -> (Role, &'static str) {
    match (incident.state, incident.severity) {
        (None, _) => (Role::Warning, "UNREADABLE"),
        (Some(State::CauseFound), Some(Severity::Warning)) => (Role::Warning, "WARNING"),
        (Some(State::CauseFound), Some(Severity::Info)) => (Role::Plain, "REMARK"),
        (Some(State::CauseFound), _) => (Role::Critical, "CRITICAL"),
        (Some(State::Healthy), _) => (Role::Good, "HEALTHY"),
        (Some(State::SymptomsOnly), _) => (Role::Warning, "SYMPTOMS"),
        (Some(State::NotEnough), _) => (Role::Faint, "NOT ENOUGH"),
    }
}
