//! From a program to a recording: what rides in which kernel (`fuse`), launches
//! (`lower`, `emit`, `express`), and here memory: which temporaries share a buffer,
//! and what a run needs in all.
//!
//! Temporaries whose lives do not overlap share a buffer. They are whole
//! buffers, not parts of one, because wgpu tracks usage per buffer and refuses
//! one that is read and written in the same dispatch.

mod emit;
mod emit_other;
mod express;
mod fuse;
mod lower;
mod together;
mod view;

use crate::error::Result;
use crate::graph::{Places, Program};
use crate::ops::{Contraction, Facts};
use crate::recording::{Access, Binding, Command, Dispatch, Recording, Slice, Storage};
use lower::{Lowered, Start, lower};
use view::ValueId;

/// A program's recording with the figures of its memory.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What to run.
    pub recording: Recording,
    /// Largest sum of the sizes, in bytes, of temporaries alive at the same
    /// time: no plan can do with less.
    pub live_bytes: u64,
    /// The contractions for which a variant was chosen, each once.
    pub contractions: Vec<Contraction>,
}

impl Plan {
    /// Plans a program whose persistent tensors lie in `places`, for an adapter
    /// with these `facts`.
    ///
    /// # Errors
    /// Where a persistent tensor has no place or another shape.
    pub fn new(program: &Program, places: &Places, facts: &Facts) -> Result<Self> {
        let lowered = lower(&program.simplified()?, places, facts)?;
        let lives = lives(&lowered);
        let (slices, temporaries) = share(&lowered, &lives);
        debug_assert_eq!(misread(&lowered, &slices), None, "a value is lost");
        let live_bytes = largest_sum(&lowered, &lives);
        let mut commands: Vec<Command> =
            Vec::with_capacity(lowered.launches.len() + lowered.copies.len());
        for launched in lowered.launches {
            let binding = |&(start, access): &(Start, Access)| Binding {
                slice: slices[start.value.0].behind(start.element),
                access,
            };
            commands.push(Command::Dispatch(Dispatch {
                bindings: launched.bindings.iter().map(binding).collect(),
                kernel: launched.launch.kernel,
                workgroups: launched.launch.workgroups,
                label: launched.label,
            }));
        }
        for (value, to) in lowered.copies {
            commands.push(Command::Copy {
                from: slices[value.0],
                to,
            });
        }
        Ok(Self {
            recording: Recording {
                commands,
                temporaries,
            },
            live_bytes,
            contractions: lowered.contractions,
        })
    }

    /// Bytes of all temporaries.
    pub fn temporary_bytes(&self) -> u64 {
        self.recording
            .temporaries
            .iter()
            .map(|&len| bytes(len))
            .sum()
    }
}

/// First and last launch that touches each value; `None` where none does.
type Life = Option<(usize, usize)>;

fn lives(lowered: &Lowered) -> Vec<Life> {
    let mut lives: Vec<Life> = vec![None; lowered.values.len()];
    for (index, launched) in lowered.launches.iter().enumerate() {
        for (start, _) in &launched.bindings {
            let life = lives[start.value.0].get_or_insert((index, index));
            life.1 = index;
        }
    }
    for (value, _) in &lowered.copies {
        if let Some(life) = &mut lives[value.0] {
            life.1 = lowered.launches.len();
        }
    }
    lives
}

/// Gives every value its slice. Temporaries, largest first, go into the
/// smallest buffer that is free for their whole life (Pisarchyk and Lee 2020,
/// "greedy by size").
fn share(lowered: &Lowered, lives: &[Life]) -> (Vec<Slice>, Vec<usize>) {
    let mut slices: Vec<Slice> = lowered
        .values
        .iter()
        .map(|value| {
            value.place.unwrap_or(Slice {
                storage: Storage::Temporary(0),
                offset: 0,
                len: value.len,
            })
        })
        .collect();
    let mut temporaries: Vec<usize> = (0..slices.len())
        .filter(|&index| lowered.values[index].place.is_none() && lives[index].is_some())
        .collect();
    temporaries.sort_by_key(|&index| std::cmp::Reverse(lowered.values[index].len));
    // Sizes, and who lives there.
    let mut buffers: Vec<(usize, Vec<usize>)> = Vec::new();
    let overlaps = |a: usize, b: usize| match (lives[a], lives[b]) {
        (Some(a), Some(b)) => a.0 <= b.1 && b.0 <= a.1,
        _ => false,
    };
    for index in temporaries {
        let free = buffers
            .iter()
            .enumerate()
            .filter(|(_, (_, tenants))| !tenants.iter().any(|&tenant| overlaps(tenant, index)))
            .min_by_key(|(_, (size, _))| *size)
            .map(|(buffer, _)| buffer);
        let buffer = free.unwrap_or_else(|| {
            buffers.push((lowered.values[index].len, Vec::new()));
            buffers.len() - 1
        });
        buffers[buffer].1.push(index);
        slices[index].storage = Storage::Temporary(buffer);
    }
    (slices, buffers.into_iter().map(|(size, _)| size).collect())
}

/// The first value, if any, that does not lie in its slice when a launch or a
/// copy behind all launches reads it: an oversight of [`share`] or of what is
/// written in place.
fn misread(lowered: &Lowered, slices: &[Slice]) -> Option<ValueId> {
    let mut held: Vec<ValueId> = Vec::new();
    let mut computed = vec![false; slices.len()];
    let lost = |held: &[ValueId], computed: &[bool], value: ValueId| {
        let overwritten = held
            .iter()
            .any(|other| *other != value && slices[other.0].overlaps(&slices[value.0]));
        // What no launch computes is a persistent tensor.
        overwritten || computed[value.0] != held.contains(&value)
    };
    for launched in &lowered.launches {
        let mut read = launched.with(Access::Read);
        if let Some(value) = read.find(|value| lost(&held, &computed, *value)) {
            return Some(value);
        }
        for written in launched.with(Access::Write) {
            held.retain(|other| !slices[other.0].overlaps(&slices[written.0]));
            held.push(written);
            computed[written.0] = true;
        }
    }
    let mut copied = lowered.copies.iter().map(|(value, _)| *value);
    copied.find(|value| lost(&held, &computed, *value))
}

fn largest_sum(lowered: &Lowered, lives: &[Life]) -> u64 {
    let alive_at = |step: usize| {
        (0..lives.len())
            .filter(|&index| lowered.values[index].place.is_none())
            .filter(|&index| {
                lives[index].is_some_and(|(first, last)| first <= step && step <= last)
            })
            .map(|index| bytes(lowered.values[index].len))
            .sum()
    };
    (0..=lowered.launches.len())
        .map(alive_at)
        .max()
        .unwrap_or(0)
}

fn bytes(elements: usize) -> u64 {
    elements as u64 * 4
}
