//! What a view is looked at with: its inputs for any number of records, and how they
//! go through a program that was built for a fixed number.

use super::latent;
use crate::config::Latent;
use crate::data::LABEL;
use crate::error::{Error, Result};
use crate::recording::StepValues;
use crate::systems::{Source, View};

/// Records that a view is asked for.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// The seed of each record, from which its latents and what is drawn follow.
    pub seeds: Vec<u64>,
    /// The class of each record, for views that take one; the seed modulo their
    /// number where there are fewer.
    pub classes: Vec<usize>,
    /// Inputs that are given, row-major by name; images in [-1, 1].
    pub given: Vec<(&'static str, Vec<f32>)>,
}

impl Asked {
    /// Records of these seeds.
    pub fn seeds(seeds: impl IntoIterator<Item = u64>) -> Self {
        Self {
            seeds: seeds.into_iter().collect(),
            ..Self::default()
        }
    }

    /// `count` records of a given input, with the seeds from 0 on.
    pub fn given(name: &'static str, values: Vec<f32>, count: usize) -> Self {
        Self {
            given: vec![(name, values)],
            ..Self::seeds(0..count as u64)
        }
    }

    /// The values of every input of a view, row-major, in its order.
    ///
    /// # Errors
    /// [`Error::Usage`] where an input is neither given nor follows from a seed.
    pub(super) fn inputs(&self, view: &View, classes: usize) -> Result<Vec<Vec<f32>>> {
        let mut latents = 0;
        let mut inputs = Vec::with_capacity(view.inputs.len());
        for field in &view.inputs {
            let number = latents;
            latents += u32::from(matches!(field.source, Source::Latent(_)));
            let length = field.record.iter().product();
            let given = self.given.iter().find(|(name, _)| *name == field.name);
            let values = match (given, field.source) {
                (Some((_, values)), Source::Pixels { range, .. }) => {
                    range.from_unit(values).into_owned()
                }
                (Some((_, values)), _) => values.clone(),
                (None, Source::Latent(distribution)) => self.latents(distribution, number, length),
                (None, Source::Column { column: LABEL, .. }) => self.labels(classes),
                (None, Source::Zero) => vec![0.0; self.seeds.len() * length],
                (None, Source::Pixels { .. } | Source::Column { .. } | Source::Scalar) => {
                    return Err(Error::usage(
                        format!("this model makes nothing without {}", field.name),
                        "give a checkpoint of a generator, or use `gpugan apply`",
                    ));
                }
            };
            inputs.push(values);
        }
        Ok(inputs)
    }

    /// Latents of all seeds, `[count, length]`.
    fn latents(&self, distribution: Latent, field: u32, length: usize) -> Vec<f32> {
        latent::of_seeds(distribution, field, length, self.seeds.iter().copied())
    }

    fn labels(&self, classes: usize) -> Vec<f32> {
        let of = |(index, &seed): (usize, &u64)| match self.classes.get(index) {
            Some(&class) => class as f32,
            None => (seed % classes.max(1) as u64) as f32,
        };
        self.seeds.iter().enumerate().map(of).collect()
    }
}

/// A program of a view that is ready to run.
pub(super) trait Ready {
    /// Replaces a tensor's elements.
    fn put(&self, name: &str, values: &[f32]) -> Result<()>;
    /// A tensor's elements.
    fn get(&self, name: &str) -> Result<Vec<f32>>;
    /// Replays the program with these step values.
    fn replay(&mut self, values: StepValues) -> Result<()>;
}

/// The outputs of a view of `count` records at a time, row-major, for what is asked.
///
/// # Errors
/// As of [`Asked::inputs`], and errors of the device.
pub(super) fn look(
    ready: &mut impl Ready,
    (view, count): (&View, usize),
    asked: &Asked,
    classes: usize,
) -> Result<Vec<Vec<f32>>> {
    let inputs = asked.inputs(view, classes)?;
    // What is drawn follows from the seed of a pass, so it is one record's.
    let together = if view.draws { 1 } else { count };
    let mut all = vec![Vec::new(); view.outputs.len()];
    for first in (0..asked.seeds.len()).step_by(together) {
        let part = together.min(asked.seeds.len() - first);
        let mut inside = Vec::with_capacity(inputs.len());
        for (field, values) in view.inputs.iter().zip(&inputs) {
            let one: usize = field.record.iter().product();
            // A short last part is filled up; what is too much is dropped.
            let mut padded = values[first * one..(first + part) * one].to_vec();
            padded.resize(count * one, 0.0);
            ready.put(&format!("{}.{}", view.name, field.name), &padded)?;
            inside.push(padded);
        }
        for replay in 0..view.repeat {
            ready.replay(StepValues {
                seed: latent::fold(asked.seeds[first]),
                counter: replay as u32,
                ..StepValues::default()
            })?;
            if replay + 1 == view.repeat {
                continue;
            }
            let mut changed = false;
            for (field, earlier) in view.inputs.iter().zip(&mut inside) {
                if view.outputs.iter().any(|output| output == field.name) {
                    let name = format!("{}.{}", view.name, field.name);
                    let values = ready.get(&view.output_tensor(field.name))?;
                    ready.put(&name, &values)?;
                    changed |= values != *earlier;
                    *earlier = values;
                }
            }
            // From what it had before, a view that draws nothing makes the same again.
            if !changed && !view.draws {
                break;
            }
        }
        for (all, output) in all.iter_mut().zip(&view.outputs) {
            let made = ready.get(&view.output_tensor(output))?;
            all.extend(&made[..made.len() / count * part]);
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;
    use crate::systems::{Field, Medium};

    /// Counts each record's number up to 3.
    #[derive(Default)]
    struct Counting {
        now: RefCell<Vec<f32>>,
        next: Vec<f32>,
        replays: usize,
    }

    impl Ready for Counting {
        fn put(&self, _: &str, values: &[f32]) -> Result<()> {
            *self.now.borrow_mut() = values.to_vec();
            Ok(())
        }

        fn get(&self, _: &str) -> Result<Vec<f32>> {
            Ok(self.next.clone())
        }

        fn replay(&mut self, _: StepValues) -> Result<()> {
            self.next = self
                .now
                .borrow()
                .iter()
                .map(|x| (x + 1.0).min(3.0))
                .collect();
            self.replays += 1;
            Ok(())
        }
    }

    #[test]
    fn a_view_is_replayed_until_nothing_changes_or_as_often_as_it_says() {
        let counted = |repeat, draws| {
            let number = Field {
                name: "number",
                record: vec![1],
                source: Source::Zero,
            };
            let view = View {
                repeat,
                draws,
                ..View::new("count", vec![number], &["number"], Medium::Numbers)
            };
            let mut ready = Counting::default();
            let outputs = look(&mut ready, (&view, 2), &Asked::seeds([5]), 0).expect("looks");
            (outputs, ready.replays)
        };
        assert_eq!(counted(2, false), (vec![vec![2.0]], 2));
        assert_eq!(counted(10, false), (vec![vec![3.0]], 4));
        assert_eq!(counted(10, true), (vec![vec![3.0]], 10));
    }
}
