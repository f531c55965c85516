//! Names of the component model (kebab-case) in JSON (also snake_case).

/// A kebab-case name in snake_case.
pub(super) fn snake(name: &str) -> String {
    name.replace('-', "_")
}

/// True when `given` is `name`, or is `name` in snake_case.
pub(super) fn same_name(given: &str, name: &str) -> bool {
    given.len() == name.len()
        && given.bytes().zip(name.bytes()).all(|(g, n)| g == n || (n == b'-' && g == b'_'))
}
