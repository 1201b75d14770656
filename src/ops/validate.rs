//! Test support: expands a kernel's shader and has naga parse and validate it.

use std::collections::HashSet;

use super::Launch;
use crate::recording::Kernel;

fn read(file: &str) -> String {
    let path = format!("{}/shaders/{file}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"))
}

fn expand(file: &str, kernel: &Kernel, seen: &mut HashSet<String>, out: &mut String) {
    let mut active = vec![true];
    for line in read(file).lines() {
        let word = line.trim();
        if let Some(name) = word.strip_prefix("#if ") {
            let on = kernel.constants.iter().any(|(n, v)| *n == name && *v != 0);
            active.push(on);
        } else if word == "#else" {
            let last = active.last_mut().unwrap();
            *last = !*last;
        } else if word == "#endif" {
            active.pop();
        } else if active.iter().all(|&on| on) {
            if let Some(name) = word.strip_prefix("#import ") {
                if seen.insert(name.to_owned()) {
                    expand(name, kernel, seen, out);
                }
            } else {
                assert!(!word.starts_with('#'), "{file}: {line}");
                let mut line = line.to_owned();
                for (name, text) in &kernel.snippets {
                    line = line.replace(&format!("{{{{{name}}}}}"), text);
                }
                line = line.replace("{{step_binding}}", "7");
                assert!(!line.contains("{{"), "{file}: {line}");
                *out += &line;
                *out += "\n";
            }
        }
    }
    assert_eq!(active.len(), 1, "{file}: #if without #endif");
}

/// Panics with the shader's text where naga refuses it.
pub(super) fn validate(launch: &Launch) {
    let mut source = String::new();
    for (name, value) in &launch.kernel.constants {
        source += &format!("const {name}: u32 = {value}u;\n");
    }
    expand(
        launch.kernel.file,
        &launch.kernel,
        &mut HashSet::new(),
        &mut source,
    );
    let module = naga::front::wgsl::parse_str(&source)
        .unwrap_or_else(|e| panic!("{}\n{source}", e.emit_to_string(&source)));
    naga::valid::Validator::new(
        naga::valid::ValidationFlags::all(),
        naga::valid::Capabilities::empty(),
    )
    .validate(&module)
    .unwrap_or_else(|e| panic!("{}\n{source}", e.emit_to_string(&source)));
    assert!(launch.workgroups.iter().all(|&n| (1..=65_535).contains(&n)));
}
