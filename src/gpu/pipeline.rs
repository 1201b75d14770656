//! Kernels compiled to pipelines, each once.

use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::device::{Gpu, lock};
use super::first_use::use_once;
use super::source::Source;
use crate::error::{Error, Result};
use crate::recording::{Access, Kernel};

/// What makes two pipelines equal.
pub(super) type Key = (Kernel, Vec<Access>);

/// A compiled kernel with the layout of its bind group.
#[derive(Clone)]
pub(super) struct Pipeline {
    pub(super) pipeline: wgpu::ComputePipeline,
    pub(super) layout: wgpu::BindGroupLayout,
}

/// The pipeline of each key, compiled and used once where it is not there yet. Drivers
/// take long for each, so several threads share the work.
pub(super) fn compile(gpu: &Gpu, keys: &[Key]) -> Result<Vec<Pipeline>> {
    let missing: Vec<&Key> = {
        let known = lock(&gpu.pipelines);
        let mut seen = HashSet::new();
        let unknown = keys.iter().filter(|key| !known.contains_key(key));
        unknown.filter(|key| seen.insert(*key)).collect()
    };
    gpu.compiling.expect(missing.len());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let next = AtomicUsize::new(0);
    let failed: Mutex<Option<(usize, Error)>> = Mutex::new(None);
    std::thread::scope(|scope| {
        for _ in 0..threads.min(missing.len()) {
            scope.spawn(|| {
                while lock(&failed).is_none() {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(&key) = missing.get(index) else {
                        break;
                    };
                    match build(gpu, key) {
                        Ok(pipeline) => {
                            lock(&gpu.pipelines).insert(key.clone(), pipeline);
                            gpu.compiling.made();
                        }
                        Err(error) => {
                            let mut failed = lock(&failed);
                            // The same message whichever thread is first.
                            if failed.as_ref().is_none_or(|(first, _)| index < *first) {
                                *failed = Some((index, error));
                            }
                        }
                    }
                }
            });
        }
    });
    if let Some((_, error)) = failed.into_inner().unwrap_or_else(|e| e.into_inner()) {
        return Err(error);
    }
    use_once(gpu, &missing)?;
    keys.iter().map(|key| pipeline_of(gpu, key)).collect()
}

/// The pipeline that was compiled for a key.
pub(super) fn pipeline_of(gpu: &Gpu, key: &Key) -> Result<Pipeline> {
    lock(&gpu.pipelines).get(key).cloned().ok_or_else(|| {
        Error::gpu(
            format!("{} was not compiled", name(&key.0)),
            "a compiling thread ended early: start again",
        )
    })
}

fn name(kernel: &Kernel) -> String {
    format!("{} of shaders/{}", kernel.variant, kernel.file)
}

/// Compiles a kernel on a device.
pub(super) fn build(gpu: &Gpu, (kernel, accesses): &Key) -> Result<Pipeline> {
    let source = Source::new(kernel, gpu.loads())?;
    let label = name(kernel);
    if source.storage_bindings != accesses.len() {
        return Err(Error::gpu(
            format!(
                "{label} declares {} storage bindings but is launched with {}",
                source.storage_bindings,
                accesses.len()
            ),
            "mend the shader or the code that launches it",
        ));
    }
    let entries = layout_entries(accesses, kernel.reads_step);
    let result = gpu.attempt(&label, |device| {
        let layout = device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
            label: Some(&label),
            entries: &entries,
        });
        let pipeline_layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: Some(&label),
            bind_group_layouts: &[Some(&layout)],
            immediate_size: 0,
        });
        let module = shader_module(
            device,
            wgpu::ShaderModuleDescriptor {
                label: Some(&label),
                source: wgpu::ShaderSource::Wgsl(source.text.as_str().into()),
            },
        );
        let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(&label),
            layout: Some(&pipeline_layout),
            module: &module,
            entry_point: Some("main"),
            compilation_options: wgpu::PipelineCompilationOptions {
                // Kernels write workgroup memory before they read it.
                zero_initialize_workgroup_memory: false,
                ..Default::default()
            },
            cache: gpu.cache.as_ref().map(|cache| &cache.cache),
        });
        Pipeline { pipeline, layout }
    });
    // naga's own message names the line of the file; wgpu's only the text.
    result.map_err(|error| source.validate(kernel).err().unwrap_or(error))
}

fn layout_entries(accesses: &[Access], reads_step: bool) -> Vec<wgpu::BindGroupLayoutEntry> {
    let storage = accesses
        .iter()
        .map(|access| wgpu::BufferBindingType::Storage {
            read_only: *access == Access::Read,
        });
    let step = reads_step.then_some(wgpu::BufferBindingType::Uniform);
    (0..)
        .zip(storage.chain(step))
        .map(|(binding, ty)| wgpu::BindGroupLayoutEntry {
            binding,
            visibility: wgpu::ShaderStages::COMPUTE,
            ty: wgpu::BindingType::Buffer {
                ty,
                has_dynamic_offset: false,
                min_binding_size: None,
            },
            count: None,
        })
        .collect()
}

/// With run-time checks where debug assertions are on, so in tests.
fn shader_module(
    device: &wgpu::Device,
    descriptor: wgpu::ShaderModuleDescriptor<'_>,
) -> wgpu::ShaderModule {
    if cfg!(debug_assertions) {
        return device.create_shader_module(descriptor);
    }
    // SAFETY: the text is one of this crate's shaders with shapes filled in by
    // this crate. Every index is guarded or follows from the shapes the
    // bindings were made for, every loop is bounded by a constant and every
    // divisor is a constant other than 0; the same kernels run with all checks
    // in the tests.
    unsafe {
        device.create_shader_module_trusted(descriptor, wgpu::ShaderRuntimeChecks::unchecked())
    }
}
