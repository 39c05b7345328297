//! Exit statuses: what each means, and which of several outcomes wins.

use crate::Report;
use crate::report::model::{Input, Severity, State};
use std::process::ExitCode;

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    /// 0: all was read and nothing is wrong, or there was nothing to judge.
    Clean,
    /// 1: there is a critical or warning finding.
    Findings,
    /// 2: wrong usage, nothing could be read, or a file of the user could not be read or written.
    Usage,
    /// 3: a whole input could not be opened, or the inputs do not suffice for a verdict.
    Incomplete,
    /// 130: the run was interrupted, and what was known by then is written.
    Interrupted,
}

impl Status {
    /// The number that the system sees.
    pub(super) fn code(self) -> u8 {
        match self {
            Self::Clean => 0,
            Self::Findings => 1,
            Self::Usage => 2,
            Self::Incomplete => 3,
            Self::Interrupted => 130,
        }
    }

    /// The status of a report: findings before what could not be read, since they need somebody to act.
    pub(super) fn of_report(report: &Report) -> Self {
        let accuses = report
            .findings
            .iter()
            .any(|finding| finding.severity != Severity::Info);
        let undecided = matches!(report.verdict.state, State::NotEnough | State::SymptomsOnly);
        if accuses {
            Self::Findings
        } else if undecided {
            Self::Incomplete
        } else {
            Self::of_inputs(&report.inputs)
        }
    }

    /// The status of inputs that were only looked at.
    pub(super) fn of_inputs(inputs: &[Input]) -> Self {
        if inputs.iter().any(|input| !input.opened) {
            Self::Incomplete
        } else {
            Self::Clean
        }
    }

    /// With `--exit-zero`: only errors end with another status than 0.
    pub(super) fn unless_error(self) -> Self {
        match self {
            Self::Usage => Self::Usage,
            Self::Interrupted => Self::Interrupted,
            Self::Clean | Self::Findings | Self::Incomplete => Self::Clean,
        }
    }
}

impl From<Status> for ExitCode {
    fn from(status: Status) -> Self {
        Self::from(status.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixtures;

    fn report(state: State, severities: &[Severity], opened: bool) -> Report {
        let mut report = fixtures::refused();
        report.verdict.state = state;
        let finding = report.findings[0].clone();
        report.findings = severities
            .iter()
            .map(|&severity| crate::report::model::Finding {
                severity,
                ..finding.clone()
            })
            .collect();
        report.inputs[1].opened = opened;
        report
    }

    #[test]
    fn which_outcome_wins() {
        use Severity::{Critical, Info, Warning};
        use State::{CauseFound, Healthy, NotEnough, SymptomsOnly};
        use Status::{Clean, Findings, Incomplete};
        for (state, severities, opened, status) in [
            (Healthy, &[][..], true, Clean),
            (Healthy, &[Info], true, Clean),
            (Healthy, &[Info], false, Incomplete),
            (CauseFound, &[Critical], true, Findings),
            (CauseFound, &[Info, Warning], false, Findings),
            (CauseFound, &[Info], true, Clean),
            (SymptomsOnly, &[Info], true, Incomplete),
            (SymptomsOnly, &[Warning], true, Findings),
            (NotEnough, &[], true, Incomplete),
        ] {
            let report = report(state, severities, opened);
            assert_eq!(
                Status::of_report(&report),
                status,
                "{state:?} {severities:?} {opened}"
            );
        }
    }

    #[test]
    fn damage_inside_an_input_changes_nothing() {
        let mut healthy = fixtures::healthy();
        healthy.inputs[0].problems = fixtures::refused().inputs[3].problems.clone();
        healthy.inputs[0].rejected = 7;
        assert_eq!(Status::of_report(&healthy), Status::Clean);
    }

    #[test]
    fn exit_zero_spares_errors_alone() {
        let all = [Status::Clean, Status::Findings, Status::Usage, Status::Incomplete];
        assert_eq!(all.map(Status::code), [0, 1, 2, 3]);
        assert_eq!(all.map(|status| status.unless_error().code()), [0, 0, 2, 0]);
    }
}
