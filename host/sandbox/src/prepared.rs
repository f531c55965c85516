//! A version ready to run: linked once, with its entry found and its signature written out.

use crate::artefact::{Code, Loaded, Pages, Trusted};
use crate::inspect::{self, Form};
use crate::invoke::dynamic;
use crate::refusal::{Refusal, RefusalCode};
use crate::schema;
use crate::shape::{Signature, Unfit};
use crate::state::{self, State};
use crate::text;
use crate::value;
use crate::wasi::Wasi;
use serde_json::Value;
use std::collections::HashSet;
use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;
use wasmill_core::limits::CompileLimits;
use wasmill_core::{Digest, Failure, FailureName, Kind, RunLimits};
use wasmtime::component::types::{ComponentFunc, ComponentItem};
use wasmtime::component::{self, Component, ComponentExportIndex};
use wasmtime::{Engine, Module, ModuleExport};
use wasmtime_wasi::I32Exit;

/// What scripts may import, one table for each binary form. Nothing is linked by default.
pub(crate) struct Linkers {
    component: component::Linker<State>,
    core: wasmtime::Linker<State>,
    /// Names of the functions in `core`.
    preview1: HashSet<String>,
}

impl Linkers {
    pub(crate) fn new(engine: &Engine) -> wasmtime::Result<Self> {
        let mut component = component::Linker::new(engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut component)?;
        let mut core = wasmtime::Linker::new(engine);
        wasmtime_wasi::p1::add_to_linker_async(&mut core, |state: &mut State| {
            state.wasi.context()
        })?;
        // The engine's own refuses codes from 126 on; scripts exit with -1 and 255 all the same,
        // and mean it.
        core.allow_shadowing(true);
        core.func_wrap(inspect::PREVIEW1, "proc_exit", |code: i32| -> wasmtime::Result<()> {
            Err(I32Exit(code).into())
        })?;
        // The table of names needs a store for nothing but its type.
        let mut store = state::store(engine, Wasi::none(), &RunLimits::default(), Instant::now());
        let preview1 = core.iter(&mut store).map(|(_, name, _)| name.to_owned()).collect();
        Ok(Self { component, core, preview1 })
    }
}

/// A script that can be run. Cheap to share; made by [`Sandbox::prepare`](crate::Sandbox::prepare).
pub struct Prepared {
    pub(crate) digest: Digest,
    pub(crate) entry: Entry,
    schema: Option<Value>,
    result_schema: Option<Value>,
    bytes: usize,
    pages: Pages,
    /// How often [`Prepared::rest`] was called since it was used last.
    rests: AtomicU32,
}

/// How to call it. The index of the export is looked up once.
pub(crate) enum Entry {
    Typed { pre: component::InstancePre<State>, main: ComponentExportIndex, signature: Signature },
    Dynamic { pre: component::InstancePre<State>, main: ComponentExportIndex },
    Command { pre: component::InstancePre<State>, run: ComponentExportIndex },
    Core { pre: wasmtime::InstancePre<State>, start: ModuleExport },
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
    /// How it is called.
    pub fn kind(&self) -> Kind {
        match &self.entry {
            Entry::Typed { .. } => Kind::Typed,
            Entry::Dynamic { .. } => Kind::Dynamic,
            Entry::Command { .. } | Entry::Core { .. } => Kind::Command,
        }
    }

    /// SHA-256 of its wasm bytes.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The JSON Schema of its argument object: from the signature if typed, else the script's own,
    /// if it has one.
    pub fn schema(&self) -> Option<&Value> {
        self.schema.as_ref()
    }

    /// The JSON Schema of its result, if typed.
    pub fn result_schema(&self) -> Option<&Value> {
        self.result_schema.as_ref()
    }

    /// Bytes of memory that it is counted with.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Notes that it is about to be used.
    pub(crate) fn wake(&self) {
        // Hardly ever is there anything to write.
        if self.rests.load(Ordering::Relaxed) != 0 {
            self.rests.store(0, Ordering::Relaxed);
        }
    }

    /// To be called now and then: gives the pages of its code back when it was not used since the
    /// last time. True when it did.
    pub(crate) fn rest(&self) -> bool {
        self.rests.fetch_add(1, Ordering::Relaxed) == 1 && self.pages.let_go()
    }

    /// Checks the text of an argument object without starting anything. A call checks typed
    /// arguments itself; this is for refusing them early, before a job is queued. Of dynamic
    /// scripts and commands with a schema, required members and the plain types of members are
    /// checked; without one, that it is an object.
    ///
    /// # Errors
    /// `InvalidArguments`, naming the argument, what was expected and what came.
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
    /// A refusal: imports that are not offered, a signature that JSON can't call, or more of an
    /// instance than a run may have.
    pub(crate) fn link(
        digest: Digest,
        trusted: &Trusted,
        loaded: Loaded,
        linkers: &Linkers,
        limits: &CompileLimits,
    ) -> Result<Self, Refusal> {
        let Loaded { code, pages } = loaded;
        let label = &trusted.label;
        let (entry, schemas) = match (code, label.kind) {
            (Code::Core(module), _) => (core(&module, &label.entry, linkers)?, None),
            (Code::Component(component), kind) => {
                let pre = linkers
                    .component
                    .instantiate_pre(&component)
                    .map_err(|error| unlinkable(&component, &error))?;
                let index = |instance: Option<&ComponentExportIndex>, name: &str| {
                    component.get_export_index(instance, name).ok_or_else(|| {
                        not_callable(&format!("it has no export \"{}\"", text::brief(name)))
                    })
                };
                match kind {
                    Kind::Typed => {
                        let function = function(&component, None, &label.entry)?;
                        let signature = Signature::of(&function, limits.signature_types)
                            .map_err(|unfit| unfitting(unfit, limits))?;
                        let schemas =
                            (schema::of_arguments(&signature), schema::of_result(&signature));
                        (
                            Entry::Typed { main: index(None, &label.entry)?, pre, signature },
                            Some(schemas),
                        )
                    }
                    Kind::Dynamic => {
                        let function = function(&component, Some(&label.entry), "main")?;
                        dynamic::check_signature(&function, &pre).map_err(|error| {
                            not_callable(&format!(
                                "\"main\" of {} has another signature than that interface: {}",
                                label.entry,
                                text::brief(&format!("{error:#}"))
                            ))
                        })?;
                        let instance = index(None, &label.entry)?;
                        (Entry::Dynamic { main: index(Some(&instance), "main")?, pre }, None)
                    }
                    Kind::Command => {
                        let function = function(&component, Some(&label.entry), "run")?;
                        function
                            .typecheck::<(), (Result<(), ()>,)>(&pre.instance_type())
                            .map_err(|_| not_callable("\"run\" of wasi:cli/run has another signature than that interface"))?;
                        let instance = index(None, &label.entry)?;
                        (Entry::Command { run: index(Some(&instance), "run")?, pre }, None)
                    }
                }
            }
        };
        let (schema, result_schema) = match schemas {
            Some((schema, result)) => (Some(schema), Some(result)),
            None => (label.schema.clone(), None),
        };
        Ok(Self {
            digest,
            entry,
            schema,
            result_schema,
            bytes: trusted.len(),
            pages,
            rests: AtomicU32::new(0),
        })
    }
}

fn core(module: &Module, entry: &str, linkers: &Linkers) -> Result<Entry, Refusal> {
    // Names first, so that the refusal lists them all; the linker would name the first.
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
            format!("the script cannot be linked: {}", text::tamed(&format!("{error:#}"), 300)),
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

/// The type of an exported function, within an exported interface or beside it.
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

fn unfitting(unfit: Unfit, limits: &CompileLimits) -> Refusal {
    match unfit {
        Unfit::NoJsonForm(message) => Refusal::new(RefusalCode::Unsupported, message),
        Unfit::TooLarge => Refusal::new(
            RefusalCode::TooComplex,
            format!(
                "the signature of main is too complex: it may be written out to {} types, nested {} deep",
                limits.signature_types,
                wasmill_core::limits::JSON_DEPTH
            ),
        ),
    }
}

/// Which imports nobody provides. Interfaces with nothing but types need no provider, so they are
/// not to blame.
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
        let detail = text::tamed(&format!("{error:#}"), 300);
        return Refusal::new(
            RefusalCode::ForbiddenImport,
            format!("the script asks for something of WASI that is not offered here: {detail}"),
        );
    }
    inspect::forbidden_imports(Form::Component, &foreign)
}
