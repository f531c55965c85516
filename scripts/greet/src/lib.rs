//! The smallest script: its parameters are its arguments, and what it returns is the answer.

/// Greets somebody.
#[wasmill_guest::main]
fn main(
    /// Whom to greet.
    name: String,
    /// How many times; once if left out.
    times: Option<u32>,
) -> String {
    println!("greeting {name}");
    vec![format!("Hello {name}!"); times.unwrap_or(1).min(100) as usize].join(" ")
}
