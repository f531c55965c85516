//! Query parameters of the operations on variables and resources.

use crate::api::description::ParameterKind::{Number, Switch, Text};
use crate::api::description::{Parameter, parameter};

/// Of a list of variables.
pub(super) const VALUES: &[Parameter] = &[
    parameter("path_start", Text, "Only those whose paths begin so"),
    parameter("page", Number(1), "Which page"),
    parameter("per_page", Number(0), "Entries of a page, at most 1000; else 1000"),
];

/// Of a list of resources.
pub(super) const RESOURCES: &[Parameter] = &[
    parameter("resource_type", Text, "Only of these types, with commas between"),
    parameter("path_start", Text, "Only those whose paths begin so"),
    parameter("page", Number(1), "Which page"),
    parameter("per_page", Number(0), "Entries of a page, at most 1000; else 1000"),
];

/// Of one variable.
pub(super) const VARIABLE: &[Parameter] = &[
    parameter("decrypt_secret", Switch, "false: without the text of a secret one"),
    parameter(
        "include_encrypted",
        Switch,
        "With its text as it is sealed, when it is a secret that is not decrypted",
    ),
];

/// Of a change to a variable.
pub(super) const ENCRYPTED: &[Parameter] =
    &[parameter("already_encrypted", Switch, "The value is sealed, as include_encrypted shows it")];

/// Of making a resource.
pub(super) const REPLACE: &[Parameter] =
    &[parameter("update_if_exists", Switch, "Replaces one that is there")];
