//! The entry of a linked script: what a run calls, and with which type.

use crate::run_state::RunState;
use crate::value_type::Signature;
use wasmtime::ModuleExport;
use wasmtime::component::types::ComponentFunc;
use wasmtime::component::{self, ComponentExportIndex, ComponentType, InstancePre, Lift};

/// The entry of a script, with the index of its export.
pub(crate) enum Entry {
    Typed {
        pre: component::InstancePre<RunState>,
        main: ComponentExportIndex,
        signature: Signature,
    },
    Dynamic {
        pre: component::InstancePre<RunState>,
        main: ComponentExportIndex,
    },
    Command {
        pre: component::InstancePre<RunState>,
        run: ComponentExportIndex,
    },
    Core {
        pre: wasmtime::InstancePre<RunState>,
        start: ModuleExport,
    },
}

/// The record `script-error` of the interface `wasmill:script/entry`.
#[derive(ComponentType, Lift)]
#[component(record)]
pub(crate) struct ScriptError {
    pub(crate) name: String,
    pub(crate) message: String,
    pub(crate) stack: Option<String>,
}

/// The parameters of a dynamic `main`: the text of the arguments.
pub(crate) type DynamicParams<'a> = (&'a str,);
/// The results of a dynamic `main`: the text of the result, or a script error.
pub(crate) type DynamicResults = (Result<String, ScriptError>,);

/// Checks that a function has the type of `main` in the interface.
///
/// # Errors
/// How the type differs.
pub(crate) fn check_dynamic_main(
    function: &ComponentFunc,
    pre: &InstancePre<RunState>,
) -> wasmtime::Result<()> {
    function.typecheck::<DynamicParams<'_>, DynamicResults>(&pre.instance_type())
}
