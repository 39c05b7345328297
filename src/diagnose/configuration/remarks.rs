//! What saved configuration says that no traffic shows: remarks, which accuse nobody.

use super::routes::nowhere;
use super::{Called, NAMED, Saved};
use crate::correlate::names::proxy_name;
use crate::diagnose::answer::EvidenceKind;
use crate::diagnose::measure::{Facts, Measured};
use crate::diagnose::suspects::{Suspect, Suspects};
use crate::units::Place;

/// How sure it is that a proxy refused what its own configuration says that it refused.
const REFUSED: f64 = 0.9;

/// How sure it is that a rule which leads nowhere does so, since what it needs may not have been saved.
const LEADS_NOWHERE: f64 = 0.6;

/// Adds the remarks.
pub(crate) fn suspect(suspects: &mut Suspects<'_>, facts: &Facts<'_>) {
    let saved = Saved {
        facts,
        configuration: &facts.incident.totals.configuration,
        called: Called::default(),
    };
    if !saved.configuration.is_empty() {
        rejected(&saved, suspects);
        invalid(&saved, suspects);
    }
}

fn measured(name: &'static str, text: String, strength: f64, places: Vec<Place>) -> Measured {
    Measured {
        name,
        kind: EvidenceKind::Config,
        text,
        count: places.len() as u64,
        strength,
        places,
        frames: Vec::new(),
    }
}

/// Configuration that a proxy refused, as its own dump has it, with the time.
fn rejected(saved: &Saved<'_>, suspects: &mut Suspects<'_>) {
    if suspects.list.keys().any(|(cause, _)| cause == "config-rejected") {
        return;
    }
    for (key, kept) in saved.configuration.rejected.iter() {
        let Some((place, rejected)) = kept.0.first_key_value() else {
            continue;
        };
        let Some(at) = rejected.at.or(saved.facts.incident.start) else {
            continue;
        };
        let mut suspect = Suspect::new("config-rejected", proxy_name(&key.proxy), REFUSED);
        suspect.remark = true;
        suspect.window = Some((at, at));
        suspect.pods.insert(key.proxy.clone());
        let details: String = rejected.details.chars().take(120).collect();
        let text = format!(
            "{} has refused {}: {details}",
            proxy_name(&key.proxy),
            rejected.name
        );
        suspect
            .measured
            .push(measured("configuration", text, REFUSED, vec![*place]));
        match suspects
            .list
            .get_mut(&(suspect.cause.clone(), suspect.destination.clone()))
        {
            Some(known) => {
                let window = known
                    .window
                    .map_or((at, at), |(from, to)| (from.min(at), to.max(at)));
                known.unite(suspect);
                known.window = Some(window);
            }
            None => suspects.add(suspect),
        }
    }
}

/// Rules that send to what is not there.
fn invalid(saved: &Saved<'_>, suspects: &mut Suspects<'_>) {
    let (Some(start), Some(end)) = (saved.facts.incident.start, saved.facts.incident.end) else {
        return;
    };
    let mut told = 0;
    for at in saved.objects("VirtualService") {
        for nowhere in nowhere(saved, &at) {
            let destination = match nowhere.port {
                Some(port) => format!("{}:{port}", nowhere.host),
                None => nowhere.host.clone(),
            };
            // Where traffic shows a fault of this host, its finding tells.
            let shown = suspects
                .list
                .values()
                .any(|suspect| !suspect.remark && suspect.destination.starts_with(&nowhere.host));
            if shown || told >= NAMED {
                continue;
            }
            told += 1;
            let mut suspect = Suspect::new("config-invalid", &destination, LEADS_NOWHERE);
            suspect.remark = true;
            suspect.window = Some((start, end));
            let evidence = measured("configuration", nowhere.text, LEADS_NOWHERE, nowhere.places);
            suspect.measured.push(evidence);
            suspects.add(suspect);
        }
    }
}
