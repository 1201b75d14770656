//! Which classes of labelled data are generated, and how evenly: the protocol
//! of Srivastava et al. 2017 (VEEGAN) with a classifier for the modes.

/// Counts over classes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Modes {
    /// Classes with at least one sample.
    pub captured: usize,
    /// Classes of the data.
    pub of: usize,
    /// `KL(generated || real)` of the class frequencies, in nats; 0 is even.
    pub reverse_kl: f64,
    /// What a perfect sampler of that many samples would have, about
    /// `(classes - 1) / (2 samples)`.
    pub expected: f64,
}

/// Compares the class counts of samples with those of real images. Only classes
/// that the data has are counted; with samples in others the divergence would
/// be infinite, so a real class counts as one image at least. `None` without
/// samples or without real images.
///
/// # Panics
/// If there are not as many counts of one as of the other.
pub fn compare(real: &[usize], fake: &[usize]) -> Option<Modes> {
    assert_eq!(real.len(), fake.len(), "counts of the same classes");
    let real: Vec<usize> = real.iter().map(|&count| count.max(1)).collect();
    let total = |counts: &[usize]| counts.iter().sum::<usize>() as f64;
    let (reals, fakes) = (total(&real), total(fake));
    if fakes == 0.0 || real.is_empty() {
        return None;
    }
    let pairs = fake.iter().zip(&real).filter(|(fake, _)| **fake > 0);
    let divergence = pairs.map(|(&fake, &real)| {
        let (p, q) = (fake as f64 / fakes, real as f64 / reals);
        p * (p / q).ln()
    });
    Some(Modes {
        captured: fake.iter().filter(|&&count| count > 0).count(),
        of: real.len(),
        reverse_kl: divergence.sum::<f64>().max(0.0),
        expected: (real.len() - 1) as f64 / (2.0 * fakes),
    })
}

/// The label of a stack: that of its parts as digits of one number, base
/// `classes`.
pub fn number(digits: &[usize], classes: usize) -> usize {
    digits
        .iter()
        .fold(0, |number, digit| number * classes + digit)
}

/// From counts of stacks whose parts were drawn independently, as those of real
/// images are, the counts in proportion to which all stacks occur: products of
/// how often each class occurs in any place. `counts` are `classes ^ depth`.
pub fn of_stacks(counts: &[usize], classes: usize, depth: usize) -> Vec<usize> {
    let mut single = vec![0; classes];
    for (label, count) in counts.iter().enumerate() {
        let mut rest = label;
        for _ in 0..depth {
            single[rest % classes] += count;
            rest /= classes;
        }
    }
    (1..depth).fold(single.clone(), |stacks, _| {
        let longer = stacks
            .iter()
            .flat_map(|stack| single.iter().map(move |last| stack * last));
        longer.collect()
    })
}

/// How often each of `classes` occurs.
pub fn histogram(labels: impl Iterator<Item = usize>, classes: usize) -> Vec<usize> {
    let mut counts = vec![0; classes];
    for label in labels {
        if let Some(count) = counts.get_mut(label) {
            *count += 1;
        }
    }
    counts
}
