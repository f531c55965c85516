//! The value types of a signature as a tree. Conversion of arguments and the JSON Schema use it.
//!
//! The types of the engine are handles into shared tables. Building the tree once for each version
//! makes each call cheaper, and lets the conversion be tested without a component. Types without a
//! JSON form are found while the tree is built. In the tables of the engine types share their parts,
//! so the tree can be far larger than the upload: the nodes of the tree are counted and limited.

use wasmill_core::limits::JSON_DEPTH;
use wasmtime::component::types::{ComponentFunc, Type};

/// A value type of the component model that has a JSON form.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum ValueType {
    Bool,
    Int(IntType),
    Float32,
    Float64,
    Char,
    String,
    /// `list<u8>`, which JSON carries as base64.
    Bytes,
    List(Box<ValueType>),
    Record(Vec<(String, ValueType)>),
    Tuple(Vec<ValueType>),
    Variant(Vec<(String, Option<ValueType>)>),
    Enum(Vec<String>),
    Option(Box<ValueType>),
    Result(Option<Box<ValueType>>, Option<Box<ValueType>>),
    Flags(Vec<String>),
}

/// The integer types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IntType {
    S8,
    U8,
    S16,
    U16,
    S32,
    U32,
    S64,
    U64,
}

impl IntType {
    /// The smallest and the largest value of the type.
    pub(crate) fn range(self) -> (i128, i128) {
        match self {
            IntType::S8 => (i8::MIN.into(), i8::MAX.into()),
            IntType::U8 => (0, u8::MAX.into()),
            IntType::S16 => (i16::MIN.into(), i16::MAX.into()),
            IntType::U16 => (0, u16::MAX.into()),
            IntType::S32 => (i32::MIN.into(), i32::MAX.into()),
            IntType::U32 => (0, u32::MAX.into()),
            IntType::S64 => (i64::MIN.into(), i64::MAX.into()),
            IntType::U64 => (0, u64::MAX.into()),
        }
    }
}

/// The signature of `main`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Signature {
    pub(crate) params: Vec<(String, ValueType)>,
    pub(crate) result: Option<ValueType>,
}

/// Why a signature cannot be called with JSON arguments.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum SignatureError {
    /// A type has no JSON form. The text names the parameter and the type.
    NoJsonForm(String),
    /// The tree would have too many nodes, or too many levels.
    TooLarge,
}

impl Signature {
    /// The signature of `function`, with at most `budget` types in its tree.
    ///
    /// # Errors
    /// A type without a JSON form, or more types than `budget`.
    pub(crate) fn of(function: &ComponentFunc, budget: u32) -> Result<Self, SignatureError> {
        let mut writer = TypeWriter { left: budget };
        let mut params = Vec::new();
        for (name, ty) in function.params() {
            // The arguments are members of one JSON object, which is the first level.
            params.push((
                name.to_owned(),
                writer
                    .write_out(&ty, 1)
                    .map_err(|error| error.of(&format!("parameter \"{name}\"")))?,
            ));
        }
        let result = match function.results().next() {
            None => None,
            Some(ty) => Some(writer.write_out(&ty, 0).map_err(|error| error.of("result"))?),
        };
        Ok(Self { params, result })
    }
}

impl SignatureError {
    fn of(self, place: &str) -> Self {
        match self {
            SignatureError::NoJsonForm(ty) => SignatureError::NoJsonForm(format!(
                "the {place} of main has the type {ty}, which has no JSON form"
            )),
            SignatureError::TooLarge => SignatureError::TooLarge,
        }
    }
}

struct TypeWriter {
    /// Types that may still be added to the tree.
    left: u32,
}

impl TypeWriter {
    fn boxed(&mut self, ty: &Type, depth: usize) -> Result<Box<ValueType>, SignatureError> {
        self.write_out(ty, depth).map(Box::new)
    }

    /// `depth` counts the JSON levels around the value. Every compound type counts as a level, also
    /// where its JSON form adds none, so that `depth` limits the recursion too.
    fn write_out(&mut self, ty: &Type, depth: usize) -> Result<ValueType, SignatureError> {
        self.left = self.left.checked_sub(1).ok_or(SignatureError::TooLarge)?;
        if depth > JSON_DEPTH {
            return Err(SignatureError::TooLarge);
        }
        let below = depth + 1;
        Ok(match ty {
            Type::Bool => ValueType::Bool,
            Type::S8 => ValueType::Int(IntType::S8),
            Type::U8 => ValueType::Int(IntType::U8),
            Type::S16 => ValueType::Int(IntType::S16),
            Type::U16 => ValueType::Int(IntType::U16),
            Type::S32 => ValueType::Int(IntType::S32),
            Type::U32 => ValueType::Int(IntType::U32),
            Type::S64 => ValueType::Int(IntType::S64),
            Type::U64 => ValueType::Int(IntType::U64),
            Type::Float32 => ValueType::Float32,
            Type::Float64 => ValueType::Float64,
            Type::Char => ValueType::Char,
            Type::String => ValueType::String,
            Type::List(list) => match list.ty() {
                Type::U8 => ValueType::Bytes,
                item => ValueType::List(self.boxed(&item, below)?),
            },
            Type::Record(record) => {
                let fields = record
                    .fields()
                    .map(|field| Ok((field.name.to_owned(), self.write_out(&field.ty, below)?)));
                ValueType::Record(fields.collect::<Result<_, SignatureError>>()?)
            }
            Type::Tuple(tuple) => ValueType::Tuple(
                tuple.types().map(|ty| self.write_out(&ty, below)).collect::<Result<_, _>>()?,
            ),
            Type::Variant(variant) => {
                let cases = variant.cases().map(|case| {
                    Ok((
                        case.name.to_owned(),
                        case.ty.map(|ty| self.write_out(&ty, below)).transpose()?,
                    ))
                });
                ValueType::Variant(cases.collect::<Result<_, SignatureError>>()?)
            }
            Type::Enum(names) => ValueType::Enum(self.names(names.names())?),
            Type::Option(option) => ValueType::Option(self.boxed(&option.ty(), below)?),
            Type::Result(result) => ValueType::Result(
                result.ok().map(|ty| self.boxed(&ty, below)).transpose()?,
                result.err().map(|ty| self.boxed(&ty, below)).transpose()?,
            ),
            Type::Flags(flags) => ValueType::Flags(self.names(flags.names())?),
            Type::Own(_) | Type::Borrow(_) => {
                return Err(SignatureError::NoJsonForm("resource".into()));
            }
            Type::Future(_) => return Err(SignatureError::NoJsonForm("future".into())),
            Type::Stream(_) => return Err(SignatureError::NoJsonForm("stream".into())),
            Type::ErrorContext => return Err(SignatureError::NoJsonForm("error-context".into())),
            // These two proposals are switched off; a component that uses one does not compile.
            Type::Map(_) => return Err(SignatureError::NoJsonForm("map".into())),
            Type::FixedLengthList(_) => {
                return Err(SignatureError::NoJsonForm("list of fixed length".into()));
            }
        })
    }

    fn names<'a>(
        &mut self,
        names: impl ExactSizeIterator<Item = &'a str>,
    ) -> Result<Vec<String>, SignatureError> {
        let count = u32::try_from(names.len()).map_err(|_| SignatureError::TooLarge)?;
        self.left = self.left.checked_sub(count).ok_or(SignatureError::TooLarge)?;
        Ok(names.map(str::to_owned).collect())
    }
}
