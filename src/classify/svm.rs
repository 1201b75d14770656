//! Linear support vector machines, one for each class against the rest: what
//! features are worth where labels are few. In f64 on the processor; equal rows
//! give equal machines.

/// Passes over the rows at most.
const PASSES: usize = 10_000;

/// Largest slope of the dual, where it may fall, that counts as none.
const TOLERANCE: f64 = 1e-6;

/// A machine for each class.
#[derive(Clone, Debug, PartialEq)]
pub struct LinearSvm {
    machines: Vec<Machine>,
}

#[derive(Clone, Debug, PartialEq)]
struct Machine {
    weights: Vec<f64>,
    bias: f64,
}

impl LinearSvm {
    /// Minimises, for each class with y = 1 for its rows and -1 for the others,
    ///
    /// `(|w|^2 + b^2) / 2 + c * sum of max(0, 1 - y (w.x + b))^2`
    ///
    /// by coordinate descent in the dual (Hsieh et al. 2008, algorithm 1, the
    /// squared hinge); `c` is above 0. Rows are of one length, each has a label
    /// below `classes`.
    ///
    /// # Panics
    /// If there are fewer labels than rows.
    pub fn train(rows: &[Vec<f64>], labels: &[u32], classes: usize, c: f64) -> Self {
        let one = |class| Machine::train(rows, labels, class, c);
        Self {
            machines: (0..classes as u32).map(one).collect(),
        }
    }

    /// The decision value of each class, `w.x + b`.
    pub fn scores(&self, row: &[f64]) -> impl Iterator<Item = f64> {
        self.machines.iter().map(|machine| machine.score(row))
    }

    /// The class with the largest decision value, the first of equal ones.
    pub fn class(&self, row: &[f64]) -> usize {
        let mut best = (0, f64::NEG_INFINITY);
        for (class, score) in self.scores(row).enumerate() {
            if score > best.1 {
                best = (class, score);
            }
        }
        best.0
    }
}

impl Machine {
    /// In the dual each row has a multiplier that is not negative; the weights are
    /// the sum of the rows times these and y.
    fn train(rows: &[Vec<f64>], labels: &[u32], class: u32, c: f64) -> Self {
        let mut machine = Self {
            weights: vec![0.0; rows.first().map_or(0, Vec::len)],
            bias: 0.0,
        };
        let mut multipliers = vec![0.0; rows.len()];
        // What the squared hinge adds to the diagonal.
        let soft = 0.5 / c;
        let curvature = |row: &Vec<f64>| row.iter().map(|x| x * x).sum::<f64>() + 1.0 + soft;
        let curvatures: Vec<f64> = rows.iter().map(curvature).collect();
        for _ in 0..PASSES {
            let mut steepest: f64 = 0.0;
            for (index, row) in rows.iter().enumerate() {
                let y = if labels[index] == class { 1.0 } else { -1.0 };
                let old = multipliers[index];
                let slope = y * machine.score(row) - 1.0 + soft * old;
                // A multiplier of 0 cannot fall.
                let free = if old == 0.0 { slope.min(0.0) } else { slope };
                steepest = steepest.max(free.abs());
                let new = f64::max(old - slope / curvatures[index], 0.0);
                multipliers[index] = new;
                machine.add(row, y * (new - old));
            }
            if steepest < TOLERANCE {
                break;
            }
        }
        machine
    }

    fn score(&self, row: &[f64]) -> f64 {
        let products = self.weights.iter().zip(row).map(|(w, x)| w * x);
        products.sum::<f64>() + self.bias
    }

    fn add(&mut self, row: &[f64], times: f64) {
        for (w, x) in self.weights.iter_mut().zip(row) {
            *w += times * x;
        }
        self.bias += times;
    }
}
