//! Several maps in one launch.

use super::load::binding;
use super::map::{Cut, Map, WORKGROUP};
use super::{Launch, workgroups_of};
use crate::recording::{Access, Kernel};

impl Map {
    /// The kernel of this map alone: `quad` where four neighbours fit the innermost
    /// axis, else `plain`.
    pub fn launch(&self) -> Launch {
        let tensors: Vec<usize> = (0..=self.loads.len()).collect();
        launch_together(&[(self, &tensors)]).0
    }
}

/// A tensor that a launch binds.
struct Bound<T> {
    tensor: T,
    access: Access,
    element: &'static str,
    name: String,
}

/// What a launch binds, in order.
struct Bindings<T>(Vec<Bound<T>>);

impl<T: Copy + PartialEq> Bindings<T> {
    /// Of maps in their order, with the names of each map's tensors.
    fn of(cuts: &[Cut<'_>], maps: &[(&Map, &[T])]) -> (Self, Vec<Vec<String>>) {
        let mut bindings = Self(Vec::new());
        let of_map = |(place, (cut, (_, tensors))): (usize, (&Cut<'_>, &(&Map, &[T])))| {
            let names = tensors.iter().enumerate().map(|(number, &tensor)| {
                let element = cut.element(number);
                match number {
                    0 => bindings.add(tensor, Access::Write, element, ending("y", place)),
                    _ => bindings.input(tensor, element),
                }
            });
            names.collect()
        };
        let names = cuts.iter().zip(maps).enumerate().map(of_map).collect();
        (bindings, names)
    }

    /// The name of an input, which is bound once for each way of reading it.
    fn input(&mut self, tensor: T, element: &'static str) -> String {
        let mut inputs = self.0.iter().filter(|bound| bound.access == Access::Read);
        let count = inputs.clone().count();
        match inputs.find(|bound| bound.tensor == tensor && bound.element == element) {
            Some(known) => known.name.clone(),
            None => self.add(tensor, Access::Read, element, format!("x{count}")),
        }
    }

    fn add(&mut self, tensor: T, access: Access, element: &'static str, name: String) -> String {
        self.0.push(Bound {
            tensor,
            access,
            element,
            name: name.clone(),
        });
        name
    }

    fn declarations(&self) -> String {
        let declared = self.0.iter().enumerate().map(|(number, bound)| {
            let access = match bound.access {
                Access::Write => "read_write",
                Access::Read => "read",
            };
            binding(number, access, &bound.name, bound.element)
        });
        declared.collect()
    }
}

/// A name of the first map, and the same of another.
fn ending(name: &str, map: usize) -> String {
    match map {
        0 => name.to_owned(),
        _ => format!("{name}{map}"),
    }
}

/// How many bindings [`launch_together`] takes.
pub fn bindings_together<T: Copy + PartialEq>(maps: &[(&Map, &[T])]) -> usize {
    let cuts: Vec<Cut<'_>> = maps.iter().map(|(map, _)| Cut::new(map)).collect();
    Bindings::of(&cuts, maps).0.0.len()
}

/// One kernel for several maps, none of which reads what another writes: a small map takes
/// less time than its launch. Each comes with its tensors, output first. Also gives the
/// tensors in the order of the bindings.
pub fn launch_together<T: Copy + PartialEq>(maps: &[(&Map, &[T])]) -> (Launch, Vec<(T, Access)>) {
    let cuts: Vec<Cut<'_>> = maps.iter().map(|(map, _)| Cut::new(map)).collect();
    let (bindings, names) = Bindings::of(&cuts, maps);
    let most = cuts.iter().map(Cut::threads).max().unwrap_or(0);
    let [mut functions, mut moves] = [String::new(), String::new()];
    for (place, (cut, names)) in cuts.iter().zip(&names).enumerate() {
        let function = ending("evaluate", place);
        functions += &maps[place].0.function(&function);
        let code = cut.code(names, &function);
        let threads = cut.threads();
        moves += &match (maps.len(), threads < most) {
            (1, _) => code,
            (_, false) => format!("    {{\n{code}    }}\n"),
            (_, true) => format!("    if (id < {threads}u) {{\n{code}    }}\n"),
        };
    }
    let workgroups = workgroups_of(most, WORKGROUP);
    let launch = Launch {
        kernel: Kernel {
            file: "map.wgsl",
            variant: match &cuts[..] {
                [cut] => cut.variant(),
                _ => "together",
            },
            constants: vec![
                ("WORKGROUP", WORKGROUP),
                ("GRID_X", workgroups[0]),
                ("COUNT", most as u32),
            ],
            snippets: vec![
                ("bindings", bindings.declarations()),
                ("functions", functions),
                ("moves", moves),
            ],
            reads_step: false,
        },
        workgroups,
    };
    let bound = bindings.0.into_iter();
    let tensors = bound.map(|bound| (bound.tensor, bound.access));
    (launch, tensors.collect())
}

#[cfg(test)]
mod tests {
    use super::super::load::Load;
    use super::super::validate::validate;
    use super::*;

    #[test]
    fn maps_share_inputs_and_have_threads_of_their_own() {
        let of = |shape: &[usize], loads: &[&[usize]]| {
            let loads = loads.iter().map(|strides| Load {
                strides: strides.to_vec(),
                offset: 0,
            });
            let body = (0..loads.len()).fold("let result = 1.0".to_owned(), |body, k| {
                body + &format!(" + v{k}")
            });
            Map::new(shape.to_vec(), loads.collect(), body + ";")
        };
        // By fours, one by one along another axis, and a single element.
        let quad = of(&[8], &[&[1], &[1]]);
        let plain = of(&[2, 3], &[&[1, 2], &[3, 1]]);
        let one = of(&[], &[&[]]);
        let maps: [(&Map, &[usize]); 3] = [
            (&quad, &[10, 1, 2]),
            (&plain, &[11, 3, 4]),
            (&one, &[12, 3]),
        ];
        let (launch, bound) = launch_together(&maps);
        validate(&launch);
        assert_eq!(launch.kernel.variant, "together");
        let [read, written] = [Access::Read, Access::Write];
        let wanted = [
            (10, written),
            (1, read),
            (2, read),
            (11, written),
            (3, read),
            (4, read),
            (12, written),
        ];
        assert_eq!(bound, wanted);
        let moves = &launch.kernel.snippets[2].1;
        assert!(moves.contains("if (id < 2u) {"), "{moves}");
        assert!(moves.contains("y1[id] = evaluate1("), "{moves}");
        assert!(moves.contains("if (id < 1u) {"), "{moves}");
        assert!(moves.contains("y2[0u] = evaluate2(id, x2[0u])"), "{moves}");

        // One input as vec4 and element by element is bound twice.
        let maps: [(&Map, &[usize]); 2] = [(&quad, &[10, 1, 1]), (&plain, &[11, 1, 1])];
        let (launch, bound) = launch_together(&maps);
        validate(&launch);
        assert_eq!(bound, [(10, written), (1, read), (11, written), (1, read)]);
    }
}
