//! The generated bindings of the world `wasmill:script/dynamic`.

// Generated code speaks the canonical ABI in raw pointers. It is not ours to lint.
#![allow(unsafe_code, missing_docs, unreachable_pub, clippy::all, clippy::restriction)]

wit_bindgen::generate!({
    path: "wit",
    world: "wasmill:script/dynamic",
    // The export happens in the script's crate, by the macro `main`.
    pub_export_macro: true,
    export_macro_name: "export",
    default_bindings_module: "wasmill_guest::bindings",
});
