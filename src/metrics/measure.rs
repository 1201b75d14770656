//! All scores of one set of samples, with their names and warnings.

use serde::{Deserialize, Serialize};

use super::memory::{self, Unseen};
use super::{Rows, frechet, inception, kernel, modes, neighbours, ssim, wasserstein};
use crate::error::{Error, Result};

/// Vectors of each set that neighbours are looked for among.
const NEIGHBOURS: usize = 5000;

/// Samples whose nearest training image is looked for.
const QUERIES: usize = 500;

/// Pairs of images that are compared for diversity.
const PAIRS: usize = 1000;

/// Samples below which the Fréchet distance is warned of.
const FEW: usize = 2000;

/// A family of scores, as `--metrics` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Metric {
    /// [`frechet`]
    Frechet,
    /// [`kernel`]
    Kernel,
    /// [`neighbours`]
    Neighbours,
    /// [`inception`]
    Inception,
    /// [`modes`]
    Modes,
    /// [`wasserstein`]
    Wasserstein,
    /// [`ssim`]
    Ssim,
    /// [`memory`]
    Memorisation,
}

impl Metric {
    /// All, in the order of a report.
    pub const ALL: [Self; 8] = [
        Self::Frechet,
        Self::Kernel,
        Self::Neighbours,
        Self::Inception,
        Self::Modes,
        Self::Wasserstein,
        Self::Ssim,
        Self::Memorisation,
    ];

    /// As the command line has it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Frechet => "frechet",
            Self::Kernel => "kernel",
            Self::Neighbours => "prdc",
            Self::Inception => "inception",
            Self::Modes => "modes",
            Self::Wasserstein => "swd",
            Self::Ssim => "ms-ssim",
            Self::Memorisation => "memorisation",
        }
    }

    /// Whether it is of what a classifier says, not of pixels alone.
    pub(crate) const fn is_of_features(self) -> bool {
        match self {
            Self::Frechet | Self::Kernel | Self::Neighbours | Self::Inception | Self::Modes => true,
            Self::Wasserstein | Self::Ssim | Self::Memorisation => false,
        }
    }

    /// Whether it counts the classes that a classifier tells.
    pub(crate) const fn is_of_classes(self) -> bool {
        match self {
            Self::Inception | Self::Modes => true,
            Self::Frechet
            | Self::Kernel
            | Self::Neighbours
            | Self::Wasserstein
            | Self::Ssim
            | Self::Memorisation => false,
        }
    }

    /// The kinds of a comma-separated list.
    ///
    /// # Errors
    /// [`Error::Usage`] for a word that is none, with the nearest.
    pub fn list(text: &str) -> Result<Vec<Self>> {
        let one = |word: &str| {
            let word = word.trim();
            let known = Self::ALL.into_iter();
            known
                .clone()
                .find(|kind| kind.word() == word)
                .ok_or_else(|| {
                    let nearest = known
                        .map(|kind| (strsim::jaro(kind.word(), word), kind.word()))
                        .max_by(|a, b| a.0.total_cmp(&b.0))
                        .map_or("frechet", |(_, word)| word);
                    let all = Self::ALL.map(Self::word).join(", ");
                    Error::usage(
                        format!("there is no metric `{word}`"),
                        format!("did you mean `{nearest}`? The metrics are {all}"),
                    )
                })
        };
        text.split(',').map(one).collect()
    }
}

/// Names of the published scores.
const FID: &str = "fid";
const KID: &str = "kid";
const IS: &str = "is";

/// The features that scores are of, for their names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Features<'a> {
    /// Those of the Inception network that published scores are of.
    Inception,
    /// Others, by their own name.
    Own(&'a str),
}

impl<'a> From<&'a str> for Features<'a> {
    fn from(name: &'a str) -> Self {
        Self::Own(name)
    }
}

impl Features<'_> {
    /// What they are called.
    pub fn name(&self) -> &str {
        match self {
            Self::Inception => "inception",
            Self::Own(name) => name,
        }
    }

    /// The name of a kind of score that is of them; the published one where it is that.
    fn score(&self, kind: &str) -> String {
        match (self, kind) {
            (Self::Inception, "frechet") => FID.to_owned(),
            (Self::Inception, "kernel") => KID.to_owned(),
            (Self::Inception, "inception-style") => IS.to_owned(),
            _ => format!("{kind}({})", self.name()),
        }
    }
}

/// One number about samples.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// What it is, with the name of the features in parentheses where it is of
    /// features, as `frechet(mnist-classifier)`; of Inception's `fid`, `kid` and `is`.
    pub name: String,
    /// `None` where there are too few samples; never NaN.
    pub value: Option<f64>,
    /// Standard error, or deviation over splits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spread: Option<f64>,
    /// What else to know: protocol, or a warning.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}

impl Score {
    /// What of its name is measured, and the features it is of, if any.
    pub fn kind_and_features(&self) -> (&str, Option<&str>) {
        match self.name.split_once('(') {
            Some((kind, rest)) => (kind, Some(rest.strip_suffix(')').unwrap_or(rest))),
            None => {
                let published = [FID, KID, IS].contains(&&*self.name);
                let features = published.then_some(Features::Inception.name());
                (&self.name, features)
            }
        }
    }

    /// The value so that less is better: the negative of shares and of scores
    /// that count classes. `None` without a finite value.
    pub fn loss(&self) -> Option<f64> {
        const MORE_IS_BETTER: [&str; 8] = [
            "precision",
            "recall",
            "density",
            "coverage",
            "inception-style",
            IS,
            "modes",
            "memorisation",
        ];
        let kind = self.name.split('(').next().unwrap_or_default();
        let sign = if MORE_IS_BETTER.contains(&kind) {
            -1.0
        } else {
            1.0
        };
        let finite = self.value.filter(|value| value.is_finite());
        finite.map(|value| sign * value)
    }
}

/// A set of images with what a classifier says of them.
#[derive(Clone, Debug, Default)]
pub struct Samples {
    /// `[C, H, W]`
    pub shape: [usize; 3],
    /// Grey images that make one image, each a channel; 1 where they are no
    /// stacks.
    pub stack: usize,
    /// `[count, C, H, W]`
    pub pixels: Vec<u8>,
    /// A vector for each image.
    pub features: Rows,
    /// Class probabilities, `[count, classes]`, of stacks those of each channel.
    pub probabilities: Vec<f64>,
    /// How many samples are of each class; of real stacks numbers in proportion to
    /// how often each class occurs.
    pub classes: Vec<usize>,
}

impl Samples {
    /// Number of images.
    pub fn count(&self) -> usize {
        self.pixels.len() / self.shape.iter().product::<usize>().max(1)
    }

    /// Whether all that a classifier says of them are numbers.
    fn is_finite(&self) -> bool {
        let features = self.features.values.iter();
        features.copied().all(f32::is_finite)
            && self.probabilities.iter().copied().all(f64::is_finite)
    }
}

/// Scores samples against real images with these features.
/// `unseen` are pixels of real images that the generator was not trained on;
/// where there are none, training images stand for them.
pub fn measure<'a>(
    kinds: &[Metric],
    features: impl Into<Features<'a>>,
    real: &Samples,
    unseen: Option<&[u8]>,
    fake: &Samples,
) -> Vec<Score> {
    let features = features.into();
    let mut scores = Vec::new();
    let mut kinds = kinds.to_vec();
    let width = real.features.width;
    let few = real.features.count().min(fake.features.count()) <= width;
    if few && kinds.contains(&Metric::Frechet) && !kinds.contains(&Metric::Kernel) {
        kinds.push(Metric::Kernel);
    }
    let mut add = |name: &str, of_features: bool, value: Option<f64>, spread, note: String| {
        let name = if of_features {
            features.score(name)
        } else {
            name.to_owned()
        };
        let value = value.filter(|value| value.is_finite());
        let note = match value {
            None if note.is_empty() => "too few samples".to_owned(),
            _ => note,
        };
        let spread = value.and(spread).filter(|x: &f64| x.is_finite());
        scores.push(Score {
            name,
            value,
            spread,
            note,
        });
    };
    let finite = real.is_finite() && fake.is_finite();
    for kind in kinds {
        match kind {
            _ if kind.is_of_features() && !finite => {
                let note = "the classifier's features are not finite".to_owned();
                add(kind.word(), true, None, None, note);
            }
            Metric::Inception if fake.stack > 1 => {
                let note = "stacks have no class probabilities".to_owned();
                add("inception-style", true, None, None, note);
            }
            Metric::Memorisation if fake.stack > 1 => {
                let note = "only a few of all stacks are looked at".to_owned();
                add("memorisation", false, None, None, note);
            }
            Metric::Frechet => {
                let (value, note) = of_moments(&real.features, &fake.features);
                add("frechet", true, value, None, note);
            }
            Metric::Kernel => {
                let found = kernel::distance(&real.features, &fake.features);
                let (value, spread) = parts(found);
                add("kernel", true, value, spread, String::new());
            }
            Metric::Neighbours => {
                let [real, fake] = [real, fake].map(|set| set.features.evenly(NEIGHBOURS));
                let found = neighbours::compare(&real, &fake);
                let counts = match [real.count(), fake.count()] {
                    [reals, fakes] if reals == fakes => format!("{reals} of each"),
                    [reals, fakes] => format!("{reals} real, {fakes} generated"),
                };
                for (name, value, k) in [
                    (
                        "precision",
                        found.map(|s| s.precision),
                        neighbours::K_PRECISION,
                    ),
                    ("recall", found.map(|s| s.recall), neighbours::K_PRECISION),
                    ("density", found.map(|s| s.density), neighbours::K_DENSITY),
                    ("coverage", found.map(|s| s.coverage), neighbours::K_DENSITY),
                ] {
                    let note = match value {
                        Some(_) => format!("k = {k}, {counts}"),
                        None => String::new(),
                    };
                    add(name, true, value, None, note);
                }
            }
            Metric::Inception => {
                let classes = fake.classes.len();
                let (value, spread) = parts(inception::score(&fake.probabilities, classes));
                // Real images may lie class by class.
                let of_real = inception::spread(&real.probabilities, classes.max(1));
                let ceiling = inception::score(&of_real, classes);
                let note = ceiling.map_or_else(String::new, |c| format!("real {:.3}", c.value));
                add("inception-style", true, value, spread, note);
            }
            Metric::Modes => {
                let found = modes::compare(&real.classes, &fake.classes);
                let note = found.map_or_else(String::new, |m| format!("of {}", m.of));
                add("modes", true, found.map(|m| m.captured as f64), None, note);
                let note = found.map_or_else(String::new, |m| {
                    format!("a perfect sampler has about {:.4}", m.expected)
                });
                add("reverse-kl", true, found.map(|m| m.reverse_kl), None, note);
            }
            Metric::Wasserstein => {
                let found = wasserstein::distances(&real.pixels, &fake.pixels, real.shape);
                let mean = found
                    .as_ref()
                    .map(|d| d.iter().sum::<f64>() / d.len() as f64);
                let note = found.map_or_else(String::new, |distances| {
                    let levels: Vec<String> = distances.iter().map(|d| format!("{d:.2}")).collect();
                    format!("x 1000; levels {}", levels.join(", "))
                });
                add("swd", false, mean, None, note);
            }
            Metric::Ssim => {
                let (value, spread) = parts(ssim::diversity(&fake.pixels, fake.shape, PAIRS));
                let of_real = ssim::diversity(&real.pixels, real.shape, PAIRS);
                let note = of_real.map_or_else(String::new, |r| format!("real {:.4}", r.value));
                add("ms-ssim", false, value, spread, note);
            }
            Metric::Memorisation => {
                let size: usize = real.shape.iter().product();
                let reals = real.pixels.len() / size.max(1);
                let queries: Vec<usize> = evenly(reals).collect();
                let unseen = unseen.map(|pixels| chosen(pixels, size));
                let compared = match &unseen {
                    Some(pixels) => Unseen::Images(pixels),
                    None => Unseen::Training(&queries),
                };
                let fake = chosen(&fake.pixels, size);
                let found = memory::compare(&fake, compared, &real.pixels, size);
                let against = match compared {
                    Unseen::Images(_) => "unseen images",
                    Unseen::Training(_) => "other training images",
                };
                let note = found.map_or_else(String::new, |m| {
                    format!("nearest in pixels, against {against}; {} copies", m.copies)
                });
                add("memorisation", false, found.map(|m| m.ratio), None, note);
            }
        }
    }
    scores
}

fn of_moments(real: &Rows, fake: &Rows) -> (Option<f64>, String) {
    let (reals, fakes, width) = (real.count(), fake.count(), real.width);
    if reals.min(fakes) <= width {
        return (
            None,
            format!(
                "needs more than {width} samples and real images, has {fakes} and {reals}; see kernel"
            ),
        );
    }
    let moments = |rows| frechet::Moments::of(rows);
    let value = moments(real)
        .zip(moments(fake))
        .map(|(real, fake)| frechet::distance(&real, &fake));
    let note = if fakes < FEW {
        format!("biased upwards by {fakes} samples: compare only at the same number")
    } else {
        String::new()
    };
    (value, note)
}

fn parts(estimate: Option<super::Estimate>) -> (Option<f64>, Option<f64>) {
    (estimate.map(|e| e.value), estimate.and_then(|e| e.spread))
}

/// At most [`QUERIES`] of `count` items, evenly spread.
fn evenly(count: usize) -> impl Iterator<Item = usize> {
    let wanted = count.min(QUERIES);
    (0..wanted).map(move |index| index * count / wanted)
}

/// Those images of `[count, size]`.
fn chosen(pixels: &[u8], size: usize) -> Vec<u8> {
    evenly(pixels.len() / size.max(1))
        .flat_map(|item| &pixels[item * size..][..size])
        .copied()
        .collect()
}
