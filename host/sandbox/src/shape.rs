//! The types of a signature, written out: what conversion and schema work from.
//!
//! The engine's own types are handles into shared tables. Writing them out once per version makes
//! each call cheaper, keeps conversion testable without a component, and is the place where types
//! without a JSON form are found. Types share their parts, so the written-out form can be far
//! larger than the upload: it is counted.

use wasmill_core::limits::JSON_DEPTH;
use wasmtime::component::types::{ComponentFunc, Type};

/// A type that has a JSON form.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Shape {
    Bool,
    Int(Int),
    Float32,
    Float64,
    Char,
    String,
    /// `list<u8>`, which JSON carries as base64.
    Bytes,
    List(Box<Shape>),
    Record(Vec<(String, Shape)>),
    Tuple(Vec<Shape>),
    Variant(Vec<(String, Option<Shape>)>),
    Enum(Vec<String>),
    Option(Box<Shape>),
    Result(Option<Box<Shape>>, Option<Box<Shape>>),
    Flags(Vec<String>),
}

/// The integer types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Int {
    S8,
    U8,
    S16,
    U16,
    S32,
    U32,
    S64,
    U64,
}

impl Int {
    /// Smallest and largest value.
    pub(crate) fn range(self) -> (i128, i128) {
        match self {
            Int::S8 => (i8::MIN.into(), i8::MAX.into()),
            Int::U8 => (0, u8::MAX.into()),
            Int::S16 => (i16::MIN.into(), i16::MAX.into()),
            Int::U16 => (0, u16::MAX.into()),
            Int::S32 => (i32::MIN.into(), i32::MAX.into()),
            Int::U32 => (0, u32::MAX.into()),
            Int::S64 => (i64::MIN.into(), i64::MAX.into()),
            Int::U64 => (0, u64::MAX.into()),
        }
    }
}

/// The signature of `main`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Signature {
    pub(crate) params: Vec<(String, Shape)>,
    pub(crate) result: Option<Shape>,
}

/// Why a signature can't be called with JSON.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unfit {
    /// A type without a JSON form; the text names the parameter and the type.
    NoJsonForm(String),
    /// More types, or deeper ones, than are written out.
    TooLarge,
}

impl Signature {
    /// Writes a function's types out, at most `budget` of them.
    pub(crate) fn of(function: &ComponentFunc, budget: u32) -> Result<Self, Unfit> {
        let mut writer = Writer { left: budget };
        let mut params = Vec::new();
        for (name, ty) in function.params() {
            // Arguments are the members of an object, which is one level already.
            params.push((
                name.to_owned(),
                writer.shape(&ty, 1).map_err(|error| error.of(&format!("parameter \"{name}\"")))?,
            ));
        }
        let result = match function.results().next() {
            None => None,
            Some(ty) => Some(writer.shape(&ty, 0).map_err(|error| error.of("result"))?),
        };
        Ok(Self { params, result })
    }
}

impl Unfit {
    fn of(self, place: &str) -> Self {
        match self {
            Unfit::NoJsonForm(ty) => Unfit::NoJsonForm(format!(
                "the {place} of main has the type {ty}, which has no JSON form"
            )),
            Unfit::TooLarge => Unfit::TooLarge,
        }
    }
}

struct Writer {
    left: u32,
}

impl Writer {
    fn boxed(&mut self, ty: &Type, depth: usize) -> Result<Box<Shape>, Unfit> {
        self.shape(ty, depth).map(Box::new)
    }

    /// `depth` is the JSON nesting around the value. Every compound type is counted as a level,
    /// also those that are written flat: a bound for the recursion at the same time.
    fn shape(&mut self, ty: &Type, depth: usize) -> Result<Shape, Unfit> {
        self.left = self.left.checked_sub(1).ok_or(Unfit::TooLarge)?;
        if depth > JSON_DEPTH {
            return Err(Unfit::TooLarge);
        }
        let below = depth + 1;
        Ok(match ty {
            Type::Bool => Shape::Bool,
            Type::S8 => Shape::Int(Int::S8),
            Type::U8 => Shape::Int(Int::U8),
            Type::S16 => Shape::Int(Int::S16),
            Type::U16 => Shape::Int(Int::U16),
            Type::S32 => Shape::Int(Int::S32),
            Type::U32 => Shape::Int(Int::U32),
            Type::S64 => Shape::Int(Int::S64),
            Type::U64 => Shape::Int(Int::U64),
            Type::Float32 => Shape::Float32,
            Type::Float64 => Shape::Float64,
            Type::Char => Shape::Char,
            Type::String => Shape::String,
            Type::List(list) => match list.ty() {
                Type::U8 => Shape::Bytes,
                item => Shape::List(self.boxed(&item, below)?),
            },
            Type::Record(record) => {
                let fields = record
                    .fields()
                    .map(|field| Ok((field.name.to_owned(), self.shape(&field.ty, below)?)));
                Shape::Record(fields.collect::<Result<_, Unfit>>()?)
            }
            Type::Tuple(tuple) => Shape::Tuple(
                tuple.types().map(|ty| self.shape(&ty, below)).collect::<Result<_, _>>()?,
            ),
            Type::Variant(variant) => {
                let cases = variant.cases().map(|case| {
                    Ok((
                        case.name.to_owned(),
                        case.ty.map(|ty| self.shape(&ty, below)).transpose()?,
                    ))
                });
                Shape::Variant(cases.collect::<Result<_, Unfit>>()?)
            }
            Type::Enum(names) => Shape::Enum(self.names(names.names())?),
            Type::Option(option) => Shape::Option(self.boxed(&option.ty(), below)?),
            Type::Result(result) => Shape::Result(
                result.ok().map(|ty| self.boxed(&ty, below)).transpose()?,
                result.err().map(|ty| self.boxed(&ty, below)).transpose()?,
            ),
            Type::Flags(flags) => Shape::Flags(self.names(flags.names())?),
            Type::Own(_) | Type::Borrow(_) => return Err(Unfit::NoJsonForm("resource".into())),
            Type::Future(_) => return Err(Unfit::NoJsonForm("future".into())),
            Type::Stream(_) => return Err(Unfit::NoJsonForm("stream".into())),
            Type::ErrorContext => return Err(Unfit::NoJsonForm("error-context".into())),
            // Two proposals that are switched off; a component with them does not compile here.
            Type::Map(_) => return Err(Unfit::NoJsonForm("map".into())),
            Type::FixedLengthList(_) => {
                return Err(Unfit::NoJsonForm("list of fixed length".into()));
            }
        })
    }

    fn names<'a>(
        &mut self,
        names: impl ExactSizeIterator<Item = &'a str>,
    ) -> Result<Vec<String>, Unfit> {
        let count = u32::try_from(names.len()).map_err(|_| Unfit::TooLarge)?;
        self.left = self.left.checked_sub(count).ok_or(Unfit::TooLarge)?;
        Ok(names.map(str::to_owned).collect())
    }
}
