//! Stored networks at work: a program on its own with the weights of a file.

use std::path::Path;

use super::checkpoint::Checkpoint;
use crate::error::{Error, Result};
use crate::gpu::{Executable, Gpu, Memory};
use crate::graph::{Places, Plan, Program, Role};
use crate::recording::StepValues;

/// What to do about a checkpoint that lacks a tensor.
pub(crate) const CHECKPOINT_MEND: &str = "give a checkpoint that this version wrote";

/// A program with its weights on a device.
pub(crate) struct Stored {
    gpu: Gpu,
    memory: Memory,
    places: Places,
    executable: Executable,
}

impl Stored {
    /// Loads everything that the program keeps, parameters and running
    /// statistics, from a file that was read from `path`.
    ///
    /// # Errors
    /// [`Error::Usage`] with this mend where the file lacks a tensor; errors of
    /// the device.
    pub(crate) fn new(
        gpu: &Gpu,
        program: &Program,
        file: &Checkpoint,
        path: &Path,
        mend: &str,
    ) -> Result<Self> {
        let places = Places::of(program)?;
        let plan = Plan::new(program, &places, &gpu.facts.kernel_facts())?;
        let arenas: Vec<usize> = places.arenas().iter().map(|arena| arena.len).collect();
        let memory = Memory::new(gpu, &arenas, &plan.recording.temporaries)?;
        let executable = Executable::new(gpu, &memory, &plan.recording)?;
        let states = program.graph.states().iter();
        for state in states.filter(|s| matches!(s.role, Role::Parameter | Role::Buffer)) {
            match (file.tensors.get(&state.name), places.get(&state.name)) {
                (Some((shape, values)), Some((wanted, slice))) if shape[..] == wanted[..] => {
                    memory.write(slice, values)?;
                }
                _ => {
                    let (path, name) = (path.display(), &state.name);
                    return Err(Error::usage(
                        format!("{path} has no tensor {name} of {}", state.shape),
                        mend,
                    ));
                }
            }
        }
        Ok(Self {
            gpu: gpu.clone(),
            memory,
            places,
            executable,
        })
    }

    /// What these outputs are for any number of rows of the only input, in passes
    /// of as many as the program was built for.
    ///
    /// # Errors
    /// [`Error::Shape`] for a tensor that the program has not; errors of the
    /// device.
    pub(crate) fn run<const N: usize>(
        &mut self,
        (input, rows): (&str, &[f32]),
        outputs: [&str; N],
    ) -> Result<[Vec<f32>; N]> {
        let place = |name: &str| {
            let found = self.places.get(name);
            found.ok_or_else(|| Error::shape("run", format!("there is no tensor {name}")))
        };
        let (shape, input) = place(input)?;
        let (pass, row) = (shape[0], input.len / shape[0]);
        let mut made = [const { Vec::new() }; N];
        for part in rows.chunks(pass * row) {
            // A short last part is filled up; what is too much is dropped.
            let mut padded = part.to_vec();
            padded.resize(pass * row, 0.0);
            self.memory.write(input, &padded)?;
            self.executable.run(&self.gpu, &StepValues::default())?;
            for (all, name) in made.iter_mut().zip(outputs) {
                let values = self.memory.read(place(name)?.1)?;
                all.extend(&values[..values.len() / pass * (part.len() / row)]);
            }
        }
        Ok(made)
    }
}
