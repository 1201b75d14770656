//! A generative classifier of bags of words: naive Bayes.
//!
//! A model p(x given y) of what each class looks like tells classes too, by Bayes'
//! rule: p(y given x) = p(x given y) p(y) / sum over y' of p(x given y') p(y'). A filter
//! of unwanted mail that counts words is the best known; a conditional generator is the
//! same for images ([`super::neighbours::nearest`] among its samples).

/// Bernoulli naive Bayes (Manning, Raghavan and Schütze 2008, section 13.3): whether each
/// word occurs, the words of a document independent of each other given its class.
///
/// ```
/// use gpugan::metrics::bayes::NaiveBayes;
///
/// // Words: 0 "free", 1 "meeting". Classes: 0 wanted, 1 unwanted mail.
/// let mail: [(&[usize], usize); 4] = [(&[1], 0), (&[1], 0), (&[0], 1), (&[0, 1], 1)];
/// let model = NaiveBayes::of(&mail, 2, 2, 1.0);
/// // p(free given unwanted) = (2 + 1) / (2 + 2), p(meeting given unwanted) = 1/2;
/// // 1/4 and 3/4 given wanted. So of "free" alone, unwanted is 3/4 1/2 against 1/4 1/4.
/// let posterior = model.posterior(&[0]);
/// assert!((posterior[1] - 6.0 / 7.0).abs() < 1e-12);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct NaiveBayes {
    /// `log p(y)` of each class.
    priors: Vec<f64>,
    /// `[log p(word absent given y), log p(word present given y)]` of each word, for
    /// each class.
    words: Vec<Vec<[f64; 2]>>,
}

impl NaiveBayes {
    /// The model of documents, each a list of words (numbers below `words`; a repeated
    /// one counts once) and a class (a number below `classes`). With `n` documents of a
    /// class, `k` of which have a word, and smoothing `s` (1 is Laplace's), the word's
    /// probability is `(k + s) / (n + 2 s)`; a class's is its share of the documents.
    ///
    /// # Panics
    /// If there are no documents, the smoothing is not above 0, or words and classes are
    /// not below their numbers.
    pub fn of(
        documents: &[(&[usize], usize)],
        words: usize,
        classes: usize,
        smoothing: f64,
    ) -> Self {
        assert!(!documents.is_empty(), "there are documents");
        assert!(smoothing > 0.0, "a word that was not seen is possible");
        let mut sizes = vec![0.0; classes];
        let mut counts = vec![vec![0.0; words]; classes];
        for &(document, class) in documents {
            sizes[class] += 1.0;
            for (word, present) in presence(document, words).into_iter().enumerate() {
                counts[class][word] += f64::from(u8::from(present));
            }
        }
        let of_class = |(counts, size): (&Vec<f64>, &f64)| {
            let probability = |count: &f64| (count + smoothing) / (size + 2.0 * smoothing);
            let both = |count| [1.0 - probability(count), probability(count)].map(f64::ln);
            counts.iter().map(both).collect()
        };
        Self {
            words: counts.iter().zip(&sizes).map(of_class).collect(),
            priors: sizes
                .iter()
                .map(|size| (size / documents.len() as f64).ln())
                .collect(),
        }
    }

    /// `log p(x given y)` of a document for each class, in nats.
    ///
    /// # Panics
    /// If a word is not below their number.
    pub fn likelihoods(&self, document: &[usize]) -> Vec<f64> {
        let words = self.words.first().map_or(0, Vec::len);
        let present = presence(document, words);
        let of_class = |words: &Vec<[f64; 2]>| {
            let terms = words.iter().zip(&present);
            terms.map(|(word, &here)| word[usize::from(here)]).sum()
        };
        self.words.iter().map(of_class).collect()
    }

    /// `p(y given x)` of a document for each class, from 0 to 1, of sum 1.
    ///
    /// # Panics
    /// As of [`NaiveBayes::likelihoods`].
    pub fn posterior(&self, document: &[usize]) -> Vec<f64> {
        let likelihoods = self.likelihoods(document).into_iter();
        let joint: Vec<f64> = likelihoods.zip(&self.priors).map(|(x, y)| x + y).collect();
        // The largest goes first, so that long documents do not vanish.
        let largest = joint.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let parts: Vec<f64> = joint.iter().map(|log| (log - largest).exp()).collect();
        let sum: f64 = parts.iter().sum();
        parts.into_iter().map(|part| part / sum).collect()
    }
}

/// Which words a document has.
fn presence(document: &[usize], words: usize) -> Vec<bool> {
    let mut present = vec![false; words];
    for &word in document {
        present[word] = true;
    }
    present
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten mails of five words: free, money, meeting, report, lunch.
    const MAILS: [(&[usize], usize); 10] = [
        (&[0, 1], 1),
        (&[0], 1),
        (&[1, 0, 0], 1),
        (&[0, 2], 1),
        (&[2, 3], 0),
        (&[3], 0),
        (&[4], 0),
        (&[2, 4], 0),
        (&[1, 3], 0),
        (&[2], 0),
    ];

    /// Documents of the class, of all, that have the word, by counting.
    fn share(class: usize, word: usize) -> f64 {
        let of_class = MAILS.iter().filter(|(_, y)| *y == class);
        let size = of_class.clone().count() as f64;
        let with = of_class.filter(|(x, _)| x.contains(&word)).count() as f64;
        (with + 1.0) / (size + 2.0)
    }

    #[test]
    fn posteriors_are_those_of_counts() {
        let model = NaiveBayes::of(&MAILS, 5, 2, 1.0);
        for document in 0_usize..32 {
            let words: Vec<usize> = (0..5).filter(|word| document >> word & 1 == 1).collect();
            let joint = [0, 1].map(|class| {
                let prior = [6.0, 4.0][class] / 10.0;
                let terms = (0..5).map(|word| match words.contains(&word) {
                    true => share(class, word),
                    false => 1.0 - share(class, word),
                });
                prior * terms.product::<f64>()
            });
            let posterior = model.posterior(&words);
            for class in [0, 1] {
                let expected = joint[class] / (joint[0] + joint[1]);
                assert!((posterior[class] - expected).abs() < 1e-6, "{words:?}");
            }
        }
        // "free money" is unwanted, "meeting report" is not.
        assert!(model.posterior(&[0, 1])[1] > 0.9);
        assert!(model.posterior(&[2, 3])[1] < 0.1);
    }

    #[test]
    fn long_documents_have_posteriors_too() {
        let words: Vec<usize> = (0..5000).collect();
        let documents: [(&[usize], usize); 2] = [(&words, 0), (&[], 1)];
        let model = NaiveBayes::of(&documents, 5000, 2, 1.0);
        let posterior = model.posterior(&words);
        assert!((posterior[0] - 1.0).abs() < 1e-12 && posterior[1] >= 0.0);
        assert!(model.likelihoods(&words)[1] < -3000.0);
    }
}
