//! Damage of inputs on standard error, one line each: file, offset, what, and what to do.

use super::session::Session;
use crate::report::model::{Input, InputProblem};

/// Lines printed; the rest is counted.
const LINES: usize = 20;

/// Warns of every problem of every input, up to a limit.
pub(super) fn warn(inputs: &[Input], session: &mut Session<'_>) {
    let problems = || {
        inputs
            .iter()
            .flat_map(|input| input.problems.iter().map(move |problem| (input, problem)))
    };
    for (input, problem) in problems().take(LINES) {
        session.complain(&line(input, problem));
    }
    let more = problems().count().saturating_sub(LINES);
    if more > 0 {
        session.complain(&format!(
            "warning: {more} more problems, all of them in the JSON report"
        ));
    }
}

fn line(input: &Input, problem: &InputProblem) -> String {
    let member = input
        .member
        .as_ref()
        .map(|member| format!("!{member}"))
        .unwrap_or_default();
    let at = match (input.opened, problem.line) {
        (false, _) => String::new(),
        (true, Some(line)) => format!("line {line}, byte {}: ", problem.offset_bytes),
        (true, None) => format!("byte {}: ", problem.offset_bytes),
    };
    format!("warning: {}{member}: {at}{}", input.path, problem.what)
}
