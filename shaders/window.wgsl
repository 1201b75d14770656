// Pooling windows over the last two axes of [N, C, H, W]. One thread an output
// element, neighbouring threads on neighbouring memory; adjoints gather from
// the windows that contain a cell, so nothing is added atomically.
//
// QUADS: an element is four neighbouring channels. DISJOINT: windows neither overlap
// nor leave cells out.
#import lib/grid.wgsl
#import lib/packed.wgsl

#if QUADS
alias Element = vec4<f32>;

@group(0) @binding(0) var<storage, read_write> y: array<Packed>;
@group(0) @binding(1) var<storage, read> x: array<Packed>;

fn x_at(i: u32) -> Element {
    return unpack(x[i]);
}

fn stored(e: Element) -> Packed {
    return pack(e);
}
#else
alias Element = f32;

@group(0) @binding(0) var<storage, read_write> y: array<f32>;
@group(0) @binding(1) var<storage, read> x: array<f32>;

fn x_at(i: u32) -> Element {
    return x[i];
}

fn stored(e: Element) -> f32 {
    return e;
}
#endif
#if INDEXED
@group(0) @binding(2) var<storage, read> index: array<f32>;
#endif

// First cell of window `o` and the cell after its last one, both inside the
// image.
fn cells(o: u32, stride: u32, pad: u32, kernel: u32, size: u32) -> vec2<u32> {
    let start = o * stride;
    let first = max(start, pad) - pad;
    let end = max(start + kernel, pad) - pad;
    return vec2<u32>(first, min(end, size));
}

// First window that contains cell `i` and the window after the last one.
fn windows(i: u32, stride: u32, pad: u32, kernel: u32, count: u32) -> vec2<u32> {
    let place = i + pad;
    let first = (max(place + 1u, kernel) - kernel + stride - 1u) / stride;
    return vec2<u32>(first, min(place / stride + 1u, count));
}

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
    let x_base = {{x_base}};
#if SUM_POOL
    var result = Element();
#if DISJOINT
    let corner = x_base + h * STRIDE_H * X_H + w * STRIDE_W * X_W;
#for i in KERNEL_H
#for j in KERNEL_W
    result += x_at(corner + $iu * X_H + $ju * X_W);
#end
#end
#else
    let rows = cells(h, STRIDE_H, PAD_H, KERNEL_H, IMAGE_H);
    let columns = cells(w, STRIDE_W, PAD_W, KERNEL_W, IMAGE_W);
    for (var i = rows.x; i < rows.y; i += 1u) {
        for (var j = columns.x; j < columns.y; j += 1u) {
            result += x_at(x_base + i * X_H + j * X_W);
        }
    }
#endif
#endif
#if SUM_UNPOOL
#if DISJOINT
    let result = x_at(x_base + h / STRIDE_H * X_H + w / STRIDE_W * X_W);
#else
    let rows = windows(h, STRIDE_H, PAD_H, KERNEL_H, COUNT_H);
    let columns = windows(w, STRIDE_W, PAD_W, KERNEL_W, COUNT_W);
    var result = Element();
    for (var i = rows.x; i < rows.y; i += 1u) {
        for (var j = columns.x; j < columns.y; j += 1u) {
            result += x_at(x_base + i * X_H + j * X_W);
        }
    }
#endif
#endif
#if MAX_POOL_INDEX
    let rows = cells(h, STRIDE_H, PAD_H, KERNEL_H, IMAGE_H);
    let columns = cells(w, STRIDE_W, PAD_W, KERNEL_W, IMAGE_W);
    var best = -3.4028234e38;
    var result = f32(rows.x * IMAGE_W + columns.x);
    for (var i = rows.x; i < rows.y; i += 1u) {
        for (var j = columns.x; j < columns.y; j += 1u) {
            let value = x[x_base + i * X_H + j * X_W];
            if (value > best) {
                best = value;
                result = f32(i * IMAGE_W + j);
            }
        }
    }
#endif
#if POOL_GATHER
    let cell = min(u32(index[{{index_base}} + h * INDEX_H + w * INDEX_W]), IMAGE_H * IMAGE_W - 1u);
    let result = x[x_base + (cell / IMAGE_W) * X_H + (cell % IMAGE_W) * X_W];
#endif
#if POOL_SCATTER
    let index_base = {{index_base}};
    let here = f32(h * IMAGE_W + w);
    let rows = windows(h, STRIDE_H, PAD_H, KERNEL_H, COUNT_H);
    let columns = windows(w, STRIDE_W, PAD_W, KERNEL_W, COUNT_W);
    var result = 0.0;
    for (var i = rows.x; i < rows.y; i += 1u) {
        for (var j = columns.x; j < columns.y; j += 1u) {
            if (index[index_base + i * INDEX_H + j * INDEX_W] == here) {
                result += x[x_base + i * X_H + j * X_W];
            }
        }
    }
#endif
    y[{{y_address}}] = stored(result);
}
