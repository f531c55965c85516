//! The macros of `wasmill-guest`. They are documented there, where they are re-exported.

mod attributes;
mod derive;
mod entry;
mod json;

use proc_macro::TokenStream;
use syn::parse_macro_input;

/// See `wasmill_guest::main`.
#[proc_macro_attribute]
pub fn main(attribute: TokenStream, item: TokenStream) -> TokenStream {
    let function = parse_macro_input!(item as syn::ItemFn);
    entry::expand(attribute.into(), function).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// See `wasmill_guest::Schema`.
#[proc_macro_derive(Schema)]
pub fn schema(item: TokenStream) -> TokenStream {
    let input = parse_macro_input!(item as syn::DeriveInput);
    derive::expand(&input).unwrap_or_else(syn::Error::into_compile_error).into()
}
