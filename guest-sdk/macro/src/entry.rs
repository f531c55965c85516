//! `#[wasmill_guest::main]`.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::ext::IdentExt as _;
use syn::spanned::Spanned as _;
use syn::{Error, FnArg, Ident, ItemFn, Pat, PatType, Result, ReturnType, Type};

use crate::json::{self, Property};

/// The parameter that takes all arguments.
const WHOLE: &str = "args";

/// The first member of every schema.
const DRAFT: &str = r#""$schema":"https://json-schema.org/draft/2020-12/schema""#;

pub(crate) fn expand(attribute: TokenStream, mut function: ItemFn) -> Result<TokenStream> {
    let whole = reads_whole(attribute)?;
    check(&function)?;

    let parameters = parameters(&mut function)?;
    let description = json::description(&function.attrs);
    let call = if takes_whole(&parameters, whole)? {
        from_object(&function, &parameters, description)
    } else {
        by_name(&function, &parameters, description)?
    };
    let Expansion { body, schema } = call;

    Ok(quote! {
        #function

        // Named, so that a second main in the same module is refused, and tests can reach what is
        // in it.
        #[doc(hidden)]
        pub(crate) struct __Script;

        const _: () = {
            #[allow(unused_imports)]
            use ::wasmill_guest::__private::{
                BoxedError as _, BoxedSendError as _, DataError as _, Fallback as _, NamedError as _, Plain as _,
                TextError as _, TypedError as _,
            };

            impl __Script {
                pub(crate) const SCHEMA: ::wasmill_guest::__private::Node = #schema;

                pub(crate) fn run(text: &str) -> ::wasmill_guest::__private::Answer {
                    #body
                }
            }

            ::wasmill_guest::__export!(__Script);
        };
    })
}

/// What differs between the two ways to take arguments.
struct Expansion {
    /// Calls the function with arguments from `text`.
    body: TokenStream,
    /// The node of the schema.
    schema: TokenStream,
}

/// Whether the attribute itself says that the parameter takes the whole object.
fn reads_whole(attribute: TokenStream) -> Result<bool> {
    if attribute.is_empty() {
        return Ok(false);
    }
    let word: Ident = syn::parse2(attribute.clone()).map_err(|_| {
        Error::new(
            attribute.span(),
            "expected `#[wasmill_guest::main]` or `#[wasmill_guest::main(args)]`",
        )
    })?;
    if word != WHOLE {
        return Err(Error::new(
            word.span(),
            format!("unknown option `{word}`; the only one is `{WHOLE}`"),
        ));
    }
    Ok(true)
}

/// Refuses functions that can't be an entry point.
fn check(function: &ItemFn) -> Result<()> {
    let signature = &function.sig;
    if let Some(word) = &signature.asyncness {
        return Err(Error::new(
            word.span(),
            "a script's main can't be async: block on what it waits for instead",
        ));
    }
    if let Some(word) = &signature.unsafety {
        return Err(Error::new(word.span(), "a script's main can't be unsafe"));
    }
    if !signature.generics.params.is_empty() {
        return Err(Error::new(
            signature.generics.span(),
            "a script's main can't be generic: JSON doesn't choose types",
        ));
    }
    if let Some(dots) = &signature.variadic {
        return Err(Error::new(dots.span(), "a script's main can't be variadic"));
    }
    Ok(())
}

/// A parameter, parted from its doc comment, which the language doesn't allow to stay there.
struct Parameter {
    pattern: Pat,
    of_type: Type,
    description: Option<String>,
}

impl Parameter {
    /// The parameter's name, if it has one.
    fn name(&self) -> Option<&Ident> {
        match &self.pattern {
            Pat::Ident(pattern) if pattern.subpat.is_none() => Some(&pattern.ident),
            _ => None,
        }
    }

    /// The type to deserialize: what a reference borrows from, or the type itself.
    fn owned_type(&self) -> TokenStream {
        match &self.of_type {
            Type::Reference(reference) => {
                let borrowed = &reference.elem;
                quote!(<#borrowed as ::std::borrow::ToOwned>::Owned)
            }
            owned => quote!(#owned),
        }
    }

    /// The argument to pass, made of the deserialized `value`.
    fn passed(&self, value: &Ident) -> TokenStream {
        match &self.of_type {
            Type::Reference(reference) => {
                let borrowed = &reference.elem;
                quote!(::std::borrow::Borrow::<#borrowed>::borrow(&#value))
            }
            _ => quote!(#value),
        }
    }
}

fn parameters(function: &mut ItemFn) -> Result<Vec<Parameter>> {
    let mut parameters = Vec::new();
    for input in &mut function.sig.inputs {
        let FnArg::Typed(PatType { attrs, pat, ty, .. }) = input else {
            return Err(Error::new(input.span(), "a script's main is a function, not a method"));
        };
        if let Type::Reference(reference) = ty.as_ref()
            && let Some(word) = &reference.mutability
        {
            return Err(Error::new(
                word.span(),
                "an argument can't be a mutable reference; take it by value",
            ));
        }
        let description = json::description(attrs);
        attrs.retain(|attribute| !attribute.path().is_ident("doc"));
        parameters.push(Parameter {
            pattern: pat.as_ref().clone(),
            of_type: ty.as_ref().clone(),
            description,
        });
    }
    Ok(parameters)
}

/// Whether the function's one parameter takes the whole object.
fn takes_whole(parameters: &[Parameter], said_so: bool) -> Result<bool> {
    match (parameters, said_so) {
        ([only], false) => Ok(only.name().is_some_and(|name| name == WHOLE)),
        ([_], true) => Ok(true),
        (_, false) => Ok(false),
        (_, true) => Err(Error::new(
            Span::call_site(),
            format!(
                "`#[wasmill_guest::main({WHOLE})]` is for a function with exactly one parameter"
            ),
        )),
    }
}

fn from_object(
    function: &ItemFn,
    parameters: &[Parameter],
    description: Option<String>,
) -> Expansion {
    let value = format_ident!("args");
    let owned = parameters.iter().map(Parameter::owned_type);
    let reading = parameters.iter().zip(owned).map(
        |(parameter, owned)| quote_spanned!(blamed(&parameter.of_type)=> let #value: #owned = ::wasmill_guest::__private::whole(text)?;),
    );
    let passed: Vec<TokenStream> =
        parameters.iter().map(|parameter| parameter.passed(&value)).collect();
    let call = call(function, &passed);
    let body = quote! {
        #(#reading)*
        #call
    };

    let described = parameters.iter().map(Parameter::owned_type);
    let own = parameters.iter().find_map(|parameter| parameter.description.clone()).or(description);
    let description = match own {
        Some(member) => json::text(&member),
        None => {
            let of_type = parameters.iter().map(Parameter::owned_type);
            quote!(#(::wasmill_guest::__private::Probe::<#of_type>::DESCRIPTION)*)
        }
    };
    let schema = root(
        &description,
        &quote! {
            // Whatever the type is, arguments are an object.
            #(::wasmill_guest::__private::Probe::<#described>::MEMBERS)*
                .or(::wasmill_guest::__private::Node::Text("\"type\":\"object\""))
        },
    );
    Expansion { body, schema }
}

fn by_name(
    function: &ItemFn,
    parameters: &[Parameter],
    description: Option<String>,
) -> Result<Expansion> {
    let mut values = Vec::new();
    let mut readings = Vec::new();
    let mut properties = Vec::new();
    for (index, parameter) in parameters.iter().enumerate() {
        let Some(name) = parameter.name() else {
            return Err(Error::new(
                parameter.pattern.span(),
                "the argument needs a name here; a pattern is possible for the only parameter under \
                 `#[wasmill_guest::main(args)]`",
            ));
        };
        let name = name.unraw().to_string();
        let value = format_ident!("argument_{index}");
        let owned = parameter.owned_type();
        readings.push(quote_spanned! {blamed(&parameter.of_type)=>
            let #value: #owned = arguments.take(#name, ::wasmill_guest::__private::Probe::<#owned>::EXPECTED)?;
        });
        values.push(parameter.passed(&value));
        properties.push(Property {
            name,
            of_type: Some(owned),
            description: parameter.description.clone(),
            optional: false,
        });
    }

    let call = call(function, &values);
    // A function without parameters doesn't care what it is called with.
    let open = (!parameters.is_empty())
        .then(|| quote!(let mut arguments = ::wasmill_guest::__private::Arguments::parse(text)?;));
    let ignore = parameters.is_empty().then(|| quote!(let _ = text;));
    let body = quote! {
        #ignore
        #open
        #(#readings)*
        #call
    };
    let description = json::text(&description.unwrap_or_default());
    Ok(Expansion {
        body,
        schema: root(&description, &json::object_members(&properties, None, false)),
    })
}

/// Calls the function and turns what it returns into an answer.
fn call(function: &ItemFn, values: &[TokenStream]) -> TokenStream {
    let name = &function.sig.ident;
    let call = quote!(#name(#(#values),*));
    match &function.sig.output {
        // Without a result there is nothing to convert, and the wrapper below would be warned of.
        ReturnType::Default => quote! {
            #call;
            ::core::result::Result::Ok(::std::string::String::from("null"))
        },
        ReturnType::Type(_, returned) => {
            let span = blamed(returned);
            let wrapped = quote!((&&&&&&&::wasmill_guest::__private::Returned::new(#call)));
            quote_spanned!(span=> #wrapped.answer())
        }
    }
}

/// Where an error about a type is shown: at the type, with names meaning what they mean in the rest
/// of the expansion.
fn blamed(of_type: &Type) -> Span {
    of_type.span().resolved_at(Span::call_site())
}

fn root(description: &TokenStream, members: &TokenStream) -> TokenStream {
    quote! {
        {
            const MEMBERS: ::wasmill_guest::__private::Node = #members;
            ::wasmill_guest::__private::Node::Join(&[
                ::wasmill_guest::__private::Node::Text("{"),
                ::wasmill_guest::__private::Node::List(&[
                    ::wasmill_guest::__private::Node::Text(#DRAFT),
                    #description,
                    MEMBERS,
                ]),
                ::wasmill_guest::__private::Node::Text("}"),
            ])
        }
    }
}
