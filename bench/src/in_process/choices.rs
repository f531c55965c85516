//! What each choice in the sandbox's design is worth: the same call with one thing done otherwise.
//!
//! Every row has an engine of its own, which must have the same script compiled for it. All of them
//! take turns within each round.

use super::bare::{Bare, Interruption, Settings};
use super::{Slice, foreign};
use crate::figures::{self, Spread};
use crate::machine::Machine;
use crate::{guests_folder, peers_folder, table, write_json};
use anyhow::{Context as _, Result, bail, ensure};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

const ARGUMENTS: &str = r#"{"name":"Ann","times":2}"#;
const ANSWER: &str = r#"{"greeting":"Hello Ann! Hello Ann!","times":2}"#;
const HOST: Settings = Settings::HOST;

/// One thing otherwise, in words. The first is as the host does it.
const CHOICES: [(&str, Settings); 14] = [
    ("as the host does it", HOST),
    ("no pool: memory mapped for each run", Settings { pool: false, ..HOST }),
    ("fresh memory copied, not mapped", Settings { image: false, ..HOST }),
    ("used pages given back, none kept", Settings { resident: false, ..HOST }),
    ("used pages not looked for", Settings { scan: false, ..HOST }),
    ("neither looked for nor kept", Settings { scan: false, resident: false, ..HOST }),
    ("nothing stops endless loops", Settings { interruption: Interruption::None, ..HOST }),
    ("fuel, not ticks, stops them", Settings { interruption: Interruption::Fuel, ..HOST }),
    ("on the caller's stack", Settings { own_stack: false, ..HOST }),
    ("no limits of memory, handles and time", Settings { limits: false, ..HOST }),
    ("no output kept, no environment", Settings { world: false, ..HOST }),
    ("modules of linked libraries not merged", Settings { merged: false, ..HOST }),
    ("WASI made for each run", Settings { lazy: false, ..HOST }),
    (
        "neither kept, limited nor interrupted",
        Settings { limits: false, world: false, interruption: Interruption::None, ..HOST },
    ),
];

/// Arguments of `choices`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Rounds over all choices
    #[arg(long, default_value_t = 15)]
    rounds: usize,
    /// Milliseconds of one choice in one round
    #[arg(long, default_value_t = 150)]
    slice: u64,
    /// A few short rounds, of the Rust script alone: shows that it works, measures little
    #[arg(long)]
    quick: bool,
    /// Where the compiled scripts are
    #[arg(long)]
    guests: Option<PathBuf>,
    /// Where `cargo xtask bench` installs the peers and makes the JavaScript
    #[arg(long)]
    peers: Option<PathBuf>,
    /// Write the report to this file as well
    #[arg(long)]
    json: Option<PathBuf>,
}

#[derive(Serialize)]
struct Row {
    choice: &'static str,
    p50_us: Spread,
    cpu_us: Spread,
    /// p50 against that of the host's way in the same round.
    ratio: Spread,
}

#[derive(Serialize)]
struct ScriptReport {
    name: &'static str,
    rows: Vec<Row>,
}

#[derive(Serialize)]
struct Report {
    machine: Machine,
    rounds: usize,
    slice_ms: u64,
    scripts: Vec<ScriptReport>,
}

/// Measures and reports.
pub(crate) fn run(args: &Args) -> Result<()> {
    let mut machine = Machine::look();
    let (rounds, slice) = if args.quick { (2, 10) } else { (args.rounds.max(1), args.slice) };
    let components = args.peers.clone().unwrap_or_else(peers_folder).join("components");
    let mut sources = vec![(
        "Rust",
        args.guests.clone().unwrap_or_else(guests_folder).join(crate::QUIET).with_extension("wasm"),
    )];
    if !args.quick {
        sources.push(("JavaScript (qjs)", components.join("hello-qjs.wasm")));
    }
    let mut scripts = Vec::new();
    for (name, file) in sources {
        if !file.exists() {
            println!(
                "left out, for it is not made: {}; `cargo xtask bench` makes it",
                file.display()
            );
            continue;
        }
        let rows = script(&file, rounds, Duration::from_millis(slice))?;
        print(name, &rows);
        scripts.push(ScriptReport { name, rows });
    }
    machine.close();
    println!(
        "{rounds} rounds of {slice} ms each; medians over the rounds, ratios taken within each round"
    );
    write_json(args.json.as_deref(), &Report { machine, rounds, slice_ms: slice, scripts })
}

fn script(file: &Path, rounds: usize, slice: Duration) -> Result<Vec<Row>> {
    let wasm = std::fs::read(file).with_context(|| format!("{} cannot be read", file.display()))?;
    let candidate = |settings: &Settings| Bare::new(&settings.engine()?, "hello", &wasm, *settings);
    let candidates: Vec<Bare> = CHOICES
        .iter()
        .map(|(words, settings)| {
            candidate(settings).map_err(foreign).with_context(|| (*words).to_owned())
        })
        .collect::<Result<_>>()?;
    let call = async |candidate: &Bare| candidate.call(ARGUMENTS).await.map_err(foreign);
    for ((words, _), candidate) in CHOICES.iter().zip(&candidates) {
        let answer = at_once(call(candidate)).with_context(|| (*words).to_owned())?;
        ensure!(answer == ANSWER, "{words}: {answer}");
    }
    let mut slices: Vec<Vec<Slice>> = candidates.iter().map(|_| Vec::new()).collect();
    for round in 0..=rounds {
        let mut order: Vec<_> = candidates.iter().zip(&mut slices).collect();
        if round % 2 == 1 {
            order.reverse();
        }
        for (candidate, slices) in order {
            let measured = at_once(Slice::of(slice, || call(candidate)))?;
            // The first round warms up.
            if round > 0 {
                slices.push(measured);
            }
        }
    }
    let p50 = |slices: &[Slice]| slices.iter().map(|slice| slice.times.p50).collect::<Vec<_>>();
    let host = slices.first().map(|slices| p50(slices)).unwrap_or_default();
    let rows = CHOICES.iter().zip(&slices).map(|((choice, _), slices)| Row {
        choice,
        p50_us: figures::spread(p50(slices)),
        cpu_us: figures::spread(slices.iter().map(|slice| slice.cpu)),
        ratio: figures::ratios(&p50(slices), &host),
    });
    Ok(rows.collect())
}

/// The outcome of work that never waits. There is no runtime: the engine's synchronous WASI must
/// not be called within one.
fn at_once<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    match pin!(work).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(outcome) => outcome,
        Poll::Pending => bail!("the script waits for something"),
    }
}

fn print(name: &str, rows: &[Row]) {
    let range =
        |spread: Spread| format!("{:.2} ({:.2}..{:.2})", spread.median, spread.min, spread.max);
    let lines: Vec<[String; 4]> = rows
        .iter()
        .map(|row| {
            [
                row.choice.to_owned(),
                range(row.p50_us),
                format!("{:.2}", row.cpu_us.median),
                range(row.ratio),
            ]
        })
        .collect();
    table::print(
        [&format!("{name}, µs per call"), "p50 (min..max)", "cpu", "to the host's way"],
        &lines,
    );
}
