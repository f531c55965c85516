//! The operations of the API, as the host describes them itself: tests that are about all of them
//! miss none.

use crate::host::Host;

/// One operation.
#[derive(Debug, Clone)]
pub struct Operation {
    /// In capitals.
    pub method: String,
    /// With the names that it has in it put in: of things that are not there.
    pub address: String,
    /// The type of the body that it takes.
    pub takes: Option<String>,
}

/// What stands in addresses. The workspace is there, everything else is nobody's.
const NAMES: [(&str, &str); 9] = [
    ("{workspace}", "main"),
    ("{path}", "u/nobody/nothing"),
    ("{hash}", "0000000000000000000000000000000000000000000000000000000000000000"),
    ("{id}", "01937f4e-0000-7000-8000-000000000000"),
    ("{username}", "nobody"),
    ("{prefix}", "wml_nobody"),
    ("{at}", "0"),
    ("{slug}", "nothing"),
    ("{delivery}", "0"),
];

/// All of them.
pub fn operations(host: &Host) -> Vec<Operation> {
    let document = host.get("/api/openapi.json").json();
    let mut found = Vec::new();
    for (template, methods) in document["paths"].as_object().expect("paths") {
        let address = NAMES
            .iter()
            .fold(format!("/api{template}"), |address, (name, value)| address.replace(name, value));
        assert!(!address.contains('{'), "{address}: a name that this list does not have");
        for (method, operation) in methods
            .as_object()
            .expect("methods")
            .iter()
            .filter(|(_, operation)| operation["operationId"].is_string())
        {
            let content = operation["requestBody"]["content"].as_object();
            let takes = content.and_then(|types| types.keys().next().cloned());
            found.push(Operation {
                method: method.to_ascii_uppercase(),
                address: address.clone(),
                takes,
            });
        }
    }
    assert!(found.len() > 50, "{} operations are not all of them", found.len());
    found
}
