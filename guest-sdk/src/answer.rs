//! From what `main` returned to what the host is told.
//!
//! `main` may return many kinds of types which overlap: a `Result` can itself be serialized, and so
//! can some errors. Rust has no specialization, so the macro picks the conversion by method lookup:
//! it calls `answer` on a [`Returned`] behind several references, and the compiler takes the first
//! implementation that fits while it strips them one by one. The implementations at the end of this
//! file are in the order in which they are tried.

use std::cell::Cell;
use std::error::Error;
use std::fmt::Display;

use serde::Serialize;

use crate::error::ScriptError;

/// What the host is told: a JSON text, or an error.
pub type Answer = Result<String, ScriptError>;

/// What `main` returned. Taken out through a shared reference, because that is what method lookup
/// works on.
pub struct Returned<T>(Cell<Option<T>>);

impl<T> Returned<T> {
    /// Wraps what `main` returned.
    pub fn new(value: T) -> Self {
        Self(Cell::new(Some(value)))
    }

    fn convert(&self, conversion: impl FnOnce(T) -> Answer) -> Answer {
        match self.0.take() {
            Some(value) => conversion(value),
            None => Err(ScriptError::new("Internal", "the result of main was asked for twice")),
        }
    }
}

fn json(value: &impl Serialize) -> Answer {
    serde_json::to_string(value).map_err(|error| {
        ScriptError::new("InvalidResult", format!("the result of main has no JSON form: {error}"))
    })
}

fn finish<T: Serialize, E>(
    result: Result<T, E>,
    describe: impl FnOnce(E) -> ScriptError,
) -> Answer {
    match result {
        Ok(value) => json(&value),
        Err(error) => Err(describe(error)),
    }
}

/// Makes the trait and the implementation of one kind of return type.
macro_rules! kind {
    ($(#[$doc:meta])* $name:ident, <$($generic:ident $(: $bound:path)?),*> $wrapped:ty, $convert:expr) => {
        $(#[$doc])*
        pub trait $name {
            /// Converts what `main` returned.
            fn answer(&self) -> Answer;
        }

        impl<$($generic $(: $bound)?),*> $name for $wrapped
        where
            T: Serialize,
        {
            fn answer(&self) -> Answer {
                self.convert($convert)
            }
        }
    };
}

/// What a boxed error gives access to, if it may travel between threads.
type SendError = dyn Error + Send + Sync + 'static;
/// What a boxed error gives access to.
type AnyError = dyn Error + 'static;

kind! {
    /// A result whose error has its own name.
    NamedError, <T> &&&&&&Returned<Result<T, ScriptError>>, |result| finish(result, |error| error)
}
kind! {
    /// A result whose error is a boxed one that may travel between threads, such as
    /// `anyhow::Error`.
    BoxedSendError, <T, E: AsRef<SendError>> &&&&&Returned<Result<T, E>>,
    |result| finish(result, |error| ScriptError::from_chain(error.as_ref()))
}
kind! {
    /// A result whose error is a boxed one.
    BoxedError, <T, E: AsRef<AnyError>> &&&&Returned<Result<T, E>>,
    |result| finish(result, |error| ScriptError::from_chain(error.as_ref()))
}
kind! {
    /// A result whose error is an error by type.
    TypedError, <T, E: StaticError> &&&Returned<Result<T, E>>,
    |result| finish(result, |error| ScriptError::from_chain(&error))
}
kind! {
    /// A result whose error has a text, such as `String`.
    TextError, <T, E: Display> &&Returned<Result<T, E>>, |result| finish(result, ScriptError::from_text)
}
kind! {
    /// A result whose error is just data. It would otherwise be taken for a value, and the run for
    /// a success.
    DataError, <T, E: Serialize> &Returned<Result<T, E>>,
    |result| finish(result, |error| json(&error).map_or_else(|failed| failed, ScriptError::from_text))
}
kind! {
    /// Anything else: a value.
    Plain, <T> Returned<T>, |value| json(&value)
}

/// An error that borrows nothing, and can thus be asked for its type.
pub trait StaticError: Error + 'static {}

impl<E: Error + 'static> StaticError for E {}

#[cfg(test)]
mod tests {
    use std::fmt;

    use super::*;

    macro_rules! answer {
        ($value:expr) => {
            (&&&&&&&Returned::new($value)).answer()
        };
    }

    fn failed(answer: Answer) -> (String, String) {
        let error = answer.unwrap_err();
        (error.name, error.message)
    }

    fn script_error(message: &str) -> (String, String) {
        ("ScriptError".to_owned(), message.to_owned())
    }

    #[derive(Debug)]
    struct Outer(Box<dyn Error + Send + Sync>);

    impl fmt::Display for Outer {
        fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("could not pay")
        }
    }

    impl Error for Outer {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(self.0.as_ref())
        }
    }

    #[test]
    fn values_and_results_become_their_json() {
        assert_eq!(answer!(vec![1, 2]).unwrap(), "[1,2]");
        assert_eq!(answer!(()).unwrap(), "null");
        assert_eq!(answer!(Ok::<_, String>("a")).unwrap(), r#""a""#);
        assert_eq!(answer!(Ok::<_, ScriptError>(Some(1))).unwrap(), "1");
        let raw = serde_json::value::RawValue::from_string("1.50".to_owned()).unwrap();
        assert_eq!(answer!(raw).unwrap(), "1.50");
    }

    #[test]
    fn errors_of_every_kind_give_their_text() {
        assert_eq!(failed(answer!(Err::<(), _>("no"))), script_error("no"));
        assert_eq!(failed(answer!(Err::<(), _>("no".to_owned()))), script_error("no"));
        let io = || std::io::Error::other("disk on fire");
        assert_eq!(failed(answer!(Err::<(), _>(io()))), script_error("disk on fire"));
        assert_eq!(
            failed(answer!(Err::<(), _>(Outer(io().into())))),
            script_error("could not pay: disk on fire")
        );
        assert_eq!(
            failed(answer!(Err::<(), Box<dyn Error>>(io().into()))),
            script_error("disk on fire")
        );
        assert_eq!(
            failed(answer!(Err::<(), Box<dyn Error + Send + Sync>>(io().into()))),
            script_error("disk on fire")
        );
        assert_eq!(failed(answer!(Err::<(), _>(vec![1]))), script_error("[1]"));
    }

    #[test]
    fn a_script_error_keeps_its_name_inside_other_errors() {
        let own = || ScriptError::new("PaymentRefused", "too much").with_stack("pay.rs:3");
        let stack = Some("pay.rs:3".to_owned());

        assert_eq!(answer!(Err::<(), _>(own())).unwrap_err(), own());
        let wrapped = answer!(Err::<(), _>(Outer(own().into()))).unwrap_err();
        assert_eq!(
            (wrapped.name.as_str(), wrapped.message.as_str()),
            ("PaymentRefused", "could not pay: too much")
        );
        assert_eq!(wrapped.stack, stack);
        let boxed = answer!(Err::<(), Box<dyn Error>>(own().into())).unwrap_err();
        assert_eq!(boxed, own());
    }

    #[test]
    fn anyhow_tells_the_whole_chain_and_keeps_names() {
        use anyhow::Context as _;
        let own = ScriptError::new("PaymentRefused", "too much");
        let error = Err::<(), _>(own).context("order 7");
        let error = answer!(error).unwrap_err();
        assert_eq!(
            (error.name.as_str(), error.message.as_str()),
            ("PaymentRefused", "order 7: too much")
        );
        assert_eq!(failed(answer!(Err::<(), _>(anyhow::anyhow!("plain")))), script_error("plain"));
    }

    #[test]
    fn a_result_without_a_json_form_is_an_error() {
        let strange = std::collections::BTreeMap::from([(vec![1], 2)]);
        assert_eq!(failed(answer!(strange)).0, "InvalidResult");
    }
}
