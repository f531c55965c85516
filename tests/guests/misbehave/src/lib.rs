//! Does what a script should not, on request: what the tests of the sandbox are made of.

mod greed;
mod outside;

use std::io::Write as _;
use std::thread::sleep;
use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use wasmill_guest::ScriptError;

/// What to do. `op` chooses; the other arguments are for some of them.
#[derive(Deserialize)]
struct Arguments {
    op: Op,
    /// For `result`: the length of the string that is returned.
    #[serde(default = "gibibyte")]
    bytes: u32,
    /// For `memory`: how much is taken.
    #[serde(default)]
    mib: u32,
    /// For `lines`: how many.
    #[serde(default)]
    lines: u32,
}

fn gibibyte() -> u32 {
    1 << 30
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Op {
    /// Loops for ever.
    Spin,
    /// Takes memory until it is refused.
    Grow,
    /// Calls itself without end.
    Recurse,
    /// Sleeps for an hour.
    Sleep,
    /// Panics three functions deep.
    Panic,
    /// Prints a gigabyte.
    Flood,
    /// Prints `lines` lines of 60 bytes.
    Lines,
    /// Returns a long string.
    Result,
    /// Fails with an error that has a name of its own.
    Error,
    /// Ends the process with code 3.
    Exit,
    /// Returns the environment.
    Env,
    /// Returns why `/etc/passwd` can't be opened.
    Files,
    /// Returns why a connection can't be made.
    Net,
    /// Returns 16 random bytes.
    Random,
    /// Leaves a marker all over a mebibyte of memory.
    SecretWrite,
    /// Returns how often that marker is found in fresh memory.
    SecretScan,
    /// Takes `mib` mebibytes, and uses them.
    Memory,
    /// Returns the arguments.
    Echo,
}

#[wasmill_guest::main(args)]
fn main(all: Box<RawValue>) -> Result<Box<RawValue>, ScriptError> {
    let arguments: Arguments = serde_json::from_str(all.get())
        .map_err(|error| ScriptError::new("InvalidArguments", error.to_string()))?;
    let value = match arguments.op {
        Op::Spin => spin(),
        Op::Grow => json!(greed::grow()),
        Op::Recurse => json!(greed::recurse(1)),
        Op::Sleep => {
            sleep(Duration::from_secs(3600));
            json!("slept")
        }
        Op::Panic => outer_frame(),
        Op::Flood => flood(),
        Op::Lines => lines(arguments.lines),
        // Already JSON, to be neither escaped nor copied more often than needed.
        Op::Result => return greed::long_string(arguments.bytes),
        Op::Error => {
            return Err(
                ScriptError::new("TeapotError", "short and stout").with_stack("kettle.rs:418")
            );
        }
        Op::Exit => std::process::exit(3),
        Op::Env => Value::Object(
            std::env::vars().map(|(name, value)| (name, Value::String(value))).collect(),
        ),
        Op::Files => json!(outside::open_file()),
        Op::Net => json!(outside::connect()),
        Op::Random => json!(outside::random()),
        Op::SecretWrite => json!(greed::write_marker()),
        Op::SecretScan => json!(greed::count_markers()),
        Op::Memory => json!(greed::take(arguments.mib)),
        Op::Echo => return Ok(all),
    };
    serde_json::value::to_raw_value(&value)
        .map_err(|error| ScriptError::new("InvalidResult", error.to_string()))
}

fn spin() -> ! {
    let mut turns = 0_u64;
    loop {
        // Hidden from the optimiser, which may otherwise do something shorter.
        turns = std::hint::black_box(turns.wrapping_add(1));
    }
}

fn lines(count: u32) -> Value {
    for line in 0..count {
        println!("line {line:010} of many that are all of the same length.....");
    }
    json!(count)
}

fn flood() -> Value {
    let line = [b"flood ".repeat(10_922), b"...\n".to_vec()].concat();
    let mut out = std::io::stdout().lock();
    let mut written = 0_u64;
    while written < 1 << 30 {
        // A full log is no reason for a script to stop.
        if out.write_all(&line).is_err() {
            break;
        }
        written += line.len() as u64;
    }
    json!(written)
}

// Three frames, each with a name that is looked for in the backtrace. The work after each call
// keeps it from being the last thing that the function does, and so from being folded into the
// next.

#[inline(never)]
fn outer_frame() -> Value {
    let value = middle_frame();
    std::hint::black_box(&value);
    value
}

#[inline(never)]
fn middle_frame() -> Value {
    let value = inner_frame();
    std::hint::black_box(&value);
    value
}

#[inline(never)]
fn inner_frame() -> Value {
    if std::hint::black_box(true) {
        panic!("boom at work");
    }
    json!(null)
}
