//! What a node does because others may share its store: it hears what they tell, looks whether what
//! it remembers still holds, and waits for the ends of jobs that others run.

pub(crate) mod lead;
pub(crate) mod listen;
pub(crate) mod notifier;
pub(crate) mod waiters;
