//! From a [`Kernel`] to one WGSL text, and the checks of that text that need no
//! GPU.
//!
//! Directives stand alone on a line: `#import lib/name.wgsl` (a file is taken
//! in at most once), `#if NAME`, `#else`, `#endif` (NAME is a constant of the
//! kernel; true where defined and not 0). `{{name}}` is replaced by a snippet
//! of the kernel. Two names are given by this module: the condition
//! `READS_STEP`, and `{{step_binding}}`, the number after the last storage
//! binding.

use std::collections::HashSet;
use std::fmt::Write;

use naga::valid::{Capabilities, ValidationFlags, Validator};

use super::device::one_line;
use super::shaders::SHADERS;
use crate::error::{Error, Result};
use crate::recording::Kernel;

const STEP_BINDING: &str = "{{step_binding}}";
const MEND: &str = "mend the shader or the code that launches it";

/// Storage bindings of one kernel: the WebGPU default limit.
pub(super) const MAX_STORAGE_BINDINGS: usize = 8;
/// Workgroups along one dimension: the WebGPU default limit.
pub(super) const MAX_WORKGROUPS: u32 = 65_535;
const MAX_INVOCATIONS: u32 = 256;
const MAX_WORKGROUP_BYTES: u32 = 16_384;

/// The text of a kernel and where each of its lines comes from.
pub(super) struct Source {
    pub(super) text: String,
    /// File and line (from 1) of each line of the text.
    lines: Vec<(&'static str, usize)>,
    /// Number of `var<storage` declarations.
    pub(super) storage_bindings: usize,
}

/// The WGSL of a kernel: its constants, then its file with imports, conditions
/// and snippets resolved.
///
/// # Errors
/// [`Error::Gpu`] naming file and line, where a file, snippet or directive is
/// unknown or a condition is left open.
pub fn expand(kernel: &Kernel) -> Result<String> {
    Ok(Source::new(kernel)?.text)
}

impl Source {
    pub(super) fn new(kernel: &Kernel) -> Result<Self> {
        let mut expansion = Expansion {
            kernel,
            imported: HashSet::new(),
            text: String::new(),
            lines: Vec::new(),
        };
        let mut names = HashSet::new();
        for (name, value) in &kernel.constants {
            if !names.insert(name) {
                return Err(fault(
                    kernel.file,
                    0,
                    format!("constant {name} is given twice"),
                ));
            }
            expansion.push(&format!("const {name}: u32 = {value}u;"), "constants", 1);
        }
        expansion.file(kernel.file, ("the kernel", 0))?;
        let Expansion { text, lines, .. } = expansion;
        let storage_bindings = text
            .lines()
            .filter_map(|line| line.split("//").next())
            .map(|code| code.matches("var<storage").count())
            .sum::<usize>();
        Ok(Self {
            text: text.replace(STEP_BINDING, &storage_bindings.to_string()),
            lines,
            storage_bindings,
        })
    }

    /// The file and line behind a line of the text (from 1).
    fn origin(&self, line: u32) -> (&'static str, usize) {
        (line as usize)
            .checked_sub(1)
            .and_then(|line| self.lines.get(line).copied())
            .unwrap_or(("unknown", 0))
    }
}

fn fault(file: &str, line: usize, what: impl std::fmt::Display) -> Error {
    Error::gpu(format!("shaders/{file}:{line}: {what}"), MEND)
}

struct Expansion<'a> {
    kernel: &'a Kernel,
    imported: HashSet<&'static str>,
    text: String,
    lines: Vec<(&'static str, usize)>,
}

/// An `#if` that is not closed yet.
struct Condition {
    line: usize,
    /// Whether the lines around the `#if` count.
    outer: bool,
    /// Whether the lines of the present branch count.
    active: bool,
    in_else: bool,
}

impl Expansion<'_> {
    fn push(&mut self, text: &str, file: &'static str, line: usize) {
        for part in text.split('\n') {
            self.text.push_str(part);
            self.text.push('\n');
            self.lines.push((file, line));
        }
    }

    fn holds(&self, name: &str) -> bool {
        let constant = self
            .kernel
            .constants
            .iter()
            .find(|(known, _)| *known == name);
        constant.map_or(
            name == "READS_STEP" && self.kernel.reads_step,
            |(_, value)| *value != 0,
        )
    }

    /// Appends a file, asked for at `from`.
    fn file(&mut self, name: &str, from: (&str, usize)) -> Result<()> {
        let Some(&(name, text)) = SHADERS.iter().find(|(known, _)| *known == name) else {
            return Err(fault(
                from.0,
                from.1,
                format!("there is no shader file {name}"),
            ));
        };
        if !self.imported.insert(name) {
            return Ok(());
        }
        let mut conditions: Vec<Condition> = Vec::new();
        for (line, code) in (1..).zip(text.lines()) {
            let active = conditions.last().is_none_or(|c| c.active);
            let Some(directive) = code.trim_start().strip_prefix('#') else {
                if active {
                    let code = self.substitute(code, name, line)?;
                    self.push(&code, name, line);
                }
                continue;
            };
            let mut words = directive.split_whitespace();
            match (words.next(), words.next(), words.next()) {
                (Some("import"), Some(file), None) => {
                    if active {
                        self.file(file, (name, line))?;
                    }
                }
                (Some("if"), Some(condition), None) => conditions.push(Condition {
                    line,
                    outer: active,
                    active: active && self.holds(condition),
                    in_else: false,
                }),
                (Some("else"), None, None) => match conditions.last_mut() {
                    Some(c) if !c.in_else => {
                        c.in_else = true;
                        c.active = c.outer && !c.active;
                    }
                    _ => return Err(fault(name, line, "#else without #if")),
                },
                (Some("endif"), None, None) => {
                    if conditions.pop().is_none() {
                        return Err(fault(name, line, "#endif without #if"));
                    }
                }
                _ => {
                    let what = format!("unknown directive '{}'", code.trim());
                    return Err(fault(name, line, what));
                }
            }
        }
        match conditions.last() {
            Some(open) => Err(fault(name, open.line, "#if without #endif")),
            None => Ok(()),
        }
    }

    /// Replaces each `{{name}}` outside of comments.
    fn substitute(&self, code: &str, file: &str, line: usize) -> Result<String> {
        let comment = code.find("//").unwrap_or(code.len());
        let (mut rest, comment) = code.split_at(comment);
        let mut result = String::new();
        while let Some(start) = rest.find("{{") {
            let Some(end) = rest[start..].find("}}").map(|end| start + end + 2) else {
                return Err(fault(file, line, "'{{' without '}}'"));
            };
            let name = &rest[start + 2..end - 2];
            let snippet = self
                .kernel
                .snippets
                .iter()
                .find(|(known, _)| *known == name);
            result.push_str(&rest[..start]);
            match snippet {
                Some((_, snippet)) => result.push_str(snippet),
                // Known only when all bindings are.
                None if &rest[start..end] == STEP_BINDING => result.push_str(STEP_BINDING),
                None => return Err(fault(file, line, format!("no snippet {name} is given"))),
            }
            rest = &rest[end..];
        }
        Ok(result + rest + comment)
    }
}

/// A kernel in the languages of the three backends.
#[derive(Clone, Debug)]
pub struct Translation {
    /// SPIR-V words, for Vulkan.
    pub spirv: Vec<u32>,
    /// Metal Shading Language.
    pub msl: String,
    /// HLSL, for DirectX 12.
    pub hlsl: String,
}

/// Parses and validates a kernel, checks it against the WebGPU default limits
/// and writes it in the languages of all backends. Needs no GPU.
///
/// # Errors
/// [`Error::Gpu`] that names the file and line at fault where they are known.
pub fn translate(kernel: &Kernel) -> Result<Translation> {
    let source = Source::new(kernel)?;
    let (module, info) = source.validate(kernel)?;
    check_limits(kernel, &source, &module)?;
    let failed = |language: &str, error: &dyn std::error::Error| {
        fault(
            kernel.file,
            0,
            format!("{}: no {language}: {}", kernel.variant, chain(error)),
        )
    };

    let options = naga::back::spv::Options::default();
    let spirv = naga::back::spv::write_vec(&module, &info, &options, None)
        .map_err(|error| failed("SPIR-V", &error))?;

    let options = naga::back::msl::Options {
        lang_version: (2, 0),
        ..Default::default()
    };
    let (msl, translated) =
        naga::back::msl::write_string(&module, &info, &options, &Default::default())
            .map_err(|error| failed("MSL", &error))?;
    for name in translated.entry_point_names {
        name.map_err(|error| failed("MSL", &error))?;
    }

    let (options, pipeline) = Default::default();
    let mut hlsl = String::new();
    let translated = naga::back::hlsl::Writer::new(&mut hlsl, &options, &pipeline)
        .write(&module, &info, None)
        .map_err(|error| failed("HLSL", &error))?;
    for name in translated.entry_point_names {
        name.map_err(|error| failed("HLSL", &error))?;
    }
    Ok(Translation { spirv, msl, hlsl })
}

impl Source {
    /// The parsed and validated module.
    pub(super) fn validate(
        &self,
        kernel: &Kernel,
    ) -> Result<(naga::Module, naga::valid::ModuleInfo)> {
        let located = |location: Option<naga::SourceLocation>, what: String| {
            let Some(location) = location else {
                return fault(kernel.file, 0, format!("{}: {what}", kernel.variant));
            };
            let (file, line) = self.origin(location.line_number);
            let code = self.text.lines().nth(location.line_number as usize - 1);
            let code = code.unwrap_or_default().trim();
            let what = format!("{} of {}: {what} in '{code}'", kernel.variant, kernel.file);
            fault(file, line, what)
        };
        let module = naga::front::wgsl::parse_str(&self.text)
            .map_err(|e| located(e.location(&self.text), one_line(e.message())))?;
        let info = Validator::new(ValidationFlags::all(), Capabilities::empty())
            .validate(&module)
            .map_err(|e| located(e.location(&self.text), chain(e.as_inner())))?;
        Ok((module, info))
    }
}

/// An error and its causes in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        // Writing to a string cannot fail.
        let _ = write!(text, ": {error}");
        cause = error.source();
    }
    one_line(&text)
}

fn check_limits(kernel: &Kernel, source: &Source, module: &naga::Module) -> Result<()> {
    let fault = |what: String| Err(fault(kernel.file, 0, format!("{}: {what}", kernel.variant)));
    let [entry] = module.entry_points.as_slice() else {
        return fault("there must be one entry point".into());
    };
    if entry.name != "main" || entry.stage != naga::ShaderStage::Compute {
        return fault("the entry point must be a compute shader named main".into());
    }
    let invocations = entry.workgroup_size.iter().product::<u32>();
    if invocations > MAX_INVOCATIONS {
        return fault(format!(
            "{invocations} invocations a workgroup, at most {MAX_INVOCATIONS}"
        ));
    }
    let bindings = source.storage_bindings;
    if bindings > MAX_STORAGE_BINDINGS {
        return fault(format!(
            "{bindings} storage bindings, at most {MAX_STORAGE_BINDINGS}"
        ));
    }
    let bytes = module
        .global_variables
        .iter()
        .filter(|(_, variable)| variable.space == naga::AddressSpace::WorkGroup)
        .map(|(_, variable)| module.types[variable.ty].inner.size(module.to_ctx()))
        // As wgpu counts: each variable takes a multiple of 16 bytes.
        .map(|size| size.next_multiple_of(16))
        .sum::<u32>();
    if bytes > MAX_WORKGROUP_BYTES {
        return fault(format!(
            "{bytes} bytes of workgroup memory, at most {MAX_WORKGROUP_BYTES}"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recording::{STEP_BYTES, StepValues};
    use std::mem::offset_of;
    use std::path::Path;

    fn fill(value: &str) -> Kernel {
        Kernel {
            file: "fill.wgsl",
            variant: "plain",
            constants: vec![("LEN", 5), ("GRID_X", 1), ("WORKGROUP", 64)],
            snippets: vec![("value", value.into()), ("extras", String::new())],
            reads_step: false,
        }
    }

    fn message<T>(result: Result<T>) -> String {
        result.err().expect("an error").to_string()
    }

    /// Expands `text` as if it were the file `fill.wgsl`.
    fn expand_text(text: &'static str, kernel: &Kernel) -> String {
        // The expansion reads only embedded files: put the text in a snippet's
        // place instead of a file.
        let mut lines = Vec::new();
        for line in text.lines() {
            let expansion = Expansion {
                kernel,
                imported: HashSet::new(),
                text: String::new(),
                lines: Vec::new(),
            };
            lines.push(expansion.substitute(line, "fill.wgsl", 1).unwrap());
        }
        lines.join("\n")
    }

    #[test]
    fn the_table_lists_every_shader_file() {
        fn walk(folder: &Path, root: &Path, found: &mut Vec<String>) {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    walk(&path, root, found);
                } else if path.extension().is_some_and(|e| e == "wgsl") {
                    let name = path.strip_prefix(root).unwrap().to_str().unwrap();
                    found.push(name.replace('\\', "/"));
                }
            }
        }
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("shaders");
        let mut found = Vec::new();
        walk(&root, &root, &mut found);
        found.sort();
        let listed: Vec<&str> = SHADERS.iter().map(|(name, _)| *name).collect();
        assert_eq!(listed, found, "left: src/gpu/shaders.rs, right: the folder");
    }

    #[test]
    fn a_kernel_expands_and_translates() {
        let mut kernel = fill("f32(i)");
        let text = expand(&kernel).unwrap();
        assert!(text.starts_with("const LEN: u32 = 5u;\n"), "{text}");
        assert_eq!(text.matches("fn linear_id").count(), 1);
        assert!(text.contains("y[i] = f32(i);"));
        assert!(!text.contains("#import") && !text.contains("struct Step"));

        kernel.reads_step = true;
        kernel.snippets = vec![
            ("value", "step.momentum + e0[i]".into()),
            (
                "extras",
                "@group(0) @binding(1) var<storage, read> e0: array<f32>;".into(),
            ),
        ];
        let text = expand(&kernel).unwrap();
        assert!(text.contains("@binding(2) var<uniform> step"), "{text}");
        let translation = translate(&kernel).unwrap();
        assert_eq!(translation.spirv[0], 0x0723_0203);
        assert!(translation.msl.contains("kernel void"));
        assert!(translation.hlsl.contains("numthreads(64, 1, 1)"));
    }

    #[test]
    fn comments_keep_their_braces() {
        let text = expand_text("a = {{value}}; // {{other}}", &fill("1.0"));
        assert_eq!(text, "a = 1.0; // {{other}}");
    }

    #[test]
    fn what_is_missing_is_named_with_file_and_line() {
        let mut kernel = fill("1.0");
        kernel.snippets.remove(1);
        let text = message(expand(&kernel));
        assert!(text.contains("shaders/fill.wgsl:"), "{text}");
        assert!(text.contains("no snippet extras"), "{text}");

        let mut kernel = fill("1.0");
        kernel.file = "no.wgsl";
        assert!(message(expand(&kernel)).contains("no shader file no.wgsl"));

        let mut kernel = fill("1.0");
        kernel.constants.push(("LEN", 6));
        assert!(message(expand(&kernel)).contains("LEN is given twice"));
    }

    #[test]
    fn errors_in_wgsl_name_the_real_line() {
        let line = 1 + SHADERS
            .iter()
            .find(|(name, _)| *name == "fill.wgsl")
            .unwrap()
            .1
            .lines()
            .position(|line| line.contains("{{value}}"))
            .unwrap();
        // Does not parse, does not validate.
        for value in ["nothing[i]", "1u"] {
            let text = message(translate(&fill(value)));
            let place = format!("shaders/fill.wgsl:{line}: plain of fill.wgsl");
            assert!(text.starts_with(&place), "{text}");
            assert_eq!(text.lines().count(), 1, "{text}");
        }
    }

    #[test]
    fn limits_are_checked_without_a_gpu() {
        let mut kernel = fill("1.0");
        kernel.constants[2] = ("WORKGROUP", 512);
        assert!(message(translate(&kernel)).contains("512 invocations a workgroup, at most 256"));

        let mut kernel = fill("shared_memory[i]");
        kernel.snippets[1].1 = "var<workgroup> shared_memory: array<f32, 4097>;".into();
        let text = message(translate(&kernel));
        assert!(text.contains("16400 bytes of workgroup memory"), "{text}");

        let mut kernel = fill("1.0");
        kernel.snippets[1].1 = (1..9)
            .map(|n| format!("@group(0) @binding({n}) var<storage, read> e{n}: array<f32>;\n"))
            .collect();
        assert!(message(translate(&kernel)).contains("9 storage bindings, at most 8"));
    }

    #[test]
    fn the_step_struct_matches_its_rust_side() {
        let mut kernel = fill("step.padding");
        kernel.reads_step = true;
        let module = naga::front::wgsl::parse_str(&expand(&kernel).unwrap()).unwrap();
        let (_, step) = module
            .types
            .iter()
            .find(|(_, ty)| ty.name.as_deref() == Some("Step"))
            .unwrap();
        let naga::TypeInner::Struct { members, span } = &step.inner else {
            panic!("Step is not a struct");
        };
        assert_eq!(*span as usize, STEP_BYTES);
        let found: Vec<(&str, usize, naga::ScalarKind)> = members
            .iter()
            .map(|m| {
                let kind = module.types[m.ty].inner.scalar().unwrap().kind;
                (m.name.as_deref().unwrap(), m.offset as usize, kind)
            })
            .collect();
        macro_rules! fields {
            ($($name:ident: $kind:ident),* $(,)?) => {
                [$((stringify!($name), offset_of!(StepValues, $name), naga::ScalarKind::$kind)),*]
            };
        }
        let expected = fields![
            seed: Uint,
            counter: Uint,
            learning_rate: Float,
            momentum: Float,
            correction1: Float,
            correction2: Float,
            ema_decay: Float,
            padding: Float,
        ];
        assert_eq!(found, expected);
    }
}
