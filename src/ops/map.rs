//! Elementwise kernels: any chain of elementwise operations, permutations,
//! slices and stretchings as one pass (`shaders/map.wgsl`).

use std::fmt::Write;

use super::load::{Axes, Load, binding, mentioned_coordinates, shifted};
use super::{Launch, workgroups_of};
use crate::graph::{Binary, Unary};
use crate::recording::Kernel;

/// Most inputs of one kernel: WebGPU's 8 storage buffers less the output.
pub const MAX_LOADS: usize = 7;

const WORKGROUP: u32 = 64;

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
    /// WGSL: loads what [`Move::argument`] names.
    fn load(self, input: usize, address: &str) -> String {
        match self {
            Self::Vector => format!("    let v{input} = unpack(x{input}[{address}]);\n"),
            Self::Steps(0) => format!("    let v{input} = x{input}[{address}];\n"),
            Self::Steps(_) => format!("    let at{input} = {address};\n"),
        }
    }

    /// WGSL: the `k`th of the four neighbours, as a further argument.
    fn argument(self, input: usize, k: usize) -> String {
        match self {
            Self::Vector => format!(", v{input}.{}", ["x", "y", "z", "w"][k]),
            Self::Steps(0) => format!(", v{input}"),
            Self::Steps(step) => format!(", x{input}[at{input} + {}u]", k * step),
        }
    }

    /// WGSL: stores the results `r0` to `r3`.
    fn store(self, address: &str) -> String {
        match self {
            Self::Vector => format!("    y[{address}] = pack(vec4(r0, r1, r2, r3));\n"),
            Self::Steps(step) => (0..4).fold(format!("    let at = {address};\n"), |code, k| {
                code + &format!("    y[at + {}u] = r{k};\n", k * step)
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

    /// The kernel: `quad` where four neighbours fit the innermost axis, else
    /// `plain`.
    pub fn launch(&self) -> Launch {
        let strides: Vec<&[usize]> = std::iter::once(&self.store)
            .chain(&self.loads)
            .map(|load| &load.strides[..])
            .collect();
        let axes = Axes::merged(&self.shape, &strides);
        if axes.sizes.last().is_some_and(|size| size % 4 == 0) {
            self.quad(axes)
        } else {
            self.plain(&axes)
        }
    }

    /// One thread an element.
    fn plain(&self, axes: &Axes) -> Launch {
        let (mut code, addresses) = axes.addresses("id", "a");
        let mut bindings = binding(0, "read_write", "y", "f32");
        let mut arguments = String::new();
        for (k, load) in self.loads.iter().enumerate() {
            bindings += &binding(k + 1, "read", &format!("x{k}"), "f32");
            let _ = write!(
                arguments,
                ", x{k}[{}]",
                shifted(&addresses[k + 1], load.offset)
            );
        }
        let target = shifted(&addresses[0], self.store.offset);
        let _ = write!(code, "    y[{target}] = evaluate(id{arguments});");
        self.kernel("plain", bindings, code, 1)
    }

    /// One thread four neighbours along the innermost axis, which is a multiple
    /// of 4; of several places along the outermost axis where some tensor is
    /// the same at all of them, so that it is loaded once: applying batch
    /// normalisation so takes 0.6 of the time on lavapipe.
    fn quad(&self, mut axes: Axes) -> Launch {
        let tensors: Vec<&Load> = std::iter::once(&self.store).chain(&self.loads).collect();
        let inner = axes.sizes.len() - 1;
        axes.sizes[inner] /= 4;
        let mut moves = Vec::new();
        for (strides, tensor) in axes.strides.iter_mut().zip(&tensors) {
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
        let places = self.places_a_thread(&axes);
        let along: Vec<usize> = axes.strides.iter().map(|strides| strides[0]).collect();
        if places > 1 {
            axes.sizes[0] /= places;
            axes.strides.iter_mut().for_each(|s| s[0] *= places);
        }
        let (mut code, addresses) = axes.addresses("id", "a");
        let mut bindings = String::new();
        for (number, movement) in moves.iter().enumerate() {
            let (name, access) = match number {
                0 => ("y".to_owned(), "read_write"),
                _ => (format!("x{}", number - 1), "read"),
            };
            let element = match movement {
                Move::Vector => "Packed",
                Move::Steps(_) => "f32",
            };
            bindings += &binding(number, access, &name, element);
        }
        let address = |number: usize| {
            let vector = moves[number] == Move::Vector;
            let offset = tensors[number].offset / if vector { 4 } else { 1 };
            let first = shifted(&addresses[number], offset);
            match along[number] {
                step if places > 1 && step > 0 => format!("{first} + place * {step}u"),
                _ => first,
            }
        };
        let stays = |number: usize| places > 1 && along[number] == 0;
        for number in (1..moves.len()).filter(|&number| stays(number)) {
            code += &moves[number].load(number - 1, &address(number));
        }
        if places > 1 {
            // Written out, it takes three times as long to compile.
            let _ = writeln!(code, "    let places = veiled({places}u);");
            code += "    for (var place = 0u; place < places; place++) {\n";
        }
        for number in (1..moves.len()).filter(|&number| !stays(number)) {
            code += &moves[number].load(number - 1, &address(number));
        }
        for k in 0..4 {
            let arguments: String = (1..moves.len())
                .map(|number| moves[number].argument(number - 1, k))
                .collect();
            let _ = writeln!(code, "    let r{k} = evaluate(id * 4u + {k}u{arguments});");
        }
        code += &moves[0].store(&address(0));
        if places > 1 {
            code += "    }\n";
        }
        self.kernel("quad", bindings, code, 4 * places)
    }

    /// How many places along the outermost axis one thread computes.
    fn places_a_thread(&self, axes: &Axes) -> usize {
        let outermost = axes.sizes[0];
        let shares = axes.strides.iter().any(|strides| strides[0] == 0);
        let threads: usize = axes.sizes.iter().product::<usize>() / PLACES;
        // Coordinates are counted from the thread's number.
        let free = mentioned_coordinates(&self.body, "linear", &self.shape, 0).is_empty();
        let apart = axes.sizes.len() > 1 && outermost.is_multiple_of(PLACES);
        if shares && free && apart && threads >= LEAST_THREADS {
            PLACES
        } else {
            1
        }
    }

    fn kernel(
        &self,
        variant: &'static str,
        bindings: String,
        moves: String,
        per_thread: usize,
    ) -> Launch {
        let parameters = (0..self.loads.len()).fold(String::new(), |mut text, k| {
            let _ = write!(text, ", v{k}: f32");
            text
        });
        let coordinates = mentioned_coordinates(&self.body, "linear", &self.shape, 0);
        let threads = self.shape.iter().product::<usize>() / per_thread;
        let workgroups = workgroups_of(threads, WORKGROUP);
        Launch {
            kernel: Kernel {
                file: "map.wgsl",
                variant,
                constants: vec![
                    ("WORKGROUP", WORKGROUP),
                    ("GRID_X", workgroups[0]),
                    ("COUNT", threads as u32),
                ],
                snippets: vec![
                    ("bindings", bindings),
                    ("parameters", parameters),
                    ("body", coordinates + &self.body),
                    ("moves", moves),
                ],
                reads_step: false,
            },
            workgroups,
        }
    }
}

/// A finite number as a WGSL literal; larger magnitudes than f32 holds become
/// the largest, and NaN, which WGSL cannot write, becomes 0.
pub fn literal(value: f32) -> String {
    let value = if value.is_nan() {
        0.0
    } else {
        value.clamp(f32::MIN, f32::MAX)
    };
    if value.is_sign_negative() {
        format!("(-{:?}f)", -value)
    } else {
        format!("{value:?}f")
    }
}

/// WGSL expression of `f(x)`, where `x` is a name or literal; the functions lie in
/// `shaders/lib/math.wgsl`.
pub fn unary_code(f: Unary, x: &str) -> String {
    match f {
        Unary::Neg => format!("(-{x})"),
        Unary::Exp => format!("exp({x})"),
        Unary::Log => format!("op_log({x})"),
        Unary::Sqrt => format!("sqrt({x})"),
        Unary::Rsqrt => format!("inverseSqrt({x})"),
        Unary::Recip => format!("(1.0 / {x})"),
        Unary::Abs => format!("abs({x})"),
        Unary::Sign => format!("sign({x})"),
        Unary::Sigmoid => format!("op_sigmoid({x})"),
        Unary::Tanh => format!("op_tanh({x})"),
        Unary::Softplus => format!("op_softplus({x})"),
        Unary::Atanh => format!("op_atanh({x})"),
        Unary::Sin => format!("op_sin({x})"),
        Unary::Cos => format!("op_cos({x})"),
        Unary::Floor => format!("floor({x})"),
        Unary::Round => format!("round({x})"),
        Unary::Finite => format!("op_finite({x})"),
        Unary::LeakyRelu(slope) => format!("op_leaky_relu({x}, {})", literal(slope.0)),
    }
}

/// WGSL expression of `f(a, b)`, where both are names or literals.
pub fn binary_code(f: Binary, a: &str, b: &str) -> String {
    match f {
        Binary::Add => format!("({a} + {b})"),
        Binary::Sub => format!("({a} - {b})"),
        Binary::Mul => format!("({a} * {b})"),
        Binary::Div => format!("({a} / {b})"),
        Binary::Max => format!("max({a}, {b})"),
        Binary::Min => format!("min({a}, {b})"),
        Binary::Pow => format!("pow({a}, {b})"),
        Binary::Greater => format!("op_greater({a}, {b})"),
        Binary::GreaterEqual => format!("op_greater_equal({a}, {b})"),
        Binary::Equal => format!("op_equal({a}, {b})"),
    }
}

/// WGSL expression of `condition != 0 ? a : b`.
pub fn select_code(condition: &str, a: &str, b: &str) -> String {
    format!("op_select({condition}, {a}, {b})")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Scalar;
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
        let moves = &launch.kernel.snippets[3].1;
        assert!(moves.contains("let v0 = unpack(x0[id]);"), "{moves}");
        assert!(moves.contains("x2[at2 + 18u]"), "{moves}");
        assert!(moves.contains("y[id] = pack(vec4"), "{moves}");
        // A part of a concatenation that starts off the grid of four.
        let launch = map.stored(load(&[30, 10, 1], 1)).launch();
        validate(&launch);
        assert!(launch.kernel.snippets[3].1.contains("y[at + 3u] = r3;"));
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

    #[test]
    fn literals_are_exact() {
        assert_eq!(literal(0.1), "0.1f");
        assert_eq!(literal(-2.0), "(-2.0f)");
        assert_eq!(literal(1e-40), "1e-40f");
        assert_eq!(literal(f32::INFINITY), literal(f32::MAX));
        for value in [1.0f32 / 3.0, 1e30, f32::MIN_POSITIVE, 16_777_217.0] {
            let text = literal(value);
            assert_eq!(text.trim_end_matches('f').parse::<f32>(), Ok(value));
        }
    }
}
