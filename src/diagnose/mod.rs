//! Evidence to ranked findings.
//!
//! In: an [`Incident`] and the catalogue. Out: a [`Diagnosis`]. Which rows and lines show which cause is data
//! (`data/rules.toml`); what a cause is called and what to do about it is data too (`data/causes.toml`). Here
//! is how rows become suspects ([`suspects`]), what is measured about them ([`measure`]), which of them follow
//! from others ([`consequences`]), and how they are weighed and worded ([`findings`]). Never: reads an input
//! again, renders.

pub mod answer;
mod application;
mod changes;
mod configuration;
pub mod consequences;
mod events;
mod figures;
pub mod finding;
pub mod findings;
mod joined;
pub mod latency;
mod look_alikes;
pub mod measure;
mod named;
mod network;
pub mod packets;
pub mod resets;
pub mod rules;
mod saved;
mod startup;
pub mod suspects;
pub mod verdict;

use crate::Error;
use crate::catalog::Catalog;
use crate::correlate::Incident;
pub use finding::{Diagnosis, Finding};
use rules::Rules;
use suspects::Suspects;

/// Finds what broke.
///
/// # Errors
/// [`Error::BuiltIn`] if the built-in rules are broken.
pub fn diagnose(incident: &Incident<'_>, catalog: &Catalog) -> Result<Diagnosis, Error> {
    let rules = Rules::built_in()?;
    let facts = measure::Facts::of(incident, catalog, &rules);
    let mut suspects = Suspects::gather(&facts);
    startup::suspect(&mut suspects, &facts);
    consequences::settle(&mut suspects, &facts);
    packets::suspect(&mut suspects, &facts);
    consequences::follow_first_faults(&mut suspects, &facts);
    latency::suspect(&mut suspects, &facts);
    network::suspect(&mut suspects, &facts);
    configuration::suspect(&mut suspects, &facts);
    figures::suspect(&mut suspects, &facts);
    let mut findings = findings::write(&suspects, &facts);
    saved::add(&mut findings, &facts);
    configuration::add(&mut findings, &facts);
    figures::add_sizes(&mut findings, &facts);
    findings::rank(&mut findings);
    findings::make_ids_unique(&mut findings);
    application::add(&mut findings, &facts);
    let (events, events_left_out) = events::tell(&findings, &facts);
    Ok(Diagnosis {
        events,
        events_left_out,
        ..verdict::conclude(findings, &suspects, &facts)
    })
}
