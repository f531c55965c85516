//! Writes JSON: the result of `main` becomes text. Writing stops when the text is too large.

use crate::value_type::ValueType;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use std::io::{self, Write};
use wasmtime::component::Val;

/// Why a value could not be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WriteError {
    /// The text would be longer than the limit.
    TooLarge,
    /// The value is not of its type. This is an error of the host.
    Mismatch,
}

/// The JSON text of a value, of at most `limit` bytes.
pub(crate) fn to_json(ty: &ValueType, value: &Val, limit: u64) -> Result<String, WriteError> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut writer = Writer { out: Vec::with_capacity(64), limit };
    writer.value(ty, value)?;
    // Only text was written, so this cannot fail. It is checked because checking is cheap.
    String::from_utf8(writer.out).map_err(|_| WriteError::Mismatch)
}

struct Writer {
    out: Vec<u8>,
    limit: usize,
}

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.out.len().saturating_add(bytes.len()) > self.limit {
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.out.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Writer {
    fn text(&mut self, text: &str) -> Result<(), WriteError> {
        self.write_all(text.as_bytes()).map_err(|_| WriteError::TooLarge)
    }

    /// Writes a scalar or a string as serde_json does: floats in their shortest form, strings
    /// escaped.
    fn plain(&mut self, value: impl Serialize) -> Result<(), WriteError> {
        serde_json::to_writer(&mut *self, &value).map_err(|_| WriteError::TooLarge)
    }

    fn float(&mut self, value: f64, plain: impl Serialize) -> Result<(), WriteError> {
        match value {
            value if value.is_finite() => self.plain(plain),
            value if value.is_nan() => self.text("\"NaN\""),
            value if value > 0.0 => self.text("\"inf\""),
            _ => self.text("\"-inf\""),
        }
    }

    fn items<'a>(
        &mut self,
        items: impl Iterator<Item = (&'a ValueType, &'a Val)>,
    ) -> Result<(), WriteError> {
        self.text("[")?;
        for (index, (ty, value)) in items.enumerate() {
            if index > 0 {
                self.text(",")?;
            }
            self.value(ty, value)?;
        }
        self.text("]")
    }

    fn tagged(
        &mut self,
        name: &str,
        payload: Option<(&ValueType, &Val)>,
    ) -> Result<(), WriteError> {
        self.text("{")?;
        self.plain(name)?;
        self.text(":")?;
        match payload {
            Some((ty, value)) => self.value(ty, value)?,
            None => self.text("null")?,
        }
        self.text("}")
    }

    fn value(&mut self, ty: &ValueType, value: &Val) -> Result<(), WriteError> {
        match (ty, value) {
            (_, Val::Bool(value)) => self.plain(value),
            (_, Val::S8(value)) => self.plain(value),
            (_, Val::U8(value)) => self.plain(value),
            (_, Val::S16(value)) => self.plain(value),
            (_, Val::U16(value)) => self.plain(value),
            (_, Val::S32(value)) => self.plain(value),
            (_, Val::U32(value)) => self.plain(value),
            (_, Val::S64(value)) => self.plain(value),
            (_, Val::U64(value)) => self.plain(value),
            (_, Val::Float32(value)) => self.float(f64::from(*value), value),
            (_, Val::Float64(value)) => self.float(*value, value),
            (_, Val::Char(value)) => self.plain(value),
            (_, Val::String(value)) => self.plain(value),
            (ValueType::Bytes, Val::List(items)) => self.bytes(items),
            (ValueType::List(item), Val::List(items)) => {
                self.items(items.iter().map(|value| (&**item, value)))
            }
            (ValueType::Tuple(types), Val::Tuple(items)) if types.len() == items.len() => {
                self.items(types.iter().zip(items))
            }
            (ValueType::Record(fields), Val::Record(values)) if fields.len() == values.len() => {
                self.text("{")?;
                for (index, ((name, ty), (_, value))) in fields.iter().zip(values).enumerate() {
                    if index > 0 {
                        self.text(",")?;
                    }
                    self.plain(name)?;
                    self.text(":")?;
                    self.value(ty, value)?;
                }
                self.text("}")
            }
            (ValueType::Variant(_), Val::Variant(name, None)) => self.plain(name),
            (ValueType::Variant(cases), Val::Variant(name, Some(value))) => {
                match cases.iter().find(|(case, _)| case == name) {
                    Some((_, Some(ty))) => self.tagged(name, Some((ty, value))),
                    _ => Err(WriteError::Mismatch),
                }
            }
            (_, Val::Enum(name)) => self.plain(name),
            (_, Val::Option(None)) => self.text("null"),
            (ValueType::Option(inner), Val::Option(Some(value))) => match &**inner {
                // Null would be read as the outer option, so the inner option is wrapped in an
                // array.
                ValueType::Option(_) => self.items(std::iter::once((&**inner, &**value))),
                inner => self.value(inner, value),
            },
            (ValueType::Result(ok, _), Val::Result(Ok(value))) => {
                self.tagged("ok", ok.as_deref().zip(value.as_deref()))
            }
            (ValueType::Result(_, err), Val::Result(Err(value))) => {
                self.tagged("err", err.as_deref().zip(value.as_deref()))
            }
            (_, Val::Flags(names)) => self.plain(names),
            _ => Err(WriteError::Mismatch),
        }
    }

    fn bytes(&mut self, items: &[Val]) -> Result<(), WriteError> {
        let byte = |value: &Val| {
            if let Val::U8(byte) = value { Ok(*byte) } else { Err(WriteError::Mismatch) }
        };
        let bytes = items.iter().map(byte).collect::<Result<Vec<u8>, WriteError>>()?;
        self.text("\"")?;
        // The bytes are encoded in parts of whole base64 groups, so that the limit applies before
        // all of the text is made.
        for chunk in bytes.chunks(3 << 12) {
            self.text(&STANDARD.encode(chunk))?;
        }
        self.text("\"")
    }
}
