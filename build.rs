//! The tables of `data/` from TOML, in which they are written, to JSON, which every run reads: in a tenth of the time.
//! The hashes of the HTML report's own style and script, by which its policy allows them and nothing else.

use sha2::{Digest, Sha256};
use std::error::Error;
use std::path::Path;

/// By the name under which the build gets the hash.
const PARTS_OF_PAGES: [(&str, &str); 2] = [
    ("POSTMESH_SCRIPT_HASH", "script.js"),
    ("POSTMESH_STYLE_HASH", "style.css"),
];

const TABLES: [&str; 6] = ["causes", "flags", "rules", "secrets", "signatures", "thresholds"];

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
    for (name, file) in PARTS_OF_PAGES {
        let path = format!("src/report/html/{file}");
        println!("cargo::rerun-if-changed={path}");
        let text = std::fs::read(&path).map_err(|error| format!("{path}: {error}"))?;
        println!(
            "cargo::rustc-env={name}=sha256-{}",
            base64(&Sha256::digest(&text))
        );
    }
    Ok(())
}

/// RFC 4648, section 4.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits = (0..3).fold(0_usize, |bits, i| {
            bits << 8 | usize::from(chunk.get(i).copied().unwrap_or(0))
        });
        for place in 0..4 {
            if place <= chunk.len() {
                text.push(char::from(DIGITS[bits >> (18 - 6 * place) & 63]));
            } else {
                text.push('=');
            }
        }
    }
    text
}
