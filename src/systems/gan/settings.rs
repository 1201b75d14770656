//! The keys of this system.

use toml::Table;

use crate::adversarial::Loss;
use crate::config::{
    Allowed, Config, Keys, LONGEST, Latent, Optimizer, Output, Section, Size, WIDEST, section,
    words,
};
use crate::error::Result;
use crate::nets::{self, Pair, Sizes};

section! {
    /// What both networks have.
    Model {
        /// `mlp`: dense generator and maxout discriminator (Goodfellow et al. 2014); `dcgan`: convolutional (Radford et al. 2015); `cdcgan`: the same of classes, for labelled data; `resnet`: residual blocks (Gulrajani et al. 2017, Miyato et al. 2018); `dense`: dense ReLU networks for points of the plane (`gpugan toy`). Each has keys of its own.
        architecture: String = nets::DEFAULT.into(), Allowed::Choice(&nets::NAMES);
        /// Length of the latent vector z.
        latent: usize = 100, Allowed::Whole(1, WIDEST);
        /// Distribution of each element of z: `normal` N(0, 1), or `uniform` between -sqrt(3) and sqrt(3), which has variance 1 too.
        latent_distribution: Latent = Latent::Normal, Allowed::Choice(&["normal", "uniform"]);
        /// Whether every weight of the discriminator is divided by its largest singular value, after one power iteration each time that it is used in training (Miyato et al. 2018).
        spectral_norm: bool = false, Allowed::Flag;
        /// Last function of the generator: `tanh` with images in [-1, 1], `sigmoid` with images in [0, 1], or `linear`.
        output: Output = Output::Tanh, Allowed::Choice(&["tanh", "sigmoid", "linear"]);
    }
}

section! {
    /// The order of updates.
    Play {
        /// Discriminator steps for each generator step.
        d_steps: usize = 1, Allowed::Whole(1, 1000);
        /// Discriminator steps for each of the generator steps that `d_steps_first` and `d_steps_every` select.
        d_steps_boost: usize = 100, Allowed::Whole(1, 1000);
        /// Generator steps at the start of a run that take `d_steps_boost`; WGAN uses 25.
        d_steps_first: u64 = 0, Allowed::Whole(0, LONGEST);
        /// Every n-th generator step, the first included, takes `d_steps_boost` too; WGAN uses 500; 0 is never.
        d_steps_every: u64 = 0, Allowed::Whole(0, LONGEST);
        /// `alternating`: the generator steps against the discriminator just updated, with new latents; `simultaneous`: both step from one batch, its latents and its dropout.
        update: Update = Update::Alternating, Allowed::Choice(&["alternating", "simultaneous"]);
        /// Updates of the discriminator, by gradient descent with `unroll_lr`, that each generator step looks ahead and learns through (Metz et al. 2017). Needs `loss.kind = minimax`, whose whole value it plays for; 0 is off.
        unroll: usize = 0, Allowed::Whole(0, 20);
        /// Learning rate of the updates that `unroll` looks ahead; one that overshoots teaches the generator nonsense.
        unroll_lr: f64 = 0.003, Allowed::POSITIVE;
        /// Discriminator steps before the generator's first.
        d_pretrain: u64 = 0, Allowed::Whole(0, 100_000);
        /// First layers of the discriminator that are not trained, for a run that starts from another run's networks (`--init`; Mo et al. 2020); 0 trains all.
        freeze_d: usize = 0, Allowed::Whole(0, 64);
        /// Decay per step of the moving average of the generator's weights, which is what is sampled; 0 is off.
        ema_decay: f64 = 0.999, Allowed::BELOW_ONE;
    }
}

words! {
    /// Which discriminator and latents a generator step sees.
    Update {
        /// The updated discriminator, new latents.
        Alternating,
        /// The same discriminator, latents and dropout as the discriminator step.
        Simultaneous,
    }
}

/// The values of all keys that the game depends on.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Real images, and latents, in a pass.
    pub batch: usize,
    /// Height and width of images.
    pub size: Size,
    /// What both networks have.
    pub model: Model,
    /// What they minimise.
    pub loss: Loss,
    /// The order of updates.
    pub play: Play,
    /// How the generator's weights move.
    pub g: Optimizer,
    /// How the discriminator's weights move.
    pub d: Optimizer,
}

/// The sections in the order of the file.
pub(super) fn sections(table: &Table) -> Vec<Section> {
    let mut sections = vec![Model::at("model")];
    sections.extend(nets::sections(table));
    sections.extend([
        Loss::at("loss"),
        Play::at("train"),
        Optimizer::at("optimizer.g"),
        Optimizer::at("optimizer.d"),
    ]);
    sections
}

impl Settings {
    /// Those of a configuration.
    ///
    /// # Errors
    /// Where it is another system's.
    pub fn of(config: &Config) -> Result<Self> {
        Ok(Self {
            batch: config.batch,
            size: config.data.size,
            model: config.own("model")?,
            loss: config.own("loss")?,
            play: config.own("train")?,
            g: config.own("optimizer.g")?,
            d: config.own("optimizer.d")?,
        })
    }

    /// The networks for images `[C, H, W]` of so many classes, 0 where there are no
    /// labels.
    ///
    /// # Errors
    /// Where the configuration is another system's.
    pub fn pair(&self, config: &Config, image: [usize; 3], classes: usize) -> Result<Pair> {
        let model = &self.model;
        let sizes = Sizes {
            image,
            latent: model.latent,
            output: model.output,
            pack: self.loss.pack,
            spectral_norm: model.spectral_norm,
            classes,
            classifies: self.loss.classifies(),
            freeze_d: self.play.freeze_d,
        };
        Pair::new(config, &model.architecture, sizes)
    }
}

impl Play {
    /// Discriminator steps of a generator step (from 0). With a first 25, an
    /// every 500 and a boost of 100 this is the rule of the program that comes
    /// with Arjovsky et al. 2017: a critic near its optimum from the start.
    pub fn d_steps_at(&self, step: u64) -> usize {
        let boosted = step < self.d_steps_first
            || (self.d_steps_every > 0 && step.is_multiple_of(self.d_steps_every));
        if boosted {
            self.d_steps_boost
        } else {
            self.d_steps
        }
    }
}
