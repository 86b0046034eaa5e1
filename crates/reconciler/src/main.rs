//! The reconciler worker.

fn main() {}
