//! From a [`Kernel`] to one WGSL text.
//!
//! Directives stand alone on a line: `#import lib/name.wgsl` (a file is taken
//! in at most once), `#if NAME`, `#else`, `#endif` (NAME is a constant of the
//! kernel; true where defined and not 0), `#for x in NAME` and `#end`, which
//! repeat the lines between them for x = 0, 1, ..., NAME - 1 with the number in
//! place of each `$x` (x is one letter). `{{name}}` is replaced by a snippet of
//! the kernel. Three names are given by this module: the conditions `READS_STEP` and
//! `LOADS_64`, and `{{step_binding}}`, the number after the last storage binding.

use std::collections::HashSet;

use super::shaders::SHADERS;
use crate::error::{Error, Result};
use crate::recording::Kernel;

const STEP_BINDING: &str = "{{step_binding}}";
/// Conditions that kernel and device decide; no constant may have their names.
const READS_STEP: &str = "READS_STEP";
const LOADS_64: &str = "LOADS_64";
const MEND: &str = "mend the shader or the code that launches it";

/// Names and texts of shader files.
type Files = &'static [(&'static str, &'static str)];

/// The text of a kernel and where each of its lines comes from.
pub(super) struct Source {
    pub(super) text: String,
    /// File and line (from 1) of each line of the text.
    lines: Vec<(&'static str, usize)>,
    /// Number of `var<storage` declarations.
    pub(super) storage_bindings: usize,
}

/// How four elements that lie together are loaded (`lib/packed.wgsl`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Loads {
    /// As they are.
    Elements,
    /// Two at a time, as 64-bit integers.
    Wide,
}

/// The WGSL of a kernel, as any device can run it: its constants, then its file with imports, conditions
/// and snippets resolved.
///
/// # Errors
/// [`Error::Gpu`] naming file and line, where a file, snippet or directive is
/// unknown or a condition is left open.
pub fn expand(kernel: &Kernel) -> Result<String> {
    Ok(Source::new(kernel, Loads::Elements)?.text)
}

impl Source {
    pub(super) fn new(kernel: &Kernel, loads: Loads) -> Result<Self> {
        Self::with_files(kernel, loads, SHADERS)
    }

    fn with_files(kernel: &Kernel, loads: Loads, files: Files) -> Result<Self> {
        let mut expansion = Expansion {
            kernel,
            loads,
            files,
            imported: HashSet::new(),
            loops: Vec::new(),
            text: String::new(),
            lines: Vec::new(),
        };
        let mut names = HashSet::from([&READS_STEP, &LOADS_64]);
        for (name, value) in &kernel.constants {
            if !names.insert(name) {
                let what = format!("constant {name} is given twice");
                return Err(fault(kernel.file, 0, what));
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
    pub(super) fn origin(&self, line: u32) -> (&'static str, usize) {
        (line as usize)
            .checked_sub(1)
            .and_then(|line| self.lines.get(line).copied())
            .unwrap_or(("unknown", 0))
    }
}

/// An error at a line (from 1; 0 where it is not known) of a shader file.
pub(super) fn fault(file: &str, line: usize, what: impl std::fmt::Display) -> Error {
    Error::gpu(format!("shaders/{file}:{line}: {what}"), MEND)
}

struct Expansion<'a> {
    kernel: &'a Kernel,
    loads: Loads,
    files: Files,
    imported: HashSet<&'static str>,
    /// The variables of the `#for`s around the present line and their numbers.
    loops: Vec<(char, u32)>,
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

    fn constant(&self, name: &str) -> Option<u32> {
        let mut constants = self.kernel.constants.iter();
        constants
            .find(|(known, _)| *known == name)
            .map(|(_, value)| *value)
    }

    fn holds(&self, name: &str) -> bool {
        match name {
            READS_STEP => self.kernel.reads_step,
            LOADS_64 => self.loads == Loads::Wide,
            _ => self.constant(name).is_some_and(|value| value != 0),
        }
    }

    /// Appends a file, asked for at `from`.
    fn file(&mut self, name: &str, from: (&str, usize)) -> Result<()> {
        let Some(&(name, text)) = self.files.iter().find(|(known, _)| *known == name) else {
            return Err(fault(
                from.0,
                from.1,
                format!("there is no shader file {name}"),
            ));
        };
        if !self.imported.insert(name) {
            return Ok(());
        }
        let lines: Vec<(usize, &str)> = (1..).zip(text.lines()).collect();
        self.block(name, &lines)
    }

    /// Appends lines of a file, given with their numbers.
    fn block(&mut self, name: &'static str, lines: &[(usize, &str)]) -> Result<()> {
        let mut conditions: Vec<Condition> = Vec::new();
        let mut rest = lines;
        while let Some((&(line, code), after)) = rest.split_first() {
            rest = after;
            let active = conditions.last().is_none_or(|c| c.active);
            let Some(directive) = code.trim_start().strip_prefix('#') else {
                if active {
                    let code = self.substitute(code, name, line)?;
                    self.push(&code, name, line);
                }
                continue;
            };
            let words: Vec<&str> = directive.split_whitespace().collect();
            match words[..] {
                ["import", file] => {
                    if active {
                        self.file(file, (name, line))?;
                    }
                }
                ["if", condition] => conditions.push(Condition {
                    line,
                    outer: active,
                    active: active && self.holds(condition),
                    in_else: false,
                }),
                ["else"] => match conditions.last_mut() {
                    Some(c) if !c.in_else => {
                        c.in_else = true;
                        c.active = c.outer && !c.active;
                    }
                    _ => return Err(fault(name, line, "#else without #if")),
                },
                ["endif"] => {
                    if conditions.pop().is_none() {
                        return Err(fault(name, line, "#endif without #if"));
                    }
                }
                ["for", variable, "in", count] if variable.len() == 1 => {
                    let length =
                        loop_length(rest).ok_or_else(|| fault(name, line, "#for without #end"))?;
                    let (body, after) = rest.split_at(length);
                    rest = &after[1..];
                    if active {
                        self.repeat(name, (line, variable, count), body)?;
                    }
                }
                ["end"] => return Err(fault(name, line, "#end without #for")),
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

    /// Appends the body of a `#for` once for each number.
    fn repeat(
        &mut self,
        name: &'static str,
        (line, variable, count): (usize, &str, &str),
        body: &[(usize, &str)],
    ) -> Result<()> {
        let count = self
            .constant(count)
            .ok_or_else(|| fault(name, line, format!("no constant {count} is given")))?;
        for number in 0..count {
            self.loops.extend(variable.chars().map(|v| (v, number)));
            self.block(name, body)?;
            self.loops.pop();
        }
        Ok(())
    }

    /// Replaces each `$x` and `{{name}}` outside of comments.
    fn substitute(&self, code: &str, file: &str, line: usize) -> Result<String> {
        let comment = code.find("//").unwrap_or(code.len());
        let (code, comment) = code.split_at(comment);
        let mut code = code.to_owned();
        for (variable, number) in &self.loops {
            code = code.replace(&format!("${variable}"), &number.to_string());
        }
        let mut rest = code.as_str();
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

/// Lines up to the `#end` of the `#for` that stands before them.
fn loop_length(lines: &[(usize, &str)]) -> Option<usize> {
    let mut open = 1;
    lines.iter().position(|(_, code)| {
        match code.split_whitespace().next() {
            Some("#for") => open += 1,
            Some("#end") => open -= 1,
            _ => {}
        }
        open == 0
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::recording::{STEP_BYTES, StepValues};
    use std::mem::offset_of;
    use std::path::Path;

    /// A kernel of `fill.wgsl`.
    pub(in crate::gpu) fn fill(value: &str) -> Kernel {
        Kernel {
            file: "fill.wgsl",
            variant: "plain",
            constants: vec![("LEN", 5), ("GRID_X", 1), ("WORKGROUP", 64)],
            snippets: vec![("value", value.into()), ("extras", String::new())],
            reads_step: false,
        }
    }

    pub(in crate::gpu) fn message<T>(result: Result<T>) -> String {
        result.err().expect("an error").to_string()
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
    fn a_kernel_expands() {
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
    }

    /// The lines of `files[0]` after expansion, without the constants.
    fn lines_of(
        kernel: &Kernel,
        files: &'static [(&'static str, &'static str)],
    ) -> Result<Vec<String>> {
        let kernel = Kernel {
            file: files[0].0,
            ..kernel.clone()
        };
        let text = Source::with_files(&kernel, Loads::Elements, files)?.text;
        let code = text.lines().skip(kernel.constants.len());
        Ok(code.map(str::to_owned).collect())
    }

    #[test]
    fn conditions_nest_and_imports_come_once() {
        let files: &[_] = &[
            (
                "a.wgsl",
                "#import b.wgsl\n#if LEN\n1 {{value}}// {{other}}\n#if ZERO\n2\n#import c.wgsl\n\
                 #else\n  #if UNKNOWN\n3\n#else\n4\n#endif\n#endif\n#else\n#if LEN\n5\n\
                 #else\n6\n#endif\n#endif\n#import b.wgsl",
            ),
            ("b.wgsl", "b\n#import a.wgsl"),
            ("c.wgsl", "c"),
        ];
        let mut kernel = fill("x\ny");
        kernel.constants.push(("ZERO", 0));
        let lines = lines_of(&kernel, files).unwrap();
        assert_eq!(lines, ["b", "1 x", "y// {{other}}", "4"]);
    }

    #[test]
    fn loops_nest_and_number_their_lines() {
        let files: &[_] = &[(
            "a.wgsl",
            "#for i in TWO\na$i\n#for j in LEN\n#if ONE\nb$i_$j // $j\n#endif\n#end\n#end\n\
             #for i in ZERO\nc\n#end\n#if ZERO\n#for i in UNKNOWN\n#end\n#endif\nd$i",
        )];
        let mut kernel = fill("x");
        kernel.constants = vec![("LEN", 3), ("ZERO", 0), ("ONE", 1), ("TWO", 2)];
        let lines = lines_of(&kernel, files).unwrap();
        let want =
            "a0, b0_0 // $j, b0_1 // $j, b0_2 // $j, a1, b1_0 // $j, b1_1 // $j, b1_2 // $j, d$i";
        assert_eq!(lines.join(", "), want);
    }

    #[test]
    fn wrong_directives_are_named_with_file_and_line() {
        for (files, expected) in [
            (
                &[("a", "x\n#include b")],
                "shaders/a:2: unknown directive '#include b'",
            ),
            (
                &[("a", "x\n#import b")],
                "shaders/a:2: there is no shader file b",
            ),
            (&[("a", "x\n#if")], "shaders/a:2: unknown directive '#if'"),
            (
                &[("a", "#if LEN\n#if LEN\n#endif")],
                "shaders/a:1: #if without #endif",
            ),
            (&[("a", "#endif")], "shaders/a:1: #endif without #if"),
            (&[("a", "#else")], "shaders/a:1: #else without #if"),
            (
                &[("a", "#if LEN\n#else\n#else\n#endif")],
                "shaders/a:3: #else without #if",
            ),
            (&[("a", "{{value")], "shaders/a:1: '{{' without '}}'"),
            (
                &[("a", "#for i in LEN\n#for j in LEN\n#end")],
                "shaders/a:1: #for without #end",
            ),
            (&[("a", "x\n#end")], "shaders/a:2: #end without #for"),
            (
                &[("a", "#for i in MANY\n#end")],
                "shaders/a:1: no constant MANY is given",
            ),
            (
                &[("a", "#for i in LEN\n#if LEN\n#end")],
                "shaders/a:2: #if without #endif",
            ),
        ] {
            let text = message(lines_of(&fill("1.0"), files));
            assert!(text.starts_with(expected), "{text}");
        }
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

        for name in ["LEN", LOADS_64] {
            kernel.constants = [&fill("1.0").constants[..], &[(name, 6)]].concat();
            assert!(message(expand(&kernel)).contains(&format!("{name} is given twice")));
        }
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
