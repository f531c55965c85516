//! A version that is ready to run: linked once, with its entry and its signature.

use crate::artefact::{Code, Loaded, Pages, TrustedCode};
use crate::entry::{Entry, check_dynamic_main};
use crate::inspect::{self, Form};
use crate::refusal::{Refusal, RefusalCode};
use crate::run_state::{self, RunState};
use crate::sanitize;
use crate::schema;
use crate::value;
use crate::value_type::{Signature, SignatureError};
use crate::wasi::LazyWasi;
use serde_json::Value;
use std::collections::HashSet;
use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;
use wasmill_core::limits::{CompileLimits, REFUSAL_DETAIL_BYTES};
use wasmill_core::{Digest, Failure, FailureName, Kind, RunLimits};
use wasmtime::component::types::{ComponentFunc, ComponentItem};
use wasmtime::component::{self, Component, ComponentExportIndex};
use wasmtime::{Engine, Module};
use wasmtime_wasi::I32Exit;

/// The linkers, one for each binary form. They hold what scripts may import; nothing is linked by
/// default.
pub(crate) struct Linkers {
    component: component::Linker<RunState>,
    core: wasmtime::Linker<RunState>,
    /// The names of the functions in `core`.
    preview1: HashSet<String>,
}

impl Linkers {
    pub(crate) fn new(engine: &Engine) -> wasmtime::Result<Self> {
        let mut component = component::Linker::new(engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut component)?;
        let mut core = wasmtime::Linker::new(engine);
        wasmtime_wasi::p1::add_to_linker_async(&mut core, |state: &mut RunState| {
            state.wasi.context()
        })?;
        // `proc_exit` of the engine refuses exit codes from 126 on. Scripts use such codes, for
        // example -1 and 255.
        core.allow_shadowing(true);
        core.func_wrap(inspect::PREVIEW1, "proc_exit", |code: i32| -> wasmtime::Result<()> {
            Err(I32Exit(code).into())
        })?;
        // The iterator needs a store because of its type only.
        let mut store =
            run_state::new_store(engine, LazyWasi::none(), &RunLimits::default(), Instant::now());
        let preview1 = core.iter(&mut store).map(|(_, name, _)| name.to_owned()).collect();
        Ok(Self { component, core, preview1 })
    }
}

/// A script that is ready to run. Cheap to clone; made by
/// [`Sandbox::prepare`](crate::Sandbox::prepare).
pub struct Prepared {
    pub(crate) digest: Digest,
    pub(crate) entry: Entry,
    schema: Option<Value>,
    result_schema: Option<Value>,
    bytes: usize,
    pages: Pages,
    /// How often [`Prepared::release_if_idle`] was called since the last run.
    idle_checks: AtomicU32,
}

impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prepared")
            .field("digest", &self.digest)
            .field("kind", &self.kind())
            .finish_non_exhaustive()
    }
}

impl Prepared {
    /// How the script is called.
    pub fn kind(&self) -> Kind {
        match &self.entry {
            Entry::Typed { .. } => Kind::Typed,
            Entry::Dynamic { .. } => Kind::Dynamic,
            Entry::Command { .. } | Entry::Core { .. } => Kind::Command,
        }
    }

    /// SHA-256 of the wasm bytes.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The JSON Schema of the argument object. Of a typed script it is made from the signature;
    /// otherwise it is the schema that the script brings along, if any.
    pub fn schema(&self) -> Option<&Value> {
        self.schema.as_ref()
    }

    /// The JSON Schema of the result, of a typed script.
    pub fn result_schema(&self) -> Option<&Value> {
        self.result_schema.as_ref()
    }

    /// The size of the machine code in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Records that the script is about to run.
    pub(crate) fn mark_used(&self) {
        // Checked first because a write is hardly ever needed, and reads of several threads do not
        // disturb each other.
        if self.idle_checks.load(Ordering::Relaxed) != 0 {
            self.idle_checks.store(0, Ordering::Relaxed);
        }
    }

    /// Releases the memory pages of the code when the script did not run between the last call of
    /// this method and this one. True when it released them.
    pub(crate) fn release_if_idle(&self) -> bool {
        self.idle_checks.fetch_add(1, Ordering::Relaxed) == 1 && self.pages.release()
    }

    /// Checks the text of an argument object without starting anything. A run checks typed
    /// arguments itself; this method lets a caller refuse them before a job is queued.
    ///
    /// Of a typed script all arguments are checked. Of a dynamic script or a command with a schema,
    /// the required members and the plain types of members are checked. Without a schema it is
    /// checked that the text is an object.
    ///
    /// # Errors
    /// `InvalidArguments`, with the argument, what was expected and what was found.
    pub fn check(&self, args: &str) -> Result<(), Failure> {
        let result = match &self.entry {
            Entry::Typed { signature, .. } => value::arguments(signature, args).map(drop),
            _ => schema::check(self.schema.as_ref(), args),
        };
        result.map_err(|message| Failure::new(FailureName::InvalidArguments, message))
    }

    /// Links loaded code.
    ///
    /// # Errors
    /// A refusal: the script imports what is not offered, JSON cannot call its signature, or its
    /// entry has another type than its interface.
    pub(crate) fn link(
        digest: Digest,
        trusted: &TrustedCode,
        loaded: Loaded,
        linkers: &Linkers,
        limits: &CompileLimits,
    ) -> Result<Self, Refusal> {
        let Loaded { code, pages } = loaded;
        let metadata = &trusted.metadata;
        let (entry, schemas) = match (code, metadata.kind) {
            (Code::Core(module), _) => (core(&module, &metadata.entry, linkers)?, None),
            (Code::Component(component), kind) => {
                let pre = linkers
                    .component
                    .instantiate_pre(&component)
                    .map_err(|error| unlinkable(&component, &error))?;
                let index = |instance: Option<&ComponentExportIndex>, name: &str| {
                    component.get_export_index(instance, name).ok_or_else(|| {
                        not_callable(&format!("it has no export \"{}\"", sanitize::excerpt(name)))
                    })
                };
                match kind {
                    Kind::Typed => {
                        let function = function(&component, None, &metadata.entry)?;
                        let signature = Signature::of(&function, limits.signature_types)
                            .map_err(|unfit| unfitting(unfit, limits))?;
                        let schemas =
                            (schema::of_arguments(&signature), schema::of_result(&signature));
                        (
                            Entry::Typed { main: index(None, &metadata.entry)?, pre, signature },
                            Some(schemas),
                        )
                    }
                    Kind::Dynamic => {
                        let function = function(&component, Some(&metadata.entry), "main")?;
                        check_dynamic_main(&function, &pre).map_err(|error| {
                            not_callable(&format!(
                                "\"main\" of {} has another signature than that interface: {}",
                                metadata.entry,
                                sanitize::excerpt(&format!("{error:#}"))
                            ))
                        })?;
                        let instance = index(None, &metadata.entry)?;
                        (Entry::Dynamic { main: index(Some(&instance), "main")?, pre }, None)
                    }
                    Kind::Command => {
                        let function = function(&component, Some(&metadata.entry), "run")?;
                        function
                            .typecheck::<(), (Result<(), ()>,)>(&pre.instance_type())
                            .map_err(|_| not_callable("\"run\" of wasi:cli/run has another signature than that interface"))?;
                        let instance = index(None, &metadata.entry)?;
                        (Entry::Command { run: index(Some(&instance), "run")?, pre }, None)
                    }
                }
            }
        };
        let (schema, result_schema) = match schemas {
            Some((schema, result)) => (Some(schema), Some(result)),
            None => (metadata.schema.clone(), None),
        };
        Ok(Self {
            digest,
            entry,
            schema,
            result_schema,
            bytes: trusted.len(),
            pages,
            idle_checks: AtomicU32::new(0),
        })
    }
}

fn core(module: &Module, entry: &str, linkers: &Linkers) -> Result<Entry, Refusal> {
    // The names are checked first, so that the refusal lists all of them. The linker would report
    // only the first.
    let unknown: Vec<String> = module
        .imports()
        .filter(|import| {
            import.module() != inspect::PREVIEW1 || !linkers.preview1.contains(import.name())
        })
        .map(|import| format!("{}#{}", import.module(), import.name()))
        .collect();
    if !unknown.is_empty() {
        return Err(inspect::forbidden_imports(
            Form::Core,
            &unknown.iter().map(String::as_str).collect::<Vec<_>>(),
        ));
    }
    let pre = linkers.core.instantiate_pre(module).map_err(|error| {
        Refusal::new(
            RefusalCode::ForbiddenImport,
            format!(
                "the script cannot be linked: {}",
                sanitize::escaped(&format!("{error:#}"), REFUSAL_DETAIL_BYTES)
            ),
        )
    })?;
    let fits = module.get_export(entry).and_then(|export| {
        export.func().map(|ty| ty.params().len() == 0 && ty.results().len() == 0)
    });
    match (fits, module.get_export_index(entry)) {
        (Some(true), Some(start)) => Ok(Entry::Core { pre, start }),
        _ => Err(not_callable("\"_start\" is not a function without parameters and results")),
    }
}

/// The type of an exported function: of the function `name` in `interface`, or without interface.
fn function(
    component: &Component,
    interface: Option<&str>,
    name: &str,
) -> Result<ComponentFunc, Refusal> {
    let engine = component.engine();
    let ty = component.component_type();
    let item = match interface {
        None => ty.get_export(engine, name).map(|export| export.ty),
        Some(interface) => match ty.get_export(engine, interface).map(|export| export.ty) {
            Some(ComponentItem::ComponentInstance(instance)) => {
                instance.get_export(engine, name).map(|export| export.ty)
            }
            _ => None,
        },
    };
    match item {
        Some(ComponentItem::ComponentFunc(function)) if function.async_() => Err(Refusal::new(
            RefusalCode::Unsupported,
            format!("\"{name}\" is an async function, which is not supported yet"),
        )),
        Some(ComponentItem::ComponentFunc(function)) => Ok(function),
        _ => Err(not_callable(&format!(
            "{} has no function \"{name}\"",
            interface.unwrap_or("the component")
        ))),
    }
}

fn not_callable(why: &str) -> Refusal {
    Refusal::new(RefusalCode::NothingToCall, format!("the script cannot be called: {why}"))
}

fn unfitting(unfit: SignatureError, limits: &CompileLimits) -> Refusal {
    match unfit {
        SignatureError::NoJsonForm(message) => Refusal::new(RefusalCode::Unsupported, message),
        SignatureError::TooLarge => Refusal::new(
            RefusalCode::TooComplex,
            format!(
                "the signature of main is too complex: it may be written out to {} types, nested {} deep",
                limits.signature_types,
                wasmill_core::limits::JSON_DEPTH
            ),
        ),
    }
}

/// The refusal of a component that cannot be linked, with the imports that nobody provides. An
/// interface that holds only types needs no provider and is not listed.
fn unlinkable(component: &Component, error: &wasmtime::Error) -> Refusal {
    let engine = component.engine();
    let ty = component.component_type();
    let foreign: Vec<&str> = ty
        .imports(engine)
        .filter(|(name, import)| match &import.ty {
            ComponentItem::Type(_) => false,
            ComponentItem::ComponentInstance(instance) => {
                !name.starts_with("wasi:")
                    && instance
                        .exports(engine)
                        .any(|(_, export)| !matches!(export.ty, ComponentItem::Type(_)))
            }
            _ => true,
        })
        .map(|(name, _)| name)
        .collect();
    if foreign.is_empty() {
        let detail = sanitize::escaped(&format!("{error:#}"), REFUSAL_DETAIL_BYTES);
        return Refusal::new(
            RefusalCode::ForbiddenImport,
            format!("the script asks for something of WASI that is not offered here: {detail}"),
        );
    }
    inspect::forbidden_imports(Form::Component, &foreign)
}
