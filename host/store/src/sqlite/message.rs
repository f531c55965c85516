//! What goes to the writer thread, and how its answers come back.
//!
//! An operation runs inside the batch's transaction and keeps its outcome to itself until the
//! commit is known; only then is its caller told. A caller whose answer channel is dropped was told
//! nothing, and so nothing counts as done.

use super::fault::{Failure, Fault};
use super::tx::Tx;
use crate::common::backlog::Record;
use crate::{Result, StoreError};
use tokio::sync::oneshot;

/// One piece of the writer's work.
pub(super) enum Message {
    /// An operation whose caller waits.
    Write(Box<dyn Operation>),
    /// A finished run whose caller does not wait.
    Record(Record),
    /// Answered when everything before it is committed, and synced if `durable`.
    Sync { durable: bool, reply: oneshot::Sender<Result<()>> },
    /// The last message.
    Close(oneshot::Sender<Result<()>>),
}

impl Message {
    pub(super) fn is_record(&self) -> bool {
        matches!(self, Message::Record(_))
    }

    /// True when its answer promises that a power cut changes nothing any more.
    pub(super) fn is_durable(&self) -> bool {
        match self {
            Message::Write(operation) => operation.is_durable(),
            Message::Sync { durable, .. } => *durable,
            Message::Record(_) => false,
            Message::Close(_) => true,
        }
    }

    /// Tells the caller, if any, that nothing was done.
    pub(super) fn refuse(self, failure: &Failure) {
        match self {
            Message::Write(operation) => operation.settle(Some(failure)),
            Message::Sync { reply, .. } | Message::Close(reply) => {
                let _ = reply.send(Err(failure.to_error()));
            }
            Message::Record(_) => {}
        }
    }
}

/// What the writer does with an operation's changes.
pub(super) enum Verdict {
    /// They go with the batch.
    Keep,
    /// They are undone; the rest of the batch goes on.
    Undo,
}

/// An operation of any result type.
pub(super) trait Operation: Send {
    /// True when it must be synced before it is answered.
    fn is_durable(&self) -> bool;
    /// Does the work; a failure that concerns the whole batch is an error. May be called again,
    /// with another transaction, after everything that the first call wrote was undone.
    fn run(&mut self, tx: &mut Tx<'_>) -> std::result::Result<Verdict, Failure>;
    /// Answers the caller, after the commit or its failure.
    fn settle(self: Box<Self>, failure: Option<&Failure>);
}

/// An operation made of a closure.
pub(super) struct Write<T, F> {
    durable: bool,
    work: F,
    outcome: Option<Result<T>>,
    reply: oneshot::Sender<Result<T>>,
}

impl<T, F> Write<T, F> {
    pub(super) fn new(durable: bool, work: F, reply: oneshot::Sender<Result<T>>) -> Self {
        Self { durable, work, outcome: None, reply }
    }
}

impl<T, F> Operation for Write<T, F>
where
    T: Send,
    F: FnMut(&mut Tx<'_>) -> std::result::Result<T, Fault> + Send,
{
    fn is_durable(&self) -> bool {
        self.durable
    }

    fn run(&mut self, tx: &mut Tx<'_>) -> std::result::Result<Verdict, Failure> {
        let (outcome, verdict) = match (self.work)(tx).map_err(Fault::weigh) {
            Ok(value) => (Ok(value), Verdict::Keep),
            Err(Ok(refused)) => (Err(refused), Verdict::Undo),
            Err(Err(failure)) => return Err(failure),
        };
        self.outcome = Some(outcome);
        Ok(verdict)
    }

    fn settle(self: Box<Self>, failure: Option<&Failure>) {
        let answer = match (failure, self.outcome) {
            (Some(failure), _) => Err(failure.to_error()),
            (None, Some(outcome)) => outcome,
            (None, None) => Err(StoreError::Unavailable("the operation was not run".into())),
        };
        // Whoever asked may have gone meanwhile; the work is done all the same.
        let _ = self.reply.send(answer);
    }
}
