//! Numbers that the Istio Production Debugging reference gives, and what sources say of each.

use serde::Deserialize;

/// The thresholds, sorted by id.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Thresholds {
    list: Vec<Threshold>,
}

/// One number with its pedigree.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Threshold {
    /// Stable name, kebab-case.
    pub id: String,
    /// The number, in `unit`; what the tool uses, which is not always what the reference says.
    pub value: f64,
    /// The other end, where it is a range.
    #[serde(default)]
    pub upper: Option<f64>,
    /// What the number counts, e.g. `bytes`, `s`, `services`.
    pub unit: String,
    /// What the reference states; `None` for numbers that come from elsewhere.
    #[serde(default)]
    pub statement: Option<String>,
    /// Whether sources contradict the statement or none supports it.
    #[serde(default)]
    pub doubtful: bool,
    /// What sources say.
    pub check: String,
    /// What may be concluded from it.
    #[serde(rename = "use")]
    pub use_: ThresholdUse,
    /// Where the number is found.
    pub source: String,
}

/// What may be concluded from a threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ThresholdUse {
    /// Crossing it is a finding.
    Finding,
    /// Crossing it is a remark.
    Hint,
    /// A default of Istio or Envoy that explains other figures.
    Default,
    /// Nothing: kept to be compared or corrected.
    None,
}

impl Thresholds {
    /// Sorts by id.
    pub(super) fn new(mut list: Vec<Threshold>) -> Self {
        list.sort_by(|a, b| a.id.cmp(&b.id));
        Self { list }
    }

    /// The threshold of that id.
    pub fn get(&self, id: &str) -> Option<&Threshold> {
        let found = self
            .list
            .binary_search_by(|threshold| threshold.id.as_str().cmp(id));
        found.ok().and_then(|at| self.list.get(at))
    }

    /// All of them, by id.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Threshold> {
        self.list.iter()
    }
}
