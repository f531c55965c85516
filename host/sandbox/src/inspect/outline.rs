//! Reads the sections of an upload: counts items, and reads the names of imports and exports and
//! the section with the schema.

use crate::refusal::{Refusal, RefusalCode};
use crate::sanitize;
use wasmill_core::limits::{CompileLimits, OUTLINE_NAMES, REFUSAL_DETAIL_BYTES};
use wasmparser::{
    BinaryReaderError, ComponentExternalKind, Encoding, ExternalKind, Parser, Payload,
};

/// The custom section with the schema that a script brings along.
const SCHEMA_SECTION: &str = "wasmill:schema";

/// An import or export of the outermost module or component.
pub(super) struct Item {
    /// The name; of an import of a core module `module#name`.
    pub(super) name: String,
    pub(super) function: bool,
    pub(super) instance: bool,
    pub(super) ty: bool,
}

/// What is known without validation.
#[derive(Default)]
pub(super) struct Outline {
    pub(super) imports: Vec<Item>,
    pub(super) exports: Vec<Item>,
    pub(super) schema: Option<serde_json::Value>,
    functions: u32,
    modules: u32,
    sections: Counts,
}

/// The number of items in all sections of one kind, over the whole upload. A component may have any
/// number of sections of one kind.
#[derive(Default)]
struct Counts {
    types: u32,
    imports: u32,
    exports: u32,
    instances: u32,
    aliases: u32,
    canonicals: u32,
    globals: u32,
    tables: u32,
    memories: u32,
    elements: u32,
    data: u32,
    tags: u32,
}

pub(super) fn read(wasm: &[u8], limits: &CompileLimits) -> Result<Outline, Refusal> {
    let mut outline = Outline::default();
    // The number of modules and components around the current position.
    let mut depth = 0u32;
    for payload in Parser::new(0).parse_all(wasm) {
        let payload = payload.map_err(malformed)?;
        outline.count(&payload, limits)?;
        match payload {
            Payload::Version { encoding, .. } => {
                depth += 1;
                if depth > limits.nesting {
                    return Err(complex(format!(
                        "components are nested deeper than {} levels",
                        limits.nesting
                    )));
                }
                if encoding == Encoding::Module {
                    add(&mut outline.modules, 1, limits.modules, "core modules")?;
                }
            }
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::CustomSection(section)
                if section.name() == SCHEMA_SECTION && outline.schema.is_none() =>
            {
                outline.schema = schema(section.data(), limits);
            }
            // The payloads below are read at the outermost level only. Names of inner levels are no
            // interface of the script.
            _ if depth > 1 => {}
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let import = import.map_err(malformed)?;
                    keep(&mut outline.imports, || Item {
                        name: format!("{}#{}", import.module, import.name),
                        function: false,
                        instance: false,
                        ty: false,
                    });
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    let export = export.map_err(malformed)?;
                    let function = export.kind == ExternalKind::Func;
                    // The entry must be kept even when more names come before it.
                    if function && export.name == "_start" {
                        outline.exports.truncate(OUTLINE_NAMES - 1);
                    }
                    keep(&mut outline.exports, || Item {
                        name: export.name.to_owned(),
                        function,
                        instance: false,
                        ty: false,
                    });
                }
            }
            Payload::ComponentImportSection(section) => {
                for import in section {
                    let import = import.map_err(malformed)?;
                    keep(&mut outline.imports, || {
                        component_item(import.name.name, import.ty.kind())
                    });
                }
            }
            Payload::ComponentExportSection(section) => {
                for export in section {
                    let export = export.map_err(malformed)?;
                    keep(&mut outline.exports, || component_item(export.name.name, export.kind));
                }
            }
            _ => {}
        }
    }
    Ok(outline)
}

fn component_item(name: &str, kind: ComponentExternalKind) -> Item {
    Item {
        name: name.to_owned(),
        function: kind == ComponentExternalKind::Func,
        instance: kind == ComponentExternalKind::Instance,
        ty: kind == ComponentExternalKind::Type,
    }
}

fn keep(items: &mut Vec<Item>, item: impl FnOnce() -> Item) {
    if items.len() < OUTLINE_NAMES {
        items.push(item());
    }
}

impl Outline {
    fn count(&mut self, payload: &Payload<'_>, limits: &CompileLimits) -> Result<(), Refusal> {
        let sections = &mut self.sections;
        let (counter, more, what) = match payload {
            Payload::FunctionSection(section) => {
                return add(&mut self.functions, section.count(), limits.functions, "functions");
            }
            // Only a validator checks that both sections have the same count. The larger count
            // decides about the cost.
            Payload::CodeSectionStart { count, .. } if *count > limits.functions => {
                return Err(complex(format!("it has more than {} functions", limits.functions)));
            }
            Payload::TypeSection(section) => (&mut sections.types, section.count(), "types"),
            Payload::CoreTypeSection(section) => (&mut sections.types, section.count(), "types"),
            Payload::ComponentTypeSection(section) => {
                (&mut sections.types, section.count(), "types")
            }
            Payload::ImportSection(section) => (&mut sections.imports, section.count(), "imports"),
            Payload::ComponentImportSection(section) => {
                (&mut sections.imports, section.count(), "imports")
            }
            Payload::ExportSection(section) => (&mut sections.exports, section.count(), "exports"),
            Payload::ComponentExportSection(section) => {
                (&mut sections.exports, section.count(), "exports")
            }
            Payload::InstanceSection(section) => {
                (&mut sections.instances, section.count(), "instances")
            }
            Payload::ComponentInstanceSection(section) => {
                (&mut sections.instances, section.count(), "instances")
            }
            Payload::ComponentAliasSection(section) => {
                (&mut sections.aliases, section.count(), "aliases")
            }
            Payload::ComponentCanonicalSection(section) => {
                (&mut sections.canonicals, section.count(), "canonical functions")
            }
            Payload::GlobalSection(section) => (&mut sections.globals, section.count(), "globals"),
            Payload::TableSection(section) => (&mut sections.tables, section.count(), "tables"),
            Payload::MemorySection(section) => {
                (&mut sections.memories, section.count(), "memories")
            }
            Payload::ElementSection(section) => {
                (&mut sections.elements, section.count(), "element segments")
            }
            Payload::DataSection(section) => (&mut sections.data, section.count(), "data segments"),
            Payload::TagSection(section) => (&mut sections.tags, section.count(), "tags"),
            _ => return Ok(()),
        };
        add(counter, more, limits.section_items, what)
    }
}

fn add(counter: &mut u32, more: u32, limit: u32, what: &str) -> Result<(), Refusal> {
    *counter = counter.saturating_add(more);
    if *counter > limit { Err(complex(format!("it has more than {limit} {what}"))) } else { Ok(()) }
}

fn complex(what: String) -> Refusal {
    Refusal::new(RefusalCode::TooComplex, format!("the script is too complex: {what}"))
}

fn malformed(error: BinaryReaderError) -> Refusal {
    let message = sanitize::escaped(error.message(), REFUSAL_DETAIL_BYTES);
    Refusal::new(
        RefusalCode::Malformed,
        format!("the file is damaged: {message} (at byte {})", error.offset()),
    )
}

/// The schema in a custom section. `None` when it is too large or no JSON object: that is an error
/// of the tool that wrote it, and the script runs without a schema.
fn schema(data: &[u8], limits: &CompileLimits) -> Option<serde_json::Value> {
    if data.len() > limits.schema_bytes as usize {
        return None;
    }
    serde_json::from_slice(data).ok().filter(serde_json::Value::is_object)
}
