//! What every back end does alike and is no SQL.

pub(crate) mod backlog;
pub(crate) mod changes;
pub(crate) mod codec;
pub(crate) mod item;
pub(crate) mod keys;
pub(crate) mod outbox;
pub(crate) mod refusals;
pub(crate) mod system_ends;
