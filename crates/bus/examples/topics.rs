//! Prints `docs/topics.md`. Run by `cargo xtask gen`; it decides nothing itself, the table does.

fn main() {
    print!("{}", decnet_bus::docs::render_docs());
}
