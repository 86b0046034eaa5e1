//! People for the tests of this folder.

use crate::Persona;

pub(super) fn persona(name: &str, language: &str) -> Persona {
    let login = name.to_lowercase().replace(' ', ".");
    serde_json::from_value(serde_json::json!({
        "name": name, "email": format!("{login}@acme.example"), "role": "Systems Administrator", "language": language,
    }))
    .unwrap()
}
