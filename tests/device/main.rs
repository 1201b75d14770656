//! What runs on the adapter of this machine, or on the one that
//! `GPUGAN_ADAPTER` names. Without an adapter these tests fail, with the mend in
//! the message.

mod conditional;
mod contract;
mod gpu;
mod health;
mod moves;
mod ops;
mod rbm;
mod representation;
mod theory;

#[path = "../shared/adapter.rs"]
mod adapter;
#[path = "../shared/dirac.rs"]
mod dirac;
#[path = "../shared/near.rs"]
mod near;
#[path = "../shared/preset.rs"]
mod preset;
