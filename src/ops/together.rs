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
struct Bound {
    tensor: usize,
    access: Access,
    element: &'static str,
    name: String,
}

/// What a launch binds, in order.
#[derive(Default)]
struct Bindings(Vec<Bound>);

impl Bindings {
    /// The name of an output, which is `y` for the first map.
    fn output(&mut self, tensor: usize, element: &'static str, map: usize) -> String {
        self.add(tensor, Access::Write, element, ending("y", map))
    }

    /// The name of an input, which is bound once for each way of reading it.
    fn input(&mut self, tensor: usize, element: &'static str) -> String {
        let mut inputs = self.0.iter().filter(|bound| bound.access == Access::Read);
        let count = inputs.clone().count();
        match inputs.find(|bound| bound.tensor == tensor && bound.element == element) {
            Some(known) => known.name.clone(),
            None => self.add(tensor, Access::Read, element, format!("x{count}")),
        }
    }

    fn add(
        &mut self,
        tensor: usize,
        access: Access,
        element: &'static str,
        name: String,
    ) -> String {
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

/// One kernel for several maps, none of which reads what another writes: a small map takes
/// less time than its launch. Each comes with the numbers of its tensors, output first.
/// Also gives the tensors in the order of the bindings.
pub fn launch_together(maps: &[(&Map, &[usize])]) -> (Launch, Vec<(usize, Access)>) {
    let cuts: Vec<Cut<'_>> = maps.iter().map(|(map, _)| Cut::new(map)).collect();
    let most = cuts.iter().map(Cut::threads).max().unwrap_or(0);
    let mut bindings = Bindings::default();
    let [mut functions, mut moves] = [String::new(), String::new()];
    for (place, (cut, (map, tensors))) in cuts.iter().zip(maps).enumerate() {
        let names = tensors.iter().enumerate().map(|(number, &tensor)| {
            let element = cut.element(number);
            match number {
                0 => bindings.output(tensor, element, place),
                _ => bindings.input(tensor, element),
            }
        });
        let names: Vec<String> = names.collect();
        let function = ending("evaluate", place);
        functions += &map.function(&function);
        let code = cut.code(&names, &function);
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
    (
        launch,
        bound.map(|bound| (bound.tensor, bound.access)).collect(),
    )
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
