//! Translation between two sets of images that do not pair (Zhu et al. 2017,
//! 1703.10593): two generators that undo each other, each against a discriminator of
//! its side. Steps, losses and tensors' names are those of
//! `pytorch-CycleGAN-and-pix2pix`: `G_A` makes images of B of those of A, `D_A` judges
//! images of B; `G_B` and `D_B` the other way. A is the data's second stream, the
//! inputs; B the first, the images.
//!
//! | pass | what it does |
//! |---|---|
//! | `g` | both generators' losses before the discriminators of the last step; keeps the generated images |
//! | `d` | half the loss of each discriminator on the real images and on those of its pool, which the kept ones go through |

mod directions;
mod settings;

use std::sync::Arc;

use super::{
    AnySize, Build, Counters, Duel, Field, Given, Judged, Medium, Memory, Moves, Network, Observed,
    Pass, Report, Source, System, Unit, View, registry,
};
use crate::adversarial::{PatchLoss, pool};
use crate::config::{Config, Keys, Latent, Optimizer, Output, Schema, Size, refuse};
use crate::data::Sides;
use crate::error::{Error, Result};
use crate::graph::{Binary, Graph, NodeId, Shape};
use crate::nets::{ImageNorm, Patches, Translator};
use crate::nn::{self, Init, Mode, Net};
use directions::{DIRECTIONS, Direction, REAL_A, REAL_B};
pub use settings::{Model, Terms};

/// As a preset names it.
pub(super) const ENTRY: registry::Entry = registry::Entry {
    schema: &SCHEMA,
    open: |config, given| Ok(Arc::new(CycleGan::new(config, given)?)),
};

/// Its keys.
static SCHEMA: Schema = Schema {
    name: "cyclegan",
    sections: |_| {
        vec![
            Model::at("model"),
            Terms::at("loss"),
            Optimizer::at(OPTIMIZER_G),
            Optimizer::at(OPTIMIZER_D),
        ]
    },
    elsewhere: |_, _| None,
    refusals: |config| {
        let Size { height, width } = config.data.size;
        let (multiple, least) = (Translator::MULTIPLE, Translator::LEAST);
        let fits = |side: usize| side.is_multiple_of(multiple) && side >= least;
        Ok(vec![
            config.own::<Optimizer>(OPTIMIZER_G)?.floor_above("g"),
            config.own::<Optimizer>(OPTIMIZER_D)?.floor_above("d"),
            refuse(
                !fits(height) || !fits(width),
                format!(
                    "data.size = {} does not fit: images are halved twice",
                    config.data.size
                ),
                format!("use multiples of {multiple} from {least}"),
            ),
        ])
    },
};

const OPTIMIZER_G: &str = "optimizer.g";
const OPTIMIZER_D: &str = "optimizer.d";
/// Uniform draws of the pools, `[N, 2 DRAWS]`: of those of B, then of A.
const DRAWS: &str = "pool_draws";

#[derive(Clone, Debug)]
struct CycleGan {
    batch: usize,
    /// `[C, H, W]` of both sides.
    a: [usize; 3],
    b: [usize; 3],
    model: Model,
    terms: Terms,
    g: Optimizer,
    d: Optimizer,
    discriminator: Patches,
    /// Logits of an image.
    patches: usize,
}

impl CycleGan {
    fn new(config: &Config, given: &Given<'_>) -> Result<Self> {
        let Sides::Unpaired(a) = given.sides else {
            return Err(Error::usage(
                "this system learns from two unpaired sets",
                "use data.layout = unpaired, with a folder A and a folder B, or data.source = emoji",
            ));
        };
        let b = given.image;
        let (model, terms): (Model, Terms) = (config.own("model")?, config.own("loss")?);
        if terms.identity > 0.0 && a[0] != b[0] {
            return Err(Error::usage(
                format!(
                    "loss.identity compares images of both sides, but they have {} and {} channels",
                    a[0], b[0]
                ),
                "use data.channels = 3, or loss.identity = 0",
            ));
        }
        let discriminator = Patches {
            width: model.d_width,
            layers: model.d_layers,
            norm: model.norm,
        };
        Ok(Self {
            batch: config.batch,
            a,
            b,
            model,
            terms,
            g: config.own(OPTIMIZER_G)?,
            d: config.own(OPTIMIZER_D)?,
            discriminator,
            patches: discriminator.count(config.data.size)?,
        })
    }

    /// `[C, H, W]` of the images of a field.
    fn shape(&self, field: &str) -> [usize; 3] {
        if field == REAL_A { self.a } else { self.b }
    }

    fn field(&self, name: &'static str) -> Field {
        match name {
            REAL_A => Field::inputs(REAL_A, Sides::Unpaired(self.a), Output::Tanh),
            _ => Field::pixels(REAL_B, self.b, Output::Tanh),
        }
    }

    fn generator(&self, of: &Direction) -> Translator {
        let Model {
            width,
            blocks,
            norm,
            dropout,
            ..
        } = self.model;
        Translator {
            channels: self.shape(of.to)[0],
            width,
            blocks,
            norm,
            dropout,
        }
    }

    fn translate(&self, build: &mut Build<'_>, of: &Direction, x: NodeId) -> Result<NodeId> {
        let (graph, net) = build.net(of.generator)?;
        self.generator(of).build(graph, net, x)
    }

    /// Logits `[N, 1, h, w]` of the discriminator of a direction.
    fn judge(&self, build: &mut Build<'_>, of: &Direction, x: NodeId) -> Result<NodeId> {
        let (graph, net) = build.net(of.discriminator)?;
        Ok(self.discriminator.build(graph, net, x)?.logits)
    }

    fn loss(&self) -> PatchLoss {
        PatchLoss {
            kind: self.terms.kind,
            d_weight: self.terms.d_weight,
        }
    }

    fn generate(&self, build: &mut Build<'_>) -> Result<()> {
        let mut made = Vec::new();
        for of in &DIRECTIONS {
            let real = build.field(of.from)?;
            made.push(self.translate(build, of, real)?);
        }
        let mut sum = build.graph.constant(0.0, Shape::scalar());
        for (index, of) in DIRECTIONS.iter().enumerate() {
            let [_, adversarial, cycle, identity] = of.reports;
            let (from, to) = (build.field(of.from)?, build.field(of.to)?);
            let logits = self.judge(build, of, made[index])?;
            let back = self.translate(build, &DIRECTIONS[1 - index], made[index])?;
            let weight = self.terms.cycle;
            let mut terms = vec![
                (
                    adversarial,
                    1.0,
                    self.loss().generator(&mut build.graph, logits)?,
                ),
                (
                    cycle,
                    weight,
                    nn::mean_absolute(&mut build.graph, back, from)?,
                ),
            ];
            if self.terms.identity > 0.0 {
                let same = self.translate(build, of, to)?;
                let distance = nn::mean_absolute(&mut build.graph, same, to)?;
                terms.push((identity, weight * self.terms.identity, distance));
            }
            for (report, weight, term) in terms {
                build.report(report, term);
                let weighted = build.graph.scale(term, weight as f32);
                sum = build.graph.add(sum, weighted)?;
            }
            build.remember(of.made, made[index])?;
        }
        build.minimise(sum, &DIRECTIONS.map(|of| of.generator));
        Ok(())
    }

    fn discriminate(&self, build: &mut Build<'_>) -> Result<()> {
        let mut sum = build.graph.constant(0.0, Shape::scalar());
        for (index, of) in DIRECTIONS.iter().enumerate() {
            let real = build.field(of.to)?;
            let on_real = self.judge(build, of, real)?;
            let fake = self.pooled(build, index, of)?;
            let on_fake = self.judge(build, of, fake)?;
            let loss = self
                .loss()
                .discriminator(&mut build.graph, on_real, on_fake)?;
            build.report(of.reports[0], loss);
            sum = build.graph.add(sum, loss)?;
        }
        build.minimise(sum, &DIRECTIONS.map(|of| of.discriminator));
        Ok(())
    }

    /// What the discriminator of a direction sees of the images that were made.
    fn pooled(&self, build: &mut Build<'_>, index: usize, of: &Direction) -> Result<NodeId> {
        let fresh = build.memory(of.made)?;
        if self.terms.pool == 0 {
            return Ok(fresh);
        }
        let [images, count] = of.pool;
        let before = pool::Pool {
            images: build.memory(images)?,
            count: build.memory(count)?,
        };
        let draws = build.field(DRAWS)?;
        let graph = &mut build.graph;
        let draws = graph.slice(draws, &[0, index * pool::DRAWS], [self.batch, pool::DRAWS])?;
        // Latents have variance 1: from -sqrt(3) to sqrt(3).
        let draws = graph.scale(draws, 1.0 / 12.0_f32.sqrt());
        let draws = graph.binary_scalar(Binary::Add, draws, 0.5);
        let (given, after) = pool::query(graph, before, fresh, draws)?;
        build.remember(images, after.images)?;
        build.remember(count, after.count)?;
        Ok(given)
    }
}

impl System for CycleGan {
    fn networks(&self) -> Result<Vec<Network>> {
        let mut networks = Vec::new();
        let mut graph = Graph::new();
        let mut images = |shape: [usize; 3]| {
            let [c, h, w] = shape;
            graph.constant(0.0, [1, c, h, w])
        };
        let sides = DIRECTIONS.map(|of| [images(self.shape(of.from)), images(self.shape(of.to))]);
        for (of, [from, _]) in DIRECTIONS.iter().zip(sides) {
            let mut net = Net::new(of.generator, Mode::TRAIN);
            self.generator(of).build(&mut graph, &mut net, from)?;
            let moves = Moves::new(OPTIMIZER_G, &self.g);
            networks.push(Network::trained(of.generator, &net, moves));
        }
        for (of, [_, to]) in DIRECTIONS.iter().zip(sides) {
            let mut net = Net::new(of.discriminator, Mode::TRAIN);
            self.discriminator.build(&mut graph, &mut net, to)?;
            let moves = Moves::new(OPTIMIZER_D, &self.d);
            networks.push(Network::trained(of.discriminator, &net, moves));
        }
        Ok(networks)
    }

    fn fields(&self) -> Vec<Field> {
        let draws = Field {
            name: DRAWS,
            record: vec![DIRECTIONS.len() * pool::DRAWS],
            source: Source::Latent(Latent::Uniform),
        };
        let reals = [REAL_A, REAL_B].map(|name| self.field(name));
        let draws = (self.terms.pool > 0).then_some(draws);
        reals.into_iter().chain(draws).collect()
    }

    fn memory(&self) -> Vec<Memory> {
        let mut all = Vec::new();
        for of in &DIRECTIONS {
            let [c, h, w] = self.shape(of.to);
            let mut keep = |name, shape: Shape| {
                all.push(Memory {
                    name,
                    shape,
                    init: Init::Constant(0.0),
                });
            };
            keep(of.made, [self.batch, c, h, w].into());
            if self.terms.pool > 0 {
                keep(of.pool[0], [self.terms.pool, c, h, w].into());
                keep(of.pool[1], Shape::scalar());
            }
        }
        all
    }

    fn reports(&self) -> Vec<Report> {
        let known = if self.terms.identity > 0.0 { 4 } else { 3 };
        let mut reports = Vec::new();
        for of in &DIRECTIONS {
            let named = of.reports.into_iter().zip(of.labels);
            reports.extend(named.take(known).map(|(name, label)| Report {
                name,
                label,
                unit: Unit::Loss,
            }));
        }
        reports
    }

    fn passes(&self) -> Vec<Pass> {
        let draws = (self.terms.pool > 0).then_some(DRAWS);
        vec![
            Pass::new("g", [REAL_A, REAL_B]),
            Pass::new("d", draws.into_iter().collect::<Vec<_>>()),
        ]
    }

    fn build(&self, pass: &str, build: &mut Build<'_>) -> Result<()> {
        match pass {
            "g" => self.generate(build),
            _ => self.discriminate(build),
        }
    }

    fn schedule(&self, _: &Counters) -> Vec<&'static str> {
        vec!["g", "d"]
    }

    fn views(&self) -> Vec<View> {
        let view = |of: &Direction| {
            let medium = Medium::Images {
                shape: self.shape(of.to),
                range: Output::Tanh,
            };
            let local = self.model.norm != ImageNorm::Instance;
            let reach = local.then(|| self.generator(of).reach());
            View {
                figured: true,
                any_size: Some(AnySize::new(Translator::MULTIPLE, Translator::LEAST, reach)),
                ..View::new(of.view, vec![self.field(of.from)], &["images"], medium)
            }
        };
        DIRECTIONS.iter().map(view).collect()
    }

    fn look(&self, view: &str, build: &mut Build<'_>) -> Result<()> {
        let of = DIRECTIONS.iter().find(|of| of.view == view);
        let of = of.ok_or_else(|| Error::shape("view", format!("there is no view {view}")))?;
        let x = build.field(of.from)?;
        let images = self.translate(build, of, x)?;
        build.output("images", images);
        Ok(())
    }

    /// Both games as one; distances are those of images of B.
    fn observe(&self, build: &mut Build<'_>) -> Result<Observed> {
        let (mut reals, mut fakes, mut records) = (Vec::new(), Vec::new(), None);
        for of in &DIRECTIONS {
            let from = build.field(of.from)?;
            let made = self.translate(build, of, from)?;
            let real = build.field(of.to)?;
            reals.push(self.judge(build, of, real)?);
            fakes.push(self.judge(build, of, made)?);
            records = records.or(Some([made, real]));
        }
        let graph = &mut build.graph;
        let real = graph.concat(&reals, 0)?;
        let fake = graph.concat(&fakes, 0)?;
        let loss = self.loss().generator(graph, fake)?;
        Ok(Observed {
            judged: Some(Judged {
                real,
                fake,
                loss,
                level: self.terms.kind.facts().level,
                real_label: 1.0,
            }),
            records,
        })
    }

    fn duel(&self) -> Option<Duel> {
        let [of, _] = &DIRECTIONS;
        Some(Duel {
            generator: of.generator,
            discriminator: of.discriminator,
            losses: [of.reports[1], of.reports[0]],
            logits: DIRECTIONS.len() * self.batch * self.patches,
            loss: self.loss().loss(),
        })
    }

    fn traits(&self) -> Vec<String> {
        vec![
            self.terms.kind.word().to_owned(),
            format!("cycle {}", self.terms.cycle),
        ]
    }
}
