//! A generator and a discriminator of images, in the many forms of their losses,
//! penalties and orders of updates (Goodfellow et al. 2014 and after).
//!
//! | pass | gradients and reports |
//! |---|---|
//! | `d` | of D: `loss_d`, `d_real`, `d_fake`; for alternating updates and pre-training |
//! | `d penalty` | the same with the penalty, where only some updates have it |
//! | `g` | of G after D's update: `loss_g` |
//! | `both` | of both from one batch, its latents and its dropout |

mod conditional;
mod refusals;
mod representation;
mod settings;
mod step;

use std::sync::Arc;

use super::{
    Build, Counters, Duel, Field, Given, Judged, Medium, Memory, Moves, Network, Observed, Pass,
    Report, Source, System, Unit, View, registry,
};
use crate::adversarial::{Penalty, augment};
use crate::config::{Config, Schema, Size};
use crate::error::{Error, Result};
use crate::graph::Shape;
use crate::nets::Pair;
use crate::nn::{Init, Mode, Net};
pub use conditional::conditional;
pub use settings::{Model, Play, Settings, Update};

/// The name of this system in presets.
pub(super) const NAME: &str = "gan";

/// As a preset names it.
pub(super) const ENTRY: registry::Entry = registry::Entry {
    schema: &SCHEMA,
    open: |config, given| Ok(Arc::new(Gan::new(config, given)?)),
};

/// The keys of this system.
static SCHEMA: Schema = Schema {
    name: NAME,
    sections: settings::sections,
    elsewhere: crate::nets::elsewhere,
    refusals: refusals::refusals,
};

/// The generator.
const G: &str = "G";
/// The discriminator.
const D: &str = "D";

/// The classes of a batch, or of a view.
const LABELS: &str = "labels";

/// The reports of both losses.
const LOSS_D: &str = "loss_d";
const LOSS_G: &str = "loss_g";
/// Mean D of the real batch: a probability, or a critic's score.
const D_REAL: &str = "d_real";
/// Mean D of the generated batch in the discriminator's pass.
const D_FAKE: &str = "d_fake";

/// A game of one generator and one discriminator.
pub struct Gan {
    settings: Settings,
    pair: Pair,
    /// Hidden layers of the discriminator.
    hidden: usize,
    /// Names of the classes that images are made of.
    classes: Vec<String>,
}

impl Gan {
    /// The game of a configuration on images of this shape.
    ///
    /// # Errors
    /// Where the configuration is another system's, and of the mean image.
    pub fn new(config: &Config, given: &Given<'_>) -> Result<Self> {
        let settings = Settings::of(config)?;
        let pair = settings.pair(config, given.image, given.classes.len())?;
        let classes = match pair.family().condition() {
            Some(_) => conditional::labelled(given.classes)?,
            None => Vec::new(),
        };
        let mean = match given.fresh {
            Some(fresh) if pair.family().starts_from_mean() => {
                let (low, high) = settings.model.output.range();
                let pixels = (fresh.mean_image)()?.into_iter();
                Some(pixels.map(|pixel| low + (high - low) * pixel).collect())
            }
            _ => None,
        };
        let pair = pair.with_mean_image(mean);
        Ok(Self {
            // Sizes that do not fit are an error where the networks are built.
            hidden: pair.hidden_layers().unwrap_or(0),
            settings,
            pair,
            classes,
        })
    }

    /// The generator and the discriminator, described but not built.
    pub fn pair(&self) -> &Pair {
        &self.pair
    }

    /// Real images of a batch.
    fn real(&self) -> Field {
        Field::pixels("real", self.pair.image(), self.settings.model.output)
    }

    fn latent(&self) -> Field {
        Field {
            name: "z",
            record: vec![self.pair.latent()],
            source: Source::Latent(self.settings.model.latent_distribution),
        }
    }

    /// The class of each record, where images are made of classes.
    fn labels_field(&self) -> Option<Field> {
        (!self.classes.is_empty()).then(|| Field::labels(LABELS))
    }
}

impl System for Gan {
    fn networks(&self) -> Result<Vec<Network>> {
        let Settings {
            play, loss, g, d, ..
        } = &self.settings;
        let [of_g, of_d] = self.pair.networks([G, D])?;
        if of_d.count() == 0 {
            return Err(Error::usage(
                format!(
                    "train.freeze_d = {} leaves no layer of the discriminator to train",
                    play.freeze_d
                ),
                "use fewer",
            ));
        }
        let of_d_moves = Moves {
            clip: loss.clip(),
            ..Moves::new("optimizer.d", d)
        };
        Ok(vec![
            Network {
                average: play.ema_decay,
                ..Network::trained(G, &of_g, Moves::new("optimizer.g", g))
            },
            Network::trained(D, &of_d, of_d_moves),
        ])
    }

    fn net(&self, network: &str, prefix: &str, mode: Mode) -> Net {
        self.pair.net(prefix, mode, network == D)
    }

    fn fields(&self) -> Vec<Field> {
        let noise = Field {
            name: "noise",
            record: Vec::new(),
            source: Source::Scalar,
        };
        let mut fields = vec![self.real(), self.latent(), noise];
        fields.extend(self.labels_field());
        fields
    }

    fn memory(&self) -> Vec<Memory> {
        if !self.settings.loss.adapts_augment() {
            return Vec::new();
        }
        let scalar = |name| Memory {
            name,
            shape: Shape::scalar(),
            init: Init::Constant(0.0),
        };
        augment::STATE.map(scalar).into()
    }

    fn reports(&self) -> Vec<Report> {
        let report = |name, label, unit| Report { name, label, unit };
        vec![
            report(LOSS_D, "loss D", Unit::Loss),
            report(LOSS_G, "loss G", Unit::Loss),
            report(D_REAL, "D(x)", Unit::Output),
            report(D_FAKE, "D(G(z))", Unit::Output),
        ]
    }

    fn passes(&self) -> Vec<Pass> {
        let noisy = (self.settings.loss.instance_noise > 0.0).then_some("noise");
        let labels = self.labels_field().map(|field| field.name);
        let pass = |name, takes: &[&'static str]| {
            let takes = takes.iter().copied().chain(noisy).chain(labels);
            Pass::new(name, takes.collect::<Vec<_>>())
        };
        let mut passes = vec![pass("d", &["real", "z"])];
        if self.settings.loss.penalises_rarely() {
            passes.push(pass("d penalty", &["real", "z"]));
        }
        passes.push(match self.settings.play.update {
            // Classes are drawn as those of a batch, whose images some losses compare.
            Update::Alternating if labels.is_some() => pass("g", &["real", "z"]),
            Update::Alternating => pass("g", &["z"]),
            Update::Simultaneous => pass("both", &["real", "z"]),
        });
        passes
    }

    fn build(&self, pass: &str, build: &mut Build<'_>) -> Result<()> {
        let rarely = self.settings.loss.penalises_rarely();
        match pass {
            "d" => self.step(build, &[D], !rarely),
            "g" => self.step(build, &[G], false),
            "both" => self.step(build, &[D, G], true),
            _ => self.step(build, &[D], true),
        }
    }

    fn schedule(&self, done: &Counters) -> Vec<&'static str> {
        let (play, loss) = (&self.settings.play, &self.settings.loss);
        let updates = done.updates_of(D);
        let ahead = if done.step == 0 {
            play.d_pretrain.saturating_sub(updates)
        } else {
            0
        };
        let of_step = match play.update {
            Update::Alternating => play.d_steps_at(done.step) as u64,
            Update::Simultaneous => 0,
        };
        let of_d = (updates..updates + ahead + of_step).map(|update| {
            match loss.penalises_rarely() && update.is_multiple_of(loss.penalty_every) {
                true => "d penalty",
                false => "d",
            }
        });
        let last = match play.update {
            Update::Alternating => "g",
            Update::Simultaneous => "both",
        };
        of_d.chain([last]).collect()
    }

    fn scalar(&self, _: &str, done: &Counters) -> f32 {
        self.settings.loss.noise(done.step) as f32
    }

    fn views(&self) -> Vec<View> {
        let images = |name| Field {
            name,
            ..self.real()
        };
        let group = self
            .pair
            .family()
            .compared()
            .map_or(1, |c| c.minibatch_std.max(1));
        let shown = Medium::Images {
            shape: self.pair.image(),
            range: self.settings.model.output,
        };
        let numbers = |name, outputs: &[&str]| {
            View::new(name, vec![images("images")], outputs, Medium::Numbers)
        };
        let inputs = [self.latent()].into_iter().chain(self.labels_field());
        vec![
            View::new("sample", inputs.collect(), &["images"], shown),
            numbers("probe", &["scores", "gradient"]),
            View {
                outputs: (0..self.hidden).map(representation::layer).collect(),
                multiple: group,
                ..numbers("representation", &[])
            },
        ]
    }

    fn look(&self, view: &str, build: &mut Build<'_>) -> Result<()> {
        match view {
            "sample" => {
                let images = self.generated(build)?;
                build.output("images", images);
                Ok(())
            }
            "probe" => self.probe(build),
            _ => self.representation(build),
        }
    }

    fn observe(&self, build: &mut Build<'_>) -> Result<Observed> {
        let images = self.generated(build)?;
        let fake = self.pair.packed(&mut build.graph, images)?;
        let real = self.real_batch(build)?;
        let on_real = self.judge(build, real)?;
        let on_fake = self.judge(build, fake)?;
        let (of_real, of_fake) = (on_real.logits, on_fake.logits);
        let loss = self.generator_loss(build, on_fake, Some(on_real))?;
        let config = &self.settings.loss;
        Ok(Observed {
            judged: Some(Judged {
                real: of_real,
                fake: of_fake,
                loss,
                level: config.kind.facts().level,
                real_label: config.real_label,
            }),
            records: Some([images, real]),
        })
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn traits(&self) -> Vec<String> {
        let Settings {
            loss, play, model, ..
        } = &self.settings;
        let mut traits = vec![loss.kind.word()];
        let mut add = |there: bool, words: String| {
            if there {
                traits.push(words);
            }
        };
        add(
            loss.penalty != Penalty::None,
            format!("{} penalty", loss.penalty.word()),
        );
        add(loss.pack > 1, format!("packs of {}", loss.pack));
        add(play.unroll > 0, format!("unrolled {} steps", play.unroll));
        add(loss.weight_clip > 0.0, "clipped weights".into());
        add(model.spectral_norm, "spectral norm".into());
        add(self.pair.classes() > 0, "of classes".into());
        add(loss.classifies(), "auxiliary classifier".into());
        traits
    }

    fn takes(&self, [_, height, width]: [usize; 3]) -> bool {
        let refusals = self.pair.family().refusals(Size { height, width });
        refusals.iter().all(Option::is_none)
    }

    fn of_points(&self) -> bool {
        self.pair.family().of_points()
    }

    fn duel(&self) -> Option<Duel> {
        Some(Duel {
            generator: G,
            discriminator: D,
            losses: [LOSS_G, LOSS_D],
            logits: self.settings.batch / self.settings.loss.pack,
            loss: self.settings.loss.clone(),
        })
    }

    fn shown(&self) -> Vec<(&'static str, &'static str)> {
        match self.settings.loss.adapts_augment() {
            true => vec![(augment::PROBABILITY, "augment_p")],
            false => Vec::new(),
        }
    }
}

/// Whether a penalty is taken in a pass.
fn penalised(asked: bool, penalty: Penalty) -> bool {
    asked && penalty != Penalty::None
}
