//! The states of a job, and what moves it from one to another. What is not in the table does not
//! happen.

use std::fmt::Write as _;

/// Where a job is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// In the queue: not yet due, or due and not yet taken, or held back by a concurrency limit.
    Waiting,
    /// Under a worker's lease.
    Running,
    /// Over, with a result.
    Success,
    /// Over, with an error.
    Failure,
    /// Over, because somebody cancelled it.
    Canceled,
}

/// What happens to a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Event {
    /// It is queued.
    Enqueue,
    /// A run that began outside of the queue becomes a job.
    Adopt,
    /// A worker takes it.
    Claim,
    /// Somebody cancels it.
    Cancel,
    /// Its run ended with a result.
    Succeed,
    /// Its run ended with an error and there is no retry left, or none would help.
    Fail,
    /// Its run ended with an error and is tried again later.
    Retry,
    /// Its run was stopped because it was cancelled, or its worker went away after that.
    Stop,
    /// Its worker gives it back, because the host stops.
    Release,
    /// Its worker's lease ended.
    Lose,
    /// Its worker's lease ended, as often as it may.
    Exhaust,
    /// A synchronous run, which never was in the queue, is recorded.
    Record,
}

/// One line of the table: from where (`None`: there was no job), by what, to where, and what else
/// holds.
#[derive(Debug, Clone, Copy)]
pub struct Transition {
    /// Before.
    pub from: Option<State>,
    /// What happens.
    pub event: Event,
    /// After.
    pub to: State,
    /// What it means for the job's attempts.
    pub note: &'static str,
}

const fn row(from: Option<State>, event: Event, to: State, note: &'static str) -> Transition {
    Transition { from, event, to, note }
}

/// Every transition that there is.
pub const TABLE: [Transition; 15] = [
    row(None, Event::Enqueue, State::Waiting, "acknowledged once it is on disk"),
    row(None, Event::Adopt, State::Running, "counts as its first attempt"),
    row(None, Event::Record, State::Success, ""),
    row(None, Event::Record, State::Failure, ""),
    row(None, Event::Record, State::Canceled, ""),
    row(Some(State::Waiting), Event::Claim, State::Running, "a new attempt"),
    row(Some(State::Waiting), Event::Cancel, State::Canceled, ""),
    row(Some(State::Running), Event::Cancel, State::Running, "marked; its worker is told to stop"),
    row(Some(State::Running), Event::Succeed, State::Success, ""),
    row(Some(State::Running), Event::Fail, State::Failure, "no retry is left, or none would help"),
    row(
        Some(State::Running),
        Event::Retry,
        State::Waiting,
        "due later; the attempt is kept with its error",
    ),
    row(Some(State::Running), Event::Stop, State::Canceled, "it was marked"),
    row(
        Some(State::Running),
        Event::Release,
        State::Waiting,
        "the host stops; the attempt does not count",
    ),
    row(
        Some(State::Running),
        Event::Lose,
        State::Waiting,
        "the lease ended; the attempt is kept as lost",
    ),
    row(Some(State::Running), Event::Exhaust, State::Failure, "lost as often as it may be"),
];

impl State {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            State::Waiting => "waiting",
            State::Running => "running",
            State::Success => "success",
            State::Failure => "failure",
            State::Canceled => "canceled",
        }
    }
}

impl Event {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Event::Enqueue => "enqueue",
            Event::Adopt => "adopt",
            Event::Claim => "claim",
            Event::Cancel => "cancel",
            Event::Succeed => "succeed",
            Event::Fail => "fail",
            Event::Retry => "retry",
            Event::Stop => "stop",
            Event::Release => "release",
            Event::Lose => "lose",
            Event::Exhaust => "exhaust",
            Event::Record => "record",
        }
    }
}

/// True when the table has this transition.
pub fn leads(from: Option<State>, event: Event, to: State) -> bool {
    TABLE.iter().any(|row| (row.from, row.event, row.to) == (from, event, to))
}

/// The table as Markdown, as the documentation shows it: a diagram and a line for each transition.
pub fn drawn() -> String {
    let from = |state: Option<State>| state.map_or("[*]", State::as_str);
    let mut text = "```mermaid\nstateDiagram-v2\n".to_owned();
    for row in &TABLE {
        // Writing to a string does not fail.
        let _ =
            writeln!(text, "  {} --> {}: {}", from(row.from), row.to.as_str(), row.event.as_str());
    }
    text.push_str("```\n\n| From | Event | To | |\n|---|---|---|---|\n");
    for row in &TABLE {
        let from = row.from.map_or("", State::as_str);
        let _ = writeln!(
            text,
            "| {from} | {} | {} | {} |",
            row.event.as_str(),
            row.to.as_str(),
            row.note
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_transition_twice_and_no_way_out_of_the_end() {
        for (n, row) in TABLE.iter().enumerate() {
            let same = |other: &&Transition| {
                (other.from, other.event, other.to) == (row.from, row.event, row.to)
            };
            assert_eq!(TABLE.iter().filter(same).count(), 1, "{n}: {row:?}");
            assert!(
                !matches!(row.from, Some(State::Success | State::Failure | State::Canceled)),
                "{row:?}"
            );
        }
        assert!(leads(Some(State::Running), Event::Lose, State::Waiting));
        assert!(!leads(Some(State::Waiting), Event::Succeed, State::Success));
    }

    #[test]
    fn the_documentation_shows_this_table() {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/jobs.md");
        let page = std::fs::read_to_string(page).unwrap();
        assert!(page.contains(&drawn()), "docs/jobs.md must contain:\n{}", drawn());
    }
}
