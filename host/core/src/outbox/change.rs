//! The changes that are told, each with what the receiver needs to look further.

use crate::{ScriptPath, VersionHash};

/// A change in a workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The first version at a path.
    ScriptCreated {
        /// Where.
        path: ScriptPath,
        /// The version.
        hash: VersionHash,
    },
    /// Another version is the newest of its path, or an archived path is back.
    ScriptUpdated {
        /// Where.
        path: ScriptPath,
        /// What is the newest version now.
        hash: VersionHash,
    },
    /// A path was archived.
    ScriptArchived {
        /// Where.
        path: ScriptPath,
        /// What was the newest version.
        hash: VersionHash,
    },
    /// A version was deleted.
    ScriptDeleted {
        /// Where it was.
        path: ScriptPath,
        /// The version.
        hash: VersionHash,
    },
    /// The last version of a path was deleted: nothing is there any more.
    ScriptPathDeleted {
        /// Where they were.
        path: ScriptPath,
    },
    /// A new variable.
    VariableCreated {
        /// Its path.
        path: String,
    },
    /// A variable has another value, description or path.
    VariableUpdated {
        /// The path before.
        old_path: String,
        /// The path now, which may be the same.
        new_path: String,
    },
    /// A variable is gone.
    VariableDeleted {
        /// Its path.
        path: String,
    },
    /// A new resource.
    ResourceCreated {
        /// Its path.
        path: String,
    },
    /// A resource has another value, description or path.
    ResourceUpdated {
        /// The path before.
        old_path: String,
        /// The path now, which may be the same.
        new_path: String,
    },
    /// A resource is gone.
    ResourceDeleted {
        /// Its path.
        path: String,
    },
    /// Nothing changed: somebody wants to see whether the receiver answers.
    Test,
}

impl Change {
    /// The `type` of the JSON body. Archiving and deleting a version have the same one.
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

    /// The event's type as a CloudEvent, which is the word that it is known by for ever.
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

    /// The path of what changed, the new one when it has two.
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
