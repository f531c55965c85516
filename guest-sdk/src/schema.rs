//! JSON Schema of a script's arguments, computed while the script is compiled.
//!
//! A schema is a tree of constants. The macro [`main`](macro@crate::main) renders the tree of its
//! arguments, still at compile time, into the bytes of a custom section. Nothing of it is left in
//! the running script.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::marker::PhantomData;

use serde_json::Value;
use serde_json::value::RawValue;

/// A type whose JSON has a schema. Derive it with [the macro](macro@crate::Schema).
pub trait Schema {
    /// The description as a member of the schema object, or nothing. Apart from the others because
    /// whoever uses the type may describe it better.
    const DESCRIPTION: Node = Node::EMPTY;

    /// The other members of the schema object, without the braces around them. Nothing: any value.
    const MEMBERS: Node;

    /// The whole schema object.
    const OBJECT: Node = Node::Join(&[
        Node::Text("{"),
        Node::List(&[Self::DESCRIPTION, Self::MEMBERS]),
        Node::Text("}"),
    ]);

    /// What a value of this type is, in a few words for an error text: "a whole number from 0 to
    /// 255".
    const EXPECTED: &'static str;

    /// Whether an argument or a field of this type may be absent.
    const OPTIONAL: bool = false;
}

/// A piece of JSON text that is put together at compile time.
#[derive(Debug, Clone, Copy)]
pub enum Node {
    /// This text.
    Text(&'static str),
    /// This text if the condition holds, else nothing.
    When(bool, &'static str),
    /// One after another.
    Join(&'static [Node]),
    /// Those that are not empty, with commas between them.
    List(&'static [Node]),
    /// A list between two texts, or nothing at all where the list is empty.
    Wrap(&'static str, &'static [Node], &'static str),
}

impl Node {
    /// No text.
    pub const EMPTY: Node = Node::Text("");

    /// This node, or another one where this one is empty.
    pub const fn or(self, other: Node) -> Node {
        if length(&self) == 0 { other } else { self }
    }
}

/// The length of a node's text in bytes.
pub const fn length(node: &Node) -> usize {
    match *node {
        Node::Text(text) | Node::When(true, text) => text.len(),
        Node::When(false, _) => 0,
        Node::Join(mut nodes) => {
            let mut sum = 0;
            while let [first, rest @ ..] = nodes {
                sum += length(first);
                nodes = rest;
            }
            sum
        }
        Node::List(mut nodes) => {
            let mut sum = 0;
            while let [first, rest @ ..] = nodes {
                let first = length(first);
                let comma = sum > 0 && first > 0;
                sum += first + comma as usize;
                nodes = rest;
            }
            sum
        }
        Node::Wrap(open, nodes, close) => match length(&Node::List(nodes)) {
            0 => 0,
            inner => open.len() + inner + close.len(),
        },
    }
}

/// The text of a node whose [`length`] is `N`.
pub const fn render<const N: usize>(node: &Node) -> [u8; N] {
    let mut text = [0; N];
    let rest = write(node, &mut text);
    assert!(rest.is_empty(), "the length of a schema was computed wrongly");
    text
}

/// Writes the text to the start of the buffer and returns what is left of the buffer.
const fn write<'a>(node: &Node, mut buffer: &'a mut [u8]) -> &'a mut [u8] {
    match *node {
        Node::Text(text) | Node::When(true, text) => write_text(text, buffer),
        Node::When(false, _) => buffer,
        Node::Join(mut nodes) => {
            while let [first, rest @ ..] = nodes {
                buffer = write(first, buffer);
                nodes = rest;
            }
            buffer
        }
        Node::List(mut nodes) => {
            let mut comma = "";
            while let [first, rest @ ..] = nodes {
                if length(first) > 0 {
                    buffer = write(first, write_text(comma, buffer));
                    comma = ",";
                }
                nodes = rest;
            }
            buffer
        }
        Node::Wrap(open, nodes, close) => {
            let list = Node::List(nodes);
            if length(&list) == 0 {
                return buffer;
            }
            write_text(close, write(&list, write_text(open, buffer)))
        }
    }
}

const fn write_text<'a>(text: &str, buffer: &'a mut [u8]) -> &'a mut [u8] {
    let (start, rest) = buffer.split_at_mut(text.len());
    start.copy_from_slice(text.as_bytes());
    rest
}

macro_rules! describe {
    ($($type:ty => $members:literal, $expected:literal;)*) => {
        $(
            impl Schema for $type {
                const MEMBERS: Node = Node::Text($members);
                const EXPECTED: &'static str = $expected;
            }
        )*
    };
}

describe! {
    bool => r#""type":"boolean""#, "true or false";
    i8 => r#""type":"integer","minimum":-128,"maximum":127"#, "a whole number from -128 to 127";
    u8 => r#""type":"integer","minimum":0,"maximum":255"#, "a whole number from 0 to 255";
    i16 => r#""type":"integer","minimum":-32768,"maximum":32767"#, "a whole number from -32768 to 32767";
    u16 => r#""type":"integer","minimum":0,"maximum":65535"#, "a whole number from 0 to 65535";
    i32 => r#""type":"integer","minimum":-2147483648,"maximum":2147483647"#,
        "a whole number from -2147483648 to 2147483647";
    u32 => r#""type":"integer","minimum":0,"maximum":4294967295"#, "a whole number from 0 to 4294967295";
    i64 => r#""type":"integer","minimum":-9223372036854775808,"maximum":9223372036854775807"#,
        "a whole number from -9223372036854775808 to 9223372036854775807";
    u64 => r#""type":"integer","minimum":0,"maximum":18446744073709551615"#,
        "a whole number from 0 to 18446744073709551615";
    // Scripts run on a 32-bit machine.
    isize => r#""type":"integer","minimum":-2147483648,"maximum":2147483647"#,
        "a whole number from -2147483648 to 2147483647";
    usize => r#""type":"integer","minimum":0,"maximum":4294967295"#, "a whole number from 0 to 4294967295";
    f32 => r#""type":"number""#, "a number";
    f64 => r#""type":"number""#, "a number";
    char => r#""type":"string","minLength":1,"maxLength":1"#, "a string of one character";
    str => r#""type":"string""#, "a string";
    String => r#""type":"string""#, "a string";
    Value => "", "any value";
    RawValue => "", "any value";
    serde_json::Map<String, Value> => r#""type":"object""#, "an object";
}

/// The same schema as another type.
macro_rules! same {
    ($({$($generics:tt)*} $type:ty => $other:ty;)*) => {
        $(
            impl<$($generics)*> Schema for $type {
                const DESCRIPTION: Node = <$other>::DESCRIPTION;
                const MEMBERS: Node = <$other>::MEMBERS;
                const EXPECTED: &'static str = <$other>::EXPECTED;
                const OPTIONAL: bool = <$other>::OPTIONAL;
            }
        )*
    };
}

same! {
    {T: Schema + ?Sized} Box<T> => T;
    {T: Schema + ?Sized} &T => T;
    {T: Schema + ToOwned + ?Sized} Cow<'_, T> => T;
    {T: Schema} Vec<T> => [T];
    {T: Schema, S} HashMap<String, T, S> => BTreeMap<String, T>;
}

impl<T: Schema> Schema for Option<T> {
    const DESCRIPTION: Node = T::DESCRIPTION;
    const MEMBERS: Node = Node::Wrap(r#""anyOf":[{"#, &[T::MEMBERS], r#"},{"type":"null"}]"#);
    const EXPECTED: &'static str = T::EXPECTED;
    const OPTIONAL: bool = true;
}

impl<T: Schema> Schema for [T] {
    const MEMBERS: Node = Node::Join(&[Node::Text(r#""type":"array","items":"#), T::OBJECT]);
    const EXPECTED: &'static str = "an array";
}

impl<T: Schema> Schema for BTreeMap<String, T> {
    const MEMBERS: Node =
        Node::Join(&[Node::Text(r#""type":"object","additionalProperties":"#), T::OBJECT]);
    const EXPECTED: &'static str = "an object";
}

/// Finds out for the macros whether a type has a schema.
///
/// `Probe::<T>::MEMBERS` is the constant below if `T` has a schema, because an inherent constant is
/// preferred, and that of the trait [`Fallback`] if it has none.
#[doc(hidden)]
#[derive(Debug)]
pub struct Probe<T: ?Sized>(PhantomData<T>);

impl<T: Schema + ?Sized> Probe<T> {
    /// See [`Schema::DESCRIPTION`].
    pub const DESCRIPTION: Node = T::DESCRIPTION;
    /// See [`Schema::MEMBERS`].
    pub const MEMBERS: Node = T::MEMBERS;
    /// See [`Schema::OBJECT`].
    pub const OBJECT: Node = T::OBJECT;
    /// See [`Schema::EXPECTED`].
    pub const EXPECTED: &'static str = T::EXPECTED;
    /// See [`Schema::OPTIONAL`].
    pub const OPTIONAL: bool = T::OPTIONAL;
}

/// The schema of a type that has none: any value.
#[doc(hidden)]
pub trait Fallback {
    /// See [`Schema::DESCRIPTION`].
    const DESCRIPTION: Node = Node::EMPTY;
    /// See [`Schema::MEMBERS`].
    const MEMBERS: Node = Node::EMPTY;
    /// See [`Schema::OBJECT`].
    const OBJECT: Node = Node::Text("{}");
    /// See [`Schema::EXPECTED`].
    const EXPECTED: &'static str = "a value of its type";
    /// See [`Schema::OPTIONAL`]. Nobody can tell for such a type, and a schema that refuses too
    /// little does no harm: the script itself looks at its arguments as well.
    const OPTIONAL: bool = true;
}

impl<T: ?Sized> Fallback for Probe<T> {}
