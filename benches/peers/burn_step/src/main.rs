//! A DCGAN training step in burn on its wgpu backend, for comparison with
//! `gpugan bench step`: one discriminator update on a real and a fake batch, one
//! generator update, both by Adam; the networks of the preset dcgan32.
//!
//!     cargo run --release -- --width 16 --batch 64

use std::time::Instant;

use burn::backend::wgpu::WgpuDevice;
use burn::backend::{Autodiff, Wgpu};
use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig, ConvTranspose2d, ConvTranspose2dConfig};
use burn::nn::{BatchNorm, BatchNormConfig, Initializer, PaddingConfig2d};
use burn::optim::{Adam, AdamConfig, GradientsParams, Optimizer, adaptor::OptimizerAdaptor};
use burn::prelude::Backend;
use burn::tensor::activation::{leaky_relu, relu, softplus, tanh};
use burn::tensor::backend::AutodiffBackend;
use burn::tensor::{Distribution, Tensor};
use clap::Parser;

const LATENT: usize = 100;
const SIZE: usize = 32;
const LEARNING_RATE: f64 = 2e-4;

#[derive(Parser)]
struct Arguments {
    /// model.width
    #[arg(long, default_value_t = 16)]
    width: usize,
    #[arg(long, default_value_t = 64)]
    batch: usize,
    /// Timed steps
    #[arg(long, default_value_t = 5)]
    steps: usize,
    /// Steps before them
    #[arg(long, default_value_t = 2)]
    warm_up: usize,
}

fn initializer() -> Initializer {
    Initializer::Normal {
        mean: 0.0,
        std: 0.02,
    }
}

#[derive(Module, Debug)]
struct Generator<B: Backend> {
    layers: Vec<ConvTranspose2d<B>>,
    norms: Vec<BatchNorm<B>>,
}

impl<B: Backend> Generator<B> {
    fn new(width: usize, device: &B::Device) -> Self {
        let channels = [LATENT, 4 * width, 2 * width, width, 1];
        let layer = |at: usize| {
            let (stride, padding) = if at == 0 { (1, 0) } else { (2, 1) };
            ConvTranspose2dConfig::new([channels[at], channels[at + 1]], [4, 4])
                .with_stride([stride; 2])
                .with_padding([padding; 2])
                .with_bias(false)
                .with_initializer(initializer())
                .init(device)
        };
        let norm = |&features: &usize| BatchNormConfig::new(features).init(device);
        Self {
            layers: (0..4).map(layer).collect(),
            norms: channels[1..4].iter().map(norm).collect(),
        }
    }

    /// `[N, LATENT, 1, 1]` to `[N, 1, SIZE, SIZE]`.
    fn forward(&self, mut x: Tensor<B, 4>) -> Tensor<B, 4> {
        for (layer, norm) in self.layers.iter().zip(&self.norms) {
            x = relu(norm.forward(layer.forward(x)));
        }
        tanh(self.layers[3].forward(x))
    }
}

#[derive(Module, Debug)]
struct Discriminator<B: Backend> {
    layers: Vec<Conv2d<B>>,
    norms: Vec<BatchNorm<B>>,
}

impl<B: Backend> Discriminator<B> {
    fn new(width: usize, device: &B::Device) -> Self {
        let channels = [1, width, 2 * width, 4 * width, 1];
        let layer = |at: usize| {
            let (stride, padding) = if at == 3 { (1, 0) } else { (2, 1) };
            Conv2dConfig::new([channels[at], channels[at + 1]], [4, 4])
                .with_stride([stride; 2])
                .with_padding(PaddingConfig2d::Explicit(
                    padding, padding, padding, padding,
                ))
                .with_bias(false)
                .with_initializer(initializer())
                .init(device)
        };
        let norm = |&features: &usize| BatchNormConfig::new(features).init(device);
        Self {
            layers: (0..4).map(layer).collect(),
            norms: channels[2..4].iter().map(norm).collect(),
        }
    }

    /// `[N, 1, SIZE, SIZE]` to logits `[N, 1, 1, 1]`.
    fn forward(&self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        let mut x = leaky_relu(self.layers[0].forward(x), 0.2);
        for (layer, norm) in self.layers[1..3].iter().zip(&self.norms) {
            x = leaky_relu(norm.forward(layer.forward(x)), 0.2);
        }
        self.layers[3].forward(x)
    }
}

type Optimized<B, M> = OptimizerAdaptor<Adam, M, B>;

struct Training<B: AutodiffBackend> {
    generator: Generator<B>,
    discriminator: Discriminator<B>,
    optimizer_g: Optimized<B, Generator<B>>,
    optimizer_d: Optimized<B, Discriminator<B>>,
    real: Tensor<B, 4>,
}

impl<B: AutodiffBackend> Training<B> {
    fn new(arguments: &Arguments, device: &B::Device) -> Self {
        let adam = AdamConfig::new().with_beta_1(0.5).with_beta_2(0.999);
        Self {
            generator: Generator::new(arguments.width, device),
            discriminator: Discriminator::new(arguments.width, device),
            optimizer_g: adam.init(),
            optimizer_d: adam.init(),
            real: Tensor::random(
                [arguments.batch, 1, SIZE, SIZE],
                Distribution::Uniform(-1.0, 1.0),
                device,
            ),
        }
    }

    fn fakes(&self) -> Tensor<B, 4> {
        let latents = [self.real.dims()[0], LATENT, 1, 1];
        let latents = Tensor::random(latents, Distribution::Normal(0.0, 1.0), &self.real.device());
        self.generator.forward(latents)
    }

    /// Both updates; the losses, which read back what the device has done.
    fn step(mut self) -> (Self, [f32; 2]) {
        let fake = self.fakes().detach();
        let on_real = self.discriminator.forward(self.real.clone());
        let on_fake = self.discriminator.forward(fake);
        let loss_d = softplus(-on_real, 1.0).mean() + softplus(on_fake, 1.0).mean();
        let gradients = GradientsParams::from_grads(loss_d.backward(), &self.discriminator);
        self.discriminator = self
            .optimizer_d
            .step(LEARNING_RATE, self.discriminator, gradients);

        let on_fake = self.discriminator.forward(self.fakes());
        let loss_g = softplus(-on_fake, 1.0).mean();
        let gradients = GradientsParams::from_grads(loss_g.backward(), &self.generator);
        self.generator = self
            .optimizer_g
            .step(LEARNING_RATE, self.generator, gradients);

        let losses = [loss_d, loss_g].map(|loss| loss.into_data().to_vec::<f32>().unwrap()[0]);
        // The updates as well have to end within the time of the step.
        B::sync(&self.real.device()).unwrap();
        (self, losses)
    }
}

fn main() {
    let arguments = Arguments::parse();
    let mut training = Training::<Autodiff<Wgpu>>::new(&arguments, &WgpuDevice::Cpu);
    let mut times = Vec::new();
    for step in 0..arguments.warm_up + arguments.steps {
        let start = Instant::now();
        let (next, losses) = training.step();
        training = next;
        let milliseconds = 1e3 * start.elapsed().as_secs_f64();
        eprintln!("step {step}: {milliseconds:.0} ms, losses {losses:?}");
        if step >= arguments.warm_up {
            times.push(milliseconds);
        }
    }
    times.sort_by(f64::total_cmp);
    let row = serde_json::json!({
        "peer": "burn 0.21 wgpu",
        "autotune": cfg!(feature = "autotune"),
        "fusion": cfg!(feature = "fusion"),
        "size": SIZE,
        "width": arguments.width,
        "batch": arguments.batch,
        "ms_median": times[times.len() / 2],
        "ms_min": times[0],
    });
    println!("{row}");
}
