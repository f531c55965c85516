//! Calls a dynamic script: it takes one JSON text and returns one JSON text, which is checked.

use super::classify::{self, GuestEnd};
use crate::entry::{DynamicParams, DynamicResults};
use crate::json;
use crate::run_state::RunState;
use wasmill_core::FailureName;
use wasmtime::Store;
use wasmtime::component::{ComponentExportIndex, InstancePre};

pub(super) async fn call(
    store: &mut Store<RunState>,
    pre: &InstancePre<RunState>,
    main: &ComponentExportIndex,
    args: &str,
    limit: u64,
) -> wasmtime::Result<GuestEnd> {
    let instance = pre.instantiate_async(&mut *store).await?;
    let function =
        instance.get_typed_func::<DynamicParams<'_>, DynamicResults>(&mut *store, main)?;
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
