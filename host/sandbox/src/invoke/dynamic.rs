//! Calls a dynamic script: it takes one JSON text and returns one JSON text, which is checked.

use super::classify::{self, GuestEnd};
use crate::json;
use crate::run_state::RunState;
use wasmill_core::FailureName;
use wasmtime::Store;
use wasmtime::component::types::ComponentFunc;
use wasmtime::component::{ComponentExportIndex, ComponentType, InstancePre, Lift};

/// The record `script-error` of the interface `wasmill:script/entry`.
#[derive(ComponentType, Lift)]
#[component(record)]
struct ScriptError {
    name: String,
    message: String,
    stack: Option<String>,
}

type Params<'a> = (&'a str,);
type Results = (Result<String, ScriptError>,);

/// Checks that a function has the type of `main` in the interface.
///
/// # Errors
/// How the type differs.
pub(crate) fn check_signature(
    function: &ComponentFunc,
    pre: &InstancePre<RunState>,
) -> wasmtime::Result<()> {
    function.typecheck::<Params<'_>, Results>(&pre.instance_type())
}

pub(super) async fn call(
    store: &mut Store<RunState>,
    pre: &InstancePre<RunState>,
    main: &ComponentExportIndex,
    args: &str,
    limit: u64,
) -> wasmtime::Result<GuestEnd> {
    let instance = pre.instantiate_async(&mut *store).await?;
    let function = instance.get_typed_func::<Params<'_>, Results>(&mut *store, main)?;
    store.data_mut().entered = true;
    let (result,) = function.call_async(&mut *store, (args,)).await?;
    Ok(match result {
        Ok(text) if text.len() as u64 > limit => classify::result_too_large(limit),
        Ok(text) => match json::value(text) {
            Ok(json) => GuestEnd::Success(json),
            Err(error) => GuestEnd::failure(
                FailureName::InvalidResult,
                format!("the script's result is not acceptable JSON: {error}"),
            ),
        },
        Err(error) => GuestEnd::Failure(classify::script_error(
            &error.name,
            &error.message,
            error.stack.as_deref(),
        )),
    })
}
