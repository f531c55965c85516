//! Calls a dynamic script: one JSON text in, one JSON text out, which is checked before it is
//! called a result.

use super::classify::{self, Ended};
use crate::json;
use crate::state::State;
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

/// Is that function the `main` of the interface?
pub(crate) fn check_signature(
    function: &ComponentFunc,
    pre: &InstancePre<State>,
) -> wasmtime::Result<()> {
    function.typecheck::<Params<'_>, Results>(&pre.instance_type())
}

pub(super) async fn call(
    store: &mut Store<State>,
    pre: &InstancePre<State>,
    main: &ComponentExportIndex,
    args: &str,
    limit: u64,
) -> wasmtime::Result<Ended> {
    let instance = pre.instantiate_async(&mut *store).await?;
    let function = instance.get_typed_func::<Params<'_>, Results>(&mut *store, main)?;
    store.data_mut().entered = true;
    let (result,) = function.call_async(&mut *store, (args,)).await?;
    Ok(match result {
        Ok(text) if text.len() as u64 > limit => classify::result_too_large(limit),
        Ok(text) => match json::value(text) {
            Ok(json) => Ended::Success(json),
            Err(fault) => Ended::failure(
                FailureName::InvalidResult,
                format!("the script's result is not acceptable JSON: {fault}"),
            ),
        },
        Err(error) => Ended::Failure(classify::script_error(
            &error.name,
            &error.message,
            error.stack.as_deref(),
        )),
    })
}
