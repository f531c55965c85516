//! Query parameters of the operations on workspaces.

use crate::api::description::ParameterKind::Number;
use crate::api::description::{Parameter, parameter};

/// Of the delivery log.
pub(super) const DELIVERIES: &[Parameter] = &[
    parameter(
        "per_page",
        Number(0),
        "Events of a page, at most 1000, which is also what is shown unless it is said",
    ),
    parameter(
        "before",
        Number(0),
        "The id before which the page ends: the last one of the page before",
    ),
];
