//! Calls a typed script: it takes values and returns one value. Of the type `result`, the `ok`
//! value is the result and the `err` value is a script error.

use super::classify::{self, GuestEnd};
use crate::run_state::RunState;
use crate::value::{self, WriteError};
use crate::value_type::{Signature, ValueType};
use serde_json::value::RawValue;
use wasmill_core::{Failure, FailureName};
use wasmtime::Store;
use wasmtime::component::{ComponentExportIndex, InstancePre, Val};

pub(super) async fn call(
    store: &mut Store<RunState>,
    pre: &InstancePre<RunState>,
    main: &ComponentExportIndex,
    signature: &Signature,
    args: Vec<Val>,
    limit: u64,
) -> wasmtime::Result<GuestEnd> {
    let instance = pre.instantiate_async(&mut *store).await?;
    let function =
        instance.get_func(&mut *store, main).ok_or_else(|| wasmtime::Error::msg("main is gone"))?;
    let mut results = vec![Val::Bool(false); usize::from(signature.result.is_some())];
    store.data_mut().entered = true;
    function.call_async(&mut *store, &args, &mut results).await?;
    Ok(ended(signature.result.as_ref().zip(results.first()), limit))
}

fn ended(result: Option<(&ValueType, &Val)>, limit: u64) -> GuestEnd {
    match result {
        None => success(None, limit),
        Some((ValueType::Result(ok, _), Val::Result(Ok(value)))) => {
            success(ok.as_deref().zip(value.as_deref()), limit)
        }
        Some((ValueType::Result(_, err), Val::Result(Err(value)))) => {
            GuestEnd::Failure(script_error(err.as_deref().zip(value.as_deref()), limit))
        }
        Some((ty, value)) => success(Some((ty, value)), limit),
    }
}

fn success(result: Option<(&ValueType, &Val)>, limit: u64) -> GuestEnd {
    let Some((ty, value)) = result else { return GuestEnd::Success(RawValue::NULL.to_owned()) };
    match value::to_json(ty, value, limit).map(RawValue::from_string) {
        Ok(Ok(json)) => GuestEnd::Success(json),
        Err(WriteError::TooLarge) => classify::result_too_large(limit),
        Ok(Err(_)) | Err(WriteError::Mismatch) => GuestEnd::failure(
            FailureName::Internal,
            "the host could not write the result; this is not the script's fault",
        ),
    }
}

/// The failure of an `err` value. A string is the message. A record with a field `message` gives
/// the message, and its fields `name` and `stack` are used too. The message of any other value is
/// its JSON text.
fn script_error(error: Option<(&ValueType, &Val)>, limit: u64) -> Failure {
    let Some((ty, value)) = error else {
        return classify::script_error("", "the script failed without giving a reason", None);
    };
    match value {
        Val::String(message) => return classify::script_error("", message, None),
        Val::Record(fields) => {
            let text = |wanted: &str| match fields
                .iter()
                .find(|(name, _)| name == wanted)
                .map(|(_, value)| value)
            {
                Some(Val::String(text)) => Some(text.as_str()),
                Some(Val::Option(Some(inner))) => {
                    if let Val::String(text) = &**inner {
                        Some(text.as_str())
                    } else {
                        None
                    }
                }
                _ => None,
            };
            if let Some(message) = text("message") {
                return classify::script_error(
                    text("name").unwrap_or_default(),
                    message,
                    text("stack"),
                );
            }
        }
        _ => {}
    }
    let message = value::to_json(ty, value, limit)
        .unwrap_or_else(|_| "the script failed with an error that is too large to show".into());
    classify::script_error("", &message, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(ty: ValueType, value: Val) -> (String, String, Option<String>) {
        let result = ValueType::Result(None, Some(Box::new(ty)));
        match ended(Some((&result, &Val::Result(Err(Some(Box::new(value)))))), 1000) {
            GuestEnd::Failure(failure) => {
                (failure.name.as_str().to_owned(), failure.message, failure.stack)
            }
            _ => panic!("not a failure"),
        }
    }

    #[test]
    fn errors_of_all_forms() {
        let error = |name: &str, message: &str, stack: Option<&str>| {
            (name.to_owned(), message.to_owned(), stack.map(str::to_owned))
        };
        assert_eq!(
            failure(ValueType::String, Val::String("no tea".into())),
            error("ScriptError", "no tea", None)
        );
        let string = |text: &str| Val::String(text.into());
        let record = |fields: &[(&str, Val)]| {
            Val::Record(
                fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
            )
        };
        let ty = ValueType::Record(vec![
            ("name".into(), ValueType::String),
            ("message".into(), ValueType::String),
            ("stack".into(), ValueType::Option(Box::new(ValueType::String))),
        ]);
        let value = record(&[
            ("name", string("TeaError")),
            ("message", string("no tea")),
            ("stack", Val::Option(Some(Box::new(string("at pot"))))),
        ]);
        assert_eq!(failure(ty, value), error("TeaError", "no tea", Some("at pot")));
        let ty = ValueType::Record(vec![("code".into(), ValueType::Bool)]);
        assert_eq!(
            failure(ty, record(&[("code", Val::Bool(true))])),
            error("ScriptError", "{\"code\":true}", None)
        );
        let ty = ValueType::Enum(vec!["not-found".into()]);
        assert_eq!(
            failure(ty, Val::Enum("not-found".into())),
            error("ScriptError", "\"not-found\"", None)
        );
    }

    #[test]
    fn results_of_all_forms() {
        fn json(result: Option<(&ValueType, &Val)>) -> String {
            match ended(result, 20) {
                GuestEnd::Success(json) => json.get().to_owned(),
                GuestEnd::Failure(failure) => failure.name.as_str().to_owned(),
                _ => panic!("neither"),
            }
        }
        assert_eq!(json(None), "null");
        assert_eq!(json(Some((&ValueType::Bool, &Val::Bool(true)))), "true");
        let ty = ValueType::Result(Some(Box::new(ValueType::String)), None);
        assert_eq!(
            json(Some((&ty, &Val::Result(Ok(Some(Box::new(Val::String("x".into())))))))),
            "\"x\""
        );
        assert_eq!(
            json(Some((&ty, &Val::Result(Ok(Some(Box::new(Val::String("x".repeat(30))))))))),
            "ResultTooLarge"
        );
        assert_eq!(json(Some((&ValueType::Result(None, None), &Val::Result(Ok(None))))), "null");
    }
}
