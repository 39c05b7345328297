//! A cause: what to say of it, how to check it, how to mend it, and what is doubtful in common advice.

use super::placeholder::{Placeholders, applies, fill, fill_command, fill_filter, fill_yaml, is_known};
use super::signature::Severity;
use serde::Deserialize;

/// One entry of `data/causes.toml`. Texts are templates, see [`super::fill`].
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cause {
    /// Stable name, kebab-case.
    pub id: String,
    /// One line.
    pub title: String,
    /// A sentence or two on what happens, for somebody who was woken by it.
    pub summary: String,
    /// The usual severity of a finding.
    pub severity: Severity,
    /// To which of the five steps of the documented workflow it belongs, 1 to 5.
    pub step: u8,
    /// Causes that look the same, and what differs.
    #[serde(default)]
    pub look_alikes: Vec<LookAlike>,
    /// Commands that confirm or refute it.
    #[serde(default)]
    pub checks: Vec<String>,
    /// What to do, safest first.
    #[serde(default)]
    pub fixes: Vec<Fix>,
    /// What is dangerous, wrong or out of date in common advice, and other remarks.
    #[serde(default)]
    pub notes: Vec<String>,
    /// Where it is documented.
    #[serde(default)]
    pub documented_in: Vec<String>,
    /// The one missing input that would overturn or settle it.
    #[serde(default)]
    pub overturn: Option<Overturn>,
    /// Display filter for a packet capture.
    #[serde(default)]
    pub wireshark: Option<String>,
    /// What the Istio Production Debugging reference says of it, in short.
    #[serde(default)]
    pub seed: Option<String>,
}

/// A cause that shows the same symptoms.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LookAlike {
    /// Its id.
    pub cause: String,
    /// How to tell the two apart.
    pub differs: String,
}

/// Something to do about a cause.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fix {
    /// What it does and when it is the right one.
    pub text: String,
    /// Command.
    #[serde(default)]
    pub command: Option<String>,
    /// Manifest.
    #[serde(default)]
    pub yaml: Option<String>,
    /// What it may cost.
    pub risk: Risk,
    /// First release of Istio for which it holds.
    #[serde(default)]
    pub valid_from: Option<String>,
    /// Last release of Istio for which it holds.
    #[serde(default)]
    pub valid_to: Option<String>,
}

/// What a fix may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Risk {
    /// Nothing that is running is touched.
    Safe,
    /// Running requests or pods are interrupted.
    Disruptive,
    /// Protection is weakened while it stands.
    Security,
    /// Something is lost that cannot be made again.
    DataLoss,
}

impl Risk {
    /// The name in data and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Safe => "safe",
            Self::Disruptive => "disruptive",
            Self::Security => "security",
            Self::DataLoss => "data-loss",
        }
    }
}

/// An input that would settle the matter.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Overturn {
    /// What it is.
    pub what: String,
    /// What it would show.
    pub why_it_matters: String,
    /// How to get it.
    pub command: String,
}

/// A cause with real names put in, each quoted for the place where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilledCause {
    /// One line.
    pub title: String,
    /// A sentence or two.
    pub summary: String,
    /// Look-alikes.
    pub look_alikes: Vec<FilledLookAlike>,
    /// Commands that check.
    pub checks: Vec<String>,
    /// What to do.
    pub fixes: Vec<FilledFix>,
    /// Remarks.
    pub notes: Vec<String>,
    /// The one missing input that would settle it.
    pub overturn: Option<FilledOverturn>,
    /// Display filter.
    pub wireshark: Option<String>,
}

/// A look-alike with real names put in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilledLookAlike {
    /// Its id.
    pub cause: String,
    /// How to tell the two apart.
    pub differs: String,
}

/// A fix with real names put in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilledFix {
    /// What it does.
    pub text: String,
    /// Command.
    pub command: Option<String>,
    /// Manifest.
    pub yaml: Option<String>,
    /// What it may cost.
    pub risk: Risk,
    /// First release of Istio for which it holds.
    pub valid_from: Option<String>,
    /// Last release of Istio for which it holds.
    pub valid_to: Option<String>,
}

/// A missing input with real names put in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilledOverturn {
    /// What it is.
    pub what: String,
    /// What it would show.
    pub why_it_matters: String,
    /// How to get it.
    pub command: String,
}

impl Cause {
    /// Every text of the cause with `names` put in: plain in prose, quoted in commands, manifests and filters. Commands and
    /// manifests that ask for a name that cannot be there are left out, and so is a filter for want of a name.
    pub fn filled(&self, names: &Placeholders) -> FilledCause {
        FilledCause {
            title: fill(&self.title, names),
            summary: fill(&self.summary, names),
            look_alikes: self
                .look_alikes
                .iter()
                .map(|look_alike| look_alike.filled(names))
                .collect(),
            checks: self
                .checks
                .iter()
                .filter(|check| applies(check, names))
                .map(|check| fill_command(check, names))
                .collect(),
            fixes: self
                .fixes
                .iter()
                .filter(|fix| fix.applies(names))
                .map(|fix| fix.filled(names))
                .collect(),
            notes: self.notes.iter().map(|note| fill(note, names)).collect(),
            overturn: self
                .overturn
                .as_ref()
                .filter(|overturn| applies(&overturn.command, names))
                .map(|overturn| overturn.filled(names)),
            wireshark: self
                .wireshark
                .as_ref()
                .filter(|filter| is_known(filter, names))
                .map(|filter| fill_filter(filter, names)),
        }
    }

    /// Every template of the entry, with the path to it in its table.
    pub(super) fn templates(&self) -> impl Iterator<Item = (TemplatePath, &str)> {
        let own = [
            (TemplatePath::field("title"), self.title.as_str()),
            (TemplatePath::field("summary"), &self.summary),
        ];
        let look_alikes = self.look_alikes.iter().enumerate();
        let overturn = self.overturn.iter().flat_map(|overturn| {
            let texts = [
                ("what", &overturn.what),
                ("why_it_matters", &overturn.why_it_matters),
                ("command", &overturn.command),
            ];
            texts.map(|(key, text)| (TemplatePath::inner("overturn", None, Some(key)), text.as_str()))
        });
        own.into_iter()
            .chain(look_alikes.map(|(i, it)| {
                (
                    TemplatePath::inner("look_alikes", Some(i), Some("differs")),
                    it.differs.as_str(),
                )
            }))
            .chain(
                self.checks
                    .iter()
                    .enumerate()
                    .map(|(i, it)| (TemplatePath::inner("checks", Some(i), None), it.as_str())),
            )
            .chain(
                self.fixes
                    .iter()
                    .enumerate()
                    .flat_map(|(i, fix)| fix.templates(i)),
            )
            .chain(
                self.notes
                    .iter()
                    .enumerate()
                    .map(|(i, it)| (TemplatePath::inner("notes", Some(i), None), it.as_str())),
            )
            .chain(overturn)
            .chain(
                self.wireshark
                    .iter()
                    .map(|it| (TemplatePath::field("wireshark"), it.as_str())),
            )
    }
}

impl LookAlike {
    fn filled(&self, names: &Placeholders) -> FilledLookAlike {
        FilledLookAlike {
            cause: self.cause.clone(),
            differs: fill(&self.differs, names),
        }
    }
}

impl Fix {
    fn applies(&self, names: &Placeholders) -> bool {
        [&self.command, &self.yaml]
            .into_iter()
            .flatten()
            .all(|template| applies(template, names))
    }

    fn filled(&self, names: &Placeholders) -> FilledFix {
        FilledFix {
            text: fill(&self.text, names),
            command: self.command.as_ref().map(|command| fill_command(command, names)),
            yaml: self.yaml.as_ref().map(|yaml| fill_yaml(yaml, names)),
            risk: self.risk,
            valid_from: self.valid_from.clone(),
            valid_to: self.valid_to.clone(),
        }
    }

    fn templates(&self, at: usize) -> impl Iterator<Item = (TemplatePath, &str)> {
        let optional = [
            ("command", self.command.as_deref()),
            ("yaml", self.yaml.as_deref()),
        ];
        let present = optional
            .into_iter()
            .filter_map(|(key, text)| text.map(|text| (key, text)));
        [("text", self.text.as_str())]
            .into_iter()
            .chain(present)
            .map(move |(key, text)| (TemplatePath::inner("fixes", Some(at), Some(key)), text))
    }
}

impl Overturn {
    fn filled(&self, names: &Placeholders) -> FilledOverturn {
        FilledOverturn {
            what: fill(&self.what, names),
            why_it_matters: fill(&self.why_it_matters, names),
            command: fill_command(&self.command, names),
        }
    }
}

/// Where a template stands in its entry: a field, maybe an element of it, maybe a key of that element.
#[derive(Clone, Copy, Debug)]
pub(super) struct TemplatePath {
    pub(super) field: &'static str,
    pub(super) index: Option<usize>,
    pub(super) key: Option<&'static str>,
}

impl TemplatePath {
    fn field(field: &'static str) -> Self {
        Self {
            field,
            index: None,
            key: None,
        }
    }

    fn inner(field: &'static str, index: Option<usize>, key: Option<&'static str>) -> Self {
        Self { field, index, key }
    }

    /// Whether a shell command stands there.
    pub(super) fn is_command(self) -> bool {
        self.field == "checks" || self.key == Some("command")
    }
}
