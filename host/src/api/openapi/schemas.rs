//! What every description has: schemas, the head, and how a token is sent.

use crate::api::description::SchemaOf;
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};
use wasmill_core::wire::ProblemBody;

/// Where the addresses begin.
pub(super) const SERVER: &str = "/api";

/// Both directions of a type may differ: what may be left out of a request is always in an answer.
pub(super) struct Schemas {
    /// Of what requests carry.
    pub(super) requests: SchemaGenerator,
    /// Of what answers carry.
    pub(super) answers: SchemaGenerator,
}

impl Schemas {
    /// None yet.
    pub(super) fn new() -> Self {
        let settings = || {
            SchemaSettings::draft2020_12().with(|settings| {
                settings.definitions_path = "/components/schemas".into();
                settings.meta_schema = None;
            })
        };
        Self {
            requests: settings().for_deserialize().into_generator(),
            answers: settings().for_serialize().into_generator(),
        }
    }

    /// All schemas that were written down, by name.
    pub(super) fn components(mut self) -> Map<String, Value> {
        let mut all = self.requests.take_definitions(true);
        all.extend(self.answers.take_definitions(true));
        all
    }
}

/// Name, version and purpose of what is described.
pub(super) fn head(title: &str, about: &str) -> Value {
    json!({"title": title, "version": env!("CARGO_PKG_VERSION"), "description": about})
}

/// The ways to send a token.
pub(super) fn security_schemes() -> Value {
    json!({
        "bearer": {
            "type": "http",
            "scheme": "bearer",
            "description": "A token, as Authorization: Bearer <token>",
        },
        "query": {
            "type": "apiKey",
            "in": "query",
            "name": "token",
            "description": "A token, where no header can be sent",
        },
    })
}

/// What a refusal carries.
pub(super) fn problem_content(schemas: &mut Schemas) -> Value {
    let schema = schemas.answers.subschema_for::<ProblemBody>();
    json!({"application/problem+json": {"schema": schema}})
}

/// Adds an operation to the paths.
pub(super) fn insert(
    paths: &mut Map<String, Value>,
    address: String,
    method: &str,
    operation: Value,
) {
    let entry = paths.entry(address).or_insert_with(|| json!({}));
    if let Value::Object(entry) = entry {
        entry.insert(method.to_lowercase(), operation);
    }
}

/// The schema of what a request carries.
pub(super) fn request_schema(schema: SchemaOf, schemas: &mut Schemas) -> Value {
    schema(&mut schemas.requests).to_value()
}
