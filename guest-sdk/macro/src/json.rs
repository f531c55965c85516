//! JSON text, and pieces of a schema as tokens.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Attribute, Expr, ExprLit, Lit, Meta};

/// A JSON string with its quotes.
pub(crate) fn string(text: &str) -> String {
    let mut json = String::from("\"");
    for character in text.chars() {
        match character {
            '"' => json.push_str("\\\""),
            '\\' => json.push_str("\\\\"),
            '\n' => json.push_str("\\n"),
            '\t' => json.push_str("\\t"),
            control if control < ' ' => json.push_str(&format!("\\u{:04x}", u32::from(control))),
            other => json.push(other),
        }
    }
    json.push('"');
    json
}

/// A node of this text.
pub(crate) fn text(json: &str) -> TokenStream {
    quote!(::wasmill_guest::__private::Node::Text(#json))
}

/// The member `"description"` from the doc comments among the attributes, if there are any.
pub(crate) fn description(attributes: &[Attribute]) -> Option<String> {
    let mut lines = Vec::new();
    for attribute in attributes {
        let Meta::NameValue(pair) = &attribute.meta else { continue };
        if !pair.path.is_ident("doc") {
            continue;
        }
        // `#[doc = include_str!(...)]` and the like are not known yet when this runs.
        if let Expr::Lit(ExprLit { lit: Lit::Str(line), .. }) = &pair.value {
            lines.extend(line.value().split('\n').map(|line| line.trim().to_owned()));
        }
    }
    // Lines of a paragraph belong together; an empty line parts two of them.
    let paragraphs: Vec<String> = lines
        .split(String::is_empty)
        .filter(|paragraph| !paragraph.is_empty())
        .map(|paragraph| paragraph.join(" "))
        .collect();
    if paragraphs.is_empty() {
        return None;
    }
    Some(format!("\"description\":{}", string(&paragraphs.join("\n\n"))))
}

/// Something with a name and a type: a field, or a parameter of `main`.
pub(crate) struct Property {
    /// Its name in the JSON.
    pub(crate) name: String,
    /// Its type, or nothing where its JSON may be anything.
    pub(crate) of_type: Option<TokenStream>,
    /// Its own description, a JSON member.
    pub(crate) description: Option<String>,
    /// Whether it may be absent whatever its type says.
    pub(crate) optional: bool,
}

impl Property {
    /// `"name":{schema}`.
    fn entry(&self) -> TokenStream {
        let name = text(&format!("{}:", string(&self.name)));
        let object = self.object();
        quote!(::wasmill_guest::__private::Node::Join(&[#name, #object]))
    }

    fn object(&self) -> TokenStream {
        match (&self.description, &self.of_type) {
            (None, Some(of_type)) => object_of(of_type),
            (None, None) => text("{}"),
            (Some(description), None) => text(&format!("{{{description}}}")),
            (Some(description), Some(of_type)) => {
                let description = text(description);
                quote!(::wasmill_guest::__private::Node::Wrap(
                    "{",
                    &[#description, ::wasmill_guest::__private::Probe::<#of_type>::MEMBERS],
                    "}",
                ))
            }
        }
    }

    /// `"name"` if it must be there.
    fn required(&self) -> Option<TokenStream> {
        let of_type = self.of_type.as_ref().filter(|_| !self.optional)?;
        let name = string(&self.name);
        Some(quote!(::wasmill_guest::__private::Node::When(
            !::wasmill_guest::__private::Probe::<#of_type>::OPTIONAL,
            #name,
        )))
    }
}

/// The whole schema object of a type.
pub(crate) fn object_of(of_type: &TokenStream) -> TokenStream {
    quote!(::wasmill_guest::__private::Probe::<#of_type>::OBJECT)
}

/// The members of an object's schema. `tag` is a member that always has the same value: its name
/// and that value.
pub(crate) fn object_members(
    properties: &[Property],
    tag: Option<(&str, &str)>,
    closed: bool,
) -> TokenStream {
    let tag_entry = tag
        .map(|(name, value)| text(&format!("{}:{{\"const\":{}}}", string(name), string(value))))
        .into_iter();
    let tag_name = tag.map(|(name, _)| text(&string(name))).into_iter();
    let entries = properties.iter().map(Property::entry);
    let required = properties.iter().filter_map(Property::required);
    quote!(::wasmill_guest::__private::Node::List(&[
        ::wasmill_guest::__private::Node::Text("\"type\":\"object\""),
        ::wasmill_guest::__private::Node::Wrap("\"properties\":{", &[#(#tag_entry,)* #(#entries),*], "}"),
        ::wasmill_guest::__private::Node::Wrap("\"required\":[", &[#(#tag_name,)* #(#required),*], "]"),
        ::wasmill_guest::__private::Node::When(#closed, "\"additionalProperties\":false"),
    ]))
}
