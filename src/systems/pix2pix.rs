//! Image-to-image translation with conditional adversarial networks (Isola et al.
//! 2017, 1611.07004): a generator makes the image that belongs to an input, a
//! discriminator judges input and image together, patch by patch. Steps, losses and
//! tensors' names are those of `pytorch-CycleGAN-and-pix2pix`.
//!
//! | pass | what it does |
//! |---|---|
//! | `d` | `G(input)`, and half the loss of D on it and on the real image |
//! | `g` | the same `G(input)`, with the same dropout, before the D just updated |

use std::sync::Arc;

use super::{
    AnySize, Build, Counters, Duel, Field, Given, Judged, Medium, Moves, Network, Observed, Pass,
    Report, System, Unit, View, registry,
};
use crate::adversarial::{LossKind, PatchLoss};
use crate::config::{Allowed, Config, Keys, Optimizer, Output, Schema, section, words};
use crate::data::Sides;
use crate::error::{Error, Result};
use crate::graph::{Graph, NodeId, Unary};
use crate::nets::{ImageNorm, Patches, Unet};
use crate::nn::{self, Mode, Net};

/// As a preset names it.
pub(super) const ENTRY: registry::Entry = registry::Entry {
    schema: &SCHEMA,
    open: |config, given| Ok(Arc::new(Pix2pix::new(config, given)?)),
};

/// Its keys.
static SCHEMA: Schema = Schema {
    name: "pix2pix",
    sections: |_| {
        vec![
            Model::at("model"),
            Terms::at("loss"),
            Optimizer::at("optimizer.g"),
            Optimizer::at("optimizer.d"),
        ]
    },
    elsewhere: |_, _| None,
    refusals: |config| {
        Ok(vec![
            config.own::<Optimizer>("optimizer.g")?.floor_above("g"),
            config.own::<Optimizer>("optimizer.d")?.floor_above("d"),
        ])
    },
};

const G: &str = "G";
const D: &str = "D";
const INPUT: &str = "input";
const REAL: &str = "real";
const LOSS_D: &str = "loss_d";
const LOSS_G: &str = "loss_g";
const L1: &str = "l1";
const D_REAL: &str = "d_real";
const D_FAKE: &str = "d_fake";
const TRANSLATE: &str = "translate";

section! {
    /// The networks.
    Model {
        /// Channels of the generator next to the images; each level further in has twice as many.
        width: usize = 64, Allowed::Whole(1, 1024);
        /// Most channels that a level of the generator may have, in multiples of `width`.
        most: usize = 8, Allowed::Whole(1, 64);
        /// How often the generator halves the image; 0 halves it until the shorter side is 1.
        levels: usize = 0, Allowed::Whole(0, 12);
        /// First layer of the generator's decoder that drops half of its features, counted from 0 at the smallest images.
        drop_first: usize = 1, Allowed::Whole(0, 12);
        /// Number of layers that drop features from there on, the only source of variety in the outputs.
        drop_layers: usize = 3, Allowed::Whole(0, 12);
        /// Normalisation in both networks: `batch`, `instance` or `none`.
        norm: ImageNorm = ImageNorm::Batch, Allowed::Choice(&["batch", "instance", "none"]);
        /// Channels of the discriminator's first layer.
        d_width: usize = 64, Allowed::Whole(1, 1024);
        /// Layers of the discriminator that halve the image: 1, 2, 3 or 4 judge patches of 16, 34, 70 or 142 pixels, 5 and 6 of 286 and 574; 0 judges single pixels.
        d_layers: usize = 3, Allowed::Whole(0, 6);
        /// How the generator is used: `as-trained` drops features and normalises each image with its own statistics, as the paper does; `fixed` takes running statistics and drops nothing, which suits training on batches of several images.
        at_test: AtTest = AtTest::AsTrained, Allowed::Choice(&["as-trained", "fixed"]);
    }
}

section! {
    /// What the networks minimise.
    Terms {
        /// The adversarial loss: `non-saturating` (cross-entropy), `least-squares` or `hinge`.
        kind: LossKind = LossKind::NonSaturating, Allowed::Choice(&["non-saturating", "least-squares", "hinge"]);
        /// Weight of the generator's adversarial loss; 0 trains it without a discriminator's help.
        adversarial: f64 = 1.0, Allowed::NOT_NEGATIVE;
        /// Weight of the mean absolute difference between the generated and the real image.
        l1: f64 = 100.0, Allowed::NOT_NEGATIVE;
        /// Factor of the discriminator's loss; 0.5 makes it the mean over real and generated images.
        d_weight: f64 = 0.5, Allowed::POSITIVE;
        /// Whether the discriminator sees the input beside the image.
        conditional: bool = true, Allowed::Flag;
    }
}

words! {
    /// How a generator is used after its training.
    AtTest {
        /// With dropout, and normalised by each image's own statistics.
        AsTrained,
        /// With running statistics, without dropout.
        Fixed,
    }
}

#[derive(Clone, Debug)]
struct Pix2pix {
    batch: usize,
    /// `[C, H, W]` of inputs and of images.
    input: [usize; 3],
    image: [usize; 3],
    model: Model,
    terms: Terms,
    g: Optimizer,
    d: Optimizer,
    generator: Unet,
    discriminator: Patches,
    /// Logits of an image.
    patches: usize,
}

impl Pix2pix {
    fn new(config: &Config, given: &Given<'_>) -> Result<Self> {
        let model: Model = config.own("model")?;
        let image = given.image;
        let [_, height, width] = image;
        let input = match given.sides {
            Sides::Paired(input) if input[1..] == image[1..] => input,
            Sides::Paired(_) | Sides::Unpaired(_) | Sides::Images => {
                return Err(Error::usage(
                    "this system learns from pairs of one size, but the data have none",
                    "use data.layout = pairs or side-by-side, or data.input = edges, grey, blur or mask",
                ));
            }
        };
        let levels = match model.levels {
            0 => height.min(width).ilog2() as usize,
            levels => levels,
        };
        let generator = Unet {
            channels: image[0],
            width: model.width,
            most: model.most,
            downs: levels,
            norm: model.norm,
            dropped: model.drop_first..model.drop_first + model.drop_layers,
        };
        let multiple = generator.multiple();
        if levels < 2 || !height.is_multiple_of(multiple) || !width.is_multiple_of(multiple) {
            return Err(Error::usage(
                format!(
                    "data.size = {} cannot be halved {levels} times",
                    config.data.size
                ),
                format!("use multiples of {multiple}, or fewer model.levels (at least 2)"),
            ));
        }
        let discriminator = Patches {
            width: model.d_width,
            layers: model.d_layers,
            norm: model.norm,
        };
        Ok(Self {
            batch: config.batch,
            input,
            image,
            model,
            terms: config.own("loss")?,
            g: config.own("optimizer.g")?,
            d: config.own("optimizer.d")?,
            generator,
            discriminator,
            patches: discriminator.count(config.data.size)?,
        })
    }

    fn loss(&self) -> PatchLoss {
        PatchLoss {
            kind: self.terms.kind,
            d_weight: self.terms.d_weight,
        }
    }

    fn given(&self) -> Field {
        Field::inputs(INPUT, Sides::Paired(self.input), Output::Tanh)
    }

    /// `G(input)` of the batch, or of a view.
    fn generated(&self, build: &mut Build<'_>) -> Result<NodeId> {
        let input = build.field(INPUT)?;
        let (graph, net) = build.net(G)?;
        self.generator.build(graph, net, input)
    }

    /// D's logits `[N, 1, h, w]` of an image with its input.
    fn judge(&self, build: &mut Build<'_>, image: NodeId) -> Result<NodeId> {
        let seen = match self.terms.conditional {
            true => {
                let input = build.field(INPUT)?;
                build.graph.concat(&[input, image], 1)?
            }
            false => image,
        };
        let (graph, net) = build.net(D)?;
        Ok(self.discriminator.build(graph, net, seen)?.logits)
    }

    fn discriminate(&self, build: &mut Build<'_>) -> Result<()> {
        let fake = self.generated(build)?;
        build.keep_still(G);
        let on_fake = self.judge(build, fake)?;
        let real = build.field(REAL)?;
        let on_real = self.judge(build, real)?;
        let loss = self.loss();
        let of_d = loss.discriminator(&mut build.graph, on_real, on_fake)?;
        build.report(LOSS_D, of_d);
        for (report, logits) in [(D_REAL, on_real), (D_FAKE, on_fake)] {
            let graph = &mut build.graph;
            let score = match loss.kind.facts().form.is_probability() {
                true => graph.unary(Unary::Sigmoid, logits),
                false => logits,
            };
            let mean = graph.mean_all(score)?;
            build.report(report, mean);
        }
        build.minimise(of_d, &[D]);
        Ok(())
    }

    fn generate(&self, build: &mut Build<'_>) -> Result<()> {
        let fake = self.generated(build)?;
        let on_fake = self.judge(build, fake)?;
        let real = build.field(REAL)?;
        let graph = &mut build.graph;
        let adversarial = self.loss().generator(graph, on_fake)?;
        let l1 = nn::mean_absolute(graph, fake, real)?;
        let weighted = [(adversarial, self.terms.adversarial), (l1, self.terms.l1)];
        let [first, second] = weighted.map(|(term, weight)| graph.scale(term, weight as f32));
        let sum = graph.add(first, second)?;
        build.report(LOSS_G, adversarial);
        build.report(L1, l1);
        build.minimise(sum, &[G]);
        Ok(())
    }
}

impl System for Pix2pix {
    fn networks(&self) -> Result<Vec<Network>> {
        let mut graph = Graph::new();
        let mut nets = [G, D].map(|name| Net::new(name, Mode::TRAIN));
        let [of_g, of_d] = &mut nets;
        // Two, as some normalisation takes more than one value.
        let [input, image] =
            [self.input, self.image].map(|[c, h, w]| graph.constant(0.0, [2, c, h, w]));
        self.generator.build(&mut graph, of_g, input)?;
        let seen = match self.terms.conditional {
            true => graph.concat(&[input, image], 1)?,
            false => image,
        };
        self.discriminator.build(&mut graph, of_d, seen)?;
        Ok(vec![
            Network::trained(G, of_g, Moves::new("optimizer.g", &self.g)),
            Network::trained(D, of_d, Moves::new("optimizer.d", &self.d)),
        ])
    }

    fn net(&self, network: &str, prefix: &str, mode: Mode) -> Net {
        let as_trained = network == G && self.model.at_test == AtTest::AsTrained;
        Net::new(prefix, if as_trained { Mode::TRAIN } else { mode })
    }

    fn fields(&self) -> Vec<Field> {
        let real = Field::pixels(REAL, self.image, Output::Tanh);
        vec![self.given(), real]
    }

    fn reports(&self) -> Vec<Report> {
        let report = |name, label, unit| Report { name, label, unit };
        vec![
            report(LOSS_D, "loss D", Unit::Loss),
            report(LOSS_G, "loss G", Unit::Loss),
            report(L1, "L1", Unit::Loss),
            report(D_REAL, "D(real)", Unit::Output),
            report(D_FAKE, "D(fake)", Unit::Output),
        ]
    }

    fn passes(&self) -> Vec<Pass> {
        vec![
            Pass::new("d", [INPUT, REAL]),
            Pass {
                draws_again: true,
                ..Pass::new("g", [])
            },
        ]
    }

    fn build(&self, pass: &str, build: &mut Build<'_>) -> Result<()> {
        match pass {
            "d" => self.discriminate(build),
            _ => self.generate(build),
        }
    }

    fn schedule(&self, _: &Counters) -> Vec<&'static str> {
        vec!["d", "g"]
    }

    fn views(&self) -> Vec<View> {
        let medium = Medium::Images {
            shape: self.image,
            range: Output::Tanh,
        };
        let as_trained = self.model.at_test == AtTest::AsTrained;
        // With as many levels as the images have there is a pixel left, whose size says
        // nothing of others.
        let multiple = self.generator.multiple();
        let [_, height, width] = self.image;
        let local = !as_trained && self.model.norm != ImageNorm::Instance;
        let reach = local.then(|| self.generator.reach());
        let any_size = AnySize::new(multiple, multiple, reach);
        vec![View {
            draws: as_trained,
            any_size: (multiple < height.min(width)).then_some(any_size),
            ..View::new(TRANSLATE, vec![self.given()], &["images"], medium)
        }]
    }

    fn look(&self, _: &str, build: &mut Build<'_>) -> Result<()> {
        let images = self.generated(build)?;
        build.output("images", images);
        Ok(())
    }

    fn observe(&self, build: &mut Build<'_>) -> Result<Observed> {
        let made = self.generated(build)?;
        let real = build.field(REAL)?;
        let of_real = self.judge(build, real)?;
        let of_fake = self.judge(build, made)?;
        let loss = self.loss().generator(&mut build.graph, of_fake)?;
        Ok(Observed {
            judged: Some(Judged {
                real: of_real,
                fake: of_fake,
                loss,
                level: self.terms.kind.facts().level,
                real_label: 1.0,
            }),
            records: Some([made, real]),
        })
    }

    fn duel(&self) -> Option<Duel> {
        Some(Duel {
            generator: G,
            discriminator: D,
            losses: [LOSS_G, LOSS_D],
            logits: self.batch * self.patches,
            loss: self.loss().loss(),
        })
    }

    fn traits(&self) -> Vec<String> {
        vec![
            self.terms.kind.word().to_owned(),
            format!("L1 {}", self.terms.l1),
        ]
    }
}
