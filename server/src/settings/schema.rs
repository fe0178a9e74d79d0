//! The settings as a JSON schema, for editors; editors/settings.schema.json is this.

use serde_json::{Value, json};

use super::keys::{KEYS, Key, Kind};

/// The schema of what a source gives, one setting a line.
pub(crate) fn schema() -> String {
    let properties: Vec<String> =
        KEYS.iter().map(|key| format!("    {}: {}", json!(key.name), property(key))).collect();
    format!(
        r#"{{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "title": "Cinnabar's settings",
  "type": "object",
  "additionalProperties": false,
  "properties": {{
{}
  }}
}}
"#,
        properties.join(",\n")
    )
}

fn property(key: &Key) -> Value {
    let (kind, more) = match &key.kind {
        Kind::Switch => ("boolean", json!({})),
        Kind::Path => ("string", json!({})),
        Kind::Device => ("string", json!({ "pattern": "^(auto|cpu|reference|cuda(:[0-9]+)?)$" })),
        Kind::Choice(names) => ("string", json!({ "enum": names })),
        Kind::Whole(from, to) => ("integer", json!({ "minimum": from, "maximum": to })),
        Kind::OneOf(numbers) => ("integer", json!({ "enum": numbers })),
        Kind::Share(true) => ("number", json!({ "exclusiveMinimum": 0, "maximum": 1 })),
        Kind::Share(false) => ("number", json!({ "minimum": 0, "maximum": 1 })),
        Kind::Switches => ("object", json!({ "additionalProperties": { "type": "boolean" } })),
        Kind::Globs => ("array", json!({ "items": { "type": "string" } })),
    };
    let kind = if key.default.is_null() { json!([kind, "null"]) } else { json!(kind) };
    let mut property = json!({ "default": key.default, "description": key.about, "type": kind });
    if let (Value::Object(property), Value::Object(more)) = (&mut property, more) {
        property.extend(more);
    }
    property
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_editors_have_the_schema_as_it_is() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../editors/settings.schema.json");
        let kept = std::fs::read_to_string(file).unwrap();
        assert!(
            kept == schema(),
            "run `cargo run -- settings --schema > editors/settings.schema.json`, then `npm run settings` in editors/vscode"
        );
    }

    #[test]
    fn the_guide_names_every_setting() {
        let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("../editors/README.md");
        let guide = std::fs::read_to_string(guide).unwrap();
        for Key { name, about, .. } in KEYS.iter() {
            let row = format!("| `{name}` | {about} |");
            assert!(guide.contains(&row), "editors/README.md, Settings, wants\n{row}");
        }
    }
}
