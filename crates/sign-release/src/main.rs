//! `sign-release`: see the library.

fn main() {}
