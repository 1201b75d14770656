//! Small maps share launches: each takes less time than its launch, as those do that
//! make a scale of the statistics of a normalisation.

use std::collections::HashMap;
use std::iter::repeat;

use super::lower::{Start, Step, Value, Work};
use super::view::ValueId;
use crate::ops::Launch;
use crate::ops::map::{MAX_LOADS, Map};
use crate::ops::together::{bindings_together, launch_together};
use crate::recording::{Access, Storage};

/// Most elements of a map that shares a launch.
const SMALL: usize = 1 << 12;

/// A kernel launch on values, in the order of its bindings.
#[derive(Clone, Debug)]
pub(super) struct Launched {
    pub(super) launch: Launch,
    pub(super) bindings: Vec<(Start, Access)>,
    pub(super) label: String,
}

impl Launched {
    pub(super) fn with(&self, access: Access) -> impl Iterator<Item = ValueId> {
        let bound = self.bindings.iter();
        bound.filter_map(move |&(start, as_)| (as_ == access).then_some(start.value))
    }
}

/// Steps that share a launch: small maps, or one step of any kind.
struct Group {
    steps: Vec<Step>,
    is_open: bool,
}

impl Group {
    /// Whether one more map fits in: the launch has bindings for it, and no buffer is
    /// both read and written, which wgpu refuses for any parts of one.
    fn takes(&self, step: &Step, values: &[Value]) -> bool {
        let all = || self.steps.iter().chain([step]);
        let storage = |value: ValueId| values[value.0].place.map(|place| place.storage);
        let written: Vec<Storage> = all().filter_map(|step| storage(step.written())).collect();
        let mut read = all().flat_map(Step::read).filter_map(storage);
        self.is_open
            && !read.any(|storage| written.contains(&storage))
            && bindings_together(&maps(all())) <= MAX_LOADS + 1
    }

    fn launched(self) -> Launched {
        let labels: Vec<&str> = self.steps.iter().map(|step| &*step.label).collect();
        let label = labels.join("; ");
        let (launch, bindings) = match &self.steps[..] {
            [
                Step {
                    work: Work::Launch(launch),
                    bound,
                    ..
                },
            ] => {
                let accesses = std::iter::once(Access::Write).chain(repeat(Access::Read));
                let bound = bound.iter().copied().zip(accesses);
                (launch.clone(), bound.collect())
            }
            steps => launch_together(&maps(steps.iter())),
        };
        Launched {
            launch,
            bindings,
            label,
        }
    }
}

/// The maps among steps, each with its values.
fn maps<'a>(steps: impl Iterator<Item = &'a Step>) -> Vec<(&'a Map, &'a [Start])> {
    let maps = steps.filter_map(|step| match &step.work {
        Work::Map(map) => Some((map, &step.bound[..])),
        Work::Launch(_) => None,
    });
    maps.collect()
}

/// Steps as launches. A small map goes into the first launch of small maps that is behind
/// all that it reads. Nothing reads the memory that it writes before: what is written in
/// place has no reader of its old value.
pub(super) fn together(steps: Vec<Step>, values: &[Value]) -> Vec<Launched> {
    let mut writes: HashMap<ValueId, usize> = HashMap::new();
    for step in &steps {
        *writes.entry(step.written()).or_default() += 1;
    }
    let mut groups: Vec<Group> = Vec::with_capacity(steps.len());
    // In which group a value is written last.
    let mut made: HashMap<ValueId, usize> = HashMap::new();
    for step in steps {
        let written = step.written();
        let is_small = match &step.work {
            // Parts of one value stay in their order.
            Work::Map(map) => map.results() <= SMALL && writes[&written] == 1,
            Work::Launch(_) => false,
        };
        let behind = match is_small {
            true => {
                let known = step.read().filter_map(|value| made.get(&value));
                known.max().map_or(0, |group| group + 1)
            }
            false => groups.len(),
        };
        let place = (behind..groups.len()).find(|&group| groups[group].takes(&step, values));
        let place = place.unwrap_or(groups.len());
        made.insert(written, place);
        match groups.get_mut(place) {
            Some(group) => group.steps.push(step),
            None => groups.push(Group {
                steps: vec![step],
                is_open: is_small,
            }),
        }
    }
    groups.into_iter().map(Group::launched).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::Load;
    use crate::recording::Slice;

    /// A map of so many elements; the first value is written.
    fn map(values: &[usize], len: usize) -> Step {
        let loads = vec![Load::contiguous(&[len]); values.len() - 1];
        Step {
            work: Work::Map(Map::new(vec![len], loads, "let result = 1.0;")),
            bound: values.iter().map(|&value| ValueId(value).into()).collect(),
            label: values[0].to_string(),
        }
    }

    /// The labels of launches of maps, of which values 0 to 9 lie in arena 0, 10 to 19 in
    /// arena 1, and the others in none.
    fn labels(steps: Vec<Step>) -> Vec<String> {
        let values: Vec<Value> = (0..100)
            .map(|value| Value {
                len: 64,
                place: (value < 20).then_some(Slice {
                    storage: Storage::Arena(value / 10),
                    offset: value % 10 * 64,
                    len: 64,
                }),
            })
            .collect();
        let launches = together(steps, &values);
        launches
            .into_iter()
            .map(|launched| launched.label)
            .collect()
    }

    #[test]
    fn maps_go_behind_what_they_read() {
        let steps = vec![
            map(&[20, 0], 64),
            map(&[21, 0, 1], 8),
            map(&[22, 20], 64),
            map(&[23, 1], 64),
            map(&[24, 22], 64),
            map(&[25, 20], 64),
        ];
        assert_eq!(labels(steps), ["20; 21; 23", "22; 25", "24"]);
    }

    #[test]
    fn large_maps_parts_and_launches_that_are_full_stay_apart() {
        let large = vec![
            map(&[20, 0], SMALL + 4),
            map(&[21, 0], SMALL),
            map(&[22, 0], 64),
        ];
        assert_eq!(labels(large), ["20", "21; 22"]);
        let parts = vec![map(&[20, 0], 64), map(&[20, 1], 64), map(&[21, 20], 64)];
        assert_eq!(labels(parts), ["20", "20", "21"]);
        let many = (20..26)
            .map(|value| map(&[value, value - 20], 64))
            .collect();
        assert_eq!(labels(many), ["20; 21; 22; 23", "24; 25"]);
    }

    #[test]
    fn no_buffer_is_read_and_written() {
        let steps = vec![
            map(&[20, 0], 64),
            // Writes what the first reads.
            map(&[1, 10], 64),
            map(&[21, 10], 64),
            // Reads what the second writes.
            map(&[22, 2], 64),
        ];
        assert_eq!(labels(steps), ["20; 21; 22", "1"]);
    }
}
