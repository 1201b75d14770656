//! Matrix products and convolutions on this machine's adapter against the f64
//! reference. All numbers are small integers, so that every sum is exact and
//! the two must agree to the bit, whatever the order of additions.

use gpugan::gpu::{Executable, Gpu, Memory};
use gpugan::graph::{ConvGeometry, Op, Shape};
use gpugan::ops::conv::{Conv, Target};
use gpugan::ops::matmul::MatMul;
use gpugan::ops::{Epilogue, Facts, Launch, Variant};
use gpugan::recording::{
    Access, Binding, Command, Dispatch, Recording, Slice, StepValues, Storage,
};
use gpugan::reference::{Tensor, apply};

use crate::adapter::open;

/// Whole numbers from -3 to 3 without a visible pattern.
fn numbers(shape: impl Into<Shape>, seed: u32) -> Tensor {
    let mut state = seed.wrapping_mul(0x9e37_79b9) | 1;
    Tensor::from_fn(shape, |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f64::from(state >> 20 & 0xff) % 7.0 - 3.0
    })
}

/// Places of a tensor's elements in memory, in row-major order of its axes.
fn places(shape: &Shape, strides: &[usize]) -> Vec<usize> {
    let mut places = Vec::new();
    Tensor::from_fn(shape.clone(), |p| {
        places.push(p.iter().zip(strides).map(|(i, s)| i * s).sum());
        0.0
    });
    places
}

/// A launch and what it should compute.
struct Job {
    label: String,
    launch: Launch,
    /// Operands and their strides, in binding order.
    inputs: Vec<(Tensor, Vec<usize>)>,
    /// The result and the strides that were asked for.
    want: Tensor,
    strides: Vec<usize>,
}

/// Runs all jobs as one recording and compares every element.
fn check(gpu: &Gpu, jobs: &[Job]) {
    for job in jobs {
        gpugan::gpu::translate(&job.launch.kernel).unwrap_or_else(|e| panic!("{e}"));
    }
    let mut sizes = Vec::new();
    let mut commands = Vec::new();
    for job in jobs {
        let slice = |len: usize, sizes: &mut Vec<usize>| {
            sizes.push(len);
            Slice {
                storage: Storage::Arena(sizes.len() - 1),
                offset: 0,
                len,
            }
        };
        let mut bindings = vec![Binding {
            slice: slice(job.want.data.len(), &mut sizes),
            access: Access::Write,
        }];
        for (tensor, _) in &job.inputs {
            bindings.push(Binding {
                slice: slice(tensor.data.len(), &mut sizes),
                access: Access::Read,
            });
        }
        commands.push(Dispatch {
            kernel: job.launch.kernel.clone(),
            bindings,
            workgroups: job.launch.workgroups,
            label: job.label.clone(),
        });
    }
    let memory = Memory::new(gpu, &sizes, &[]).unwrap();
    for (job, dispatch) in jobs.iter().zip(&commands) {
        let nan = vec![f32::NAN; job.want.data.len()];
        memory.write(dispatch.bindings[0].slice, &nan).unwrap();
        for ((tensor, strides), binding) in job.inputs.iter().zip(&dispatch.bindings[1..]) {
            let mut values = vec![f32::NAN; tensor.data.len()];
            for (value, place) in tensor.data.iter().zip(places(&tensor.shape, strides)) {
                values[place] = *value as f32;
            }
            memory.write(binding.slice, &values).unwrap();
        }
    }
    let recording = Recording {
        commands: commands.iter().cloned().map(Command::Dispatch).collect(),
        temporaries: Vec::new(),
    };
    let mut executable = Executable::new(gpu, &memory, &recording).unwrap();
    executable.run(gpu, &StepValues::default()).unwrap();
    for (job, dispatch) in jobs.iter().zip(&commands) {
        let got = memory.read(dispatch.bindings[0].slice).unwrap();
        let places = places(&job.want.shape, &job.strides);
        for (index, (want, place)) in job.want.data.iter().zip(places).enumerate() {
            assert_eq!(
                f64::from(got[place]),
                *want,
                "element {index} of {:?}: {}",
                job.want.shape,
                job.label
            );
        }
    }
}

/// Plain and one tile each of a workgroup, a subgroup and a thread, other ones
/// for other `turn`s: a driver takes seconds to compile a case's every tile.
fn some(candidates: Vec<Variant>, turn: usize) -> Vec<Variant> {
    let kinds: [fn(&Variant) -> bool; 4] = [
        |variant| matches!(variant, Variant::Plain),
        |variant| matches!(variant, Variant::Workgroup { .. }),
        |variant| matches!(variant, Variant::Subgroup { .. }),
        |variant| matches!(variant, Variant::Thread { .. }),
    ];
    kinds
        .into_iter()
        .filter_map(|is| {
            let of_kind: Vec<_> = candidates.iter().copied().filter(is).collect();
            (!of_kind.is_empty()).then(|| of_kind[turn * 7 % of_kind.len()])
        })
        .collect()
}

fn matmul_jobs(
    facts: &Facts,
    turn: usize,
    [batch, m, n, k]: [usize; 4],
    epilogue: bool,
) -> Vec<Job> {
    let shapes: [Shape; 3] = [
        [batch, m, k].into(),
        [batch, k, n].into(),
        [batch, m, n].into(),
    ];
    let a = numbers(shapes[0].clone(), 1);
    let b = numbers(shapes[1].clone(), 2);
    let op = Op::MatMul {
        transpose_a: false,
        transpose_b: false,
    };
    let product = apply(&op, &[&a, &b], &shapes[2], 0, 0).unwrap();
    let bias = numbers([n], 3);
    let mut jobs = Vec::new();
    for orders in [[0, 1, 2], [0, 2, 1], [1, 2, 0]] {
        let strides =
            |which: usize| -> [usize; 3] { shapes[which].strides_in(&orders).try_into().unwrap() };
        // Each order meets each operand, in other company for other turns.
        let rows: [usize; 3] = shapes[1].strides().try_into().unwrap();
        let problem = MatMul {
            batch,
            m,
            n,
            k,
            a: strides(0),
            b: if turn.is_multiple_of(2) {
                strides(1)
            } else {
                rows
            },
            y: if orders == [1, 2, 0] {
                strides(2)
            } else {
                shapes[2].strides().try_into().unwrap()
            },
        };
        for variant in some(problem.candidates(facts), turn) {
            let mut inputs = vec![
                (a.clone(), problem.a.to_vec()),
                (b.clone(), problem.b.to_vec()),
            ];
            let (fused, want) = if epilogue {
                inputs.push((bias.clone(), vec![1]));
                let want = Tensor::from_fn(product.shape.clone(), |p| {
                    2.0 * product.at(p) + bias.at(&p[2..]) + (p[0] * 10 + p[1]) as f64
                });
                let code = "fn epilogue(acc: f32, i: vec4<u32>) -> f32 {
                    return 2.0 * acc + e0[i.w] + f32(i.y * 10u + i.z);
                }";
                let fused = Epilogue {
                    extras: 1,
                    code: code.into(),
                };
                (fused, want)
            } else {
                (Epilogue::none(), product.clone())
            };
            jobs.push(Job {
                label: format!("{variant:?} {problem:?}"),
                launch: problem.launch(variant, &fused),
                inputs,
                want,
                strides: problem.y.to_vec(),
            });
        }
    }
    jobs
}

#[test]
fn matrix_products_agree_with_the_reference() {
    let sizes = [
        [1, 1, 1, 1],
        [1, 64, 32, 100],
        [3, 16, 24, 8],
        [2, 7, 5, 3],
        [1, 13, 17, 129],
        [1, 1, 1, 1024],
        [1, 300, 1, 40],
        [1, 3, 513, 2],
        [5, 12, 12, 64],
        [1, 100, 36, 64],
    ];
    let gpu = open();
    let facts = gpu.facts.kernel_facts();
    let jobs: Vec<_> = sizes
        .iter()
        .enumerate()
        .flat_map(|(turn, &size)| matmul_jobs(&facts, turn, size, turn % 2 == 1))
        .collect();
    check(&gpu, &jobs);
}

/// `[N, C, O]`, image, kernel, stride, dilation, pads, groups.
type Case = (
    [usize; 3],
    [usize; 2],
    [usize; 2],
    [usize; 2],
    [usize; 2],
    [[usize; 2]; 2],
    usize,
);

#[rustfmt::skip]
const CASES: [Case; 16] = [
    ([2, 8, 16], [8, 8], [4, 4], [2, 2], [1, 1], [[1, 1], [1, 1]], 1),
    ([3, 3, 8], [8, 8], [4, 4], [2, 2], [1, 1], [[1, 1], [1, 1]], 1),
    ([2, 1, 12], [9, 7], [3, 4], [2, 1], [1, 1], [[1, 2], [0, 1]], 1),
    ([4, 16, 1], [4, 4], [4, 4], [1, 1], [1, 1], [[0, 0], [0, 0]], 1),
    ([1, 5, 7], [11, 13], [3, 3], [1, 1], [1, 1], [[1, 1], [1, 1]], 1),
    ([1, 12, 20], [5, 7], [3, 2], [2, 3], [1, 1], [[1, 0], [2, 1]], 1),
    ([2, 4, 4], [1, 1], [1, 1], [1, 1], [1, 1], [[0, 0], [0, 0]], 1),
    ([2, 4, 8], [2, 3], [5, 5], [1, 1], [1, 1], [[2, 2], [2, 2]], 1),
    ([1, 6, 4], [9, 9], [3, 3], [1, 2], [2, 2], [[2, 2], [2, 2]], 1),
    ([2, 4, 8], [10, 11], [3, 3], [2, 2], [3, 2], [[3, 2], [3, 2]], 1),
    ([2, 8, 4], [7, 7], [2, 2], [3, 3], [1, 1], [[0, 0], [0, 0]], 1),
    ([3, 6, 10], [6, 5], [3, 3], [1, 1], [1, 1], [[1, 1], [1, 1]], 2),
    ([1, 5, 5], [6, 6], [4, 4], [2, 2], [1, 1], [[1, 1], [1, 1]], 5),
    ([5, 20, 36], [3, 3], [3, 3], [1, 1], [1, 1], [[1, 1], [1, 1]], 1),
    ([64, 8, 8], [6, 6], [3, 3], [1, 1], [1, 1], [[1, 1], [1, 1]], 1),
    ([2, 1, 1], [12, 12], [4, 4], [4, 4], [1, 1], [[1, 1], [1, 1]], 1),
];

/// Jobs of one kind for a case: operands in row-major order and as the variant
/// demands them.
fn conv_jobs(facts: &Facts, turn: usize, kind: Target, case: Case) -> Vec<Job> {
    let ([n, c, o], input, kernel, stride, dilation, pad, groups) = case;
    let geometry = ConvGeometry::forward(input, kernel, stride, dilation, pad, groups).unwrap();
    let x_shape = Shape::from([n, c, input[0], input[1]]);
    let w_shape = Shape::from([o, c / groups, kernel[0], kernel[1]]);
    let y_shape = Shape::from([n, o, geometry.output[0], geometry.output[1]]);
    let (op, shapes) = match kind {
        Target::Forward => (Op::Conv2d(geometry), [&y_shape, &x_shape, &w_shape]),
        Target::Transpose => (
            Op::ConvTranspose2d(geometry),
            [&x_shape, &y_shape, &w_shape],
        ),
        Target::WeightGrad => (Op::ConvWeightGrad(geometry), [&w_shape, &x_shape, &y_shape]),
    };
    let (left, right) = (numbers(shapes[1].clone(), 1), numbers(shapes[2].clone(), 2));
    let plain_want = apply(&op, &[&left, &right], shapes[0], 0, 0).unwrap();
    let bias = numbers([shapes[0][1]], 3);
    let fused_want = Tensor::from_fn(plain_want.shape.clone(), |p| {
        2.0 * plain_want.at(p) + bias.at(&p[1..2]) + (p[0] * 100 + p[2] * 10 + p[3]) as f64
    });
    let fused = Epilogue {
        extras: 1,
        code: "fn epilogue(acc: f32, i: vec4<u32>) -> f32 {
            return 2.0 * acc + e0[i.y] + f32(i.x * 100u + i.z * 10u + i.w);
        }"
        .into(),
    };
    let row_major = |shape: &Shape| -> [usize; 4] { shape.strides().try_into().unwrap() };
    let mut conv = Conv {
        kind,
        geometry,
        batch: n,
        channels: c,
        filters: o,
        x: row_major(&x_shape),
        w: row_major(&w_shape),
        y: row_major(&y_shape),
    };
    let mut jobs = Vec::new();
    for (round, variant) in some(conv.candidates(facts), turn).into_iter().enumerate() {
        let odd = turn + round;
        // Plans always pack, so that other strides need fewer trials.
        for packed in [false, true] {
            if !packed && !odd.is_multiple_of(4) {
                continue;
            }
            if packed {
                let orders = conv.orders(variant);
                let reorder =
                    |shape: &Shape, order: Option<[usize; 4]>, strides: &mut [usize; 4]| {
                        if let Some(order) = order {
                            *strides = shape.strides_in(&order).try_into().unwrap();
                        }
                    };
                reorder(&x_shape, orders.x, &mut conv.x);
                reorder(&w_shape, orders.w, &mut conv.w);
                reorder(&y_shape, orders.y, &mut conv.y);
                if kind == Target::WeightGrad && odd.is_multiple_of(2) {
                    conv.w = w_shape.strides_in(&[2, 3, 1, 0]).try_into().unwrap();
                }
                // The other contiguous axis of the weight is as good.
                if kind == Target::Forward && odd.is_multiple_of(2) {
                    conv.w = w_shape.strides_in(&[2, 3, 0, 1]).try_into().unwrap();
                }
                if kind == Target::Transpose && odd.is_multiple_of(2) {
                    conv.w = w_shape.strides_in(&[0, 2, 3, 1]).try_into().unwrap();
                }
            }
            let strides = match kind {
                Target::Forward => [conv.y, conv.x, conv.w],
                Target::Transpose => [conv.x, conv.y, conv.w],
                Target::WeightGrad => [conv.w, conv.x, conv.y],
            };
            let mut inputs = vec![
                (left.clone(), strides[1].to_vec()),
                (right.clone(), strides[2].to_vec()),
            ];
            let with_epilogue = odd.is_multiple_of(2);
            let (epilogue, want) = if with_epilogue {
                inputs.push((bias.clone(), vec![1]));
                (fused.clone(), fused_want.clone())
            } else {
                (Epilogue::none(), plain_want.clone())
            };
            jobs.push(Job {
                label: format!("{variant:?} {conv:?}"),
                launch: conv.launches(variant, &epilogue).last,
                inputs,
                want,
                strides: strides[0].to_vec(),
            });
        }
        conv.x = row_major(&x_shape);
        conv.w = row_major(&w_shape);
        conv.y = row_major(&y_shape);
    }
    jobs
}

fn check_kind(kind: Target) {
    let gpu = open();
    let facts = gpu.facts.kernel_facts();
    let jobs: Vec<_> = CASES
        .into_iter()
        .enumerate()
        .flat_map(|(turn, case)| conv_jobs(&facts, turn, kind, case))
        .collect();
    check(&gpu, &jobs);
}

#[test]
fn convolutions_agree_with_the_reference() {
    check_kind(Target::Forward);
}

#[test]
fn transposed_convolutions_agree_with_the_reference() {
    check_kind(Target::Transpose);
}

#[test]
fn weight_gradients_agree_with_the_reference() {
    check_kind(Target::WeightGrad);
}
