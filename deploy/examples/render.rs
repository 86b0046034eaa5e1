//! Prints every rendered file as one JSON object, path to text. Run by `cargo xtask gen`; it decides nothing itself.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let files = decnet_deploy::generated()?;
    let object: serde_json::Map<_, _> =
        files.into_iter().map(|file| (file.path, serde_json::Value::from(file.text))).collect();
    println!("{}", serde_json::to_string_pretty(&object)?);
    Ok(())
}
