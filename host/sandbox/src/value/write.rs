//! JSON out: what `main` returned, written straight to text and stopped as soon as it is too large.

use crate::shape::Shape;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use std::io::{self, Write};
use wasmtime::component::Val;

/// Why a value was not written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Full {
    /// Its text would be longer than allowed.
    TooLarge,
    /// The value is not of its type, which is a fault of the host.
    Mismatch,
}

/// The JSON text of a value, of at most `limit` bytes.
pub(crate) fn to_json(shape: &Shape, value: &Val, limit: u64) -> Result<String, Full> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut writer = Writer { out: Vec::with_capacity(64), limit };
    writer.value(shape, value)?;
    // All that was written is text, so this never fails; it is checked because it costs next to
    // nothing.
    String::from_utf8(writer.out).map_err(|_| Full::Mismatch)
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
    fn text(&mut self, text: &str) -> Result<(), Full> {
        self.write_all(text.as_bytes()).map_err(|_| Full::TooLarge)
    }

    /// A scalar or string as serde_json writes it: shortest form of floats, escapes in strings.
    fn plain(&mut self, value: impl Serialize) -> Result<(), Full> {
        serde_json::to_writer(&mut *self, &value).map_err(|_| Full::TooLarge)
    }

    fn float(&mut self, value: f64, plain: impl Serialize) -> Result<(), Full> {
        match value {
            value if value.is_finite() => self.plain(plain),
            value if value.is_nan() => self.text("\"NaN\""),
            value if value > 0.0 => self.text("\"inf\""),
            _ => self.text("\"-inf\""),
        }
    }

    fn items<'a>(&mut self, items: impl Iterator<Item = (&'a Shape, &'a Val)>) -> Result<(), Full> {
        self.text("[")?;
        for (index, (shape, value)) in items.enumerate() {
            if index > 0 {
                self.text(",")?;
            }
            self.value(shape, value)?;
        }
        self.text("]")
    }

    fn tagged(&mut self, name: &str, payload: Option<(&Shape, &Val)>) -> Result<(), Full> {
        self.text("{")?;
        self.plain(name)?;
        self.text(":")?;
        match payload {
            Some((shape, value)) => self.value(shape, value)?,
            None => self.text("null")?,
        }
        self.text("}")
    }

    fn value(&mut self, shape: &Shape, value: &Val) -> Result<(), Full> {
        match (shape, value) {
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
            (Shape::Bytes, Val::List(items)) => self.bytes(items),
            (Shape::List(item), Val::List(items)) => {
                self.items(items.iter().map(|value| (&**item, value)))
            }
            (Shape::Tuple(shapes), Val::Tuple(items)) if shapes.len() == items.len() => {
                self.items(shapes.iter().zip(items))
            }
            (Shape::Record(fields), Val::Record(values)) if fields.len() == values.len() => {
                self.text("{")?;
                for (index, ((name, shape), (_, value))) in fields.iter().zip(values).enumerate() {
                    if index > 0 {
                        self.text(",")?;
                    }
                    self.plain(name)?;
                    self.text(":")?;
                    self.value(shape, value)?;
                }
                self.text("}")
            }
            (Shape::Variant(_), Val::Variant(name, None)) => self.plain(name),
            (Shape::Variant(cases), Val::Variant(name, Some(value))) => {
                match cases.iter().find(|(case, _)| case == name) {
                    Some((_, Some(shape))) => self.tagged(name, Some((shape, value))),
                    _ => Err(Full::Mismatch),
                }
            }
            (_, Val::Enum(name)) => self.plain(name),
            (_, Val::Option(None)) => self.text("null"),
            (Shape::Option(inner), Val::Option(Some(value))) => match &**inner {
                // Within an option, null would be read as the outer one.
                Shape::Option(_) => self.items(std::iter::once((&**inner, &**value))),
                inner => self.value(inner, value),
            },
            (Shape::Result(ok, _), Val::Result(Ok(value))) => {
                self.tagged("ok", ok.as_deref().zip(value.as_deref()))
            }
            (Shape::Result(_, err), Val::Result(Err(value))) => {
                self.tagged("err", err.as_deref().zip(value.as_deref()))
            }
            (_, Val::Flags(names)) => self.plain(names),
            _ => Err(Full::Mismatch),
        }
    }

    fn bytes(&mut self, items: &[Val]) -> Result<(), Full> {
        let byte =
            |value: &Val| if let Val::U8(byte) = value { Ok(*byte) } else { Err(Full::Mismatch) };
        let bytes = items.iter().map(byte).collect::<Result<Vec<u8>, Full>>()?;
        self.text("\"")?;
        // In pieces of whole groups, so that the limit holds before the text is there as a whole.
        for chunk in bytes.chunks(3 << 12) {
            self.text(&STANDARD.encode(chunk))?;
        }
        self.text("\"")
    }
}
