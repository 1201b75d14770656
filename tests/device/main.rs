//! What runs on the adapter of this machine, or on the one that
//! `GPUGAN_ADAPTER` names. Without an adapter these tests fail, with the mend in
//! the message.

mod applied;
mod conditional;
mod contract;
mod gpu;
mod health;
mod images;
mod inception;
mod likelihood;
mod moves;
mod networks;
mod ops;
mod random_programs;
mod rbm;
mod representation;
mod theory;

use gpugan::config::Config;
use gpugan::data::{IMAGE, Same};
use gpugan::gpu::Gpu;
use gpugan::run::session::Session;

#[path = "../shared/adapter.rs"]
mod adapter;
#[path = "../shared/dirac.rs"]
mod dirac;
#[path = "../shared/fetched.rs"]
mod fetched;
#[path = "../shared/inception.rs"]
mod inception_file;
#[path = "../shared/near.rs"]
mod near;
#[path = "../shared/preset.rs"]
mod preset;
#[path = "../shared/networks.rs"]
mod small;
#[path = "../shared/state_dicts.rs"]
mod state_dicts;

/// A session of a configuration on grey images.
fn session(gpu: &Gpu, config: &Config) -> Session {
    let blueprint = preset::blueprint(config, 1, &gpu.facts.kernel_facts());
    Session::new(gpu, config, preset::system(config, 1), blueprint).unwrap()
}

/// These images in [-1, 1] as every batch.
fn batch(images: &[f32]) -> Same {
    Same(vec![(IMAGE, images.to_vec())])
}
