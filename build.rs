//! The tables of `data/` from TOML, in which they are written, to JSON, which every run reads: in a tenth of the time.

use std::error::Error;
use std::path::Path;

const TABLES: [&str; 5] = ["causes", "flags", "rules", "signatures", "thresholds"];

#[expect(
    clippy::disallowed_methods,
    reason = "cargo says in the environment where the files go"
)]
fn main() -> Result<(), Box<dyn Error>> {
    let out = std::env::var("OUT_DIR")?;
    for table in TABLES {
        let path = format!("data/{table}.toml");
        println!("cargo::rerun-if-changed={path}");
        let text = std::fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
        let table_of_toml: toml::Table = toml::from_str(&text).map_err(|error| format!("{path}: {error}"))?;
        let json = serde_json::to_vec(&table_of_toml)?;
        std::fs::write(Path::new(&out).join(format!("{table}.json")), json)?;
    }
    Ok(())
}
