//! Tells what an upload is from its outline, without compiling or validating it.
//!
//! The items of a section are counted before they are read, because a few bytes can announce
//! gigabytes. Types are not read here. The compile child reads them, where a lack of stack or
//! memory does no harm.

mod outline;

use crate::refusal::{Refusal, RefusalCode};
use crate::sanitize;
use outline::{Item, Outline};
use wasmill_core::Kind;
use wasmill_core::limits::CompileLimits;

/// The exported interface of a dynamic script, in any patch version.
const ENTRY: &str = "wasmill:script/entry@0.1.";
/// The exported interface of a command that is a component.
const RUN: &str = "wasi:cli/run@0.2.";
/// The only module that a core command may import from.
pub(crate) const PREVIEW1: &str = "wasi_snapshot_preview1";
/// The packages that scripts may import from, at version 0.2. Every operation of the last two is
/// refused at run time; they are offered because standard libraries import them.
const OFFERED: [&str; 6] =
    ["wasi:cli/", "wasi:io/", "wasi:clocks/", "wasi:random/", "wasi:filesystem/", "wasi:sockets/"];

/// What is accepted, for refusals.
const ACCEPTED: &str = "Accepted are: a component that exports a function \"main\"; a component that exports the interface \
    wasmill:script/entry@0.1.0; a component that exports wasi:cli/run@0.2; a core module with \"_start\" that imports only \
    wasi_snapshot_preview1";

/// The two binary forms of WebAssembly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A component.
    Component,
    /// A core module.
    Core,
}

/// What the outline of an upload tells.
#[derive(Debug, Clone, PartialEq)]
pub struct Inspected {
    /// Component or core module.
    pub form: Form,
    /// How the script is called.
    pub kind: Kind,
    /// The name of the export that is called.
    pub entry: String,
    /// The names of the exports, at most 1,000.
    pub exports: Vec<String>,
    /// The names of the imports, at most 1,000.
    pub imports: Vec<String>,
    /// The JSON Schema in the custom section `wasmill:schema` of a dynamic script or a command.
    pub schema: Option<serde_json::Value>,
}

/// Tells what an upload is. An upload that is accepted here may still fail to compile.
///
/// # Errors
/// A refusal: the upload is not WebAssembly, is damaged, is too complex, exports nothing to call,
/// or imports what is not offered.
pub fn inspect(wasm: &[u8], limits: &CompileLimits) -> Result<Inspected, Refusal> {
    let form = form(wasm)?;
    let outline = outline::read(wasm, limits)?;
    let (kind, entry) = match form {
        Form::Component => component_entry(&outline)?,
        Form::Core => core_entry(&outline)?,
    };
    let forbidden: Vec<&str> = outline
        .imports
        .iter()
        .filter(|import| !offered(form, import))
        .map(|import| import.name.as_str())
        .collect();
    if !forbidden.is_empty() {
        return Err(forbidden_imports(form, &forbidden));
    }
    let names = |items: Vec<Item>| items.into_iter().map(|item| item.name).collect();
    let schema = if kind == Kind::Typed { None } else { outline.schema };
    Ok(Inspected {
        form,
        kind,
        entry,
        exports: names(outline.exports),
        imports: names(outline.imports),
        schema,
    })
}

/// The refusal that lists the imports that are not offered.
pub(crate) fn forbidden_imports(form: Form, names: &[&str]) -> Refusal {
    let offered = match form {
        Form::Component => {
            "wasi:cli, wasi:io, wasi:clocks, wasi:random, wasi:filesystem and wasi:sockets, all at version 0.2"
        }
        Form::Core => PREVIEW1,
    };
    let names = sanitize::quoted_list(names.iter().copied());
    Refusal::new(
        RefusalCode::ForbiddenImport,
        format!("the script imports {names}, which is not offered here; offered are {offered}"),
    )
}

fn form(wasm: &[u8]) -> Result<Form, Refusal> {
    let not_wasm = |message: &str| Err(Refusal::new(RefusalCode::NotWasm, message));
    match wasm {
        [0, b'a', b's', b'm', 0x0d, 0, 1, 0, ..] => Ok(Form::Component),
        [0, b'a', b's', b'm', 1, 0, 0, 0, ..] => Ok(Form::Core),
        [0, b'a', b's', b'm', version @ ..] => {
            let version = version.get(..4).unwrap_or(version);
            Err(Refusal::new(
                RefusalCode::NotWasm,
                format!(
                    "this is WebAssembly of an unknown version ({version:02x?}); accepted are core modules of version 1 and components"
                ),
            ))
        }
        [] => not_wasm("the upload is empty"),
        [0x7f, b'E', b'L', b'F', ..] => not_wasm(
            "this is machine code (ELF), perhaps a precompiled .cwasm file; upload the .wasm file that it was made from, it is compiled here",
        ),
        [0x1f, 0x8b, ..] | [0x28, 0xb5, 0x2f, 0xfd, ..] | [b'P', b'K', 3, 4, ..] => {
            not_wasm("this is a compressed file; upload the .wasm file itself")
        }
        bytes
            if bytes.trim_ascii_start().starts_with(b"(module")
                || bytes.trim_ascii_start().starts_with(b"(component") =>
        {
            not_wasm(
                "this is WebAssembly in text form; convert it with `wasm-tools parse file.wat -o file.wasm`",
            )
        }
        _ => {
            not_wasm("this is not a WebAssembly file: it does not begin with the bytes 00 61 73 6d")
        }
    }
}

fn component_entry(outline: &Outline) -> Result<(Kind, String), Refusal> {
    let find = |function: bool, name: &str| {
        outline.exports.iter().find(|item| {
            if function {
                item.function && item.name == name
            } else {
                item.instance && item.name.starts_with(name)
            }
        })
    };
    let found = find(true, "main").map(|item| (Kind::Typed, item));
    let found = found.or_else(|| find(false, ENTRY).map(|item| (Kind::Dynamic, item)));
    let found = found.or_else(|| find(false, RUN).map(|item| (Kind::Command, item)));
    match found {
        Some((kind, item)) => Ok((kind, item.name.clone())),
        None => Err(nothing_to_call("component", outline)),
    }
}

fn core_entry(outline: &Outline) -> Result<(Kind, String), Refusal> {
    match outline.exports.iter().find(|item| item.function && item.name == "_start") {
        Some(item) => Ok((Kind::Command, item.name.clone())),
        None => Err(nothing_to_call("core module", outline)),
    }
}

fn nothing_to_call(what: &str, outline: &Outline) -> Refusal {
    let exports = sanitize::quoted_list(outline.exports.iter().map(|item| item.name.as_str()));
    Refusal::new(
        RefusalCode::NothingToCall,
        format!(
            "this {what} exports nothing that can be called as a script; it exports {exports}. {ACCEPTED}"
        ),
    )
}

fn offered(form: Form, import: &Item) -> bool {
    match form {
        Form::Core => import.name.split('#').next() == Some(PREVIEW1),
        Form::Component => {
            if !import.instance {
                return import.ty;
            }
            if OFFERED.iter().any(|package| import.name.starts_with(package)) {
                return import.name.contains("@0.2.");
            }
            // An interface of the script's own may hold only types, and then needs no provider; the
            // linker tells later. The packages named `wasi:` hold functions, and are refused here.
            !import.name.starts_with("wasi:")
        }
    }
}

#[cfg(test)]
mod tests;
