//! Write webhook scripts for wasmill in Rust.
//!
//! ```
//! # mod script {
//! #[wasmill_guest::main]
//! fn main(name: String, times: Option<u32>) -> String {
//!     format!("Hello {name}! ").repeat(times.unwrap_or(1) as usize)
//! }
//! # }
//! ```
//!
//! That is a whole script: a library with `crate-type = ["cdylib"]`, compiled with
//! `cargo build --release --target wasm32-wasip2`.
//!
//! # Arguments
//!
//! The parameters of `main` are the script's arguments, by name. `Option` means that an argument
//! may be absent (or null). The caller's extra arguments are ignored. A doc comment on a parameter
//! describes it to those who call the script.
//!
//! A function with **exactly one parameter named `args`** is different: that parameter takes the
//! whole argument object. So does the only parameter of any name, or pattern, under
//! `#[wasmill_guest::main(args)]`.
//!
//! ```
//! # mod script {
//! # use serde::Deserialize;
//! #[derive(Deserialize, wasmill_guest::Schema)]
//! struct Order {
//!     /// What to order.
//!     item: String,
//!     #[serde(default)]
//!     express: bool,
//! }
//!
//! #[wasmill_guest::main]
//! fn main(args: Order) -> String {
//!     format!("{} ({})", args.item, if args.express { "express" } else { "by snail" })
//! }
//! # }
//! ```
//!
//! Any type that serde can deserialize will do. A parameter may also be a reference (`&str`,
//! `&[u32]`). To look at JSON as it came in, digit by digit, take a
//! `Box<serde_json::value::RawValue>`; [`serde_json`] and [`serde`] are re-exported.
//!
//! Arguments that are missing or of the wrong type fail the run with an error named
//! `InvalidArguments`, and `main` isn't called.
//!
//! # Results and errors
//!
//! `main` returns anything that serde can serialize, or a `Result` of it. The error of a `Result`
//! may be
//!
//! - anything with a text: `String`, `&str`, an `std::error::Error`, `Box<dyn Error>`,
//!   `anyhow::Error`. The run's error is then named `ScriptError`, and its message tells the causes
//!   too, from the outermost inwards;
//! - a [`ScriptError`], for an error with a name of its own. It keeps its name when it travels as a
//!   cause inside one of the error types above.
//!
//! A panic fails the run as well; its message is in the run's log, as is all that the script
//! prints.
//!
//! [`reply`] chooses the status, content type and headers of the answer.
//!
//! # Schema
//!
//! The arguments' JSON Schema is computed at compile time and put into the component, in a custom
//! section named
//! `wasmill:schema`. The host checks arguments by it and shows a form for them. See [`Schema`].

// The macros write paths from outside; the tests in here use them from inside.
#[cfg(test)]
extern crate self as wasmill_guest;

mod answer;
mod arguments;
#[doc(hidden)]
pub mod bindings;
mod error;
mod reply;
pub mod schema;

pub use error::ScriptError;
pub use reply::{Reply, reply};
pub use schema::Schema;
pub use {serde, serde_json};

/// Makes a function the script's entry point. See the [crate's documentation](crate) for what it
/// may look like.
///
/// `#[wasmill_guest::main(args)]` has the only parameter take the whole argument object, whatever
/// its name.
///
/// The function stays what it is: tests can call it like any other. There is one such function in a
/// script, and the crate that has it must be a `cdylib`.
pub use wasmill_guest_macro::main;

/// Derives [`Schema`](trait@Schema) for a struct or an enum, from the same attributes that serde
/// reads.
///
/// - Doc comments become descriptions.
/// - Of the container's attributes it knows `rename_all`, `rename_all_fields`, `default`,
///   `deny_unknown_fields`, `transparent`, `tag`, `content` and `untagged`; of a variant's
///   `rename`, `rename_all`, `skip` and `untagged`; of a field's `rename`, `default`, `skip` and
///   `flatten`.
/// - A flattened field allows additional properties, without naming them.
/// - A field with `with` or `deserialize_with` is described as any value, for nobody knows what its
///   function accepts; so is a field whose type has no schema.
/// - A type that contains itself can't have a schema. Leave the derive off such a type; where it is
///   used, any value is allowed.
pub use wasmill_guest_macro::Schema;

/// What the macros expand to. Not for direct use: it may change in any version.
#[doc(hidden)]
pub mod __private {
    pub use crate::answer::{
        Answer, BoxedError, BoxedSendError, DataError, NamedError, Plain, Returned, TextError,
        TypedError,
    };
    pub use crate::arguments::{Arguments, whole};
    pub use crate::bindings::export;
    pub use crate::bindings::exports::wasmill::script::entry;
    pub use crate::schema::{Fallback, Node, Probe, length, render};
}

/// Exports a script from the crate that is being compiled, with the section that holds its schema.
///
/// A macro by example, and not tokens of the procedural one, because lints that a script's crate
/// may forbid (unsafe code first of all) are silent in the expansion of another crate's macro.
#[doc(hidden)]
#[macro_export]
macro_rules! __export {
    ($script:ident) => {
        #[cfg_attr(target_family = "wasm", unsafe(link_section = "wasmill:schema"))]
        #[used]
        static SCHEMA: [u8; $crate::__private::length(&$script::SCHEMA)] =
            $crate::__private::render(&$script::SCHEMA);

        impl $crate::__private::entry::Guest for $script {
            fn main(
                args: ::std::string::String,
            ) -> ::std::result::Result<::std::string::String, $crate::__private::entry::ScriptError> {
                $script::run(&args).map_err(::std::convert::Into::into)
            }
        }

        #[cfg(target_family = "wasm")]
        $crate::__private::export!($script with_types_in $crate::bindings);
    };
}
