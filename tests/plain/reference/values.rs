//! Values that can be computed by hand.

use gpugan::graph::{Binary, ConvGeometry, Op, PadMode, Unary, Window};
use gpugan::reference::Tensor;

use super::{run, tensor};

#[test]
fn a_transposed_convolution_turns_its_kernel() {
    let x = tensor([1, 1, 3, 3], &[1., 2., 3., 4., 5., 6., 7., 8., 9.]);
    let kernel = [1., 0., -1., 2., 0., -2., 1., 0., -1.];
    let g =
        ConvGeometry::transposed([3, 3], [3, 3], [2, 2], [1, 1], [[1, 1]; 2], [0, 0], 1).unwrap();
    assert_eq!(g.input, [5, 5]);
    let rows = |row: [f64; 5]| tensor([1, 1, 5, 5], &row.repeat(5));
    let k = tensor([1, 1, 3, 3], &kernel);
    let y = run(Op::ConvTranspose2d(g), &[&x, &k], [1, 1, 5, 5]);
    assert_eq!(y, rows([0., 2., 0., 2., 0.]));

    // The same as zeros inserted and a correlation with the turned kernel;
    // with the kernel unturned, the signs are wrong.
    let spread = Tensor::from_fn([1, 1, 5, 5], |p| {
        if p[2] % 2 == 0 && p[3] % 2 == 0 {
            x.at(&[0, 0, p[2] / 2, p[3] / 2])
        } else {
            0.0
        }
    });
    let same = ConvGeometry::forward([5, 5], [3, 3], [1, 1], [1, 1], [[1, 1]; 2], 1).unwrap();
    let turned = tensor(
        [1, 1, 3, 3],
        &kernel.iter().rev().copied().collect::<Vec<_>>(),
    );
    let correlate = |k: &Tensor| run(Op::Conv2d(same), &[&spread, k], [1, 1, 5, 5]);
    assert_eq!(correlate(&turned), y);
    assert_eq!(correlate(&k), rows([0., -2., 0., -2., 0.]));
}

#[test]
fn convolution_sizes_follow_the_formulas_and_tensorflows_pads() {
    // (size, kernel, stride, pads before and after, outputs); SAME gives
    // ceil(size / stride) outputs and the odd pad behind.
    for (size, kernel, stride, [before, after], outputs) in [
        (64, 4, 2, [1, 1], 32),
        (32, 5, 2, [1, 2], 16),
        (7, 5, 2, [2, 2], 4),
        (32, 3, 2, [0, 1], 16),
        (16384, 25, 4, [10, 11], 4096),
    ] {
        assert_eq!(outputs, usize::div_ceil(size, stride));
        let total = (outputs - 1) * stride + kernel - size;
        assert_eq!([before, after], [total / 2, total.div_ceil(2)]);
        let pad = [[0, before], [0, after]];
        let g = ConvGeometry::forward([1, size], [1, kernel], [1, stride], [1, 1], pad, 1).unwrap();
        assert_eq!(g.output, [1, outputs]);
        // With ones everywhere, an output counts the taps inside the image.
        let ones = |size| Tensor::full([1, 1, 1, size], 1.0);
        let y = run(
            Op::Conv2d(g),
            &[&ones(size), &ones(kernel)],
            [1, 1, 1, outputs],
        );
        assert_eq!(y.data[0], (kernel - before) as f64);
        assert_eq!(y.data[outputs - 1], (kernel - after) as f64);
        assert_eq!(y.data[outputs / 2], kernel as f64, "size {size}");
    }
    for (size, kernel, stride, pad) in [(28, 5, 2, 2), (11, 3, 1, 0), (9, 4, 3, 1)] {
        let g = ConvGeometry::forward(
            [size, size],
            [kernel, kernel],
            [stride, stride],
            [1, 1],
            [[pad, pad]; 2],
            1,
        )
        .unwrap();
        assert_eq!(g.output[0], (size + 2 * pad - kernel) / stride + 1);
        for adjustment in 0..stride {
            let back = ConvGeometry::transposed(
                [size, size],
                [kernel, kernel],
                [stride, stride],
                [1, 1],
                [[pad, pad]; 2],
                [adjustment, 0],
                1,
            )
            .unwrap();
            let expected = stride * (size - 1) + kernel - 2 * pad;
            assert_eq!(back.input, [expected + adjustment, expected]);
        }
    }
}

#[test]
fn pooling_takes_the_first_of_equals_and_leaves_the_border_out() {
    let window = Window {
        input: [3, 4],
        output: [2, 2],
        kernel: [3, 3],
        stride: [2, 2],
        pad: [1, 1],
    };
    #[rustfmt::skip]
    let x = tensor([1, 1, 3, 4], &[
        -5., -5., -7., -7.,
        -5., -9., -6., -6.,
        -8., -8., -6., -6.,
    ]);
    let index = run(Op::MaxPoolIndex(window), &[&x], [1, 1, 2, 2]);
    assert_eq!(index.data, [0., 1., 4., 6.]);
    let pooled = run(Op::PoolGather(window), &[&x, &index], [1, 1, 2, 2]);
    // All below zero: the border's zeros do not win.
    assert_eq!(pooled.data, [-5., -5., -5., -6.]);
    let updates = tensor([1, 1, 2, 2], &[1., 2., 4., 8.]);
    let spread = run(Op::PoolScatter(window), &[&updates, &index], [1, 1, 3, 4]);
    assert_eq!(
        spread.data,
        [1., 2., 0., 0., 4., 0., 8., 0., 0., 0., 0., 0.]
    );
    let sums = run(Op::SumPool(window), &[&x], [1, 1, 2, 2]);
    assert_eq!(sums.data, [-24., -40., -30., -41.]);
}

#[test]
fn upsampling_repeats_cells() {
    let window = Window::tiles([2, 6], [2, 3]);
    let x = tensor([1, 1, 1, 2], &[3., 5.]);
    let y = run(Op::SumUnpool(window), &[&x], [1, 1, 2, 6]);
    assert_eq!(y.data, [3., 3., 3., 5., 5., 5.].repeat(2));
}

#[test]
fn reductions_keep_their_axes_and_take_the_first_of_equals() {
    let x = tensor(
        [2, 2, 3],
        &[1., 5., 2., 5., 0., 3., -4., -4., -9., -6., -4., -8.],
    );
    let both = |op: fn(Vec<usize>) -> Op, axes: &[usize], shape: [usize; 3]| {
        run(op(axes.to_vec()), &[&x], shape).data
    };
    assert_eq!(both(Op::Sum, &[1, 2], [2, 1, 1]), [16., -35.]);
    assert_eq!(both(Op::Max, &[1, 2], [2, 1, 1]), [5., -4.]);
    assert_eq!(both(Op::ArgMax, &[1, 2], [2, 1, 1]), [1., 0.]);
    assert_eq!(both(Op::Sum, &[0, 2], [1, 2, 1]), [-9., -10.]);
    assert_eq!(both(Op::ArgMax, &[0, 2], [1, 2, 1]), [1., 0.]);
    assert_eq!(both(Op::ArgMax, &[1], [2, 1, 3]), [1., 0., 1., 0., 0., 1.]);
    assert_eq!(both(Op::Max, &[0], [1, 2, 3]), x.data[..6]);
}

#[test]
fn borders_are_filled_by_their_mode() {
    let x = tensor([4], &[1., 2., 3., 4.]);
    let pad = |mode| {
        let before = vec![2];
        run(Op::Pad { before, mode }, &[&x], [9]).data
    };
    assert_eq!(pad(PadMode::Zero), [0., 0., 1., 2., 3., 4., 0., 0., 0.]);
    assert_eq!(pad(PadMode::Reflect), [3., 2., 1., 2., 3., 4., 3., 2., 1.]);
    assert_eq!(
        pad(PadMode::Replicate),
        [1., 1., 1., 2., 3., 4., 4., 4., 4.]
    );
}

#[test]
fn functions_of_two_elements() {
    let (a, b) = (
        tensor([5], &[2., 3., 4., 0.5, 9.]),
        tensor([5], &[3., 3., 2., -1., 0.]),
    );
    for (f, expected) in [
        (Binary::Add, [5., 6., 6., -0.5, 9.]),
        (Binary::Sub, [-1., 0., 2., 1.5, 9.]),
        (Binary::Mul, [6., 9., 8., -0.5, 0.]),
        (Binary::Div, [2. / 3., 1., 2., -0.5, f64::INFINITY]),
        (Binary::Max, [3., 3., 4., 0.5, 9.]),
        (Binary::Min, [2., 3., 2., -1., 0.]),
        (Binary::Pow, [8., 27., 16., 2., 1.]),
        (Binary::Greater, [0., 0., 1., 1., 1.]),
        (Binary::GreaterEqual, [0., 1., 1., 1., 1.]),
        (Binary::Equal, [0., 1., 0., 0., 0.]),
    ] {
        assert_eq!(run(Op::Binary(f), &[&a, &b], [5]).data, expected, "{f:?}");
    }
    let condition = tensor([5], &[0., 1., -2., 0., 0.5]);
    let chosen = run(Op::Select, &[&condition, &a, &b], [5]);
    assert_eq!(chosen.data, [3., 3., 4., -1., 9.]);
}

#[test]
fn functions_of_one_element_hold_at_their_edges() {
    let x = tensor([4], &[-1000., -0.0, 0.0, 1000.]);
    let of = |f| run(Op::Unary(f), &[&x], [4]).data;
    assert_eq!(of(Unary::Sign), [-1., 0., 0., 1.]);
    assert_eq!(of(Unary::Softplus), [0., 2f64.ln(), 2f64.ln(), 1000.]);
    assert_eq!(of(Unary::Sigmoid), [0., 0.5, 0.5, 1.]);
    let halves = tensor([6], &[-2.5, -1.5, -0.5, 0.5, 1.5, 2.5]);
    let rounded = run(Op::Unary(Unary::Round), &[&halves], [6]);
    assert_eq!(rounded.data, [-2., -2., 0., 0., 2., 2.]);
}

#[test]
fn a_single_element_normalises_to_the_offset_exactly() {
    let x = tensor([1, 3, 1, 1], &[0.1, -7.3, 1e6]);
    let (gain, offset) = (tensor([3], &[2., -3., 0.7]), tensor([3], &[0.1, 0.2, 0.3]));
    let eps = gpugan::graph::Scalar(1e-5);
    let y = run(Op::BatchNorm { eps }, &[&x, &gain, &offset], [1, 3, 1, 1]);
    assert_eq!(y.data, offset.data);
}

#[test]
fn batch_statistics_use_the_biased_variance() {
    // Channel 0 holds 1, 3, 5, 7; channel 1 holds four times 2.
    let x = tensor([2, 2, 1, 2], &[1., 3., 2., 2., 5., 7., 2., 2.]);
    let stats = run(Op::ChannelStats, &[&x], [2, 2]);
    assert_eq!(stats.data, [4., 2., 5., 0.]);
    let g = tensor([2, 2, 1, 2], &[1., 0., 1., 2., 0., 2., 3., 4.]);
    let dots = run(Op::ChannelDot, &[&g, &x, &stats], [2, 2]);
    assert_eq!(dots.data, [3., 10., 3., 0.]);
    let (gain, offset) = (tensor([2], &[2., 1.]), tensor([2], &[10., -1.]));
    let eps = gpugan::graph::Scalar(4.0);
    let y = run(Op::BatchNorm { eps }, &[&x, &gain, &offset], [2, 2, 1, 2]);
    // Variance 5 + 4 makes a deviation of 3.
    let expected = [8., 10. - 2. / 3., -1., -1., 10. + 2. / 3., 12., -1., -1.];
    super::assert_close("BatchNorm", &y, &tensor([2, 2, 1, 2], &expected), 1e-14);
}
