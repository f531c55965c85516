//! The host's description, written from the table of operations.

use super::calls;
use super::operation::operation;
use super::schemas::{SERVER, Schemas, head, insert, security_schemes};
use crate::api::row::Row;
use serde_json::{Map, Value, json};

/// The description of these operations, and of the calls of scripts.
pub(in crate::api) fn document(rows: impl Iterator<Item = &'static Row>) -> Value {
    let mut schemas = Schemas::new();
    let mut paths: Map<String, Value> = Map::new();
    for row in rows {
        for (index, address) in row.addresses.iter().enumerate() {
            let operation = operation(row, address, index, &mut schemas);
            insert(&mut paths, format!("/{address}"), row.method, operation);
        }
    }
    calls::insert_all(&mut paths, &mut schemas);
    let about = "Uploaded scripts run behind webhooks: now, with the result as the answer, or as \
                 durable jobs.";
    json!({
        "openapi": "3.1.0",
        "info": head("wasmill", about),
        "servers": [{"url": SERVER}],
        "security": [{"bearer": []}, {"query": []}],
        "paths": paths,
        "components": {"schemas": schemas.components(), "securitySchemes": security_schemes()},
    })
}

#[cfg(test)]
mod tests {
    use crate::api::DOCUMENT;
    use std::collections::HashSet;

    /// The document in `docs/` is the document that is served. After a change that is meant, write
    /// the file anew with `UPDATE_GOLDEN=1 cargo test`, and look at the difference.
    #[test]
    fn golden() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/openapi.json");
        let text = format!("{:#}\n", *DOCUMENT);
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(file, &text).unwrap();
        }
        let golden = std::fs::read_to_string(file).unwrap_or_default();
        assert!(
            golden == text,
            "docs/openapi.json is not what the host serves; write it anew with UPDATE_GOLDEN=1 if \
             the change is meant"
        );
    }

    #[test]
    fn operations_have_names_of_their_own_and_what_they_refer_to_is_there() {
        let mut names = HashSet::new();
        for (address, methods) in DOCUMENT["paths"].as_object().unwrap() {
            for (method, operation) in methods.as_object().unwrap() {
                assert!(
                    names.insert(operation["operationId"].as_str().unwrap()),
                    "{method} {address}"
                );
                assert!(
                    operation["summary"].as_str().is_some_and(|summary| !summary.is_empty()),
                    "{method} {address}"
                );
            }
        }
        let text = DOCUMENT.to_string();
        for reference in
            text.split("\"$ref\":\"").skip(1).map(|rest| rest.split('"').next().unwrap())
        {
            let name = reference.strip_prefix("#/components/schemas/").unwrap();
            assert!(DOCUMENT["components"]["schemas"].get(name).is_some(), "{reference}");
        }
    }
}
