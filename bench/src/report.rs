//! What was measured, as tables in `docs/performance.md` and as plots beside it.
//!
//! The page is written by hand but for what is between `<!-- measured: NAME -->` and `<!--
//! /measured -->`, which is made here from the reports that the other commands have written.

use crate::table;
use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Arguments of `report`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Folder with the reports, `<part>.json`
    #[arg(long)]
    from: Option<PathBuf>,
    /// The page to put the tables in; the plots go into the folder of its name
    #[arg(long)]
    page: Option<PathBuf>,
}

/// Reads the reports and writes tables and plots. A report that is missing leaves its place as it
/// was.
pub(crate) fn run(args: &Args) -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let from = args.from.clone().unwrap_or_else(|| root.join("target/bench"));
    let page = args.page.clone().unwrap_or_else(|| root.join("docs/performance.md"));
    let plots = page.with_extension("");
    std::fs::create_dir_all(&plots)
        .with_context(|| format!("{} cannot be made", plots.display()))?;
    let mut text = std::fs::read_to_string(&page)
        .with_context(|| format!("{} cannot be read", page.display()))?;
    for (part, make) in PARTS {
        let file = from.join(format!("{part}.json"));
        let Ok(report) = std::fs::read(&file) else {
            println!("{} is not there: {part} stays as it is", file.display());
            continue;
        };
        let report: Value = serde_json::from_slice(&report)
            .with_context(|| format!("{} is no JSON", file.display()))?;
        for piece in make(&report) {
            match piece {
                Piece::Table(name, table) => text = replaced(&text, name, &table)?,
                Piece::Plot(name, plot) => {
                    let file = plots.join(format!("{name}.svg"));
                    std::fs::write(&file, plot)
                        .with_context(|| format!("{} cannot be written", file.display()))?;
                }
            }
        }
    }
    std::fs::write(&page, text).with_context(|| format!("{} cannot be written", page.display()))
}

/// Something made of a report.
enum Piece {
    /// For a place on the page.
    Table(&'static str, String),
    /// A file.
    Plot(&'static str, String),
}

/// Makes something of a report.
type Make = fn(&Value) -> Vec<Piece>;

/// The reports, and what is made of each.
const PARTS: [(&str, Make); 6] = [
    ("peers", peers),
    ("http", http),
    ("versions", versions),
    ("neighbour", neighbour),
    ("large", large),
    ("choices", choices),
];

/// The page with something else in one of its places.
fn replaced(page: &str, name: &str, content: &str) -> Result<String> {
    let (begin, end) = (format!("<!-- measured: {name} -->\n"), "<!-- /measured -->");
    let Some((before, rest)) = page.split_once(&begin) else {
        bail!("the page has no place for {name}: {begin:?}")
    };
    let Some((_, after)) = rest.split_once(end) else { bail!("the place for {name} has no end") };
    Ok(format!("{before}{begin}\n{content}\n{end}{after}"))
}

/// A number, or 0 where there is none.
fn number(value: &Value, pointer: &str) -> f64 {
    value.pointer(pointer).and_then(Value::as_f64).unwrap_or_default()
}

fn text<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn list<'v>(value: &'v Value, pointer: &str) -> &'v [Value] {
    value.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// A median with the smallest and the largest.
fn spread(value: &Value, name: &str, decimals: usize) -> String {
    let at = |end: &str| thousands(number(value, &format!("/{name}/{end}")), decimals);
    format!("{} ({}..{})", at("median"), at("min"), at("max"))
}

/// A number with so many decimals, and its thousands apart.
fn thousands(number: f64, decimals: usize) -> String {
    let plain = format!("{number:.decimals$}");
    let (whole, rest) = plain
        .split_once('.')
        .map_or((plain.as_str(), String::new()), |(whole, rest)| (whole, format!(".{rest}")));
    let mut grouped = String::new();
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped + &rest
}

/// Where and how it was measured.
fn weather(report: &Value) -> String {
    let mut line = format!(
        "{} processors of the type {}, Linux {}; {} rounds",
        number(report, "/machine/processors"),
        text(report, "/machine/model"),
        text(report, "/machine/kernel"),
        number(report, "/rounds"),
    );
    if report.get("seconds").is_some() {
        let _ = write!(line, " of {} s", number(report, "/seconds"));
    }
    format!(
        "{line}; load {} before, {} after.\n",
        text(report, "/machine/load_before"),
        text(report, "/machine/load_after")
    )
}

fn peers(report: &Value) -> Vec<Piece> {
    let mut pieces = Vec::new();
    for (connections, place) in [(1, "peers-1"), (32, "peers-32"), (256, "peers-256")] {
        let rows: Vec<&Value> = list(report, "/rows")
            .iter()
            .filter(|row| number(row, "/connections") == f64::from(connections))
            .collect();
        let lines: Vec<[String; 5]> = rows
            .iter()
            .map(|row| {
                [
                    text(row, "/name").to_owned(),
                    spread(row, "rate", 0),
                    spread(row, "p50_us", 0),
                    spread(row, "p99_us", 0),
                    spread(row, "cpu_us", 1),
                ]
            })
            .collect();
        pieces.push(Piece::Table(
            place,
            table::markdown(["", "requests/s", "p50 µs", "p99 µs", "cpu µs/request"], &lines),
        ));
        if connections == 32 {
            let bars = |name: &str| {
                rows.iter()
                    .map(|row| {
                        Bar::new(text(row, "/name"), number(row, &format!("/{name}/median")))
                    })
                    .collect::<Vec<_>>()
            };
            pieces.push(Piece::Plot(
                "throughput",
                plot("Requests per second, 32 connections, one processor", &bars("rate"), 0),
            ));
            let quick: Vec<Bar> =
                bars("cpu_us").into_iter().filter(|bar| bar.value < 200.0).collect();
            pieces.push(Piece::Plot(
                "processor",
                plot("Microseconds of processor time per request, 32 connections", &quick, 1),
            ));
        }
    }
    let lines: Vec<[String; 3]> = list(report, "/processes")
        .iter()
        .map(|row| {
            [
                text(row, "/name").to_owned(),
                spread(row, "rate", 1),
                thousands(number(row, "/cpu_us/median") / 1e3, 1),
            ]
        })
        .collect();
    pieces.push(Piece::Table("processes", table::markdown(["", "calls/s", "cpu ms/call"], &lines)));
    let lines: Vec<[String; 5]> = list(report, "/ratios")
        .iter()
        .map(|row| {
            let met = row.pointer("/met").and_then(Value::as_bool);
            [
                text(row, "/ratio").to_owned(),
                number(row, "/connections").to_string(),
                spread(row, "value", 2),
                text(row, "/goal").to_owned(),
                met.map_or("", |met| if met { "yes" } else { "no" }).to_owned(),
            ]
        })
        .collect();
    let ratios = table::markdown(
        ["ratio", "connections", "median (smallest..largest)", "goal", "met"],
        &lines,
    );
    pieces.push(Piece::Table("ratios", format!("{ratios}\n{}", weather(report))));
    pieces
}

fn versions(report: &Value) -> Vec<Piece> {
    let scripts = list(report, "/scripts");
    let lines: Vec<[String; 6]> = scripts
        .iter()
        .map(|script| {
            [
                text(script, "/name").to_owned(),
                thousands(number(script, "/bytes") / 1024.0, 0),
                spread(script, "upload", 0),
                spread(script, "pushed", 1),
                spread(script, "restarted", 1),
                spread(script, "warm", 1),
            ]
        })
        .collect();
    let head = [
        "milliseconds",
        "KiB of wasm",
        "upload",
        "first call, pushed",
        "first call, restarted",
        "the next call",
    ];
    let first = format!("{}\n{}", table::markdown(head, &lines), weather(report));
    let bar = |script: &Value| {
        Bar::new(
            &format!("wasmill, {}", text(script, "/name")),
            number(script, "/restarted/median"),
        )
    };
    let bars: Vec<Bar> = scripts.iter().map(bar).collect();
    let mib = |value: f64| thousands(value / 1_048_576.0, 0);
    let lines: Vec<[String; 8]> =
        [("all kept ready", "kept"), ("more than are kept ready", "evicted")]
            .map(|(words, name)| {
                let at = |field: &str| number(report, &format!("/{name}/{field}"));
                let total =
                    |when: &str| at(&format!("{when}/anonymous")) + at(&format!("{when}/file"));
                [
                    format!("{}, {words}", thousands(at("versions"), 0)),
                    thousands(at("upload/median"), 1),
                    format!(
                        "{} / {}",
                        thousands(at("first/p50"), 2),
                        thousands(at("first/p99"), 2)
                    ),
                    format!(
                        "{} / {}",
                        thousands(at("second/p50"), 2),
                        thousands(at("second/p99"), 2)
                    ),
                    mib(total("before")),
                    mib(total("after")),
                    mib(at("after/anonymous")),
                    mib(total("rested")),
                ]
            })
            .into();
    let head = [
        "versions",
        "upload ms",
        "first call ms, p50 / p99",
        "next call ms",
        "MiB, started",
        "MiB, all called",
        "of it not files",
        "MiB, at rest",
    ];
    let running = format!(
        "{} runs that wait take {} KiB each.\n",
        number(report, "/running/instances"),
        thousands(number(report, "/running/bytes_each") / 1024.0, 0)
    );
    vec![
        Piece::Table("first-calls", first),
        Piece::Plot("first-call", plot("Milliseconds of the first call after a restart", &bars, 1)),
        Piece::Table("memory", format!("{}\n{running}", table::markdown(head, &lines))),
    ]
}

fn http(report: &Value) -> Vec<Piece> {
    let lines: Vec<[String; 2]> = list(report, "/layers")
        .iter()
        .map(|layer| [text(layer, "/layer").to_owned(), spread(layer, "cpu_us", 1)])
        .collect();
    let layers = table::markdown(["32 connections", "processor time, µs"], &lines);
    let share = format!(
        "Token and rights, and the record written, are {} of a call's processor time.\n",
        spread(report, "share", 2)
    );
    vec![Piece::Table("layers", format!("{layers}\n{share}\n{}", weather(report)))]
}

fn neighbour(report: &Value) -> Vec<Piece> {
    let lines: Vec<[String; 8]> = list(report, "/rows")
        .iter()
        .map(|row| {
            [
                number(row, "/connections").to_string(),
                spread(row, "quiet_p50", 0),
                spread(row, "noisy_p50", 0),
                spread(row, "quiet_p99", 0),
                spread(row, "noisy_p99", 0),
                spread(row, "quiet_max", 0),
                spread(row, "noisy_max", 0),
                spread(row, "p99_ratio", 2),
            ]
        })
        .collect();
    let head = [
        "connections",
        "p50 µs, quiet",
        "noisy",
        "p99 µs, quiet",
        "noisy",
        "longest µs, quiet",
        "noisy",
        "p99, noisy to quiet",
    ];
    vec![Piece::Table(
        "neighbour",
        format!("{}\n{}", table::markdown(head, &lines), weather(report)),
    )]
}

fn large(report: &Value) -> Vec<Piece> {
    let lines: Vec<[String; 3]> = list(report, "/rows")
        .iter()
        .map(|row| {
            [text(row, "/name").to_owned(), spread(row, "time_ms", 1), spread(row, "cpu_ms", 0)]
        })
        .collect();
    let waiting = format!(
        "{} calls that sleep {} s, at once: answered after {} s, with {} s of processor time and {} MiB more memory.\n",
        thousands(number(report, "/waiting/calls"), 0),
        number(report, "/waiting/seconds"),
        thousands(number(report, "/waiting/took"), 2),
        thousands(number(report, "/waiting/cpu"), 2),
        thousands(number(report, "/waiting/bytes") / 1_048_576.0, 0),
    );
    vec![Piece::Table(
        "large",
        format!("{}\n{waiting}", table::markdown(["one call", "ms", "cpu ms"], &lines)),
    )]
}

fn choices(report: &Value) -> Vec<Piece> {
    let scripts = list(report, "/scripts");
    let rows = |script: usize| scripts.get(script).map_or(&[][..], |script| list(script, "/rows"));
    let lines: Vec<[String; 5]> = rows(0)
        .iter()
        .enumerate()
        .map(|(at, rust)| {
            let javascript = rows(1).get(at).unwrap_or(&Value::Null);
            let micros = |row: &Value| thousands(number(row, "/p50_us/median"), 1);
            [
                text(rust, "/choice").to_owned(),
                micros(rust),
                spread(rust, "ratio", 2),
                micros(javascript),
                spread(javascript, "ratio", 2),
            ]
        })
        .collect();
    let head = ["", "Rust, µs", "to the host's way", "JavaScript (qjs), µs", "to the host's way"];
    vec![Piece::Table("choices", format!("{}\n{}", table::markdown(head, &lines), weather(report)))]
}

/// One bar of a plot.
struct Bar {
    label: String,
    value: f64,
}

impl Bar {
    fn new(label: &str, value: f64) -> Self {
        Self { label: label.to_owned(), value }
    }
}

/// Horizontal bars, one below the other; those of the host in colour.
fn plot(title: &str, bars: &[Bar], decimals: usize) -> String {
    const WIDTH: f64 = 760.0;
    const LEFT: f64 = 210.0;
    const RIGHT: f64 = 90.0;
    const TOP: f64 = 40.0;
    const ROW: f64 = 26.0;
    let largest = bars.iter().map(|bar| bar.value).fold(f64::MIN_POSITIVE, f64::max);
    let height = TOP + ROW * bars.len() as f64 + 8.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{title}\">\n\
        <style>text {{ font: 13px sans-serif; fill: #1f2328 }} .title {{ font-weight: bold }} .other {{ fill: #9aa4b2 }} .ours {{ fill: #6d4aff }}\n\
        @media (prefers-color-scheme: dark) {{ text {{ fill: #e6edf3 }} .other {{ fill: #6e7681 }} .ours {{ fill: #9d86ff }} }}</style>\n\
        <text class=\"title\" x=\"8\" y=\"22\">{title}</text>\n"
    );
    for (row, bar) in bars.iter().enumerate() {
        let y = TOP + ROW * row as f64;
        let length = (bar.value / largest * (WIDTH - LEFT - RIGHT)).max(1.0);
        let class = if bar.label.starts_with("wasmill") { "ours" } else { "other" };
        let _ = writeln!(
            svg,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>\
            <rect class=\"{class}\" x=\"{LEFT}\" y=\"{}\" width=\"{length:.1}\" height=\"18\" rx=\"2\"/>\
            <text x=\"{:.1}\" y=\"{}\">{}</text>",
            LEFT - 8.0,
            y + 14.0,
            bar.label,
            y,
            LEFT + length + 6.0,
            y + 14.0,
            thousands(bar.value, decimals),
        );
    }
    svg + "</svg>\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        for (number, decimals, text) in [
            (0.0, 0, "0"),
            (999.4, 0, "999"),
            (1_000.0, 1, "1,000.0"),
            (1_234_567.25, 1, "1,234,567.2"),
            (12.345, 2, "12.35"),
        ] {
            assert_eq!(thousands(number, decimals), text);
        }
    }

    #[test]
    fn places_are_filled_and_filled_again() {
        let page = "a\n<!-- measured: x -->\nold\n<!-- /measured -->\nb\n<!-- measured: y -->\n<!-- /measured -->\n";
        let once = replaced(page, "x", "new\n").unwrap();
        assert_eq!(
            once,
            "a\n<!-- measured: x -->\n\nnew\n\n<!-- /measured -->\nb\n<!-- measured: y -->\n<!-- /measured -->\n"
        );
        assert_eq!(replaced(&once, "x", "new\n").unwrap(), once);
        assert!(replaced(page, "z", "").is_err());
    }

    #[test]
    fn bars_fit() {
        let plot = plot("T", &[Bar::new("wasmill", 50.0), Bar::new("other", 100.0)], 0);
        assert!(plot.contains("class=\"ours\" x=\"210\" y=\"40\" width=\"230.0\""), "{plot}");
        assert!(plot.contains("class=\"other\" x=\"210\" y=\"66\" width=\"460.0\""), "{plot}");
    }
}
