//! Elementwise kernels: any chain of elementwise operations, permutations,
//! slices and stretchings as one pass (`shaders/map.wgsl`).

use std::fmt::Write;

use super::load::{Axes, Load, mentioned_coordinates, shifted};

/// Most inputs of one kernel: WebGPU's 8 storage buffers less the output.
pub const MAX_LOADS: usize = 7;

pub(super) const WORKGROUP: u32 = 64;

/// Places that one thread computes where they share an input.
const PLACES: usize = 4;

/// Fewer threads are not worth a shared load.
const LEAST_THREADS: usize = 1 << 10;

/// One value for every place of `shape`. Bindings: 0 the output, then one a
/// load.
#[derive(Clone, PartialEq, Debug)]
pub struct Map {
    /// The axes walked, at most 6, outermost first in the order of the
    /// output's memory.
    pub shape: Vec<usize>,
    /// How each input lies along those axes, at most [`MAX_LOADS`].
    pub loads: Vec<Load>,
    /// WGSL statements that end by `let result = ...;`, an f32, out of the
    /// loaded values `v0`, `v1`, ... and the coordinates `i0`, `i1`, ... (u32)
    /// along `shape`.
    pub body: String,
    /// How the output lies along the axes; no two places may share an element.
    pub store: Load,
}

/// How four neighbours along the innermost axis move between registers and one
/// tensor.
#[derive(Clone, Copy, PartialEq)]
enum Move {
    /// As one aligned vec4.
    Vector,
    /// One by one, this many elements apart; 0 is one element for all.
    Steps(usize),
}

impl Move {
    fn element(self) -> &'static str {
        match self {
            Self::Vector => "Packed",
            Self::Steps(_) => "f32",
        }
    }

    /// WGSL: loads what [`Move::argument`] names from `tensor`.
    fn load(self, input: usize, tensor: &str, address: &str) -> String {
        match self {
            Self::Vector => format!("    let v{input} = unpack({tensor}[{address}]);\n"),
            Self::Steps(0) => format!("    let v{input} = {tensor}[{address}];\n"),
            Self::Steps(_) => format!("    let at{input} = {address};\n"),
        }
    }

    /// WGSL: the `k`th of the four neighbours, as a further argument.
    fn argument(self, input: usize, tensor: &str, k: usize) -> String {
        match self {
            Self::Vector => format!(", v{input}.{}", ["x", "y", "z", "w"][k]),
            Self::Steps(0) => format!(", v{input}"),
            Self::Steps(step) => format!(", {tensor}[at{input} + {}u]", k * step),
        }
    }

    /// WGSL: stores the results `r0` to `r3`.
    fn store(self, tensor: &str, address: &str) -> String {
        match self {
            Self::Vector => format!("    {tensor}[{address}] = pack(vec4(r0, r1, r2, r3));\n"),
            Self::Steps(step) => (0..4).fold(format!("    let at = {address};\n"), |code, k| {
                code + &format!("    {tensor}[at + {}u] = r{k};\n", k * step)
            }),
        }
    }
}

impl Map {
    /// A map whose output is contiguous in the order of `shape`.
    pub fn new(shape: Vec<usize>, loads: Vec<Load>, body: impl Into<String>) -> Self {
        let store = Load::contiguous(&shape);
        Self {
            shape,
            loads,
            body: body.into(),
            store,
        }
    }

    /// The same map, written into part of a larger tensor: a part of a
    /// concatenation, the inside of a padded image.
    pub fn stored(self, store: Load) -> Self {
        Self { store, ..self }
    }

    /// The same map, whose output of this shape lies in another order of the axes; `None`
    /// where it walks other axes, is part of a larger tensor, or is computed from its
    /// place.
    pub(crate) fn reordered(&self, shape: &[usize], order: &[usize]) -> Option<Self> {
        let dense = self.shape == shape && self.store == Load::contiguous(&self.shape);
        let load = |load: &Load| Load {
            strides: order.iter().map(|&axis| load.strides[axis]).collect(),
            ..*load
        };
        (dense && self.is_free()).then(|| {
            let shape = order.iter().map(|&axis| self.shape[axis]).collect();
            Self::new(
                shape,
                self.loads.iter().map(load).collect(),
                self.body.clone(),
            )
        })
    }

    /// Whether it computes the same wherever it is.
    fn is_free(&self) -> bool {
        mentioned_coordinates(&self.body, "linear", &self.shape, 0).is_empty()
    }

    /// Elements of the output.
    pub fn results(&self) -> usize {
        self.shape.iter().product()
    }

    /// How the output and then the inputs lie.
    fn tensors(&self) -> impl Iterator<Item = &Load> {
        std::iter::once(&self.store).chain(&self.loads)
    }

    /// WGSL: the function of this name that computes an element.
    pub(super) fn function(&self, name: &str) -> String {
        let parameters = (0..self.loads.len()).fold(String::new(), |mut text, k| {
            let _ = write!(text, ", v{k}: f32");
            text
        });
        let coordinates = mentioned_coordinates(&self.body, "linear", &self.shape, 0);
        format!(
            "fn {name}(linear: u32{parameters}) -> f32 {{\n{coordinates}{}\n    return result;\n}}\n",
            self.body
        )
    }

    /// How many places along the outermost axis one thread computes.
    fn places_a_thread(&self, axes: &Axes) -> usize {
        let outermost = axes.sizes[0];
        let shares = axes.strides.iter().any(|strides| strides[0] == 0);
        let threads: usize = axes.sizes.iter().product::<usize>() / PLACES;
        let apart = axes.sizes.len() > 1 && outermost.is_multiple_of(PLACES);
        // Coordinates are counted from the thread's number.
        if shares && self.is_free() && apart && threads >= LEAST_THREADS {
            PLACES
        } else {
            1
        }
    }
}

/// A map cut into threads.
pub(super) struct Cut<'a> {
    map: &'a Map,
    axes: Axes,
    /// Of the output and the inputs, of a thread that computes four neighbours; none
    /// where it computes one element.
    moves: Option<Vec<Move>>,
    /// Steps along the outermost axis of the output and the inputs, and how many places
    /// there one thread computes.
    along: Vec<usize>,
    places: usize,
}

impl<'a> Cut<'a> {
    pub(super) fn new(map: &'a Map) -> Self {
        let strides: Vec<&[usize]> = map.tensors().map(|load| &load.strides[..]).collect();
        let mut axes = Axes::merged(&map.shape, &strides);
        if map.is_free() {
            axes.walk_fours();
        }
        if axes.sizes.last().is_some_and(|size| size % 4 == 0) {
            return Self::quad(map, axes);
        }
        Self {
            map,
            axes,
            moves: None,
            along: Vec::new(),
            places: 1,
        }
    }

    /// One thread four neighbours along the innermost axis, which is a multiple
    /// of 4; of several places along the outermost axis where some tensor is
    /// the same at all of them, so that it is loaded once: applying batch
    /// normalisation so takes 0.6 of the time on lavapipe.
    fn quad(map: &'a Map, mut axes: Axes) -> Self {
        let inner = axes.sizes.len() - 1;
        axes.sizes[inner] /= 4;
        let mut moves = Vec::new();
        for (strides, tensor) in axes.strides.iter_mut().zip(map.tensors()) {
            let step = strides[inner];
            let outer = &mut strides[..inner];
            let aligned = outer.iter().chain([&tensor.offset]).all(|s| s % 4 == 0);
            if step == 1 && aligned {
                // Addresses count vec4s from here on.
                outer.iter_mut().for_each(|stride| *stride /= 4);
                moves.push(Move::Vector);
            } else {
                strides[inner] = 4 * step;
                moves.push(Move::Steps(step));
            }
        }
        let places = map.places_a_thread(&axes);
        let along: Vec<usize> = axes.strides.iter().map(|strides| strides[0]).collect();
        if places > 1 {
            axes.sizes[0] /= places;
            axes.strides.iter_mut().for_each(|s| s[0] *= places);
        }
        Self {
            map,
            axes,
            moves: Some(moves),
            along,
            places,
        }
    }

    pub(super) fn variant(&self) -> &'static str {
        match self.moves {
            None => "plain",
            Some(_) => "quad",
        }
    }

    pub(super) fn threads(&self) -> usize {
        self.map.results() / if self.moves.is_some() { 4 } else { 1 } / self.places
    }

    /// What the output, number 0, or an input is an array of.
    pub(super) fn element(&self, number: usize) -> &'static str {
        let moves = self.moves.as_ref();
        moves.map_or("f32", |moves| moves[number].element())
    }

    /// WGSL: what thread `id` does with tensors of these names, by the function of
    /// this name.
    pub(super) fn code(&self, tensors: &[String], function: &str) -> String {
        match &self.moves {
            None => self.one_by_one(tensors, function),
            Some(moves) => self.by_fours(moves, tensors, function),
        }
    }

    fn one_by_one(&self, tensors: &[String], function: &str) -> String {
        let (mut code, addresses) = self.axes.addresses("id", "a");
        let mut places = addresses.iter().zip(self.map.tensors()).zip(tensors).map(
            |((address, load), tensor)| format!("{tensor}[{}]", shifted(address, load.offset)),
        );
        let target = places.next().unwrap_or_default();
        let arguments: String = places.map(|place| format!(", {place}")).collect();
        let _ = writeln!(code, "    {target} = {function}(id{arguments});");
        code
    }

    fn by_fours(&self, moves: &[Move], tensors: &[String], function: &str) -> String {
        let places = self.places;
        let offsets: Vec<usize> = self.map.tensors().map(|load| load.offset).collect();
        let (mut code, addresses) = self.axes.addresses("id", "a");
        let address = |number: usize| {
            let vector = moves[number] == Move::Vector;
            let offset = offsets[number] / if vector { 4 } else { 1 };
            let first = shifted(&addresses[number], offset);
            match self.along[number] {
                step if places > 1 && step > 0 => format!("{first} + place * {step}u"),
                _ => first,
            }
        };
        let load =
            |number: usize| moves[number].load(number - 1, &tensors[number], &address(number));
        let stays = |number: usize| places > 1 && self.along[number] == 0;
        code.extend((1..moves.len()).filter(|&number| stays(number)).map(load));
        if places > 1 {
            // Written out, it takes three times as long to compile.
            let _ = writeln!(code, "    let places = veiled({places}u);");
            code += "    for (var place = 0u; place < places; place++) {\n";
        }
        code.extend((1..moves.len()).filter(|&number| !stays(number)).map(load));
        for k in 0..4 {
            let arguments: String = (1..moves.len())
                .map(|number| moves[number].argument(number - 1, &tensors[number], k))
                .collect();
            let _ = writeln!(
                code,
                "    let r{k} = {function}(id * 4u + {k}u{arguments});"
            );
        }
        code += &moves[0].store(&tensors[0], &address(0));
        if places > 1 {
            code += "    }\n";
        }
        code
    }
}

#[cfg(test)]
mod tests {
    use super::super::scalar::{binary_code, select_code, unary_code};
    use super::*;
    use crate::graph::{Binary, Scalar, Unary};
    use crate::ops::validate::validate;

    fn load(strides: &[usize], offset: usize) -> Load {
        Load {
            strides: strides.to_vec(),
            offset,
        }
    }

    #[test]
    fn every_function_makes_a_valid_shader() {
        let unaries = [
            Unary::Neg,
            Unary::Exp,
            Unary::Log,
            Unary::Sqrt,
            Unary::Rsqrt,
            Unary::Recip,
            Unary::Abs,
            Unary::Sign,
            Unary::Sigmoid,
            Unary::Tanh,
            Unary::Softplus,
            Unary::Atanh,
            Unary::Sin,
            Unary::Cos,
            Unary::Floor,
            Unary::Round,
            Unary::Finite,
            Unary::LeakyRelu(Scalar(0.2)),
            Unary::LeakyRelu(Scalar(1e-40)),
        ];
        let binaries = [
            Binary::Add,
            Binary::Sub,
            Binary::Mul,
            Binary::Div,
            Binary::Max,
            Binary::Min,
            Binary::Pow,
            Binary::Greater,
            Binary::GreaterEqual,
            Binary::Equal,
        ];
        let mut body = String::from("    var sum = 0.0;\n");
        for f in unaries {
            let _ = writeln!(body, "    sum += {};", unary_code(f, "v0"));
        }
        for f in binaries {
            let _ = writeln!(body, "    sum += {};", binary_code(f, "v0", "v1"));
        }
        let _ = writeln!(body, "    let result = {};", select_code("sum", "v0", "v1"));
        let sizes = vec![3, 5];
        let loads = vec![Load::contiguous(&sizes), load(&[0, 1], 2)];
        validate(&Map::new(sizes, loads, body).launch());
    }

    #[test]
    fn quad_moves_vectors_steps_and_repeats() {
        let sizes = vec![2, 3, 8];
        let body = "    let result = v0 + v1 * v2 - v3 + f32(i1);\n";
        let map = Map::new(
            sizes.clone(),
            vec![
                Load::contiguous(&sizes),
                load(&[0, 1, 0], 1),
                load(&[1, 2, 6], 0),
                load(&[24, 8, 1], 3),
            ],
            body,
        );
        let launch = map.launch();
        assert_eq!(launch.kernel.variant, "quad");
        validate(&launch);
        let moves = &launch.kernel.snippets[2].1;
        assert!(moves.contains("let v0 = unpack(x0[id]);"), "{moves}");
        assert!(moves.contains("x2[at2 + 18u]"), "{moves}");
        assert!(moves.contains("y[id] = pack(vec4"), "{moves}");
        // A part of a concatenation that starts off the grid of four.
        let launch = map.stored(load(&[30, 10, 1], 1)).launch();
        validate(&launch);
        assert!(launch.kernel.snippets[2].1.contains("y[at + 3u] = r3;"));
    }

    #[test]
    fn a_transposed_odd_side_is_walked_where_fours_lie_together() {
        let sizes = vec![2, 8, 7];
        let channels_last = load(&[56, 1, 8], 0);
        let map = |body| Map::new(sizes.clone(), vec![channels_last.clone()], body);
        let launch = map("    let result = v0;\n").launch();
        assert_eq!(launch.kernel.variant, "quad");
        validate(&launch);
        let moves = &launch.kernel.snippets[2].1;
        assert!(moves.contains("let v0 = unpack(x0["), "{moves}");
        assert!(moves.contains("y[at + 21u] = r3;"), "{moves}");
        // One that says where it is, and one that no tensor has fours of.
        let placed = map("    let result = v0 + f32(i1);\n").launch();
        assert_eq!(placed.kernel.variant, "plain");
        let loads = vec![Load::contiguous(&sizes), load(&[0, 1, 0], 0)];
        let whole = Map::new(sizes, loads, "    let result = v0 * v1;\n").launch();
        assert_eq!(whole.kernel.variant, "plain");
    }

    #[test]
    fn odd_sizes_scalars_and_leaves_work() {
        for shape in [vec![], vec![1], vec![7], vec![4], vec![2, 3, 5, 7, 1, 2]] {
            let loads = vec![Load::contiguous(&shape)];
            validate(&Map::new(shape.clone(), loads, "    let result = v0;\n").launch());
            validate(&Map::new(shape, Vec::new(), "    let result = 2.0;\n").launch());
        }
        validate(&Map::new(vec![3, 4], Vec::new(), "    let result = f32(i1);\n").launch());
    }
}
