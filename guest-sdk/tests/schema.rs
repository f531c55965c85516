//! The schemas that the macros write, character by character, and what they make of arguments.

#![allow(dead_code)]

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;
use wasmill_guest::__private::{Node, length, render};
use wasmill_guest::Schema;

macro_rules! text {
    ($node:expr) => {{
        const NODE: Node = $node;
        const TEXT: [u8; length(&NODE)] = render(&NODE);
        let text = String::from_utf8(TEXT.to_vec()).unwrap();
        serde_json::from_str::<serde_json::Value>(&text).expect(&text);
        text
    }};
}

macro_rules! schema {
    ($type:ty) => {
        text!(<$type as Schema>::OBJECT)
    };
}

const DRAFT: &str = r#"{"$schema":"https://json-schema.org/draft/2020-12/schema","#;

#[test]
fn plain_types() {
    assert_eq!(schema!(bool), r#"{"type":"boolean"}"#);
    assert_eq!(schema!(u8), r#"{"type":"integer","minimum":0,"maximum":255}"#);
    assert_eq!(
        schema!(i64),
        r#"{"type":"integer","minimum":-9223372036854775808,"maximum":9223372036854775807}"#
    );
    assert_eq!(schema!(f32), r#"{"type":"number"}"#);
    assert_eq!(schema!(&str), r#"{"type":"string"}"#);
    assert_eq!(schema!(serde_json::Value), "{}");
    assert_eq!(schema!(Box<serde_json::value::RawValue>), "{}");
}

#[test]
fn types_around_types() {
    assert_eq!(schema!(Option<String>), r#"{"anyOf":[{"type":"string"},{"type":"null"}]}"#);
    assert_eq!(schema!(Option<serde_json::Value>), "{}");
    assert_eq!(
        schema!(Vec<Vec<bool>>),
        r#"{"type":"array","items":{"type":"array","items":{"type":"boolean"}}}"#
    );
    let map = r#"{"type":"object","additionalProperties":{"type":"boolean"}}"#;
    assert_eq!(schema!(BTreeMap<String, bool>), map);
    assert_eq!(schema!(HashMap<String, Box<bool>>), map);
}

/// A postal
/// address.
///
/// Of "anywhere".
#[derive(Deserialize, Schema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Address {
    /// Street and number.
    street_line: String,
    #[serde(rename = "zip")]
    postal_code: Option<u16>,
    #[serde(default = "home")]
    country: String,
    #[serde(skip)]
    checked: bool,
    #[serde(deserialize_with = "anything")]
    geo: f64,
    #[serde(alias = "t", default)]
    r#type: NoSchema,
}

fn home() -> String {
    "CH".to_owned()
}

fn anything<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    serde::de::IgnoredAny::deserialize(deserializer).map(|_| 0.0)
}

#[derive(Deserialize, Default)]
struct NoSchema;

const ADDRESS: &str = concat!(
    r#"{"description":"A postal address.\n\nOf \"anywhere\".","type":"object","properties":{"#,
    r#""streetLine":{"description":"Street and number.","type":"string"},"#,
    r#""zip":{"anyOf":[{"type":"integer","minimum":0,"maximum":65535},{"type":"null"}]},"#,
    r#""country":{"type":"string"},"geo":{},"type":{}},"#,
    r#""required":["streetLine"],"additionalProperties":false}"#,
);

#[test]
fn structs() {
    assert_eq!(schema!(Address), ADDRESS);

    #[derive(Schema)]
    struct Order {
        /// Where to.
        to: Address,
        from: Vec<Address>,
    }
    let described = ADDRESS.replace(r#"A postal address.\n\nOf \"anywhere\"."#, "Where to.");
    assert_eq!(
        schema!(Order),
        format!(
            r#"{{"type":"object","properties":{{"to":{described},"from":{{"type":"array","items":{ADDRESS}}}}},"required":["to","from"]}}"#
        )
    );

    #[derive(Schema)]
    struct Empty {}
    assert_eq!(schema!(Empty), r#"{"type":"object"}"#);
    #[derive(Schema)]
    struct Unit;
    assert_eq!(schema!(Unit), r#"{"type":"null"}"#);
    #[derive(Schema)]
    struct Wrapper<T>(Vec<T>);
    assert_eq!(schema!(Wrapper<bool>), r#"{"type":"array","items":{"type":"boolean"}}"#);
    #[derive(Schema)]
    struct Pair(bool, String);
    assert_eq!(
        schema!(Pair),
        r#"{"type":"array","prefixItems":[{"type":"boolean"},{"type":"string"}],"minItems":2,"maxItems":2}"#
    );
}

#[test]
fn a_flattened_field_leaves_the_object_open() {
    #[derive(Deserialize, Schema)]
    struct Event {
        kind: String,
        #[serde(flatten)]
        rest: BTreeMap<String, serde_json::Value>,
    }
    assert_eq!(
        schema!(Event),
        r#"{"type":"object","properties":{"kind":{"type":"string"}},"required":["kind"]}"#
    );
}

#[test]
fn enums() {
    #[derive(Deserialize, Schema)]
    #[serde(rename_all = "kebab-case")]
    enum Level {
        VeryLow,
        #[serde(rename = "HIGH")]
        High,
        #[serde(skip)]
        Hidden,
    }
    assert_eq!(schema!(Level), r#"{"type":"string","enum":["very-low","HIGH"]}"#);
    assert_eq!(<Level as Schema>::EXPECTED, r#"one of "very-low", "HIGH""#);

    #[derive(Deserialize, Schema)]
    enum Shape {
        /// Nothing at all.
        Empty,
        Circle(f64),
        #[serde(rename_all = "UPPERCASE")]
        Box {
            width: f64,
        },
    }
    assert_eq!(
        schema!(Shape),
        concat!(
            r#"{"oneOf":[{"description":"Nothing at all.","const":"Empty"},"#,
            r#"{"type":"object","properties":{"Circle":{"type":"number"}},"required":["Circle"],"additionalProperties":false},"#,
            r#"{"type":"object","properties":{"Box":{"type":"object","properties":{"WIDTH":{"type":"number"}},"#,
            r#""required":["WIDTH"]}},"required":["Box"],"additionalProperties":false}]}"#,
        )
    );

    #[derive(Deserialize, Schema)]
    #[serde(tag = "kind")]
    enum Tagged {
        Off,
        On { level: u8 },
    }
    assert_eq!(
        schema!(Tagged),
        concat!(
            r#"{"oneOf":[{"type":"object","properties":{"kind":{"const":"Off"}},"required":["kind"]},"#,
            r#"{"type":"object","properties":{"kind":{"const":"On"},"level":{"type":"integer","minimum":0,"maximum":255}},"#,
            r#""required":["kind","level"]}]}"#,
        )
    );

    #[derive(Deserialize, Schema)]
    #[serde(tag = "t", content = "c")]
    enum Adjacent {
        Off,
        On(bool),
    }
    assert_eq!(
        schema!(Adjacent),
        concat!(
            r#"{"oneOf":[{"type":"object","properties":{"t":{"const":"Off"}},"required":["t"]},"#,
            r#"{"type":"object","properties":{"t":{"const":"On"},"c":{"type":"boolean"}},"required":["t","c"]}]}"#,
        )
    );

    #[derive(Deserialize, Schema)]
    #[serde(untagged)]
    enum Either {
        Number(f64),
        Text(String),
    }
    assert_eq!(schema!(Either), r#"{"anyOf":[{"type":"number"},{"type":"string"}]}"#);
}

/// Greets somebody.
mod plain {
    /// Greets somebody.
    #[wasmill_guest::main]
    fn main(
        /// Whom to greet.
        name: &str,
        mut times: Option<u32>,
        r#type: crate::NoSchema,
    ) -> String {
        let _ = r#type;
        name.repeat(times.take().unwrap_or(1) as usize)
    }
}

#[test]
fn main_with_parameters() {
    assert_eq!(
        text!(plain::__Script::SCHEMA),
        DRAFT.to_owned()
            + concat!(
                r#""description":"Greets somebody.","type":"object","properties":{"#,
                r#""name":{"description":"Whom to greet.","type":"string"},"#,
                r#""times":{"anyOf":[{"type":"integer","minimum":0,"maximum":4294967295},{"type":"null"}]},"#,
                r#""type":{}},"required":["name"]}"#,
            )
    );
    assert_eq!(
        plain::__Script::run(r#"{"name":"ab","times":2,"type":null,"more":1}"#).unwrap(),
        r#""abab""#
    );
    assert_eq!(plain::__Script::run(r#"{"name":"\u00e9","type":null}"#).unwrap(), r#""é""#);
    let error = plain::__Script::run(r#"{"type":null}"#).unwrap_err();
    assert_eq!(error.name, "InvalidArguments");
    assert_eq!(error.message, "the argument `name` is missing; expected a string");
    let error = plain::__Script::run(r#"{"name":"a","times":-1,"type":null}"#).unwrap_err();
    assert!(
        error.message.starts_with("the argument `times` is not right: invalid value"),
        "{error}"
    );
    assert!(error.message.ends_with("expected a whole number from 0 to 4294967295"), "{error}");
}

mod whole {
    #[wasmill_guest::main]
    fn main(args: crate::Address) -> Result<impl serde::Serialize, std::num::ParseIntError> {
        args.street_line.parse::<u8>()
    }
}

#[test]
fn main_with_the_whole_object() {
    assert_eq!(text!(whole::__Script::SCHEMA), DRAFT.to_owned() + ADDRESS.trim_start_matches('{'));
    assert_eq!(whole::__Script::run(r#"{"streetLine":"7","geo":[]}"#).unwrap(), "7");
    let error = whole::__Script::run(r#"{"streetLine":"x","geo":[]}"#).unwrap_err();
    assert_eq!(
        (error.name.as_str(), error.message.as_str()),
        ("ScriptError", "invalid digit found in string")
    );
    let error = whole::__Script::run("{}").unwrap_err();
    assert_eq!(error.name, "InvalidArguments");
    assert_eq!(error.message, "the arguments are not right: missing field `streetLine`");
}

mod attribute {
    use std::collections::BTreeMap;

    /// Anything goes.
    #[wasmill_guest::main(args)]
    fn run(
        all: BTreeMap<String, Box<wasmill_guest::serde_json::value::RawValue>>,
    ) -> anyhow::Result<String> {
        let value =
            all.get("x").ok_or_else(|| wasmill_guest::ScriptError::new("NoX", "there is no x"))?;
        Ok(value.get().to_owned())
    }
}

#[test]
fn main_with_the_attribute() {
    assert_eq!(
        text!(attribute::__Script::SCHEMA),
        DRAFT.to_owned()
            + r#""description":"Anything goes.","type":"object","additionalProperties":{}}"#
    );
    assert_eq!(attribute::__Script::run(r#"{"x":1.0}"#).unwrap(), r#""1.0""#);
    assert_eq!(attribute::__Script::run("{}").unwrap_err().name, "NoX");
}

mod unknown {
    #[wasmill_guest::main]
    fn main(args: serde_json::Value) -> serde_json::Value {
        args
    }
}

mod nothing {
    #[wasmill_guest::main]
    #[allow(clippy::missing_const_for_fn)]
    fn main() {}
}

#[test]
fn arguments_are_an_object_whatever_else_is_known() {
    assert_eq!(text!(unknown::__Script::SCHEMA), DRAFT.to_owned() + r#""type":"object"}"#);
    assert_eq!(unknown::__Script::run(r#"{"b":1,"a":2}"#).unwrap(), r#"{"b":1,"a":2}"#);
    assert_eq!(text!(nothing::__Script::SCHEMA), DRAFT.to_owned() + r#""type":"object"}"#);
    assert_eq!(nothing::__Script::run("{}").unwrap(), "null");
}
