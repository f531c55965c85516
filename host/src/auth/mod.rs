//! Who calls: from a request's token to its caller, and what that caller may do.

mod caller;
mod credential;
mod tokens;

pub(crate) use caller::Caller;
pub(crate) use credential::bearer;
pub(crate) use tokens::Tokens;
