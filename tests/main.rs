//! The tests of the whole tool, one program so that they link once. Tests of a part stand beside that part.

#![cfg(test)]

/// Commands and manifests of findings: the names that are known, and nothing that does not apply.
mod advice;
/// What connections of captures that others made say, against what tshark reads there.
mod app_agreement;
/// Archives: the same answer as from the folder, citations, damage, names that climb.
mod archives;
/// Inputs that are damaged or hostile: what can be read is reported, the rest is named.
mod bad_input;
/// Captures: the same answer however they are read, rotated sets, pipes, damage, selection.
mod captures;
/// Captures that others made agree with what tshark says of them, where there are such.
mod captures_shared;
/// The recorded incidents of `corpora/`: verdict, counts, references, exit status.
mod cases;
/// What changed just before a finding began.
mod changes;
/// `collect`: the script that it prints.
mod collect;
/// What collectors and stores of logs put around lines.
mod collected;
/// The built program and its streams: what needs no engine.
mod command_line;
/// An independent counter agrees with the report's counts.
mod counts;
/// What became of the reference document: the table of `docs/coverage.md`.
mod coverage;
/// Incidents among the logs of many healthy pods.
mod crowd;
/// Small incidents and noise, made of a few rows each.
mod diagnosis;
/// `diff`: runs and spans compared.
mod diff;
/// The same answer whatever the number of threads, the order of arguments, the size of blocks, the cut of files.
mod exactness;
/// `show` and `trace`: cited places and whole requests as they stand in the inputs.
mod follow;
/// Hostile strings through every command.
mod hostile;
/// Rows joined to their connections, and clocks that differ.
mod join;
/// Layouts without response code details.
mod layouts;
mod layouts_of_users;
/// Pseudonyms, redacted copies, and each form of a secret in each command.
mod names;
/// Parts of incidents.
mod partial;
/// Latency figures against exact ones computed from the rows.
mod percentiles;
/// What must not leave with a report.
mod privacy;
/// `--where` and `top`: rows by any of their fields.
mod query;
/// Logs that repeat each other.
mod repeats;
/// Writes access-log rows for the other modules.
mod rows;
/// Runs the built program in a scratch folder.
mod running;
/// Saved configuration beside small incidents.
mod saved_configuration;
/// Logs of the control plane and saved output of commands beside recorded logs.
mod saved_output;
/// `slice`: a part of an incident that gives the same verdict.
mod slice;
/// Connections of captures that others made, against what tshark says of them.
mod streams_agreement;
/// The program on a real terminal, and interrupted.
mod terminal;
/// What a page sums a chosen window from.
mod windows;
