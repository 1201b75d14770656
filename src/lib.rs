//! gpugan trains, samples and measures generative adversarial networks on any
//! GPU that wgpu reaches, with hand-written WGSL kernels. The program `gpugan` is a
//! thin layer over this library.
//!
//! # Train on a folder, look at every tick, sample
//!
//! A preset with changed keys is the configuration; [`train::run`] does what `gpugan
//! train` does and hands over each [`Tick`](run::stats::Tick). What it leaves is a run
//! folder, which [`sample::run`] and every other verb take.
//!
//! ```no_run
//! use gpugan::config::Override;
//! use gpugan::config::options::{RunFolder, SampleOptions, TrainOptions};
//! use gpugan::run::Next;
//! use gpugan::systems::presets;
//! use gpugan::{sample, train};
//!
//! fn main() -> gpugan::Result<()> {
//!     let config = presets::load("dcgan32")?.with([
//!         Override::new("data.source", "photos"),
//!         Override::new("steps", 2000),
//!         Override::new("optimizer.d.lr", 1e-4),
//!     ])?;
//!     let options = TrainOptions {
//!         folder: RunFolder::New("runs".into()),
//!         quiet: true,
//!         ..TrainOptions::new(config)
//!     };
//!     let summary = train::run(options, |tick| {
//!         println!("step {}: loss of D {:.3}", tick.step, tick.report("loss_d"));
//!         match tick.report("loss_d") < 0.01 {
//!             true => Next::Stop,
//!             false => Next::GoOn,
//!         }
//!     })?;
//!     let checkpoint = summary.checkpoint.expect("a run ends with one");
//!     sample::run(&SampleOptions::new(checkpoint, "grid.png"))
//! }
//! ```
//!
//! # A network and a loss of one's own
//!
//! What is trained is a [`System`](systems::System): it says which networks there are,
//! what a batch holds and which passes a step replays, as nodes of a
//! [`Graph`](graph::Graph). Gradients, updates, memory and statistics follow. The order
//! of calls: a system and a configuration make a [`Blueprint`](run::blueprint::Blueprint),
//! plain data that needs no GPU; a [`Session`](run::session::Session) compiles it on a
//! [`Gpu`](gpu::Gpu); each [`step`](run::session::Session::step) takes a batch from a
//! [`Feed`](data::Feed).
//!
//! ```
//! use std::sync::Arc;
//!
//! use gpugan::Result;
//! use gpugan::config::{Optimizer, OptimizerKind};
//! use gpugan::data::{Columns, Feed};
//! use gpugan::gpu::{Gpu, Selector};
//! use gpugan::graph::Graph;
//! use gpugan::nn::{Init, Inits, Mode, Net, mean_square};
//! use gpugan::run::blueprint::Blueprint;
//! use gpugan::run::session::Session;
//! use gpugan::systems::{
//!     Build, Counters, Field, Moves, Network, Pass, Report, Source, System, Unit, View, read_config,
//! };
//!
//! /// A line through points, by least squares.
//! struct Line;
//!
//! /// What the network makes of `x`.
//! fn line(graph: &mut Graph, net: &mut Net, x: gpugan::graph::NodeId) -> Result<gpugan::graph::NodeId> {
//!     net.linear(graph, "main", x, 1, Inits::zero_bias(Init::Constant(0.0)))
//! }
//!
//! fn number(name: &'static str) -> Field {
//!     let source = Source::Column { stream: 0, column: name };
//!     Field { name, record: vec![1], source }
//! }
//!
//! impl System for Line {
//!     fn networks(&self) -> Result<Vec<Network>> {
//!         let (mut graph, mut net) = (Graph::new(), Net::new("L", Mode::TRAIN));
//!         let x = graph.constant(0.0, [2, 1]);
//!         line(&mut graph, &mut net, x)?;
//!         let optimizer = Optimizer { kind: OptimizerKind::Sgd, lr: 0.2, ..Optimizer::default() };
//!         Ok(vec![Network {
//!             name: "L",
//!             tensors: net.parameters().cloned().collect(),
//!             moves: Some(Moves::new("optimizer.l", &optimizer)),
//!             average: 0.0,
//!         }])
//!     }
//!     fn fields(&self) -> Vec<Field> {
//!         vec![number("x"), number("y")]
//!     }
//!     fn reports(&self) -> Vec<Report> {
//!         vec![Report { name: "loss", label: "loss", unit: Unit::Loss }]
//!     }
//!     fn passes(&self) -> Vec<Pass> {
//!         vec![Pass::new("step", ["x", "y"])]
//!     }
//!     fn schedule(&self, _: &Counters) -> Vec<&'static str> {
//!         vec!["step"]
//!     }
//!     fn build(&self, _: &str, build: &mut Build<'_>) -> Result<()> {
//!         let (x, y) = (build.field("x")?, build.field("y")?);
//!         let (graph, net) = build.net("L")?;
//!         let made = line(graph, net, x)?;
//!         let loss = mean_square(graph, made, y)?;
//!         build.report("loss", loss);
//!         build.minimise(loss, &["L"]);
//!         Ok(())
//!     }
//!     fn views(&self) -> Vec<View> {
//!         Vec::new()
//!     }
//!     fn look(&self, _: &str, _: &mut Build<'_>) -> Result<()> {
//!         Ok(())
//!     }
//! }
//!
//! /// Points of `y = 2 x - 1`.
//! struct Points;
//!
//! impl Feed for Points {
//!     fn next_columns(&mut self, _: usize) -> Result<Columns> {
//!         let x: Vec<f32> = (0..16).map(|i| i as f32 / 8.0 - 1.0).collect();
//!         let y = x.iter().map(|x| 2.0 * x - 1.0).collect();
//!         Ok(vec![("x", x), ("y", y)])
//!     }
//! }
//!
//! # fn main() -> Result<()> {
//! let config = read_config("batch = 16", [])?;
//! let gpu = Gpu::open(&Selector::default())?;
//! let blueprint = Blueprint::new(&config, &Line, &gpu.facts.kernel_facts())?;
//! let mut session = Session::new(&gpu, &config, Arc::new(Line), blueprint)?;
//! for _ in 0..100 {
//!     session.step(&mut Points)?;
//! }
//! let slope = session.read("L.main.weight")?[0];
//! let offset = session.read("L.main.bias")?[0];
//! assert!((slope - 2.0).abs() < 0.01 && (offset + 1.0).abs() < 0.01);
//! # Ok(())
//! # }
//! ```
//!
//! Systems of the program itself also have keys, presets and checkpoints: `docs/systems.md`
//! of the repository adds one.

pub mod adversarial;
pub mod apply;
pub mod bench;
pub mod check;
pub mod classify;
pub mod cli;
pub mod compare;
pub mod config;
pub mod console;
pub mod data;
pub mod error;
pub mod eval;
pub mod gpu;
pub mod graph;
pub mod media;
pub mod metrics;
pub mod nets;
pub mod nn;
pub mod ops;
pub mod optim;
pub mod plan;
pub mod plot;
pub mod random;
pub mod recording;
pub mod reference;
pub mod run;
pub mod runs;
pub mod sample;
pub mod store;
pub mod systems;
pub mod toy;
pub mod train;

pub use error::{Error, Result};
