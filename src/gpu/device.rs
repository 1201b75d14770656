//! An open device: the one place where work is submitted, waited for and
//! checked for failures.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::adapter::{AdapterFacts, DeviceType, Selector, enumerate};
use super::cache::{PipelineCache, folder, load_tuned, save_tuned};
use super::compiling::Compiling;
use super::pipeline::{Key, Pipeline};
use super::source::Loads;
use crate::error::{Error, Result};
use crate::ops::Tuned;
use crate::recording::ALIGNMENT;

/// Submissions that may be unfinished before the next one waits. Enough to keep
/// the GPU busy; more would only use memory and delay a stop.
const MAX_IN_FLIGHT: usize = 3;

/// An open device. Clones share it.
///
/// A failure (a lost device, memory that ran out, a call that was refused) is
/// kept, and every later call returns it as an [`Error::Gpu`].
#[derive(Clone)]
pub struct Gpu {
    /// What is known about the adapter.
    pub facts: AdapterFacts,
    adapter: wgpu::Adapter,
    pub(super) device: wgpu::Device,
    pub(super) queue: wgpu::Queue,
    pub(super) pipelines: Arc<Mutex<HashMap<Key, Pipeline>>>,
    pub(super) cache: Option<Arc<PipelineCache>>,
    pub(super) compiling: Arc<Compiling>,
    in_flight: Arc<Mutex<VecDeque<wgpu::SubmissionIndex>>>,
    failure: Arc<Mutex<Option<Failure>>>,
}

/// The first thing that went wrong, or that the device was lost: the others
/// are only consequences.
#[derive(Clone)]
struct Failure {
    what: String,
    mend: &'static str,
}

/// Locks what only a panicking thread could leave poisoned; all uses keep the
/// value consistent.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A driver's message in one line.
pub(super) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

const BUG: &str = "this is a mistake in gpugan: please report it with this line";
const SMALLER: &str = "use a smaller batch or resolution, or close other programs that use the GPU";

impl Failure {
    fn of(name: &str, error: &wgpu::Error) -> Self {
        match error {
            wgpu::Error::OutOfMemory { .. } => Self {
                what: format!("out of memory on {name}"),
                mend: SMALLER,
            },
            wgpu::Error::Validation { description, .. } => Self {
                what: format!("{name} refused a call: {}", one_line(description)),
                mend: BUG,
            },
            wgpu::Error::Internal { description, .. } => Self {
                what: format!("the driver of {name} failed: {}", one_line(description)),
                mend: "update the graphics driver or choose another adapter with --adapter",
            },
        }
    }

    fn into_error(self) -> Error {
        Error::gpu(self.what, self.mend)
    }
}

impl fmt::Debug for Gpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Gpu({})", self.facts)
    }
}

impl Gpu {
    /// Opens the adapter that `selector` names, with the WebGPU default limits
    /// raised to the adapter's for the two buffer sizes, and with time stamps, a
    /// pipeline cache, subgroups and 64-bit integers where it has them.
    ///
    /// # Errors
    /// [`Error::Usage`] where no adapter matches; [`Error::Gpu`] where the
    /// driver refuses or stays below the WebGPU default limits.
    pub fn open(selector: &Selector) -> Result<Self> {
        let used = wgpu::Features::TIMESTAMP_QUERY
            | wgpu::Features::PIPELINE_CACHE
            | wgpu::Features::SUBGROUP
            | wgpu::Features::SHADER_INT64;
        Self::open_with(selector, used)
    }

    /// Opens with those of the features that the adapter has.
    pub(super) fn open_with(selector: &Selector, features: wgpu::Features) -> Result<Self> {
        let adapters = enumerate();
        let all: Vec<AdapterFacts> = adapters.iter().map(|(facts, _)| facts.clone()).collect();
        let facts = selector.choose(&all)?.clone();
        let adapter = &adapters[facts.index].1;
        let mut gpu = Self::on(adapter.clone(), facts, adapter.features() & features)?;
        gpu.cache = folder()
            .and_then(|folder| PipelineCache::open(&gpu, &adapter.get_info(), &folder))
            .map(Arc::new);
        gpu.facts.tuned = load_tuned(&gpu.facts);
        gpu.check()?;
        Ok(gpu)
    }

    /// Another device of the same adapter, that shares nothing with this one.
    pub(super) fn sibling(&self) -> Result<Self> {
        let (adapter, facts) = (self.adapter.clone(), self.facts.clone());
        Self::on(adapter, facts, self.device.features())
    }

    fn on(adapter: wgpu::Adapter, facts: AdapterFacts, features: wgpu::Features) -> Result<Self> {
        let (device, queue) = pollster::block_on(adapter.request_device(&wgpu::DeviceDescriptor {
            label: Some("gpugan"),
            required_features: features,
            required_limits: limits(&facts, adapter.limits())?,
            ..Default::default()
        }))
        .map_err(|error| {
            Error::gpu(
                format!(
                    "cannot open {}: {}",
                    facts.name,
                    one_line(&error.to_string())
                ),
                "update the graphics driver or choose another adapter with --adapter",
            )
        })?;

        let failure: Arc<Mutex<Option<Failure>>> = Arc::default();
        let (slot, name) = (failure.clone(), facts.name.clone());
        device.set_device_lost_callback(move |reason, message| {
            let what = format!(
                "the device {name} was lost ({})",
                one_line(&format!("{reason:?} {message}"))
            );
            *lock(&slot) = Some(lost(what));
        });
        let (slot, name) = (failure.clone(), facts.name.clone());
        device.on_uncaptured_error(Arc::new(move |error| {
            lock(&slot).get_or_insert(Failure::of(&name, &error));
        }));

        Ok(Self {
            facts,
            adapter,
            device,
            queue,
            pipelines: Arc::default(),
            cache: None,
            compiling: Arc::default(),
            in_flight: Arc::default(),
            failure,
        })
    }

    /// How its kernels load four elements that lie together.
    pub(super) fn loads(&self) -> Loads {
        let features = self.device.features();
        match self.facts.device_type {
            DeviceType::Cpu if features.contains(wgpu::Features::SHADER_INT64) => Loads::Wide,
            _ => Loads::Elements,
        }
    }

    /// How far its kernels are compiled.
    pub fn compiling(&self) -> Arc<Compiling> {
        Arc::clone(&self.compiling)
    }

    /// Whether the device still works.
    ///
    /// # Errors
    /// [`Error::Gpu`] with the first thing that went wrong.
    pub fn check(&self) -> Result<()> {
        match &*lock(&self.failure) {
            Some(failure) => Err(failure.clone().into_error()),
            None => Ok(()),
        }
    }

    /// Waits until everything submitted so far is done.
    ///
    /// # Errors
    /// [`Error::Gpu`] where the device failed.
    pub fn wait(&self) -> Result<()> {
        lock(&self.in_flight).clear();
        self.poll(wgpu::PollType::wait_indefinitely())
    }

    /// Keeps the compiled pipelines for the next run, if any is new. Does
    /// nothing where the adapter has no pipeline cache. Where the file cannot be
    /// written, the next run compiles again: a line on standard error says so, and
    /// what was computed is as good as before.
    pub fn save_pipeline_cache(&self) {
        if let Some(Err(error)) = self.cache.as_ref().map(|cache| cache.save()) {
            crate::console::warn(&format!(
                "compiled kernels cannot be kept for the next run: {error}"
            ));
        }
    }

    /// Keeps what won when kernels were tuned on this adapter, for all later runs.
    ///
    /// # Errors
    /// [`Error::Io`] where the user's cache folder cannot be written,
    /// [`Error::Usage`] where there is none.
    pub fn save_tuned(&self, tuned: &Tuned) -> Result<PathBuf> {
        save_tuned(&self.facts, tuned)
    }

    /// Submits work, after waiting where too much is unfinished.
    pub(super) fn submit(&self, encoder: wgpu::CommandEncoder) -> Result<()> {
        self.check()?;
        let index = self.queue.submit([encoder.finish()]);
        let oldest = {
            let mut in_flight = lock(&self.in_flight);
            in_flight.push_back(index);
            if in_flight.len() > MAX_IN_FLIGHT {
                in_flight.pop_front()
            } else {
                None
            }
        };
        match oldest {
            Some(index) => self.wait_for(index),
            None => self.check(),
        }
    }

    /// Waits for one submission and those before it.
    pub(super) fn wait_for(&self, index: wgpu::SubmissionIndex) -> Result<()> {
        self.poll(wgpu::PollType::Wait {
            submission_index: Some(index),
            timeout: None,
        })
    }

    /// Lets wgpu run its callbacks, blocking or not.
    pub(super) fn poll(&self, how: wgpu::PollType) -> Result<()> {
        self.check()?;
        // A device that is lost during the call makes wgpu panic in it.
        let result = catch_unwind(AssertUnwindSafe(|| self.device.poll(how)));
        // What the callbacks kept names the cause better.
        self.check()?;
        let what = match result {
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(error)) => one_line(&error.to_string()),
            Err(_) => "it was lost while waiting".into(),
        };
        let failure = lost(format!("the device {} failed: {what}", self.facts.name));
        let failure = lock(&self.failure).get_or_insert(failure).clone();
        Err(failure.into_error())
    }

    /// Runs calls that may be refused and returns the refusal as an error
    /// instead of keeping it; `thing` is what the calls were to make.
    pub(super) fn attempt<T>(
        &self,
        thing: impl fmt::Display,
        calls: impl FnOnce(&wgpu::Device) -> T,
    ) -> Result<T> {
        use wgpu::ErrorFilter::{Internal, OutOfMemory, Validation};
        self.check()?;
        let scopes =
            [OutOfMemory, Internal, Validation].map(|filter| self.device.push_error_scope(filter));
        let value = calls(&self.device);
        // All are popped, the last pushed first; the first error found counts.
        let mut error = None;
        for scope in scopes.into_iter().rev() {
            error = pollster::block_on(scope.pop()).or(error);
        }
        // A lost device is the cause of whatever else was refused.
        self.check()?;
        match error {
            None => Ok(value),
            Some(error) => {
                let Failure { what, mend } = Failure::of(&self.facts.name, &error);
                Err(Error::gpu(format!("cannot make {thing}: {what}"), mend))
            }
        }
    }
}

#[cfg(test)]
impl Gpu {
    /// Loses the device, as a driver that is reset does.
    pub(crate) fn lose(&self) {
        self.device.destroy();
        // A driver's loss is told at once, this one after what was submitted.
        self.device
            .poll(wgpu::PollType::wait_indefinitely())
            .unwrap();
    }
}

fn lost(what: String) -> Failure {
    Failure {
        what,
        mend: "resume from the last checkpoint; if it happens again, use a smaller batch, \
               close other programs that use the GPU or update its driver",
    }
}

/// The limits to ask for. What is not about compute may be as low as the
/// adapter has it.
fn limits(facts: &AdapterFacts, adapter: wgpu::Limits) -> Result<wgpu::Limits> {
    let needed = wgpu::Limits::default();
    let compute = |l: &wgpu::Limits| {
        [
            (
                "storage buffers per stage",
                l.max_storage_buffers_per_shader_stage,
            ),
            (
                "bytes of workgroup memory",
                l.max_compute_workgroup_storage_size,
            ),
            (
                "invocations per workgroup",
                l.max_compute_invocations_per_workgroup,
            ),
            (
                "workgroups per dimension",
                l.max_compute_workgroups_per_dimension,
            ),
        ]
    };
    for ((what, least), (_, has)) in compute(&needed).into_iter().zip(compute(&adapter)) {
        if has < least {
            return Err(Error::gpu(
                format!("{} has {has} {what}, but {least} are needed", facts.name),
                "choose another adapter with --adapter",
            ));
        }
    }
    let alignment = adapter.min_storage_buffer_offset_alignment as usize;
    if alignment > ALIGNMENT * size_of::<f32>() {
        return Err(Error::gpu(
            format!(
                "{} aligns storage buffers to {alignment} bytes, but at most {} are supported",
                facts.name,
                ALIGNMENT * size_of::<f32>()
            ),
            "choose another adapter with --adapter",
        ));
    }
    let (buffer, binding) = (
        adapter.max_buffer_size,
        adapter.max_storage_buffer_binding_size,
    );
    let mut limits = needed.or_worse_values_from(&adapter);
    limits.max_buffer_size = buffer;
    limits.max_storage_buffer_binding_size = binding;
    Ok(limits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::source::tests::fill;
    use crate::gpu::{Executable, Memory, Readback};
    use crate::recording::{
        Access, Binding, Command, Dispatch, Kernel, Recording, Slice, StepValues, Storage,
    };

    fn open() -> Gpu {
        Gpu::open(&Selector::default()).unwrap_or_else(|error| panic!("{error}"))
    }

    const SLICE: Slice = Slice {
        storage: Storage::Arena(0),
        offset: 0,
        len: 4,
    };

    #[test]
    fn a_lost_device_is_one_clear_error_from_every_call() {
        let gpu = open();
        let memory = Memory::new(&gpu, &[4], &[]).unwrap();
        let mut readback = Readback::new(&gpu, 4).unwrap();
        let mut executable = Executable::new(&gpu, &memory, &Recording::default()).unwrap();
        readback.request(&memory, SLICE, 0).unwrap();
        gpu.lose();
        let first = memory.read(SLICE).unwrap_err().to_string();
        assert!(first.contains("lost"), "{first}");
        assert!(first.contains(&gpu.facts.name), "{first}");
        assert!(first.contains("resume from the last checkpoint"), "{first}");
        let later = [
            gpu.check().err(),
            gpu.wait().err(),
            memory.write(SLICE, &[0.0; 4]).err(),
            memory.read(SLICE).err(),
            memory.poison_temporaries().and(gpu.check()).err(),
            Memory::new(&gpu, &[4], &[]).err(),
            readback.request(&memory, SLICE, 1).err(),
            readback.ready().err(),
            readback.finish().err(),
            executable.run(&gpu, &StepValues::default()).err(),
            executable.profile(&gpu, &StepValues::default()).err(),
            Executable::new(&gpu, &memory, &Recording::default()).err(),
        ];
        for (call, error) in later.into_iter().enumerate() {
            let error = error.unwrap_or_else(|| panic!("call {call} worked"));
            assert_eq!(error.to_string(), first, "call {call}");
        }
    }

    #[test]
    fn a_refused_call_is_kept_and_told_in_one_line() {
        let gpu = open();
        let refused = || {
            gpu.device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("wrong"),
                size: u64::MAX / 2,
                usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::STORAGE,
                mapped_at_creation: false,
            })
        };
        // In an attempt it is the attempt's error, and nothing is kept.
        let error = gpu.attempt("a test buffer", |_| refused()).unwrap_err();
        assert!(
            error.to_string().starts_with("cannot make a test buffer"),
            "{error}"
        );
        gpu.check().unwrap();
        refused();
        let error = gpu.check().unwrap_err();
        assert_eq!(error.exit_code(), 1);
        let text = error.to_string();
        assert!(text.contains("refused a call"), "{text}");
        assert_eq!(text.lines().count(), 1, "{text}");
        assert_eq!(gpu.wait().unwrap_err().to_string(), text);
    }

    #[test]
    fn a_driver_without_any_feature_will_do() {
        let gpu = Gpu::open_with(&Selector::default(), wgpu::Features::empty()).unwrap();
        assert!(gpu.cache.is_none());
        gpu.save_pipeline_cache();
        let memory = Memory::poisoned(&gpu, &[4], &[4]).unwrap();
        let temporary = Slice {
            storage: Storage::Temporary(0),
            ..SLICE
        };
        let recording = Recording {
            commands: vec![
                Command::Copy {
                    from: temporary,
                    to: SLICE,
                },
                Command::Dispatch(Dispatch {
                    kernel: Kernel {
                        constants: vec![("LEN", 4), ("GRID_X", 1), ("WORKGROUP", 64)],
                        ..fill("2.0")
                    },
                    bindings: vec![Binding {
                        slice: temporary,
                        access: Access::Write,
                    }],
                    workgroups: [1; 3],
                    label: "fill".into(),
                }),
            ],
            temporaries: vec![4],
        };
        let mut executable = Executable::new(&gpu, &memory, &recording).unwrap();
        let times = executable.profile(&gpu, &StepValues::default()).unwrap();
        assert_eq!(times.len(), 1);
        assert_eq!(times[0].0, 1);
        assert!(times[0].1 > 0);
        assert!(memory.read(SLICE).unwrap().iter().all(|v| v.is_nan()));
        assert_eq!(memory.read(temporary).unwrap(), [2.0; 4]);
    }
}
