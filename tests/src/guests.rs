//! The built guests, and the files that the example scripts bring along.

use crate::root;

/// The module of a guest: an example script's or a test guest's folder name.
pub fn guest(name: &str) -> Vec<u8> {
    let file = root().join("target/guests").join(format!("{name}.wasm"));
    std::fs::read(&file).unwrap_or_else(|error| {
        panic!(
            "{} cannot be read ({error}); build the guests first: cargo xtask guests",
            file.display()
        )
    })
}

/// A file in the folder of an example script, such as `sample.json`.
pub fn sample_file(script: &str, name: &str) -> Vec<u8> {
    let file = root().join("scripts").join(script).join(name);
    std::fs::read(&file)
        .unwrap_or_else(|error| panic!("{} cannot be read: {error}", file.display()))
}
