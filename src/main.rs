//! Will be the program.

fn main() {}
