//! What needs neither a GPU nor the built program.

mod checkpoint;
mod conditional;
mod config;
mod counts;
mod data;
mod figures;
mod fuzzed;
mod house;
mod idx;
mod images;
mod likelihood;
mod loader;
mod networks;
mod plan;
mod pool;
mod published;
mod reading;
mod recordings;
mod reference;
mod runs;
mod scores;
mod sets;
mod sizes;
mod stacked;
mod vjp;

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
#[path = "../shared/usage.rs"]
mod usage;
