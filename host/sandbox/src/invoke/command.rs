//! Calls a command, and reads its result from its standard output.

use super::classify::{self, GuestEnd};
use crate::json;
use crate::log::LogBuffer;
use crate::run_state::RunState;
use crate::sanitize;
use crate::wasi::Capture;
use serde_json::value::RawValue;
use wasmill_core::{Failure, FailureName, Outcome};
use wasmtime::component::{self, ComponentExportIndex};
use wasmtime::{InstancePre, ModuleExport, Store};

/// Calls `wasi:cli/run`. The error of that function has no content, so it becomes exit code 1.
pub(super) async fn call(
    store: &mut Store<RunState>,
    pre: &component::InstancePre<RunState>,
    run: &ComponentExportIndex,
) -> wasmtime::Result<GuestEnd> {
    let instance = pre.instantiate_async(&mut *store).await?;
    let function = instance.get_typed_func::<(), (Result<(), ()>,)>(&mut *store, run)?;
    store.data_mut().entered = true;
    let (result,) = function.call_async(&mut *store, ()).await?;
    Ok(GuestEnd::Exit(i32::from(result.is_err())))
}

/// Calls `_start` of a core module. A return becomes exit code 0.
pub(super) async fn call_core(
    store: &mut Store<RunState>,
    pre: &InstancePre<RunState>,
    start: &ModuleExport,
) -> wasmtime::Result<GuestEnd> {
    let instance = pre.instantiate_async(&mut *store).await?;
    let export =
        instance.get_module_export(&mut *store, start).and_then(wasmtime::Extern::into_func);
    let function =
        export.ok_or_else(|| wasmtime::Error::msg("_start is gone"))?.typed::<(), ()>(&*store)?;
    store.data_mut().entered = true;
    function.call_async(&mut *store, ()).await?;
    Ok(GuestEnd::Exit(0))
}

/// The outcome of a command, from its exit code and its captured output.
pub(super) fn outcome(
    code: i32,
    captured: &Capture,
    errors: &str,
    limit: u64,
    log: &LogBuffer,
) -> Outcome {
    let (output, too_large) = captured.take();
    if too_large {
        return classify::too_large(limit).into_outcome();
    }
    if code != 0 {
        // The output is not a result then. It goes to the log, because it may tell what happened.
        log.append(&sanitize::lossy(&output));
        return exited(code, errors);
    }
    let output = String::from_utf8(output)
        .unwrap_or_else(|error| sanitize::lossy(error.as_bytes()).into_owned());
    match result(output, log) {
        Ok(json) if json.get().len() as u64 > limit => classify::too_large(limit).into_outcome(),
        Ok(json) => Outcome::Success(json),
        Err(error) => Outcome::Failure(Failure::new(
            FailureName::InvalidResult,
            format!("the script's output is not acceptable as a result: {error}"),
        )),
    }
}

/// The outcome of an exit code alone: 0 is a success without a result, any other code is a script
/// error.
pub(super) fn exited(code: i32, errors: &str) -> Outcome {
    if code == 0 {
        return Outcome::Success(RawValue::NULL.to_owned());
    }
    let message = classify::last_words(errors)
        .unwrap_or_else(|| format!("the script exited with code {code}"));
    let mut failure = classify::script_error("", &message, None);
    failure.exit_code = Some(code);
    Outcome::Failure(failure)
}

/// The result in the output of a command. When all of the output is JSON, the result is that.
/// Otherwise, when the last line is JSON, the result is the last line and the lines before it go to
/// the log. Otherwise the result is the output as a JSON string. Empty output is null.
fn result(output: String, log: &LogBuffer) -> Result<Box<RawValue>, json::JsonError> {
    if output.trim().is_empty() {
        return Ok(RawValue::NULL.to_owned());
    }
    match json::value(output.clone()) {
        Ok(json) => return Ok(json),
        // An output that begins with a bracket and is nested too deep is JSON, and no text.
        Err(json::JsonError::TooDeep) if output.trim_start().starts_with(['[', '{']) => {
            return Err(json::JsonError::TooDeep);
        }
        Err(_) => {}
    }
    let content = output.trim_end();
    if let Some((before, last)) = content.rsplit_once('\n')
        && let Ok(json) = json::value(last.to_owned())
    {
        log.append(before);
        log.append("\n");
        return Ok(json);
    }
    serde_json::value::to_raw_value(&output)
        .map_err(|error| json::JsonError::Syntax(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs() {
        for (output, expected, logged) in [
            ("", "null", ""),
            (" \n\n", "null", ""),
            ("{\"a\": 1}\n", "{\"a\": 1}", ""),
            ("[1,\n 2]\n", "[1,\n 2]", ""),
            ("reading\nworking\n{\"a\":1}\n\n", "{\"a\":1}", "reading\nworking\n"),
            ("done\r\n5\r\n", "5", "done\\u{d}\n"),
            ("plain text\n", "\"plain text\\n\"", ""),
            ("two\nlines", "\"two\\nlines\"", ""),
            ("\"quoted\"", "\"quoted\"", ""),
        ] {
            let log = LogBuffer::new(1000);
            assert_eq!(result(output.into(), &log).unwrap().get(), expected, "{output:?}");
            assert_eq!(log.read_from(0).0, logged, "{output:?}");
        }
        let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
        assert!(matches!(result(deep, &LogBuffer::new(0)), Err(json::JsonError::TooDeep)));
    }

    #[test]
    fn exit_codes() {
        let failure = |code, errors: &str| match exited(code, errors) {
            Outcome::Failure(failure) => failure,
            Outcome::Success(_) => panic!("a success"),
        };
        assert_eq!(failure(3, "a\nno such file\n").message, "no such file");
        let silent = failure(3, "");
        assert_eq!(
            (silent.message.as_str(), silent.exit_code, silent.name.as_str()),
            ("the script exited with code 3", Some(3), "ScriptError")
        );
        assert!(exited(0, "").is_success());
    }
}
