//! A machine of 6 visible and 4 hidden units, summed over all its states in f64.

use gpugan::nn::Init;
use gpugan::run::session::Session;

/// Visible units.
pub(super) const VISIBLE: usize = 6;
/// Hidden units.
pub(super) const HIDDEN: usize = 4;
/// States of the visible units; bit i of a state's number is unit i.
pub(super) const STATES: usize = 1 << VISIBLE;

/// The tensors of a machine, row-major.
pub(super) const TENSORS: [&str; 3] = ["R.weight", "R.bias_visible", "R.bias_hidden"];

/// Weights in f64.
pub(super) struct Exact {
    weight: Vec<f64>,
    visible: Vec<f64>,
    hidden: Vec<f64>,
}

impl Exact {
    pub(super) fn of(session: &Session) -> Self {
        let read = |name: &str| -> Vec<f64> {
            let values = session.read(name).unwrap().into_iter();
            values.map(f64::from).collect()
        };
        let [weight, visible, hidden] = TENSORS.map(read);
        Self {
            weight,
            visible,
            hidden,
        }
    }

    /// Weights up to `range` in size and small biases.
    pub(super) fn drawn(range: f32) -> Self {
        let draw = |index: usize, count: usize, range: f32| -> Vec<f64> {
            let values = Init::Uniform(range).draw(&[count].into(), 5, TENSORS[index]);
            values.into_iter().map(f64::from).collect()
        };
        Self {
            weight: draw(0, VISIBLE * HIDDEN, range),
            visible: draw(1, VISIBLE, 0.5),
            hidden: draw(2, HIDDEN, 0.5),
        }
    }

    pub(super) fn write(&self, session: &Session) {
        for (name, values) in TENSORS
            .iter()
            .zip([&self.weight, &self.visible, &self.hidden])
        {
            let values: Vec<f32> = values.iter().map(|&x| x as f32).collect();
            session.write(name, &values).unwrap();
        }
    }

    /// Log-odds of the hidden units.
    pub(super) fn logits(&self, state: usize) -> Vec<f64> {
        let on = |i: usize| (state >> i & 1) as f64;
        let sum = |j: usize| {
            (0..VISIBLE)
                .map(|i| self.weight[j * VISIBLE + i] * on(i))
                .sum::<f64>()
        };
        (0..HIDDEN).map(|j| self.hidden[j] + sum(j)).collect()
    }

    pub(super) fn free_energy(&self, state: usize) -> f64 {
        let on = (0..VISIBLE).filter(|i| state >> i & 1 == 1);
        let biased: f64 = on.map(|i| self.visible[i]).sum();
        let softplus = |a: f64| a.max(0.0) + (-a.abs()).exp().ln_1p();
        -biased - self.logits(state).into_iter().map(softplus).sum::<f64>()
    }

    /// Of every state.
    pub(super) fn log_probabilities(&self) -> Vec<f64> {
        let energies: Vec<f64> = (0..STATES).map(|v| self.free_energy(v)).collect();
        let least = energies.iter().copied().fold(f64::MAX, f64::min);
        let sum: f64 = energies.iter().map(|f| (least - f).exp()).sum();
        energies.into_iter().map(|f| least - f - sum.ln()).collect()
    }

    /// Mean over these states.
    pub(super) fn log_likelihood(&self, states: &[usize]) -> f64 {
        let of = self.log_probabilities();
        states.iter().map(|&v| of[v]).sum::<f64>() / states.len() as f64
    }

    /// Means, with these weights of the states, of h v, v and h, one after another.
    pub(super) fn statistics(&self, weights: &[f64]) -> Vec<f64> {
        let mut means = vec![0.0; VISIBLE * HIDDEN + VISIBLE + HIDDEN];
        for (v, weight) in weights.iter().enumerate() {
            let hidden = self.logits(v).into_iter();
            let hidden: Vec<f64> = hidden.map(|a| 1.0 / (1.0 + (-a).exp())).collect();
            let on = |i: usize| (v >> i & 1) as f64;
            let products = (0..HIDDEN * VISIBLE).map(|at| hidden[at / VISIBLE] * on(at % VISIBLE));
            let all = products.chain((0..VISIBLE).map(on)).chain(hidden.clone());
            for (mean, x) in means.iter_mut().zip(all) {
                *mean += weight * x;
            }
        }
        means
    }

    /// Of the model's own distribution.
    pub(super) fn expectations(&self) -> Vec<f64> {
        let log = self.log_probabilities().into_iter();
        self.statistics(&log.map(f64::exp).collect::<Vec<_>>())
    }

    /// Of data.
    pub(super) fn data_means(&self, states: &[usize]) -> Vec<f64> {
        let mut weights = vec![0.0; STATES];
        for &state in states {
            weights[state] += 1.0 / states.len() as f64;
        }
        self.statistics(&weights)
    }
}
