// Pad: each output element finds the inner element it repeats, or zero.
// FOLD, its adjoint: each inner element sums the border elements that repeat
// it, axis by axis in nested loops.
#import lib/grid.wgsl

@group(0) @binding(0) var<storage, read_write> y: array<f32>;
@group(0) @binding(1) var<storage, read> x: array<f32>;

#if FOLD
// How many places of the padded axis (size `total`) repeat inner place `i` of
// `size`, and the k-th of them.
#if REFLECT
fn copies(i: u32, before: u32, size: u32, total: u32) -> u32 {
    return 1u + left(i, before) + right(i, before, size, total);
}

// Whether there is a mirror image in front of the axis.
fn left(i: u32, before: u32) -> u32 {
    return select(0u, 1u, i >= 1u && i <= before);
}

// Whether there is one behind it.
fn right(i: u32, before: u32, size: u32, total: u32) -> u32 {
    return select(0u, 1u, i + 2u <= size && before + 2u * (size - 1u) - i < total);
}

fn copy(i: u32, k: u32, before: u32, size: u32) -> u32 {
    if (k == 0u) {
        return before + i;
    }
    if (k == 1u && left(i, before) == 1u) {
        return before - i;
    }
    return before + 2u * (size - 1u) - i;
}
#else
fn copies(i: u32, before: u32, size: u32, total: u32) -> u32 {
    let front = select(0u, before, i == 0u);
    let behind = select(0u, total - before - size, i + 1u == size);
    return 1u + front + behind;
}

fn copy(i: u32, k: u32, before: u32, size: u32) -> u32 {
    return select(before + i, 0u, i == 0u) + k;
}
#endif
#else
#if ZERO
fn inside(i: u32, before: u32, size: u32) -> bool {
    return i >= before && i - before < size;
}
#endif

// The inner place that place `i` of the padded axis repeats.
fn inner(i: u32, before: u32, size: u32) -> u32 {
#if REFLECT
    if (i < before) {
        return before - i;
    }
    if (i - before >= size) {
        return 2u * (size - 1u) - (i - before);
    }
    return i - before;
#else
    return min(max(i, before) - before, size - 1u);
#endif
}
#endif

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) wg: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let id = linear_id(wg, local);
    if (id >= COUNT) {
        return;
    }
{{place}}
    var result = 0.0;
{{sum}}
    y[{{y_address}}] = result;
}
