//! Super-resolution (Ledig et al. 2017, 1609.04802): a generator enlarges images, by
//! least squares alone (SRResNet), or so that a fixed network sees in them what it sees
//! in the true ones, and a discriminator takes them for true (SRGAN). Small images are
//! in [0, 1], large ones in [-1, 1].
//!
//! A run with `loss.pretrain` has two stages: least squares, in which there is only G,
//! and the game, which goes on from there.
//!
//! | pass | what it does |
//! |---|---|
//! | `g` | the generator's loss, before the discriminator of the last step; keeps the enlarged images |
//! | `d` | the discriminator's loss on the true images and on the kept ones |
//!
//! The frozen network F is a classifier of this program (`gpugan classify`) or a file
//! of VGG's convolutions with torchvision's names. Features are compared after a ReLU,
//! as in the paper, which divides those of VGG19 by 12.75: that is a content weight of
//! 0.006.

mod features;

use std::sync::Arc;

use super::{
    AnySize, Build, Counters, Duel, Field, Given, Judged, Medium, Memory, Moves, Network, Observed,
    Pass, Report, Stage, System, Unit, View, registry,
};
use crate::adversarial::{LossKind, PatchLoss};
use crate::config::{Allowed, Config, Keys, LONGEST, Optimizer, Output, Schema, refuse, section};
use crate::data::Sides;
use crate::error::{Error, Result};
use crate::graph::{Binary, Graph, NodeId, Unary};
use crate::nets::{SrDiscriminator, SrResnet};
use crate::nn::{self, Init, Mode, Net};
use features::Features;

/// As a preset names it.
pub(super) const ENTRY: registry::Entry = registry::Entry {
    schema: &SCHEMA,
    open: |config, given| Ok(Arc::new(Srgan::new(config, given)?)),
};

/// Its keys.
static SCHEMA: Schema = Schema {
    name: "srgan",
    sections: |_| {
        vec![
            Model::at("model"),
            Terms::at("loss"),
            Optimizer::at(PRETRAIN),
            Optimizer::at(OPTIMIZER_G),
            Optimizer::at(OPTIMIZER_D),
        ]
    },
    elsewhere: |_, _| None,
    refusals: |config| {
        let terms: Terms = config.own("loss")?;
        Ok(vec![
            config.own::<Optimizer>(PRETRAIN)?.floor_above("pretrain"),
            config.own::<Optimizer>(OPTIMIZER_G)?.floor_above("g"),
            config.own::<Optimizer>(OPTIMIZER_D)?.floor_above("d"),
            refuse(
                terms.content + terms.pixel + terms.adversarial == 0.0,
                "loss.content, loss.pixel and loss.adversarial are all 0, so nothing is learned",
                "use loss.pixel = 1 for SRResNet",
            ),
        ])
    },
};

/// Of the generator in its first stage.
const PRETRAIN: &str = "optimizer.pretrain";
const OPTIMIZER_G: &str = "optimizer.g";
const OPTIMIZER_D: &str = "optimizer.d";

const G: &str = "G";
const D: &str = "D";
const F: &str = "F";
const INPUT: &str = "input";
const REAL: &str = "real";
/// The enlarged images of the last batch, kept for the discriminator.
const MADE: &str = "made";
const MSE: &str = "mse";
const CONTENT: &str = "content";
const VARIATION: &str = "variation";
const LOSS_G: &str = "loss_g";
const LOSS_D: &str = "loss_d";
const D_REAL: &str = "d_real";
const D_FAKE: &str = "d_fake";

section! {
    /// The networks.
    Model {
        /// Channels of the generator.
        width: usize = 64, Allowed::Whole(1, 1024);
        /// Residual blocks of the generator.
        blocks: usize = 16, Allowed::Whole(0, 64);
        /// Whether the generator's output is added to the image enlarged bicubically, so that it learns what that lacks (Kim et al. 2016, 1511.04587).
        bicubic: bool = false, Allowed::Flag;
        /// Channels of the discriminator's first layers; twice as many after each halving.
        d_width: usize = 64, Allowed::Whole(1, 1024);
        /// How often the discriminator halves the image.
        d_stages: usize = 4, Allowed::Whole(1, 8);
        /// Features of the discriminator's dense layer.
        d_units: usize = 1024, Allowed::Whole(1, 65536);
    }
}

section! {
    /// What the networks minimise.
    Terms {
        /// Steps of least squares before the game; with 0 there is one stage.
        pretrain: u64 = 0, Allowed::Whole(0, LONGEST);
        /// Weight of the mean squared difference of features; 0 needs no features.
        content: f64 = 1.0, Allowed::NOT_NEGATIVE;
        /// A file of the network whose features are compared: what `gpugan classify --out FILE` wrote, or a safetensors file of VGG's convolutions with torchvision's names. Read when the game begins, and kept in checkpoints.
        #[serde(skip_serializing_if = "Option::is_none")]
        features: Option<String> = None, Allowed::Text;
        /// The layer whose output is compared, by its place in the `nn.Sequential` of the file: a ReLU, such as 2 or 5 of a classifier and 35 of VGG19. If not set, the last.
        #[serde(skip_serializing_if = "Option::is_none")]
        layer: Option<usize> = None, Allowed::Whole(0, 1000);
        /// Weight of the mean squared difference of pixels.
        pixel: f64 = 0.0, Allowed::NOT_NEGATIVE;
        /// Weight of the adversarial loss, -log D(G(input)); 0 trains without a discriminator.
        adversarial: f64 = 1e-3, Allowed::NOT_NEGATIVE;
        /// Weight of the total variation of enlarged images, which makes them smooth.
        variation: f64 = 0.0, Allowed::NOT_NEGATIVE;
    }
}

#[derive(Clone, Debug)]
struct Srgan {
    batch: usize,
    /// `[C, H, W]` of small and of large images.
    input: [usize; 3],
    image: [usize; 3],
    terms: Terms,
    /// Of the generator in this stage, with its section.
    g: (&'static str, Optimizer),
    d: Optimizer,
    generator: SrResnet,
    bicubic: bool,
    discriminator: SrDiscriminator,
    /// Which stage of how many it is.
    pretraining: bool,
    features: Option<Features>,
}

impl Srgan {
    fn new(config: &Config, given: &Given<'_>) -> Result<Self> {
        let (model, terms): (Model, Terms) = (config.own("model")?, config.own("loss")?);
        let image = given.image;
        let scale = |input: [usize; 3]| {
            let scale = image[1] / input[1].max(1);
            let fits = image == [input[0], scale * input[1], scale * input[2]];
            (fits && scale > 1 && scale.is_power_of_two()).then_some((input, scale))
        };
        let (input, scale) = match given.sides {
            Sides::Paired(input) => scale(input),
            Sides::Unpaired(_) | Sides::Images => None,
        }
        .ok_or_else(|| {
            Error::usage(
                "this system learns from images and smaller copies of them, but the data have no such pairs",
                "use data.input = small, and multiples of 4 in data.size",
            )
        })?;
        let pretraining = terms.pretrain > 0 && given.stage == 0;
        let compares = !pretraining && terms.content > 0.0;
        let section = if pretraining { PRETRAIN } else { OPTIMIZER_G };
        Ok(Self {
            batch: config.batch,
            input,
            image,
            features: match compares {
                true => Some(Features::open(&terms, config, given)?),
                false => None,
            },
            terms,
            g: (section, config.own(section)?),
            d: config.own(OPTIMIZER_D)?,
            generator: SrResnet {
                width: model.width,
                blocks: model.blocks,
                scale,
            },
            bicubic: model.bicubic,
            discriminator: SrDiscriminator {
                width: model.d_width,
                stages: model.d_stages,
                units: model.d_units,
            },
            pretraining,
        })
    }

    /// Whether there is a discriminator in this stage.
    fn plays(&self) -> bool {
        !self.pretraining && self.terms.adversarial > 0.0
    }

    fn loss() -> PatchLoss {
        PatchLoss {
            kind: LossKind::NonSaturating,
            d_weight: 1.0,
        }
    }

    fn given(&self) -> Field {
        // As the paper: small images in [0, 1].
        Field::inputs(INPUT, Sides::Paired(self.input), Output::Sigmoid)
    }

    /// The input of the batch, or of a view, enlarged.
    fn enlarged(&self, build: &mut Build<'_>) -> Result<NodeId> {
        let input = build.field(INPUT)?;
        let (graph, net) = build.net(G)?;
        let made = self.generator.build(graph, net, input)?;
        if !self.bicubic {
            return Ok(made);
        }
        let shape = graph.shape(made); // [N, C, H, W]
        let size = [shape[2], shape[3]];
        let base = nn::resize_bicubic(graph, input, size)?;
        // From [0, 1] to [-1, 1].
        let base = graph.scale(base, 2.0);
        let base = graph.binary_scalar(Binary::Add, base, -1.0);
        graph.add(base, made)
    }

    /// D's logits `[N, 1]`.
    fn judge(&self, build: &mut Build<'_>, images: NodeId) -> Result<NodeId> {
        let (graph, net) = build.net(D)?;
        Ok(self.discriminator.build(graph, net, images)?.logits)
    }

    fn generate(&self, build: &mut Build<'_>) -> Result<()> {
        let made = self.enlarged(build)?;
        let real = build.field(REAL)?;
        let terms = &self.terms;
        let pixel = if self.pretraining { 1.0 } else { terms.pixel };
        let mse = nn::mean_square(&mut build.graph, made, real)?;
        let mut losses = vec![(MSE, pixel, mse)];
        if let Some(features) = &self.features {
            let (graph, net) = build.net(F)?;
            let of_made = features.build(graph, net, made)?;
            let of_real = features.build(graph, net, real)?;
            let distance = nn::mean_square(graph, of_made, of_real)?;
            losses.push((CONTENT, terms.content, distance));
        }
        if self.plays() {
            let logits = self.judge(build, made)?;
            let adversarial = Self::loss().generator(&mut build.graph, logits)?;
            losses.push((LOSS_G, terms.adversarial, adversarial));
            build.remember(MADE, made)?;
        }
        if self.varies() {
            let variation = nn::total_variation(&mut build.graph, made)?;
            losses.push((VARIATION, terms.variation, variation));
        }
        let mut sum = None;
        for (report, weight, loss) in losses {
            build.report(report, loss);
            if weight > 0.0 {
                let weighted = build.graph.scale(loss, weight as f32);
                sum = Some(match sum {
                    Some(sum) => build.graph.add(sum, weighted)?,
                    None => weighted,
                });
            }
        }
        if let Some(sum) = sum {
            build.minimise(sum, &[G]);
        }
        Ok(())
    }

    /// Whether variation is a part of the loss.
    fn varies(&self) -> bool {
        !self.pretraining && self.terms.variation > 0.0
    }

    fn discriminate(&self, build: &mut Build<'_>) -> Result<()> {
        let real = build.field(REAL)?;
        let on_real = self.judge(build, real)?;
        let made = build.memory(MADE)?;
        let on_fake = self.judge(build, made)?;
        let loss = Self::loss().discriminator(&mut build.graph, on_real, on_fake)?;
        build.report(LOSS_D, loss);
        for (report, logits) in [(D_REAL, on_real), (D_FAKE, on_fake)] {
            let score = build.graph.unary(Unary::Sigmoid, logits);
            let mean = build.graph.mean_all(score)?;
            build.report(report, mean);
        }
        build.minimise(loss, &[D]);
        Ok(())
    }
}

impl System for Srgan {
    fn networks(&self) -> Result<Vec<Network>> {
        let mut graph = Graph::new();
        // Two, as some normalisation takes more than one value.
        let [input, image] =
            [self.input, self.image].map(|[c, h, w]| graph.constant(0.0, [2, c, h, w]));
        let mut of_g = Net::new(G, Mode::TRAIN);
        self.generator.build(&mut graph, &mut of_g, input)?;
        let (section, optimizer) = &self.g;
        let moves = Moves::new(section, optimizer);
        let mut networks = vec![Network::trained(G, &of_g, moves)];
        if self.plays() {
            let mut of_d = Net::new(D, Mode::TRAIN);
            self.discriminator.build(&mut graph, &mut of_d, image)?;
            let moves = Moves::new(OPTIMIZER_D, &self.d);
            networks.push(Network::trained(D, &of_d, moves));
        }
        if let Some(features) = &self.features {
            networks.push(features.network(F, self.image)?);
        }
        Ok(networks)
    }

    fn fields(&self) -> Vec<Field> {
        // Nothing bounds the generator's output.
        let real = Field::pixels(REAL, self.image, Output::Linear);
        vec![self.given(), real]
    }

    fn memory(&self) -> Vec<Memory> {
        let [c, h, w] = self.image;
        let made = Memory {
            name: MADE,
            shape: [self.batch, c, h, w].into(),
            init: Init::Constant(0.0),
        };
        self.plays().then_some(made).into_iter().collect()
    }

    fn reports(&self) -> Vec<Report> {
        let report = |name, label, unit| Report { name, label, unit };
        let mut reports = vec![report(MSE, "MSE", Unit::Loss)];
        if self.features.is_some() {
            reports.push(report(CONTENT, "content", Unit::Loss));
        }
        if self.varies() {
            reports.push(report(VARIATION, "variation", Unit::Loss));
        }
        if self.plays() {
            reports.extend([
                report(LOSS_D, "loss D", Unit::Loss),
                report(LOSS_G, "loss G", Unit::Loss),
                report(D_REAL, "D(real)", Unit::Output),
                report(D_FAKE, "D(fake)", Unit::Output),
            ]);
        }
        reports
    }

    fn passes(&self) -> Vec<Pass> {
        let mut passes = vec![Pass::new("g", [INPUT, REAL])];
        if self.plays() {
            passes.push(Pass::new("d", []));
        }
        passes
    }

    fn build(&self, pass: &str, build: &mut Build<'_>) -> Result<()> {
        match pass {
            "g" => self.generate(build),
            _ => self.discriminate(build),
        }
    }

    fn schedule(&self, _: &Counters) -> Vec<&'static str> {
        match self.plays() {
            true => vec!["g", "d"],
            false => vec!["g"],
        }
    }

    fn stage(&self) -> Stage {
        let first = self.terms.pretrain;
        match self.pretraining {
            true => Stage {
                first: 0,
                end: Some(first),
            },
            false => Stage { first, end: None },
        }
    }

    fn kept(&self) -> String {
        let features = self.features.as_ref();
        features.map_or_else(String::new, Features::kept)
    }

    fn views(&self) -> Vec<View> {
        let medium = Medium::Images {
            shape: self.image,
            range: Output::Linear,
        };
        vec![View {
            any_size: Some(AnySize::new(1, 1, Some(self.generator.reach()))),
            ..View::new("enlarge", vec![self.given()], &["images"], medium)
        }]
    }

    fn look(&self, _: &str, build: &mut Build<'_>) -> Result<()> {
        let images = self.enlarged(build)?;
        build.output("images", images);
        Ok(())
    }

    fn observe(&self, build: &mut Build<'_>) -> Result<Observed> {
        let made = self.enlarged(build)?;
        let real = build.field(REAL)?;
        let judged = match self.plays() {
            false => None,
            true => {
                let of_real = self.judge(build, real)?;
                let of_fake = self.judge(build, made)?;
                Some(Judged {
                    real: of_real,
                    fake: of_fake,
                    loss: Self::loss().generator(&mut build.graph, of_fake)?,
                    level: Self::loss().kind.facts().level,
                    real_label: 1.0,
                })
            }
        };
        Ok(Observed {
            judged,
            records: Some([made, real]),
        })
    }

    fn duel(&self) -> Option<Duel> {
        self.plays().then(|| Duel {
            generator: G,
            discriminator: D,
            losses: [LOSS_G, LOSS_D],
            logits: self.batch,
            loss: Self::loss().loss(),
        })
    }

    fn traits(&self) -> Vec<String> {
        let weights = [
            ("content", self.terms.content),
            ("pixels", self.terms.pixel),
            ("adversarial", self.terms.adversarial),
        ];
        let used = weights.into_iter().filter(|(_, weight)| *weight > 0.0);
        used.map(|(name, weight)| format!("{name} {weight}"))
            .collect()
    }
}
