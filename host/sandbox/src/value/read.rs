//! Reads JSON: the argument object of a call becomes the parameters of `main`.

use super::names::{same_name, snake};
use crate::sanitize;
use crate::value_type::{IntType, Signature, ValueType};
use base64::Engine as _;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::{Map, Value};
use wasmill_core::limits::{IGNORED_NAMES, JSON_VALUES, LISTED_NAMES};
use wasmtime::component::Val;

/// The largest integer up to which a 64-bit float represents every integer.
const EXACT_FLOAT: f64 = 9_007_199_254_740_992.0;

const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);

/// What is wrong with a value, and where the value is within its argument.
struct ReadError {
    /// The path from the value up to the argument, innermost part first: `.name` or `[3]`.
    path: Vec<String>,
    what: String,
}

type Read<T> = Result<T, ReadError>;

/// The parameters of a call, and the names that were ignored.
#[derive(Debug)]
pub(crate) struct Arguments {
    /// One value for each parameter.
    pub(crate) values: Vec<Val>,
    /// Names in the argument object that neither the signature nor a record in it has, at most
    /// [`IGNORED_NAMES`] of them. They are no error, because the senders of webhooks add
    /// members. They are written to the log, so that the author of a script finds a misspelt name.
    pub(crate) ignored: Vec<String>,
}

/// Reads the parameters of a call from the text of one JSON object.
///
/// # Errors
/// A sentence such as `argument "times": expected an integer from 0 to 4294967295, got "two"`.
pub(crate) fn arguments(signature: &Signature, args: &str) -> Result<Arguments, String> {
    if may_hold_too_many(args) {
        return Err(format!("the arguments hold more than {JSON_VALUES} values"));
    }
    let mut object = match serde_json::from_str(args) {
        Ok(Value::Object(object)) => object,
        Ok(other) => {
            return Err(format!(
                "the arguments must be a JSON object, got {}",
                sanitize::excerpt(&other.to_string())
            ));
        }
        Err(error) => return Err(format!("the arguments are not JSON: {error}")),
    };
    let mut reader = Reader { left: JSON_VALUES, ignored: Vec::new() };
    reader.ignore(&object, signature.params.iter().map(|(name, _)| name));
    let mut values = Vec::with_capacity(signature.params.len());
    for (name, ty) in &signature.params {
        let value = match (take(&mut object, name), ty) {
            (Some(value), ty) => reader.value(ty, value),
            (None, ValueType::Option(_)) => Ok(Val::Option(None)),
            (None, _) if reader.ignored.is_empty() => {
                return Err(format!("argument \"{name}\" is missing"));
            }
            (None, _) => {
                let given = sanitize::quoted_list(reader.ignored.iter().map(String::as_str));
                return Err(format!(
                    "argument \"{name}\" is missing; the call has {given}, which main does not take"
                ));
            }
        };
        values.push(value.map_err(|error| {
            let path: String = error.path.iter().rev().map(String::as_str).collect();
            format!("argument \"{}\": {}", sanitize::excerpt(&format!("{name}{path}")), error.what)
        })?);
    }
    Ok(Arguments { values, ignored: reader.ignored })
}

/// True when the text has more commas and brackets than [`JSON_VALUES`]. Counted before the text is
/// parsed, so that parsing cannot use too much memory.
fn may_hold_too_many(args: &str) -> bool {
    // The shortest value is one digit and a comma.
    args.len() / 2 > JSON_VALUES
        && args.bytes().filter(|byte| matches!(byte, b',' | b'[' | b'{')).count() > JSON_VALUES
}

/// Takes the member with that name, or with the name in snake_case, out of the object.
fn take(object: &mut Map<String, Value>, name: &str) -> Option<Value> {
    match object.get_mut(name) {
        Some(value) => Some(value.take()),
        None if name.contains('-') => object.get_mut(&snake(name)).map(Value::take),
        None => None,
    }
}

/// The words between what was expected and the value that was found.
const GOT: &str = ", got ";

fn wrong(expected: &str, got: &Value) -> ReadError {
    ReadError { path: Vec::new(), what: format!("expected {expected}{GOT}{}", quote(got)) }
}

/// A message of [`arguments`] without the value that it quotes.
pub(crate) fn without_values(message: &str) -> &str {
    message.split_once(GOT).map_or(message, |(expected, _)| expected)
}

fn quote(value: &Value) -> String {
    match value {
        // Large values are counted, not written out and cut.
        Value::Array(items) if items.len() > 30 => format!("an array of {} items", items.len()),
        Value::Object(members) if members.len() > 30 => {
            format!("an object of {} members", members.len())
        }
        other => sanitize::excerpt(&other.to_string()),
    }
}

struct Reader {
    left: usize,
    ignored: Vec<String>,
}

impl Reader {
    /// Keeps the names in `object` that are not among `known`.
    fn ignore<'a>(
        &mut self,
        object: &Map<String, Value>,
        known: impl Iterator<Item = &'a String> + Clone,
    ) {
        let unknown = object.keys().filter(|key| !known.clone().any(|name| same_name(key, name)));
        let room = IGNORED_NAMES.saturating_sub(self.ignored.len());
        self.ignored.extend(unknown.take(room).map(|key| sanitize::excerpt(key)));
    }

    fn spend(&mut self, values: usize) -> Read<()> {
        self.left = self.left.checked_sub(values).ok_or_else(|| ReadError {
            path: Vec::new(),
            what: format!("the arguments hold more than {JSON_VALUES} values"),
        })?;
        Ok(())
    }

    /// Reads a value within another value. An error gets the place of the value.
    fn at(&mut self, place: impl FnOnce() -> String, ty: &ValueType, value: Value) -> Read<Val> {
        self.value(ty, value).map_err(|mut error| {
            error.path.push(place());
            error
        })
    }

    fn value(&mut self, ty: &ValueType, value: Value) -> Read<Val> {
        self.spend(1)?;
        Ok(match (ty, value) {
            (ValueType::Bool, Value::Bool(value)) => Val::Bool(value),
            (ValueType::Int(int), value) => integer(*int, &value)?,
            (ValueType::Float32, value) => Val::Float32(float(&value)? as f32),
            (ValueType::Float64, value) => Val::Float64(float(&value)?),
            (ValueType::Char, value) => Val::Char(character(&value)?),
            (ValueType::String, Value::String(value)) => Val::String(value),
            (ValueType::Bytes, Value::String(text)) => self.bytes(&text)?,
            (ValueType::Bytes, Value::Array(items)) => {
                self.list(&ValueType::Int(IntType::U8), items)?
            }
            (ValueType::List(item), Value::Array(items)) => self.list(item, items)?,
            (ValueType::Record(fields), Value::Object(object)) => self.record(fields, object)?,
            (ValueType::Tuple(types), Value::Array(items)) if types.len() == items.len() => {
                let items = types.iter().zip(items).enumerate();
                Val::Tuple(
                    items
                        .map(|(index, (ty, item))| self.at(|| format!("[{index}]"), ty, item))
                        .collect::<Read<_>>()?,
                )
            }
            (ValueType::Variant(cases), value) => self.variant(cases, value)?,
            (ValueType::Enum(names), value) => match value
                .as_str()
                .and_then(|given| names.iter().find(|name| same_name(given, name)))
            {
                Some(name) => Val::Enum(name.clone()),
                None => {
                    return Err(wrong(
                        &format!(
                            "one of {}",
                            sanitize::quoted_list(names.iter().map(String::as_str))
                        ),
                        &value,
                    ));
                }
            },
            (ValueType::Option(_), Value::Null) => Val::Option(None),
            (ValueType::Option(inner), value) => match (&**inner, value) {
                // Null stands for the outer option, so a value of the inner option is wrapped in an
                // array.
                (ValueType::Option(_), Value::Array(mut items)) if items.len() == 1 => {
                    match items.pop() {
                        Some(item) => {
                            Val::Option(Some(Box::new(self.at(|| "[0]".into(), inner, item)?)))
                        }
                        None => Val::Option(None),
                    }
                }
                (ValueType::Option(_), value) => {
                    return Err(wrong("null or an array of one item", &value));
                }
                (_, value) => Val::Option(Some(Box::new(self.value(inner, value)?))),
            },
            (ValueType::Result(ok, err), value) => {
                self.result(ok.as_deref(), err.as_deref(), value)?
            }
            (ValueType::Flags(names), Value::Array(items)) => self.flags(names, items)?,
            (ty, value) => return Err(wrong(&name(ty), &value)),
        })
    }

    fn list(&mut self, ty: &ValueType, items: Vec<Value>) -> Read<Val> {
        let items = items.into_iter().enumerate();
        Ok(Val::List(
            items
                .map(|(index, item)| self.at(|| format!("[{index}]"), ty, item))
                .collect::<Read<_>>()?,
        ))
    }

    fn bytes(&mut self, text: &str) -> Read<Val> {
        let alphabet = if text.contains(['-', '_']) { &URL_SAFE } else { &STANDARD };
        let decoded = GeneralPurpose::new(alphabet, LENIENT).decode(text);
        let Ok(bytes) = decoded else {
            return Err(wrong(
                "base64 text or an array of numbers from 0 to 255",
                &Value::from(text),
            ));
        };
        self.spend(bytes.len())?;
        Ok(Val::List(bytes.into_iter().map(Val::U8).collect()))
    }

    fn record(
        &mut self,
        fields: &[(String, ValueType)],
        mut object: Map<String, Value>,
    ) -> Read<Val> {
        self.ignore(&object, fields.iter().map(|(name, _)| name));
        let mut values = Vec::with_capacity(fields.len());
        for (name, ty) in fields {
            let value = match (take(&mut object, name), ty) {
                (Some(value), ty) => self.at(|| format!(".{name}"), ty, value)?,
                (None, ValueType::Option(_)) => Val::Option(None),
                (None, _) => {
                    return Err(ReadError {
                        path: Vec::new(),
                        what: format!("the key \"{name}\" is missing"),
                    });
                }
            };
            values.push((name.clone(), value));
        }
        Ok(Val::Record(values))
    }

    fn variant(&mut self, cases: &[(String, Option<ValueType>)], value: Value) -> Read<Val> {
        let known = || {
            let cases = cases.iter().map(|(name, payload)| {
                if payload.is_some() {
                    format!("{{\"{name}\": ..}}")
                } else {
                    format!("\"{name}\"")
                }
            });
            format!("one of {}", cases.take(LISTED_NAMES).collect::<Vec<_>>().join(", "))
        };
        let (given, payload) = match single(value) {
            Ok(pair) => pair,
            Err(value) => return Err(wrong(&known(), &value)),
        };
        match (cases.iter().find(|(name, _)| same_name(&given, name)), payload) {
            (Some((name, None)), None | Some(Value::Null)) => Ok(Val::Variant(name.clone(), None)),
            (Some((name, Some(ty))), Some(payload)) => Ok(Val::Variant(
                name.clone(),
                Some(Box::new(self.at(|| format!(".{name}"), ty, payload)?)),
            )),
            (_, None) => Err(wrong(&known(), &Value::String(given))),
            (_, Some(payload)) => Err(wrong(&known(), &serde_json::json!({ given: payload }))),
        }
    }

    fn result(
        &mut self,
        ok: Option<&ValueType>,
        err: Option<&ValueType>,
        value: Value,
    ) -> Read<Val> {
        let expected = "{\"ok\": ..} or {\"err\": ..}";
        let (given, payload) = single(value).map_err(|value| wrong(expected, &value))?;
        let ty = match given.as_str() {
            "ok" => ok,
            "err" => err,
            _ => return Err(wrong(expected, &Value::String(given))),
        };
        let payload = match (ty, payload) {
            (None, None | Some(Value::Null)) => None,
            (Some(ty), Some(payload)) => {
                Some(Box::new(self.at(|| format!(".{given}"), ty, payload)?))
            }
            (None, Some(payload)) => {
                return Err(wrong(&format!("{{\"{given}\": null}}"), &payload));
            }
            (Some(_), None) => return Err(wrong(expected, &Value::String(given))),
        };
        Ok(Val::Result(if given == "ok" { Ok(payload) } else { Err(payload) }))
    }

    fn flags(&mut self, names: &[String], items: Vec<Value>) -> Read<Val> {
        self.spend(items.len())?;
        let mut set: Vec<String> = Vec::new();
        for item in items {
            match item.as_str().and_then(|given| names.iter().find(|name| same_name(given, name))) {
                Some(name) if set.contains(name) => {}
                Some(name) => set.push(name.clone()),
                None => {
                    return Err(wrong(
                        &format!(
                            "names out of {}",
                            sanitize::quoted_list(names.iter().map(String::as_str))
                        ),
                        &item,
                    ));
                }
            }
        }
        Ok(Val::Flags(set))
    }
}

/// The name of a case with its payload: from a string, or from an object with one member. Returns
/// any other value as the error.
fn single(value: Value) -> Result<(String, Option<Value>), Value> {
    match value {
        Value::String(name) => Ok((name, None)),
        Value::Object(object) if object.len() == 1 => match object.into_iter().next() {
            Some((name, payload)) => Ok((name, Some(payload))),
            None => Err(Value::Null),
        },
        other => Err(other),
    }
}

fn integer(int: IntType, value: &Value) -> Read<Val> {
    let (low, high) = int.range();
    let number = match value {
        Value::Number(number) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
            (Some(number), _, _) => Some(i128::from(number)),
            (_, Some(number), _) => Some(i128::from(number)),
            // 1e3 and 5.0 are integers too, in the range where floats are exact.
            (_, _, Some(number)) if number.fract() == 0.0 && number.abs() <= EXACT_FLOAT => {
                Some(number as i128)
            }
            _ => None,
        },
        Value::String(text) => text.parse().ok(),
        _ => None,
    };
    let error = || wrong(&format!("an integer from {low} to {high}"), value);
    let number = number.ok_or_else(error)?;
    fn fit<T: TryFrom<i128>>(number: i128, error: impl FnOnce() -> ReadError) -> Read<T> {
        T::try_from(number).map_err(|_| error())
    }
    Ok(match int {
        IntType::S8 => Val::S8(fit(number, error)?),
        IntType::U8 => Val::U8(fit(number, error)?),
        IntType::S16 => Val::S16(fit(number, error)?),
        IntType::U16 => Val::U16(fit(number, error)?),
        IntType::S32 => Val::S32(fit(number, error)?),
        IntType::U32 => Val::U32(fit(number, error)?),
        IntType::S64 => Val::S64(fit(number, error)?),
        IntType::U64 => Val::U64(fit(number, error)?),
    })
}

fn float(value: &Value) -> Read<f64> {
    let number = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => match text.as_str() {
            "NaN" => Some(f64::NAN),
            "inf" | "Infinity" => Some(f64::INFINITY),
            "-inf" | "-Infinity" => Some(f64::NEG_INFINITY),
            _ => None,
        },
        _ => None,
    };
    number.ok_or_else(|| wrong("a number, \"NaN\", \"inf\" or \"-inf\"", value))
}

fn character(value: &Value) -> Read<char> {
    let mut characters = value.as_str().unwrap_or_default().chars();
    match (characters.next(), characters.next()) {
        (Some(character), None) => Ok(character),
        _ => Err(wrong("a string of one character", value)),
    }
}

/// What a type expects, in words.
fn name(ty: &ValueType) -> String {
    match ty {
        ValueType::Bool => "true or false".into(),
        ValueType::String => "a string".into(),
        ValueType::Bytes => "base64 text or an array of numbers from 0 to 255".into(),
        ValueType::List(_) => "an array".into(),
        ValueType::Record(fields) => {
            format!(
                "an object with {}",
                sanitize::quoted_list(fields.iter().map(|(name, _)| name.as_str()))
            )
        }
        ValueType::Tuple(types) => format!("an array of {} items", types.len()),
        ValueType::Flags(names) => {
            format!(
                "an array of names out of {}",
                sanitize::quoted_list(names.iter().map(String::as_str))
            )
        }
        // The other types report their own errors while they are read.
        _ => "another value".into(),
    }
}
