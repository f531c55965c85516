//! JSON in: the argument object of a call becomes the parameters of `main`, or a message that names
//! the argument.

use super::{same_name, snake};
use crate::shape::{Int, Shape, Signature};
use crate::text;
use base64::Engine as _;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::{Map, Value};
use wasmill_core::limits::JSON_VALUES;
use wasmtime::component::Val;

/// Largest whole number that a float of 64 bits holds without gaps.
const EXACT_FLOAT: f64 = 9_007_199_254_740_992.0;

const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);

/// What is wrong with one value, and where below its argument.
struct Fault {
    /// The way from the value up to the argument, innermost first: `.name` or `[3]`.
    path: Vec<String>,
    what: String,
}

type Read<T> = Result<T, Fault>;

/// The parameters for a call, and what of its object nothing was asked for.
#[derive(Debug)]
pub(crate) struct Arguments {
    /// One value for each parameter.
    pub(crate) values: Vec<Val>,
    /// Names that neither the signature nor a record in it has, at most [`IGNORED`] of them.
    /// Senders of webhooks add keys when they like, so these are no error; but a misspelt name
    /// should not stay a riddle either.
    pub(crate) ignored: Vec<String>,
}

/// Ignored names that are remembered.
const IGNORED: usize = 10;

/// The parameters for a call, from the text of one JSON object.
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
                text::brief(&other.to_string())
            ));
        }
        Err(error) => return Err(format!("the arguments are not JSON: {error}")),
    };
    let mut reader = Reader { left: JSON_VALUES, ignored: Vec::new() };
    reader.ignore(&object, signature.params.iter().map(|(name, _)| name));
    let mut values = Vec::with_capacity(signature.params.len());
    for (name, shape) in &signature.params {
        let value = match (take(&mut object, name), shape) {
            (Some(value), shape) => reader.value(shape, value),
            (None, Shape::Option(_)) => Ok(Val::Option(None)),
            (None, _) if reader.ignored.is_empty() => {
                return Err(format!("argument \"{name}\" is missing"));
            }
            (None, _) => {
                let given = text::listed(reader.ignored.iter().map(String::as_str));
                return Err(format!(
                    "argument \"{name}\" is missing; the call has {given}, which main does not take"
                ));
            }
        };
        values.push(value.map_err(|fault| {
            let path: String = fault.path.iter().rev().map(String::as_str).collect();
            format!("argument \"{}\": {}", text::brief(&format!("{name}{path}")), fault.what)
        })?);
    }
    Ok(Arguments { values, ignored: reader.ignored })
}

/// True when the text has more commas and brackets than values are allowed; counted before anything
/// is built of them.
fn may_hold_too_many(args: &str) -> bool {
    // The shortest value is one digit and a comma.
    args.len() / 2 > JSON_VALUES
        && args.bytes().filter(|byte| matches!(byte, b',' | b'[' | b'{')).count() > JSON_VALUES
}

/// The member of that name, or of its snake_case form.
fn take(object: &mut Map<String, Value>, name: &str) -> Option<Value> {
    match object.get_mut(name) {
        Some(value) => Some(value.take()),
        None if name.contains('-') => object.get_mut(&snake(name)).map(Value::take),
        None => None,
    }
}

/// What stands between what was expected and the value that was found.
const GOT: &str = ", got ";

fn wrong(expected: &str, got: &Value) -> Fault {
    Fault { path: Vec::new(), what: format!("expected {expected}{GOT}{}", quote(got)) }
}

/// A message of [`arguments`] without the value that it quotes.
pub(crate) fn without_values(message: &str) -> &str {
    message.split_once(GOT).map_or(message, |(expected, _)| expected)
}

fn quote(value: &Value) -> String {
    match value {
        // Not written out just to be cut.
        Value::Array(items) if items.len() > 30 => format!("an array of {} items", items.len()),
        Value::Object(members) if members.len() > 30 => {
            format!("an object of {} members", members.len())
        }
        other => text::brief(&other.to_string()),
    }
}

struct Reader {
    left: usize,
    ignored: Vec<String>,
}

impl Reader {
    /// Notes the names of an object that nothing asks for.
    fn ignore<'a>(
        &mut self,
        object: &Map<String, Value>,
        known: impl Iterator<Item = &'a String> + Clone,
    ) {
        let unknown = object.keys().filter(|key| !known.clone().any(|name| same_name(key, name)));
        let room = IGNORED.saturating_sub(self.ignored.len());
        self.ignored.extend(unknown.take(room).map(|key| text::brief(key)));
    }

    fn spend(&mut self, values: usize) -> Read<()> {
        self.left = self.left.checked_sub(values).ok_or_else(|| Fault {
            path: Vec::new(),
            what: format!("the arguments hold more than {JSON_VALUES} values"),
        })?;
        Ok(())
    }

    /// A value below another one: its place is noted when it is wrong.
    fn at(&mut self, place: impl FnOnce() -> String, shape: &Shape, value: Value) -> Read<Val> {
        self.value(shape, value).map_err(|mut fault| {
            fault.path.push(place());
            fault
        })
    }

    fn value(&mut self, shape: &Shape, value: Value) -> Read<Val> {
        self.spend(1)?;
        Ok(match (shape, value) {
            (Shape::Bool, Value::Bool(value)) => Val::Bool(value),
            (Shape::Int(int), value) => integer(*int, &value)?,
            (Shape::Float32, value) => Val::Float32(float(&value)? as f32),
            (Shape::Float64, value) => Val::Float64(float(&value)?),
            (Shape::Char, value) => Val::Char(character(&value)?),
            (Shape::String, Value::String(value)) => Val::String(value),
            (Shape::Bytes, Value::String(text)) => self.bytes(&text)?,
            (Shape::Bytes, Value::Array(items)) => self.list(&Shape::Int(Int::U8), items)?,
            (Shape::List(item), Value::Array(items)) => self.list(item, items)?,
            (Shape::Record(fields), Value::Object(object)) => self.record(fields, object)?,
            (Shape::Tuple(shapes), Value::Array(items)) if shapes.len() == items.len() => {
                let items = shapes.iter().zip(items).enumerate();
                Val::Tuple(
                    items
                        .map(|(index, (shape, item))| self.at(|| format!("[{index}]"), shape, item))
                        .collect::<Read<_>>()?,
                )
            }
            (Shape::Variant(cases), value) => self.variant(cases, value)?,
            (Shape::Enum(names), value) => match value
                .as_str()
                .and_then(|given| names.iter().find(|name| same_name(given, name)))
            {
                Some(name) => Val::Enum(name.clone()),
                None => {
                    return Err(wrong(
                        &format!("one of {}", text::listed(names.iter().map(String::as_str))),
                        &value,
                    ));
                }
            },
            (Shape::Option(_), Value::Null) => Val::Option(None),
            (Shape::Option(inner), value) => match (&**inner, value) {
                // Within an option, null could mean either: the inner one is wrapped.
                (Shape::Option(_), Value::Array(mut items)) if items.len() == 1 => {
                    match items.pop() {
                        Some(item) => {
                            Val::Option(Some(Box::new(self.at(|| "[0]".into(), inner, item)?)))
                        }
                        None => Val::Option(None),
                    }
                }
                (Shape::Option(_), value) => {
                    return Err(wrong("null or an array of one item", &value));
                }
                (_, value) => Val::Option(Some(Box::new(self.value(inner, value)?))),
            },
            (Shape::Result(ok, err), value) => self.result(ok.as_deref(), err.as_deref(), value)?,
            (Shape::Flags(names), Value::Array(items)) => self.flags(names, items)?,
            (shape, value) => return Err(wrong(&name(shape), &value)),
        })
    }

    fn list(&mut self, shape: &Shape, items: Vec<Value>) -> Read<Val> {
        let items = items.into_iter().enumerate();
        Ok(Val::List(
            items
                .map(|(index, item)| self.at(|| format!("[{index}]"), shape, item))
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

    fn record(&mut self, fields: &[(String, Shape)], mut object: Map<String, Value>) -> Read<Val> {
        self.ignore(&object, fields.iter().map(|(name, _)| name));
        let mut values = Vec::with_capacity(fields.len());
        for (name, shape) in fields {
            let value = match (take(&mut object, name), shape) {
                (Some(value), shape) => self.at(|| format!(".{name}"), shape, value)?,
                (None, Shape::Option(_)) => Val::Option(None),
                (None, _) => {
                    return Err(Fault {
                        path: Vec::new(),
                        what: format!("the key \"{name}\" is missing"),
                    });
                }
            };
            values.push((name.clone(), value));
        }
        Ok(Val::Record(values))
    }

    fn variant(&mut self, cases: &[(String, Option<Shape>)], value: Value) -> Read<Val> {
        let known = || {
            let cases = cases.iter().map(|(name, payload)| {
                if payload.is_some() {
                    format!("{{\"{name}\": ..}}")
                } else {
                    format!("\"{name}\"")
                }
            });
            format!("one of {}", cases.take(20).collect::<Vec<_>>().join(", "))
        };
        let (given, payload) = match single(value) {
            Ok(pair) => pair,
            Err(value) => return Err(wrong(&known(), &value)),
        };
        match (cases.iter().find(|(name, _)| same_name(&given, name)), payload) {
            (Some((name, None)), None | Some(Value::Null)) => Ok(Val::Variant(name.clone(), None)),
            (Some((name, Some(shape))), Some(payload)) => Ok(Val::Variant(
                name.clone(),
                Some(Box::new(self.at(|| format!(".{name}"), shape, payload)?)),
            )),
            (_, None) => Err(wrong(&known(), &Value::String(given))),
            (_, Some(payload)) => Err(wrong(&known(), &serde_json::json!({ given: payload }))),
        }
    }

    fn result(&mut self, ok: Option<&Shape>, err: Option<&Shape>, value: Value) -> Read<Val> {
        let expected = "{\"ok\": ..} or {\"err\": ..}";
        let (given, payload) = single(value).map_err(|value| wrong(expected, &value))?;
        let shape = match given.as_str() {
            "ok" => ok,
            "err" => err,
            _ => return Err(wrong(expected, &Value::String(given))),
        };
        let payload = match (shape, payload) {
            (None, None | Some(Value::Null)) => None,
            (Some(shape), Some(payload)) => {
                Some(Box::new(self.at(|| format!(".{given}"), shape, payload)?))
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
                        &format!("names out of {}", text::listed(names.iter().map(String::as_str))),
                        &item,
                    ));
                }
            }
        }
        Ok(Val::Flags(set))
    }
}

/// A case's name with its payload: a string alone, or the one member of an object. Anything else is
/// given back.
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

fn integer(int: Int, value: &Value) -> Read<Val> {
    let (low, high) = int.range();
    let number = match value {
        Value::Number(number) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
            (Some(number), _, _) => Some(i128::from(number)),
            (_, Some(number), _) => Some(i128::from(number)),
            // 1e3 and 5.0 are whole numbers too, as far as floats are exact.
            (_, _, Some(number)) if number.fract() == 0.0 && number.abs() <= EXACT_FLOAT => {
                Some(number as i128)
            }
            _ => None,
        },
        Value::String(text) => text.parse().ok(),
        _ => None,
    };
    let fault = || wrong(&format!("an integer from {low} to {high}"), value);
    let number = number.ok_or_else(fault)?;
    fn fit<T: TryFrom<i128>>(number: i128, fault: impl FnOnce() -> Fault) -> Read<T> {
        T::try_from(number).map_err(|_| fault())
    }
    Ok(match int {
        Int::S8 => Val::S8(fit(number, fault)?),
        Int::U8 => Val::U8(fit(number, fault)?),
        Int::S16 => Val::S16(fit(number, fault)?),
        Int::U16 => Val::U16(fit(number, fault)?),
        Int::S32 => Val::S32(fit(number, fault)?),
        Int::U32 => Val::U32(fit(number, fault)?),
        Int::S64 => Val::S64(fit(number, fault)?),
        Int::U64 => Val::U64(fit(number, fault)?),
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

/// What a shape expects, in words.
fn name(shape: &Shape) -> String {
    match shape {
        Shape::Bool => "true or false".into(),
        Shape::String => "a string".into(),
        Shape::Bytes => "base64 text or an array of numbers from 0 to 255".into(),
        Shape::List(_) => "an array".into(),
        Shape::Record(fields) => {
            format!("an object with {}", text::listed(fields.iter().map(|(name, _)| name.as_str())))
        }
        Shape::Tuple(shapes) => format!("an array of {} items", shapes.len()),
        Shape::Flags(names) => {
            format!("an array of names out of {}", text::listed(names.iter().map(String::as_str)))
        }
        // The others name themselves where they are read.
        _ => "another value".into(),
    }
}
