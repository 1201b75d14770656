//! The checks of a kernel that need no GPU: it parses, validates, keeps to the
//! WebGPU default limits and can be written in the languages of all backends.

use std::fmt::Write;

use naga::valid::{Capabilities, ModuleInfo, ValidationFlags, Validator};

use super::device::one_line;
use super::source::{Loads, Source, fault};
use crate::error::Result;
use crate::recording::Kernel;

/// Storage bindings of one kernel: the WebGPU default limit.
pub(super) const MAX_STORAGE_BINDINGS: usize = 8;
/// Workgroups along one dimension: the WebGPU default limit.
pub(super) const MAX_WORKGROUPS: u32 = 65_535;
const MAX_INVOCATIONS: u32 = 256;
const MAX_WORKGROUP_BYTES: u32 = 16_384;

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
/// [`Error::Gpu`](crate::Error::Gpu) that names the file and line at fault where they are known.
pub fn translate(kernel: &Kernel) -> Result<Translation> {
    let source = Source::new(kernel, Loads::Elements)?;
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
    pub(super) fn validate(&self, kernel: &Kernel) -> Result<(naga::Module, ModuleInfo)> {
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
        let info = Validator::new(ValidationFlags::all(), Capabilities::SUBGROUP)
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
    use super::super::shaders::SHADERS;
    use super::super::source::tests::{fill, message};
    use super::*;

    #[test]
    fn a_kernel_translates_to_all_three_languages() {
        let mut kernel = fill("step.momentum");
        kernel.reads_step = true;
        let translation = translate(&kernel).unwrap();
        assert_eq!(translation.spirv[0], 0x0723_0203);
        assert!(translation.msl.contains("kernel void"));
        assert!(translation.hlsl.contains("numthreads(64, 1, 1)"));
    }

    /// What graphics cards are slow at must not be in the tiles that they run:
    /// clamped addresses, arrays of a thread, single loads where vectors lie.
    #[test]
    fn tiles_of_cards_translate_to_what_they_are_fast_at() {
        let product = crate::ops::matmul::MatMul {
            batch: 1,
            m: 512,
            n: 512,
            k: 512,
            a: [0, 512, 1],
            b: [0, 512, 1],
            y: [0, 512, 1],
        };
        let variant = product.choose(&crate::ops::Facts::CARD);
        assert!(matches!(variant, crate::ops::Variant::Workgroup { .. }));
        let kernel = product
            .launch(variant, &crate::ops::Epilogue::none())
            .kernel;
        let (module, _) = Source::new(&kernel, Loads::Elements)
            .unwrap()
            .validate(&kernel)
            .unwrap();
        let entry = &module.entry_points[0].function;
        let functions = module.functions.iter().map(|(_, function)| function);
        for function in functions.chain([entry]) {
            for (_, local) in function.local_variables.iter() {
                let kind = &module.types[local.ty].inner;
                assert!(!matches!(kind, naga::TypeInner::Array { .. }), "{local:?}");
            }
        }
        let translation = translate(&kernel).unwrap();
        assert!(!translation.msl.contains("metal::min(unsigned("));
        let loads: Vec<&str> = translation.hlsl.matches(".Load").collect();
        let vectors = translation.hlsl.matches(".Load4(").count();
        assert!(
            vectors > 0 && vectors == loads.len(),
            "{vectors} of {}",
            loads.len()
        );
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
}
