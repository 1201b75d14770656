//! Which adapters there are, what they can do and which one to use.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use crate::error::{Error, Result};

/// What kind of processor stands behind an adapter, best first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DeviceType {
    /// A GPU with its own memory.
    Discrete,
    /// A GPU that shares the processor's memory.
    Integrated,
    /// A GPU lent to a virtual machine.
    Virtual,
    /// A kind that the driver does not tell.
    Other,
    /// A driver that computes on the processor, such as lavapipe or WARP.
    Cpu,
}

/// Optional abilities; none is required.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Features {
    /// GPU time stamps around compute passes.
    pub timestamps: bool,
    /// Compiled pipelines can be kept on disk.
    pub pipeline_cache: bool,
    /// Subgroup operations in shaders.
    pub subgroup: bool,
    /// Half precision in shaders.
    pub f16: bool,
    /// 64-bit integers in shaders.
    pub int64: bool,
}

/// What the adapter can do at most. The device is opened with the WebGPU
/// default limits, except for the two buffer sizes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Limits {
    /// Bytes of one buffer.
    pub max_buffer: u64,
    /// Bytes of one storage binding: of one tensor.
    pub max_storage_binding: u64,
    /// Bytes of workgroup memory.
    pub workgroup_memory: u32,
    /// Invocations in a workgroup.
    pub invocations: u32,
    /// Storage buffers a shader can bind.
    pub storage_buffers: u32,
}

/// What is known about an adapter.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct AdapterFacts {
    /// Place in [`list`]; can be used to select it.
    pub index: usize,
    /// Name given by the driver.
    pub name: String,
    /// `vulkan`, `metal` or `dx12`.
    pub backend: String,
    /// Name of the driver; may be empty.
    pub driver: String,
    /// Version of the driver; may be empty.
    pub driver_info: String,
    /// Kind of processor.
    pub device_type: DeviceType,
    /// Smallest subgroup a kernel may run with.
    pub subgroup_min: u32,
    /// Largest subgroup a kernel may run with.
    pub subgroup_max: u32,
    /// Optional features that the adapter has and gpugan uses.
    pub features: Features,
    /// Limits that the device is opened with.
    pub limits: Limits,
    /// What won when kernels were tuned on this adapter with this driver; known
    /// once it is opened.
    #[serde(skip)]
    pub tuned: Option<&'static crate::ops::Tuned>,
}

impl AdapterFacts {
    /// What results depend on to the bit: adapter, backend and driver.
    pub fn identity(&self) -> String {
        let driver = self.driver_and_version();
        format!("{} ({}, driver {driver})", self.name, self.backend)
    }

    /// Name and version of the driver, as far as it says them.
    pub fn driver_and_version(&self) -> String {
        let both = [&*self.driver, &*self.driver_info].join(" ");
        both.trim().to_owned()
    }

    /// What kernels are chosen by.
    pub fn kernel_facts(&self) -> crate::ops::Facts {
        crate::ops::Facts {
            software: self.device_type == DeviceType::Cpu,
            subgroup: Some(self.subgroup_min).filter(|&size| {
                let known = size == self.subgroup_max && size.is_power_of_two();
                self.features.subgroup && known && (4..=128).contains(&size)
            }),
            rung: crate::ops::Rung::Best,
            tuned: self.tuned,
        }
    }
}

impl fmt::Display for DeviceType {
    /// In small letters, as in JSON.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&format!("{self:?}").to_lowercase())
    }
}

impl fmt::Display for AdapterFacts {
    /// `0: NAME (backend, type)`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {} ({}, {})",
            self.index, self.name, self.backend, self.device_type
        )
    }
}

/// Which adapter to use; parsed from what follows `--adapter`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Selector {
    /// Discrete before integrated, virtual, other and software. Also the
    /// words `best` and the empty string.
    #[default]
    Best,
    /// The best one of a backend: `vulkan`, `metal` or `dx12`.
    Backend(String),
    /// A software driver: `cpu`.
    Cpu,
    /// The best one that is not a software driver: `gpu`.
    Gpu,
    /// By its place in [`list`].
    Index(usize),
    /// By a part of its name, ignoring case.
    Name(String),
}

impl FromStr for Selector {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        let word = text.trim().to_lowercase();
        Ok(match word.as_str() {
            "" | "best" => Self::Best,
            "vulkan" | "metal" | "dx12" => Self::Backend(word),
            "cpu" => Self::Cpu,
            "gpu" => Self::Gpu,
            _ => match word.parse() {
                Ok(index) => Self::Index(index),
                Err(_) => Self::Name(word),
            },
        })
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Best => f.write_str("best"),
            Self::Backend(word) | Self::Name(word) => f.write_str(word),
            Self::Cpu => f.write_str("cpu"),
            Self::Gpu => f.write_str("gpu"),
            Self::Index(index) => write!(f, "{index}"),
        }
    }
}

impl Selector {
    /// The selector that a user wrote, the best adapter where nothing was.
    pub fn named(text: Option<&str>) -> Self {
        let Ok(selector) = text.unwrap_or_default().parse();
        selector
    }

    fn matches(&self, facts: &AdapterFacts) -> bool {
        match self {
            Self::Best => true,
            Self::Backend(backend) => facts.backend == *backend,
            Self::Cpu => facts.device_type == DeviceType::Cpu,
            Self::Gpu => facts.device_type != DeviceType::Cpu,
            Self::Index(index) => facts.index == *index,
            Self::Name(part) => facts.name.to_lowercase().contains(part),
        }
    }

    /// The best adapter of `all` that this selects, the first of equals.
    ///
    /// # Errors
    /// [`Error::Usage`] where `all` is empty or nothing matches; the message
    /// lists what there is.
    pub fn choose<'a>(&self, all: &'a [AdapterFacts]) -> Result<&'a AdapterFacts> {
        if all.is_empty() {
            return Err(no_adapter());
        }
        all.iter()
            .filter(|facts| self.matches(facts))
            .min_by_key(|facts| facts.device_type)
            .ok_or_else(|| {
                let known: Vec<String> = all.iter().map(ToString::to_string).collect();
                Error::usage(
                    format!(
                        "no adapter matches '{self}'; available: {}",
                        known.join(", ")
                    ),
                    "give --adapter vulkan, metal, dx12, cpu, gpu, an index or part of a name",
                )
            })
    }
}

fn no_adapter() -> Error {
    let mend = if cfg!(target_os = "linux") {
        "install a Vulkan driver: the packages libvulkan1 and mesa-vulkan-drivers, or run `make setup`"
    } else if cfg!(target_os = "windows") {
        "install or update the graphics driver (DirectX 12 or Vulkan)"
    } else {
        "use a machine with Metal or Vulkan"
    };
    Error::usage("no adapter found: no driver offers a GPU", mend)
}

/// Every adapter of this machine, in the order the backends give them; one GPU
/// can be listed once a backend. Empty where no driver is installed.
pub fn list() -> Vec<AdapterFacts> {
    enumerate().into_iter().map(|(facts, _)| facts).collect()
}

/// Every adapter with its facts.
pub(super) fn enumerate() -> Vec<(AdapterFacts, wgpu::Adapter)> {
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
    // The check of indirect dispatches compiles a shader of its own when a
    // device opens; nothing here dispatches indirectly.
    descriptor
        .flags
        .remove(wgpu::InstanceFlags::VALIDATION_INDIRECT_CALL);
    let instance = wgpu::Instance::new(descriptor.with_env());
    pollster::block_on(instance.enumerate_adapters(wgpu::Backends::PRIMARY))
        .into_iter()
        .enumerate()
        .map(|(index, adapter)| (facts(index, &adapter), adapter))
        .collect()
}

fn facts(index: usize, adapter: &wgpu::Adapter) -> AdapterFacts {
    let info = adapter.get_info();
    let features = adapter.features();
    let limits = adapter.limits();
    AdapterFacts {
        index,
        name: info.name,
        backend: info.backend.to_string(),
        driver: info.driver,
        driver_info: info.driver_info,
        device_type: match info.device_type {
            wgpu::DeviceType::DiscreteGpu => DeviceType::Discrete,
            wgpu::DeviceType::IntegratedGpu => DeviceType::Integrated,
            wgpu::DeviceType::VirtualGpu => DeviceType::Virtual,
            wgpu::DeviceType::Other => DeviceType::Other,
            wgpu::DeviceType::Cpu => DeviceType::Cpu,
        },
        subgroup_min: info.subgroup_min_size,
        subgroup_max: info.subgroup_max_size,
        features: Features {
            timestamps: features.contains(wgpu::Features::TIMESTAMP_QUERY),
            pipeline_cache: features.contains(wgpu::Features::PIPELINE_CACHE),
            subgroup: features.contains(wgpu::Features::SUBGROUP),
            f16: features.contains(wgpu::Features::SHADER_F16),
            int64: features.contains(wgpu::Features::SHADER_INT64),
        },
        limits: Limits {
            max_buffer: limits.max_buffer_size,
            max_storage_binding: limits.max_storage_buffer_binding_size,
            workgroup_memory: limits.max_compute_workgroup_storage_size,
            invocations: limits.max_compute_invocations_per_workgroup,
            storage_buffers: limits.max_storage_buffers_per_shader_stage,
        },
        tuned: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn adapter(index: usize, name: &str, backend: &str, device_type: DeviceType) -> AdapterFacts {
        AdapterFacts {
            index,
            name: name.into(),
            backend: backend.into(),
            driver: String::new(),
            driver_info: String::new(),
            device_type,
            subgroup_min: 4,
            subgroup_max: 128,
            features: Features {
                timestamps: false,
                pipeline_cache: false,
                subgroup: false,
                f16: false,
                int64: false,
            },
            limits: Limits {
                max_buffer: 1 << 28,
                max_storage_binding: 1 << 27,
                workgroup_memory: 16384,
                invocations: 256,
                storage_buffers: 8,
            },
            tuned: None,
        }
    }

    fn machine() -> Vec<AdapterFacts> {
        vec![
            adapter(0, "llvmpipe (LLVM 15)", "vulkan", DeviceType::Cpu),
            adapter(1, "Small Graphics", "vulkan", DeviceType::Integrated),
            adapter(2, "Big Card 9000", "vulkan", DeviceType::Discrete),
            adapter(3, "Big Card 9000", "dx12", DeviceType::Discrete),
        ]
    }

    #[test]
    fn selectors_choose_the_best_match() {
        for (text, index) in [
            ("", 2),
            ("best", 2),
            ("DX12", 3),
            ("vulkan", 2),
            ("cpu", 0),
            ("GPU", 2),
            ("1", 1),
            ("small", 1),
            ("LLVM", 0),
        ] {
            let Ok(selector) = text.parse::<Selector>();
            assert_eq!(selector.choose(&machine()).unwrap().index, index, "{text}");
        }
    }

    #[test]
    fn a_miss_lists_what_there_is() {
        for text in ["metal", "7", "radeon"] {
            let Ok(selector) = text.parse::<Selector>();
            let error = selector.choose(&machine()).unwrap_err();
            let message = error.to_string();
            assert!(message.contains(&format!("'{text}'")), "{message}");
            assert!(
                message.contains("3: Big Card 9000 (dx12, discrete)"),
                "{message}"
            );
            assert_eq!(error.exit_code(), 2);
        }
    }

    #[test]
    fn no_adapter_at_all_names_the_mend() {
        let message = Selector::Best.choose(&[]).unwrap_err().to_string();
        assert!(message.starts_with("no adapter found"), "{message}");
        #[cfg(target_os = "linux")]
        assert!(message.contains("mesa-vulkan-drivers"), "{message}");
    }
}
