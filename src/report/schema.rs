//! The JSON Schema of the report, generated from its types.

use super::model::Report;

/// The schema of [`Report`], draft 2020-12, as text with a final newline: the bytes of `report.schema.json`.
///
/// # Errors
/// When the schema has no JSON form, which its tests rule out.
pub fn text() -> std::io::Result<String> {
    let mut text = serde_json::to_string_pretty(&schemars::schema_for!(Report))?;
    text.push('\n');
    Ok(text)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_committed_schema_is_that_of_the_types() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/report.schema.json");
        let committed = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            committed == super::text().unwrap(),
            "report.schema.json is not that of the types: cargo run -- schema > report.schema.json"
        );
    }
}
