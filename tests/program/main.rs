//! The built program as it is typed, on the adapter of this machine or on the
//! one that `GPUGAN_ADAPTER` names.

mod applied;
mod arguments;
mod balance;
mod bench;
mod data;
mod faults;
mod likelihood;
mod measure;
mod replay;
mod resumed;
mod run;
#[cfg(target_os = "linux")]
mod screen;
mod stages;
mod toy;
mod train;

#[path = "../shared/adapter.rs"]
mod adapter;
#[path = "../shared/fetched.rs"]
mod fetched;
#[path = "../shared/inception.rs"]
mod inception_file;
#[path = "../shared/preset.rs"]
mod preset;
#[path = "../shared/usage.rs"]
mod usage;
