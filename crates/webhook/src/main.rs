//! The webhook worker.

fn main() {}
