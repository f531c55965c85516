//! Calls a typed script: values in, one value out, its `result` taken apart into result and script
//! error.

use super::classify::{self, Ended};
use crate::shape::{Shape, Signature};
use crate::state::State;
use crate::value::{self, Full};
use serde_json::value::RawValue;
use wasmill_core::{Failure, FailureName};
use wasmtime::Store;
use wasmtime::component::{ComponentExportIndex, InstancePre, Val};

pub(super) async fn call(
    store: &mut Store<State>,
    pre: &InstancePre<State>,
    main: &ComponentExportIndex,
    signature: &Signature,
    args: Vec<Val>,
    limit: u64,
) -> wasmtime::Result<Ended> {
    let instance = pre.instantiate_async(&mut *store).await?;
    let function =
        instance.get_func(&mut *store, main).ok_or_else(|| wasmtime::Error::msg("main is gone"))?;
    let mut results = vec![Val::Bool(false); usize::from(signature.result.is_some())];
    store.data_mut().entered = true;
    function.call_async(&mut *store, &args, &mut results).await?;
    Ok(ended(signature.result.as_ref().zip(results.first()), limit))
}

fn ended(result: Option<(&Shape, &Val)>, limit: u64) -> Ended {
    match result {
        None => success(None, limit),
        Some((Shape::Result(ok, _), Val::Result(Ok(value)))) => {
            success(ok.as_deref().zip(value.as_deref()), limit)
        }
        Some((Shape::Result(_, err), Val::Result(Err(value)))) => {
            Ended::Failure(script_error(err.as_deref().zip(value.as_deref()), limit))
        }
        Some((shape, value)) => success(Some((shape, value)), limit),
    }
}

fn success(result: Option<(&Shape, &Val)>, limit: u64) -> Ended {
    let Some((shape, value)) = result else { return Ended::Success(RawValue::NULL.to_owned()) };
    match value::to_json(shape, value, limit).map(RawValue::from_string) {
        Ok(Ok(json)) => Ended::Success(json),
        Err(Full::TooLarge) => classify::result_too_large(limit),
        Ok(Err(_)) | Err(Full::Mismatch) => Ended::failure(
            FailureName::Internal,
            "the host could not write the result; this is not the script's fault",
        ),
    }
}

/// An error that is a string is its message; one that has a message, and perhaps a name and a
/// stack, brings them along; any other is shown as JSON.
fn script_error(error: Option<(&Shape, &Val)>, limit: u64) -> Failure {
    let Some((shape, value)) = error else {
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
    let message = value::to_json(shape, value, limit)
        .unwrap_or_else(|_| "the script failed with an error that is too large to show".into());
    classify::script_error("", &message, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(shape: Shape, value: Val) -> (String, String, Option<String>) {
        let result = Shape::Result(None, Some(Box::new(shape)));
        match ended(Some((&result, &Val::Result(Err(Some(Box::new(value)))))), 1000) {
            Ended::Failure(failure) => {
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
            failure(Shape::String, Val::String("no tea".into())),
            error("ScriptError", "no tea", None)
        );
        let string = |text: &str| Val::String(text.into());
        let record = |fields: &[(&str, Val)]| {
            Val::Record(
                fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
            )
        };
        let shape = Shape::Record(vec![
            ("name".into(), Shape::String),
            ("message".into(), Shape::String),
            ("stack".into(), Shape::Option(Box::new(Shape::String))),
        ]);
        let value = record(&[
            ("name", string("TeaError")),
            ("message", string("no tea")),
            ("stack", Val::Option(Some(Box::new(string("at pot"))))),
        ]);
        assert_eq!(failure(shape, value), error("TeaError", "no tea", Some("at pot")));
        let shape = Shape::Record(vec![("code".into(), Shape::Bool)]);
        assert_eq!(
            failure(shape, record(&[("code", Val::Bool(true))])),
            error("ScriptError", "{\"code\":true}", None)
        );
        let shape = Shape::Enum(vec!["not-found".into()]);
        assert_eq!(
            failure(shape, Val::Enum("not-found".into())),
            error("ScriptError", "\"not-found\"", None)
        );
    }

    #[test]
    fn results_of_all_forms() {
        fn json(result: Option<(&Shape, &Val)>) -> String {
            match ended(result, 20) {
                Ended::Success(json) => json.get().to_owned(),
                Ended::Failure(failure) => failure.name.as_str().to_owned(),
                _ => panic!("neither"),
            }
        }
        assert_eq!(json(None), "null");
        assert_eq!(json(Some((&Shape::Bool, &Val::Bool(true)))), "true");
        let shape = Shape::Result(Some(Box::new(Shape::String)), None);
        assert_eq!(
            json(Some((&shape, &Val::Result(Ok(Some(Box::new(Val::String("x".into())))))))),
            "\"x\""
        );
        assert_eq!(
            json(Some((&shape, &Val::Result(Ok(Some(Box::new(Val::String("x".repeat(30))))))))),
            "ResultTooLarge"
        );
        assert_eq!(json(Some((&Shape::Result(None, None), &Val::Result(Ok(None))))), "null");
    }
}
