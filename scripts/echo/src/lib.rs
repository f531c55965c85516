//! Answers with its arguments: what a sender sends, as a script gets it.

use serde_json::value::RawValue;

/// Returns the arguments as they are. Control keys among them steer the answer, as those of any
/// result do.
#[wasmill_guest::main(args)]
fn main(arguments: Box<RawValue>) -> Box<RawValue> {
    println!("{} bytes of arguments", arguments.get().len());
    arguments
}
