//! Who makes a request, and what that caller may do.

use std::sync::atomic::{AtomicI64, Ordering};
use wasmill_core::problem::Code;
use wasmill_core::scope::{Action, Need, Scopes};
use wasmill_core::{Problem, UserName, WorkspaceId};
use wasmill_store::{Micros, Role, TokenOwner};

/// Who makes a request, by one token.
#[derive(Debug)]
pub(crate) struct Caller {
    /// SHA-256 of the token.
    pub(crate) digest: [u8; 32],
    /// The user's name.
    pub(crate) user: UserName,
    /// The user's address.
    pub(crate) email: String,
    /// When the user was made.
    pub(crate) created: Micros,
    /// The token's scopes.
    pub(crate) scopes: Scopes,
    /// The one workspace that the token works in.
    pub(crate) workspace: Option<WorkspaceId>,
    /// Whether the user may administer every workspace.
    pub(crate) super_admin: bool,
    roles: Vec<(WorkspaceId, Role)>,
    expires: Option<Micros>,
    /// Last use that is not written down yet; 0 for none. Here, so that using a token locks
    /// nothing.
    used: AtomicI64,
}

impl Caller {
    /// The owner of a token.
    ///
    /// # Errors
    /// When the stored scopes cannot be read.
    pub(super) fn new(owner: TokenOwner) -> Result<Self, String> {
        Ok(Self {
            digest: owner.token.digest,
            scopes: Scopes::parse(owner.token.scopes.as_deref())?,
            workspace: owner.token.workspace,
            user: owner.user.name,
            email: owner.user.email,
            created: owner.user.created,
            super_admin: owner.user.super_admin,
            roles: owner.roles,
            expires: owner.token.expires,
            used: AtomicI64::new(0),
        })
    }

    /// Whether the token has expired.
    pub(super) fn has_expired(&self, now: Micros) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }

    /// Notes a use of the token.
    pub(super) fn note_use(&self, now: Micros) {
        self.used.store(now, Ordering::Relaxed);
    }

    /// Takes the last use that is not written down yet, if there is one.
    pub(super) fn take_use(&self) -> Option<Micros> {
        Some(self.used.swap(0, Ordering::Relaxed)).filter(|at| *at != 0)
    }

    /// The caller's role in a workspace.
    ///
    /// # Errors
    /// 403 with one text for a workspace that does not exist and one that is not the caller's.
    pub(crate) fn role(&self, workspace: &WorkspaceId) -> Result<Role, Problem> {
        let own = self.workspace.as_ref().is_none_or(|only| only == workspace);
        match self.roles.iter().find(|(id, _)| id == workspace) {
            Some((_, role)) if own => Ok(*role),
            _ if own && self.super_admin => Ok(Role::Admin),
            _ => Err(Problem::new(
                Code::Forbidden,
                format!("The token gives no access to a workspace {workspace}"),
            )),
        }
    }

    /// Asks for a right in a workspace.
    ///
    /// # Errors
    /// 403 naming the scope that is missing, or the role.
    pub(crate) fn require(&self, workspace: &WorkspaceId, need: &Need<'_>) -> Result<(), Problem> {
        let role = self.role(workspace)?;
        self.require_scope(need)?;
        // An operator starts and stops jobs; what runs, and with which values, others decide.
        if role == Role::Operator && need.action == Action::Write && need.domain != "jobs" {
            let detail = format!(
                "An operator of {workspace} may run scripts, but not change {}",
                need.domain
            );
            return Err(Problem::new(Code::Forbidden, detail));
        }
        Ok(())
    }

    /// Asks for the role of an administrator in a workspace, and for a right there.
    ///
    /// # Errors
    /// 403 naming the role or the scope that is missing.
    pub(crate) fn require_admin(
        &self,
        workspace: &WorkspaceId,
        need: &Need<'_>,
    ) -> Result<(), Problem> {
        self.require(workspace, need)?;
        match self.role(workspace)? {
            Role::Admin => Ok(()),
            _ => Err(Problem::new(
                Code::Forbidden,
                format!("This takes an administrator of {workspace}"),
            )),
        }
    }

    /// Asks for an administrator of the whole host, by a token that works in all workspaces, and
    /// for a right.
    ///
    /// # Errors
    /// 403 naming what is missing.
    pub(crate) fn require_super(&self, need: &Need<'_>) -> Result<(), Problem> {
        self.require_scope(need)?;
        match self.super_admin && self.workspace.is_none() {
            true => Ok(()),
            false => Err(Problem::new(
                Code::Forbidden,
                "This takes an administrator of the host, and a token of all workspaces",
            )),
        }
    }

    /// Asks for a right that belongs to no workspace.
    ///
    /// # Errors
    /// 403 naming the scope that is missing.
    pub(crate) fn require_scope(&self, need: &Need<'_>) -> Result<(), Problem> {
        match self.scopes.allows(need) {
            true => Ok(()),
            false => Err(Problem::new(
                Code::Forbidden,
                format!("The token's scopes do not include {need}"),
            )),
        }
    }
}
