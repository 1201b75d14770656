//! Domain transfer (Taigman et al. 2017, 1611.02200): images of a source are drawn anew
//! in the style of a target, without any pairs. A frozen network f sees the same in
//! both, a drawer g makes an image of what f sees, so that `G(x) = g(f(x))`.
//!
//! | pass | what it does |
//! |---|---|
//! | `g` | the drawer's loss before the discriminator of the last step; keeps the drawn images |
//! | `d` | the discriminator's loss on the kept images and the target's own |
//!
//! The discriminator has three answers: drawn of the source, drawn of the target, of the
//! target itself. With `D_i` the probability of the i-th, for x of the source and t of
//! the target, all of them means:
//!
//! | report | equation | |
//! |---|---|---|
//! | `loss_d` | 3 | `-log D_1(G(x)) - log D_2(G(t)) - log D_3(t)` |
//! | `loss_g` | 4 | `-log D_3(G(x)) - log D_3(G(t))` |
//! | `constancy` | 5 | squared difference of `f(x)` and `f(G(x))` |
//! | `identity` | 6 | squared difference of `t` and `G(t)` |
//! | `variation` | 7 | total variation of `G(x)` and `G(t)` |
//!
//! f is the features of a classifier of the source (`gpugan classify`), as the paper
//! has it for digits. Source and target are drawn as one batch, so that the drawer's
//! batch normalisation sees in training what it sees in use, a mixture.

use std::path::Path;
use std::sync::Arc;

use super::frozen::{Extractor, Frozen};
use super::{
    Build, Counters, Duel, Field, Given, Judged, Medium, Memory, Moves, Network, Observed, Pass,
    Report, System, Unit, View, registry,
};
use crate::adversarial::{Level, Loss, LossKind, loss};
use crate::config::{Allowed, Config, Keys, Optimizer, Output, Schema, section};
use crate::data::Sides;
use crate::error::{Error, Result};
use crate::graph::{Graph, NodeId, Shape, Unary};
use crate::nets::{Classifier, Drawer, Ternary};
use crate::nn::{self, Init, Mode, Net};

/// As a preset names it.
pub(super) const ENTRY: registry::Entry = registry::Entry {
    schema: &SCHEMA,
    open: |config, given| Ok(Arc::new(Dtn::new(config, given)?)),
};

/// Its keys.
static SCHEMA: Schema = Schema {
    name: "dtn",
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
        Ok(vec![
            config.own::<Optimizer>(OPTIMIZER_G)?.floor_above("g"),
            config.own::<Optimizer>(OPTIMIZER_D)?.floor_above("d"),
        ])
    },
};

const OPTIMIZER_G: &str = "optimizer.g";
const OPTIMIZER_D: &str = "optimizer.d";

const G: &str = "G";
const D: &str = "D";
const F: &str = "F";
const SOURCE: &str = "source";
const TARGET: &str = "target";
/// Views: of source images, and of the target's own.
const TRANSFER: &str = "transfer";
const REDRAW: &str = "redraw";
/// The images drawn of the last batch, the source's first, kept for the discriminator.
const MADE: &str = "made";
const LOSS_G: &str = "loss_g";
const LOSS_D: &str = "loss_d";
const CONSTANCY: &str = "constancy";
const IDENTITY: &str = "identity";
const VARIATION: &str = "variation";
const D_REAL: &str = "d_real";
const D_FAKE: &str = "d_fake";

/// The discriminator's answers.
const OF_SOURCE: usize = 0;
const OF_TARGET: usize = 1;
const REAL: usize = 2;

section! {
    /// The networks.
    Model {
        /// Channels of the drawer next to the image; twice as many after each halving.
        width: usize = 128, Allowed::Whole(1, 1024);
        /// Channels of the discriminator's first layer; twice as many after each halving.
        d_width: usize = 128, Allowed::Whole(1, 1024);
    }
}

section! {
    /// What the networks minimise.
    Terms {
        /// The file of a classifier of the source that `gpugan classify --out FILE` wrote. Read when a run begins, and kept in checkpoints.
        #[serde(skip_serializing_if = "Option::is_none")]
        features: Option<String> = None, Allowed::Text;
        /// Weight of the adversarial loss.
        adversarial: f64 = 1.0, Allowed::NOT_NEGATIVE;
        /// Weight of the mean squared difference between the features of a source image and those of the image drawn from it.
        constancy: f64 = 15.0, Allowed::NOT_NEGATIVE;
        /// Weight of the mean squared difference between a target image and the image drawn from it.
        identity: f64 = 15.0, Allowed::NOT_NEGATIVE;
        /// Weight of the total variation of drawn images, which makes them smooth.
        variation: f64 = 0.0, Allowed::NOT_NEGATIVE;
    }
}

#[derive(Clone, Debug)]
struct Dtn {
    batch: usize,
    /// `[C, H, W]` of both sides.
    source: [usize; 3],
    target: [usize; 3],
    terms: Terms,
    g: Optimizer,
    d: Optimizer,
    frozen: Frozen,
    /// What the frozen network is.
    classifier: Classifier,
    drawer: Drawer,
    discriminator: Ternary,
}

impl Dtn {
    fn new(config: &Config, given: &Given<'_>) -> Result<Self> {
        let (model, terms): (Model, Terms) = (config.own("model")?, config.own("loss")?);
        let target = given.image;
        let [channels, height, width] = target;
        let Sides::Unpaired(source) = given.sides else {
            return Err(Error::usage(
                "this system learns from two unpaired sets",
                "use data.layout = unpaired, with a folder A (the source) and a folder B (the target), or data.source = emoji",
            ));
        };
        if height != width || !Drawer::draws(height) {
            return Err(Error::usage(
                format!(
                    "data.size = {} does not fit: images are made by doubling",
                    config.data.size
                ),
                "use one number that is 4, 5, 6 or 7 times a power of two, such as 28, 32 or 64",
            ));
        }
        let path = terms.features.as_deref().unwrap_or_default();
        if path.is_empty() && given.fresh.is_some() {
            return Err(Error::usage(
                "loss.features names no file, but this system draws what a classifier sees",
                format!(
                    "run `gpugan classify --data SOURCE --size {height} --channels {} --out features.safetensors`, with labelled images of the source, and give --set loss.features=features.safetensors",
                    source[0]
                ),
            ));
        }
        let frozen = Frozen::open(given, Path::new(path), None)?;
        let Extractor::Classifier(classifier) = frozen.kind.clone() else {
            return Err(Error::usage(
                format!(
                    "{path} holds only convolutions, but this system needs features without positions"
                ),
                "give a file that `gpugan classify` wrote",
            ));
        };
        for [channels, ..] in [source, target] {
            frozen.check_channels(channels)?;
        }
        if classifier.image[1..] != target[1..] {
            let [_, rows, columns] = classifier.image;
            return Err(Error::usage(
                format!(
                    "the classifier of {path} sees images of {rows}x{columns}, but these have {height}x{width}"
                ),
                format!("use data.size = {rows}, or `gpugan classify --size {height}`"),
            ));
        }
        Ok(Self {
            batch: config.batch,
            source,
            target,
            terms,
            g: config.own(OPTIMIZER_G)?,
            d: config.own(OPTIMIZER_D)?,
            frozen,
            classifier,
            drawer: Drawer {
                channels,
                side: height,
                width: model.width,
            },
            discriminator: Ternary {
                width: model.d_width,
            },
        })
    }

    fn side(&self, name: &str) -> Field {
        match name {
            SOURCE => Field::inputs(SOURCE, Sides::Unpaired(self.source), Output::Tanh),
            _ => Field::pixels(TARGET, self.target, Output::Tanh),
        }
    }

    /// `f(x)`, `[N, features]`, of images `[N, C, H, W]`.
    fn seen(&self, graph: &mut Graph, net: &mut Net, images: NodeId) -> Result<NodeId> {
        let shown = self.frozen.shown(graph, images)?;
        self.classifier.features(graph, net, shown)
    }

    fn see(&self, build: &mut Build<'_>, images: NodeId) -> Result<NodeId> {
        let (graph, net) = build.net(F)?;
        self.seen(graph, net, images)
    }

    /// `g` of features `[N, features]`.
    fn draw(&self, build: &mut Build<'_>, features: NodeId) -> Result<NodeId> {
        let (graph, net) = build.net(G)?;
        self.drawer.build(graph, net, features)
    }

    /// D's logits `[N, 3]`.
    fn judge(&self, build: &mut Build<'_>, images: NodeId) -> Result<NodeId> {
        let (graph, net) = build.net(D)?;
        Ok(self.discriminator.build(graph, net, images)?.logits)
    }

    /// Both halves of a batch `[2 N, C, H, W]` of drawn images.
    fn halves(&self, graph: &mut Graph, both: NodeId) -> Result<[NodeId; 2]> {
        let [c, h, w] = self.target;
        let half = [self.batch, c, h, w];
        let [first, second] = [0, self.batch].map(|from| graph.slice(both, &[from, 0, 0, 0], half));
        Ok([first?, second?])
    }

    fn generate(&self, build: &mut Build<'_>) -> Result<()> {
        let terms = &self.terms;
        let (source, target) = (build.field(SOURCE)?, build.field(TARGET)?);
        let [of_source, of_target] = [self.see(build, source)?, self.see(build, target)?];
        let features = build.graph.concat(&[of_source, of_target], 0)?;
        let drawn = self.draw(build, features)?;
        build.remember(MADE, drawn)?;
        let [transferred, redrawn] = self.halves(&mut build.graph, drawn)?;
        let mut adversarial = build.graph.constant(0.0, Shape::scalar());
        for images in [transferred, redrawn] {
            let logits = self.judge(build, images)?;
            let loss = answer(&mut build.graph, logits, REAL)?;
            adversarial = build.graph.add(adversarial, loss)?;
        }
        let again = self.see(build, transferred)?;
        let graph = &mut build.graph;
        let mut losses = vec![
            (LOSS_G, terms.adversarial, adversarial),
            (
                CONSTANCY,
                terms.constancy,
                nn::mean_square(graph, of_source, again)?,
            ),
            (
                IDENTITY,
                terms.identity,
                nn::mean_square(graph, target, redrawn)?,
            ),
        ];
        if terms.variation > 0.0 {
            let variation = nn::total_variation(graph, drawn)?;
            losses.push((VARIATION, terms.variation, variation));
        }
        let mut sum = graph.constant(0.0, Shape::scalar());
        for (report, weight, loss) in losses {
            let weighted = build.graph.scale(loss, weight as f32);
            sum = build.graph.add(sum, weighted)?;
            build.report(report, loss);
        }
        build.minimise(sum, &[G]);
        Ok(())
    }

    fn discriminate(&self, build: &mut Build<'_>) -> Result<()> {
        let drawn = build.memory(MADE)?;
        let [transferred, redrawn] = self.halves(&mut build.graph, drawn)?;
        let real = build.field(TARGET)?;
        let mut sum = build.graph.constant(0.0, Shape::scalar());
        for (images, wanted, report) in [
            (transferred, OF_SOURCE, Some(D_FAKE)),
            (redrawn, OF_TARGET, None),
            (real, REAL, Some(D_REAL)),
        ] {
            let logits = self.judge(build, images)?;
            let graph = &mut build.graph;
            let loss = answer(graph, logits, wanted)?;
            sum = graph.add(sum, loss)?;
            if let Some(report) = report {
                let logit = of_real(graph, logits)?;
                let score = graph.unary(Unary::Sigmoid, logit);
                let mean = graph.mean_all(score)?;
                build.report(report, mean);
            }
        }
        build.report(LOSS_D, sum);
        build.minimise(sum, &[D]);
        Ok(())
    }
}

/// Mean of `-log D_i` of logits `[N, 3]`, a scalar.
fn answer(graph: &mut Graph, logits: NodeId, wanted: usize) -> Result<NodeId> {
    let count = graph.shape(logits)[0];
    let labels = graph.constant(wanted as f32, [count, 1]);
    nn::cross_entropy(graph, logits, labels)
}

/// The logit `[N, 1]` of being real: `log(D_3 / (1 - D_3))` of logits `[N, 3]`.
fn of_real(graph: &mut Graph, logits: NodeId) -> Result<NodeId> {
    let count = graph.shape(logits)[0];
    let mut one = |answer| graph.slice(logits, &[0, answer], [count, 1]);
    let [a, b, real] = [one(OF_SOURCE)?, one(OF_TARGET)?, one(REAL)?];
    // log(e^a + e^b) = a + softplus(b - a)
    let apart = graph.sub(b, a)?;
    let rest = graph.unary(Unary::Softplus, apart);
    let others = graph.add(a, rest)?;
    graph.sub(real, others)
}

impl System for Dtn {
    fn networks(&self) -> Result<Vec<Network>> {
        let mut graph = Graph::new();
        // Two, as batch normalisation takes more than one value.
        let features = graph.constant(0.0, [2, self.classifier.features]);
        let mut of_g = Net::new(G, Mode::TRAIN);
        let drawn = self.drawer.build(&mut graph, &mut of_g, features)?;
        let mut of_d = Net::new(D, Mode::TRAIN);
        self.discriminator.build(&mut graph, &mut of_d, drawn)?;
        let [c, h, w] = self.target;
        let frozen = self.frozen.network(F, |graph, net| {
            let images = graph.constant(0.0, [1, c, h, w]);
            self.seen(graph, net, images)
        })?;
        Ok(vec![
            Network::trained(G, &of_g, Moves::new(OPTIMIZER_G, &self.g)),
            Network::trained(D, &of_d, Moves::new(OPTIMIZER_D, &self.d)),
            frozen,
        ])
    }

    fn fields(&self) -> Vec<Field> {
        [SOURCE, TARGET].map(|name| self.side(name)).into()
    }

    fn memory(&self) -> Vec<Memory> {
        let [c, h, w] = self.target;
        vec![Memory {
            name: MADE,
            shape: [2 * self.batch, c, h, w].into(),
            init: Init::Constant(0.0),
        }]
    }

    fn reports(&self) -> Vec<Report> {
        let report = |name, label, unit| Report { name, label, unit };
        let variation = report(VARIATION, "variation", Unit::Loss);
        let mut reports = vec![
            report(LOSS_D, "loss D", Unit::Loss),
            report(LOSS_G, "loss G", Unit::Loss),
            report(CONSTANCY, "f-constancy", Unit::Loss),
            report(IDENTITY, "identity", Unit::Loss),
        ];
        reports.extend((self.terms.variation > 0.0).then_some(variation));
        reports.extend([
            report(D_REAL, "D(real)", Unit::Output),
            report(D_FAKE, "D(fake)", Unit::Output),
        ]);
        reports
    }

    fn passes(&self) -> Vec<Pass> {
        vec![Pass::new("g", [SOURCE, TARGET]), Pass::new("d", [])]
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

    fn kept(&self) -> String {
        self.frozen.kept()
    }

    fn views(&self) -> Vec<View> {
        let medium = Medium::Images {
            shape: self.target,
            range: Output::Tanh,
        };
        let view = |name, side| View {
            figured: true,
            ..View::new(name, vec![self.side(side)], &["images"], medium)
        };
        vec![view(TRANSFER, SOURCE), view(REDRAW, TARGET)]
    }

    fn look(&self, view: &str, build: &mut Build<'_>) -> Result<()> {
        let images = build.field(if view == TRANSFER { SOURCE } else { TARGET })?;
        let features = self.see(build, images)?;
        let drawn = self.draw(build, features)?;
        build.output("images", drawn);
        Ok(())
    }

    fn observe(&self, build: &mut Build<'_>) -> Result<Observed> {
        let (source, real) = (build.field(SOURCE)?, build.field(TARGET)?);
        let features = self.see(build, source)?;
        let made = self.draw(build, features)?;
        let [on_real, on_fake] = [self.judge(build, real)?, self.judge(build, made)?];
        let graph = &mut build.graph;
        let [on_real, on_fake] = [of_real(graph, on_real)?, of_real(graph, on_fake)?];
        Ok(Observed {
            judged: Some(Judged {
                real: on_real,
                fake: on_fake,
                loss: loss::bce(graph, on_fake, 1.0)?,
                level: Level::Zero,
                real_label: 1.0,
            }),
            records: Some([made, real]),
        })
    }

    fn duel(&self) -> Option<Duel> {
        // A discriminator that knows nothing has the loss 3 log 3, one of two answers
        // 2 log 2.
        let undecided = 3.0 * 3.0_f64.ln() / (2.0 * 2.0_f64.ln());
        Some(Duel {
            generator: G,
            discriminator: D,
            losses: [LOSS_G, LOSS_D],
            logits: self.batch,
            loss: Loss {
                kind: LossKind::NonSaturating,
                d_weight: undecided,
                ..Loss::default()
            },
        })
    }

    fn traits(&self) -> Vec<String> {
        vec![
            format!("constancy {}", self.terms.constancy),
            format!("identity {}", self.terms.identity),
        ]
    }
}
