//! The command line of the generator.

use std::path::PathBuf;

/// Which log to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Istio's default text rows.
    Text,
    /// The same rows in Istio's default JSON encoding.
    Json,
    /// Text rows with component lines between them.
    Mixed,
    /// Text rows to very many destinations.
    ManyKeys,
}

impl Kind {
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            "mixed" => Ok(Self::Mixed),
            "manykeys" => Ok(Self::ManyKeys),
            other => Err(format!("KIND is text, json, mixed or manykeys, not {other:?}")),
        }
    }

    /// The word of the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
            Self::Mixed => "mixed",
            Self::ManyKeys => "manykeys",
        }
    }
}

/// When to stop.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Size {
    /// After so many rows.
    Rows(u64),
    /// After the row with which the log has at least so many bytes.
    Bytes(u64),
}

/// What was typed.
#[derive(Debug)]
pub(crate) struct Arguments {
    pub(crate) kind: Kind,
    pub(crate) size: Size,
    pub(crate) seed: u64,
    /// Distinct destinations of [`Kind::ManyKeys`].
    pub(crate) keys: usize,
    pub(crate) out: Option<PathBuf>,
    pub(crate) expect: Option<PathBuf>,
}

impl Arguments {
    pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let kind = Kind::parse(
            &words
                .next()
                .ok_or("KIND is missing: text, json, mixed or manykeys")?,
        )?;
        let size = Size::Bytes(1 << 20);
        let mut parsed = Self {
            kind,
            size,
            seed: 1,
            keys: 100_000,
            out: None,
            expect: None,
        };
        while let Some(option) = words.next() {
            let value = words.next().ok_or_else(|| format!("{option} lacks its value"))?;
            parsed.set(&option, &value)?;
        }
        Ok(parsed)
    }

    fn set(&mut self, option: &str, value: &str) -> Result<(), String> {
        match option {
            "--bytes" => self.size = Size::Bytes(number(value)?),
            "--rows" => self.size = Size::Rows(number(value)?),
            "--seed" => self.seed = number(value)?,
            "--keys" => self.keys = usize::try_from(number(value)?.max(1)).map_err(|e| e.to_string())?,
            "--out" => self.out = Some(value.into()),
            "--expect" => self.expect = Some(value.into()),
            other => return Err(format!("{other} is not an option")),
        }
        Ok(())
    }
}

/// A number with an optional binary suffix.
fn number(text: &str) -> Result<u64, String> {
    let units = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];
    let split = units
        .iter()
        .find_map(|(suffix, unit)| Some((text.strip_suffix(suffix)?, *unit)));
    let (digits, unit) = split.unwrap_or((text, 1));
    let count: u64 = digits.trim().parse().map_err(|e| format!("{text:?}: {e}"))?;
    count
        .checked_mul(unit)
        .ok_or_else(|| format!("{text:?} is too large"))
}
