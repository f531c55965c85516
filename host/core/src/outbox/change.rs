//! The changes that webhooks are told of, with what the receiver needs to ask for more.

use crate::{ScriptPath, VersionHash};

/// A change in a workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The first version of a path was deployed.
    ScriptCreated {
        /// The path.
        path: ScriptPath,
        /// The version.
        hash: VersionHash,
    },
    /// Another version is now the newest one of its path, or an archived path is in use again.
    ScriptUpdated {
        /// The path.
        path: ScriptPath,
        /// The newest version.
        hash: VersionHash,
    },
    /// A path was archived.
    ScriptArchived {
        /// The path.
        path: ScriptPath,
        /// The version that was the newest one.
        hash: VersionHash,
    },
    /// A version was deleted.
    ScriptDeleted {
        /// The path of the version.
        path: ScriptPath,
        /// The version.
        hash: VersionHash,
    },
    /// The last version of a path was deleted.
    ScriptPathDeleted {
        /// The path.
        path: ScriptPath,
    },
    /// A variable was made.
    VariableCreated {
        /// The path of the variable.
        path: String,
    },
    /// The value, the description or the path of a variable was changed.
    VariableUpdated {
        /// The path before the change.
        old_path: String,
        /// The path after the change; it may be the same.
        new_path: String,
    },
    /// A variable was deleted.
    VariableDeleted {
        /// The path of the variable.
        path: String,
    },
    /// A resource was made.
    ResourceCreated {
        /// The path of the resource.
        path: String,
    },
    /// The value, the description or the path of a resource was changed.
    ResourceUpdated {
        /// The path before the change.
        old_path: String,
        /// The path after the change; it may be the same.
        new_path: String,
    },
    /// A resource was deleted.
    ResourceDeleted {
        /// The path of the resource.
        path: String,
    },
    /// Nothing was changed. A user tests whether the receiver answers.
    Test,
}

impl Change {
    /// The `type` of the JSON body. Archiving a path and deleting a version have the same one.
    pub fn name(&self) -> &'static str {
        match self {
            Change::ScriptCreated { .. } => "CreateScript",
            Change::ScriptUpdated { .. } => "UpdateScript",
            Change::ScriptArchived { .. } | Change::ScriptDeleted { .. } => "DeleteScript",
            Change::ScriptPathDeleted { .. } => "DeleteScriptPath",
            Change::VariableCreated { .. } => "CreateVariable",
            Change::VariableUpdated { .. } => "UpdateVariable",
            Change::VariableDeleted { .. } => "DeleteVariable",
            Change::ResourceCreated { .. } => "CreateResource",
            Change::ResourceUpdated { .. } => "UpdateResource",
            Change::ResourceDeleted { .. } => "DeleteResource",
            Change::Test => "Test",
        }
    }

    /// The type of the CloudEvent. It must never change, because receivers test for it.
    pub fn event_type(&self) -> &'static str {
        match self {
            Change::ScriptCreated { .. } => "dev.wasmill.script.created",
            Change::ScriptUpdated { .. } => "dev.wasmill.script.updated",
            Change::ScriptArchived { .. } => "dev.wasmill.script.archived",
            Change::ScriptDeleted { .. } => "dev.wasmill.script.deleted",
            Change::ScriptPathDeleted { .. } => "dev.wasmill.script.removed",
            Change::VariableCreated { .. } => "dev.wasmill.variable.created",
            Change::VariableUpdated { .. } => "dev.wasmill.variable.updated",
            Change::VariableDeleted { .. } => "dev.wasmill.variable.deleted",
            Change::ResourceCreated { .. } => "dev.wasmill.resource.created",
            Change::ResourceUpdated { .. } => "dev.wasmill.resource.updated",
            Change::ResourceDeleted { .. } => "dev.wasmill.resource.deleted",
            Change::Test => "dev.wasmill.webhook.test",
        }
    }

    /// The path of what was changed; the new path when there are two.
    pub fn subject(&self) -> Option<&str> {
        match self {
            Change::ScriptCreated { path, .. }
            | Change::ScriptUpdated { path, .. }
            | Change::ScriptArchived { path, .. }
            | Change::ScriptDeleted { path, .. }
            | Change::ScriptPathDeleted { path } => Some(path.as_str()),
            Change::VariableCreated { path }
            | Change::VariableDeleted { path }
            | Change::ResourceCreated { path }
            | Change::ResourceDeleted { path } => Some(path),
            Change::VariableUpdated { new_path, .. } | Change::ResourceUpdated { new_path, .. } => {
                Some(new_path)
            }
            Change::Test => None,
        }
    }
}
