//! `#[derive(Schema)]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::ext::IdentExt as _;
use syn::{
    Data, DataEnum, DeriveInput, Error, Field, Fields, Generics, Result, Variant, parse_quote,
};

use crate::attributes::{Case, Serde};
use crate::json::{self, Property, object_members, object_of, text};

pub(crate) fn expand(input: &DeriveInput) -> Result<TokenStream> {
    let serde = Serde::read(&input.attrs)?;
    let schema = match &input.data {
        // The JSON is that of another type, and only serde knows how it is converted.
        _ if serde.foreign => {
            Described { members: text(""), expected: quote!("a value of its type") }
        }
        Data::Struct(data) => of_struct(&data.fields, &serde)?,
        Data::Enum(data) => of_enum(data, &serde)?,
        Data::Union(data) => {
            return Err(Error::new(data.union_token.span, "a union has no JSON form"));
        }
    };

    let name = &input.ident;
    let generics = bounded(&input.generics);
    let (parameters, arguments, conditions) = generics.split_for_impl();
    let description = text(&json::description(&input.attrs).unwrap_or_default());
    let Described { members, expected } = schema;
    Ok(quote! {
        const _: () = {
            #[allow(unused_imports)]
            use ::wasmill_guest::__private::Fallback as _;

            #[automatically_derived]
            impl #parameters ::wasmill_guest::Schema for #name #arguments #conditions {
                const DESCRIPTION: ::wasmill_guest::__private::Node = #description;
                const MEMBERS: ::wasmill_guest::__private::Node = #members;
                const EXPECTED: &'static str = #expected;
            }
        };
    })
}

/// The members of a schema, and the type in words.
struct Described {
    members: TokenStream,
    expected: TokenStream,
}

/// The generics with the bound that each type parameter has a schema itself.
fn bounded(generics: &Generics) -> Generics {
    let mut generics = generics.clone();
    for parameter in generics.type_params_mut() {
        parameter.bounds.push(parse_quote!(::wasmill_guest::Schema));
    }
    generics
}

fn of_struct(fields: &Fields, serde: &Serde) -> Result<Described> {
    if serde.transparent
        && let Some(only) = fields.iter().next()
        && fields.len() == 1
    {
        return of_type(only);
    }
    match fields {
        Fields::Named(_) => {
            let properties = properties(fields, serde.rename_all, serde.default)?;
            Ok(Described {
                members: object_members(&properties, None, serde.deny_unknown_fields),
                expected: quote!("an object"),
            })
        }
        Fields::Unnamed(fields) if fields.unnamed.len() == 1 => match fields.unnamed.first() {
            Some(only) => of_type(only),
            None => Ok(null()),
        },
        Fields::Unnamed(fields) => {
            Ok(Described { members: tuple_members(fields)?, expected: quote!("an array") })
        }
        Fields::Unit => Ok(null()),
    }
}

fn null() -> Described {
    Described { members: text("\"type\":\"null\""), expected: quote!("null") }
}

/// The schema of a type around one field.
fn of_type(field: &Field) -> Result<Described> {
    if Serde::read(&field.attrs)?.foreign {
        return Ok(Described { members: text(""), expected: quote!("a value of its type") });
    }
    let of_type = &field.ty;
    Ok(Described {
        members: quote!(::wasmill_guest::__private::Probe::<#of_type>::MEMBERS),
        expected: quote!(::wasmill_guest::__private::Probe::<#of_type>::EXPECTED),
    })
}

fn properties(fields: &Fields, case: Option<Case>, all_optional: bool) -> Result<Vec<Property>> {
    let mut properties = Vec::new();
    for field in fields {
        let serde = Serde::read(&field.attrs)?;
        // What a flattened field brings along is allowed because additional properties are.
        if serde.skip || serde.flatten {
            continue;
        }
        let Some(ident) = &field.ident else { continue };
        let own = ident.unraw().to_string();
        let of_type = &field.ty;
        properties.push(Property {
            name: serde
                .rename
                .unwrap_or_else(|| case.map_or_else(|| own.clone(), |case| case.of_field(&own))),
            of_type: (!serde.foreign).then(|| quote!(#of_type)),
            description: json::description(&field.attrs),
            optional: all_optional || serde.default,
        });
    }
    Ok(properties)
}

/// The members of an array's schema with a place for each field.
fn tuple_members(fields: &syn::FieldsUnnamed) -> Result<TokenStream> {
    let mut places = Vec::new();
    for field in &fields.unnamed {
        let serde = Serde::read(&field.attrs)?;
        if serde.skip {
            continue;
        }
        let of_type = &field.ty;
        places.push(if serde.foreign { text("{}") } else { object_of(&quote!(#of_type)) });
    }
    let bounds = text(&format!("\"minItems\":{0},\"maxItems\":{0}", places.len()));
    Ok(quote!(::wasmill_guest::__private::Node::List(&[
        ::wasmill_guest::__private::Node::Text("\"type\":\"array\""),
        ::wasmill_guest::__private::Node::Wrap("\"prefixItems\":[", &[#(#places),*], "]"),
        #bounds,
    ])))
}

fn of_enum(data: &DataEnum, serde: &Serde) -> Result<Described> {
    let mut variants = Vec::new();
    for variant in &data.variants {
        let own = Serde::read(&variant.attrs)?;
        if own.skip {
            continue;
        }
        let ident = variant.ident.unraw().to_string();
        let name = own.rename.clone();
        let name = name.unwrap_or_else(|| {
            serde.rename_all.map_or_else(|| ident.clone(), |case| case.of_variant(&ident))
        });
        variants.push(NamedVariant { name, serde: own, variant });
    }

    let tagging = match (&serde.tag, &serde.content) {
        _ if serde.untagged => Tagging::None,
        (Some(tag), Some(content)) => Tagging::Adjacent { tag, content },
        (Some(tag), None) => Tagging::Internal { tag },
        (None, _) => Tagging::External,
    };

    if matches!(tagging, Tagging::External)
        && variants.iter().all(|variant| {
            matches!(variant.variant.fields, Fields::Unit) && !variant.serde.untagged
        })
    {
        let names: Vec<String> =
            variants.iter().map(|variant| json::string(&variant.name)).collect();
        let expected = format!("one of {}", names.join(", "));
        return Ok(Described {
            members: text(&format!("\"type\":\"string\",\"enum\":[{}]", names.join(","))),
            expected: quote!(#expected),
        });
    }

    let choices = variants
        .iter()
        .map(|variant| variant.object(&tagging, serde))
        .collect::<Result<Vec<_>>>()?;
    // Without tags a value may fit more than one variant; serde takes the first.
    let open = if variants.iter().any(|variant| variant.serde.untagged) || serde.untagged {
        "\"anyOf\":["
    } else {
        "\"oneOf\":["
    };
    Ok(Described {
        members: quote!(::wasmill_guest::__private::Node::Wrap(#open, &[#(#choices),*], "]")),
        expected: quote!("one of the variants in the schema"),
    })
}

/// How the JSON of an enum tells its variant.
enum Tagging<'a> {
    External,
    Internal { tag: &'a str },
    Adjacent { tag: &'a str, content: &'a str },
    None,
}

struct NamedVariant<'a> {
    name: String,
    serde: Serde,
    variant: &'a Variant,
}

impl NamedVariant<'_> {
    /// The schema object of this variant.
    fn object(&self, tagging: &Tagging<'_>, container: &Serde) -> Result<TokenStream> {
        let tagging = if self.serde.untagged { &Tagging::None } else { tagging };
        let members = match tagging {
            Tagging::External => match self.content(container)? {
                None => text(&format!("\"const\":{}", json::string(&self.name))),
                Some(content) => single(&json::string(&self.name), &content),
            },
            Tagging::Internal { tag } => self.internally_tagged(tag, container)?,
            Tagging::Adjacent { tag, content } => {
                let tag = (*tag, self.name.as_str());
                match self.content(container)? {
                    None => object_members(&[], Some(tag), false),
                    Some(value) => with_content(tag, &json::string(content), &value),
                }
            }
            Tagging::None => match self.content(container)? {
                None => text("\"type\":\"null\""),
                Some(content) => return Ok(content),
            },
        };
        let description = text(&json::description(&self.variant.attrs).unwrap_or_default());
        Ok(quote!(::wasmill_guest::__private::Node::Wrap("{", &[#description, #members], "}")))
    }

    fn case(&self, container: &Serde) -> Option<Case> {
        self.serde.rename_all.or(container.rename_all_fields)
    }

    /// The schema object of what the variant holds, if it holds anything.
    fn content(&self, container: &Serde) -> Result<Option<TokenStream>> {
        let object = |members: TokenStream| quote!(::wasmill_guest::__private::Node::Wrap("{", &[#members], "}"));
        Ok(match &self.variant.fields {
            Fields::Unit => None,
            Fields::Unnamed(fields) if fields.unnamed.len() == 1 => {
                let only = fields.unnamed.first();
                let foreign = match only {
                    Some(field) => Serde::read(&field.attrs)?.foreign || self.serde.foreign,
                    None => true,
                };
                let of_type = only.map(|field| &field.ty);
                Some(if foreign { text("{}") } else { object_of(&quote!(#of_type)) })
            }
            Fields::Unnamed(fields) => Some(object(tuple_members(fields)?)),
            fields @ Fields::Named(_) => {
                let properties = properties(fields, self.case(container), false)?;
                Some(object(object_members(&properties, None, container.deny_unknown_fields)))
            }
        })
    }

    fn internally_tagged(&self, tag: &str, container: &Serde) -> Result<TokenStream> {
        let tag = (tag, self.name.as_str());
        Ok(match &self.variant.fields {
            Fields::Unnamed(fields) if fields.unnamed.len() == 1 => {
                // The tag stands among the members of whatever object the variant holds.
                let of_type = fields.unnamed.first().map(|field| &field.ty);
                let object = object_of(&quote!(#of_type));
                let members = object_members(&[], Some(tag), false);
                quote!(::wasmill_guest::__private::Node::List(&[
                    #members,
                    ::wasmill_guest::__private::Node::Wrap("\"allOf\":[", &[#object], "]"),
                ]))
            }
            fields => {
                let properties = properties(fields, self.case(container), false)?;
                object_members(&properties, Some(tag), container.deny_unknown_fields)
            }
        })
    }
}

/// The members of the schema of an object with one member. `name` is JSON.
fn single(name: &str, content: &TokenStream) -> TokenStream {
    let open = format!("\"type\":\"object\",\"properties\":{{{name}:");
    let close = format!("}},\"required\":[{name}],\"additionalProperties\":false");
    quote!(::wasmill_guest::__private::Node::Wrap(#open, &[#content], #close))
}

/// The members of the schema of an object with a tag and, beside it, a content. `name`, of the
/// content, is JSON.
fn with_content((tag, value): (&str, &str), name: &str, content: &TokenStream) -> TokenStream {
    let (tag, value) = (json::string(tag), json::string(value));
    let open = format!("\"type\":\"object\",\"properties\":{{{tag}:{{\"const\":{value}}},{name}:");
    let close = format!("}},\"required\":[{tag},{name}]");
    quote!(::wasmill_guest::__private::Node::Wrap(#open, &[#content], #close))
}
