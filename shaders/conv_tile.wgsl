// A convolution (FORWARD) or its adjoint for the image (TRANSPOSE) as a matrix
// product whose rows are the output's pixels, whose columns are its channels
// and whose depth is the source's channels, summed over the taps of the
// kernel, by tiles.
//
// Source a [N, SOURCE_C, SOURCE_H, SOURCE_W], weight b, target y
// [N, COLUMNS, TARGET_H, TARGET_W]. A_VECTOR: the source's channels are
// contiguous and loaded as vec4. Otherwise they are loaded one by one, and the
// depth may run through RUN taps of a kernel row, which wastes less of it when
// channels are few.
//
// The target's pixels of one TRANSPOSE part share their remainders modulo the
// stride, so a part meets every tap either wholly or not at all, and no zeros
// are multiplied.
//
// Conditions are joined by & and |, which are values; && and || are branches,
// and a hundred of them cost some drivers a minute of compiling.
#import lib/epilogue.wgsl
#import lib/tiling.wgsl
#import lib/right.wgsl

#if Y_VECTOR
@group(0) @binding(0) var<storage, read_write> y: array<Packed>;
#else
@group(0) @binding(0) var<storage, read_write> y: array<f32>;
#endif
#if A_VECTOR
@group(0) @binding(1) var<storage, read> a: array<Packed>;
#else
@group(0) @binding(1) var<storage, read> a: array<f32>;
#endif

fn b_depth(k: u32) -> u32 {
#if RUN_MANY
    return k / SOURCE_C * B_W + k % SOURCE_C * B_ROW;
#else
    return k * B_ROW;
#endif
}

fn find_right(part: u32, walk: u32) -> u32 {
    let tap = walk * RUN;
    return tap / KW * B_H + tap % KW * B_W;
}

fn meets(part: u32, walk: u32) -> bool {
#if TRANSPOSE
    let kh = walk * RUN / KW;
    let kw = walk * RUN % KW;
    return ((part / STRIDE_W + PAD_H) % STRIDE_H == kh * DILATION_H % STRIDE_H)
        & ((part % STRIDE_W + PAD_W) % STRIDE_W == kw * DILATION_W % STRIDE_W);
#else
    return true;
#endif
}

// Four target pixels: where their image starts in a, and the source pixel
// under the first tap (times the stride, if TRANSPOSE), which may wrap round
// below zero.
struct Left {
    image: vec4<u32>,
    h: vec4<u32>,
    w: vec4<u32>,
}

// The target pixel (n, h, w) of a row of the product.
fn target_pixel(part: u32, row: u32) -> vec3<u32> {
    let n = row / (GRID_H * GRID_W);
    let h = row / GRID_W % GRID_H;
    let w = row % GRID_W;
#if TRANSPOSE
    return vec3(n, h * STRIDE_H + part / STRIDE_W, w * STRIDE_W + part % STRIDE_W);
#else
    return vec3(n, h, w);
#endif
}

fn find_left(part: u32, row: u32) -> Left {
    let p0 = target_pixel(part, min(row, ROWS - 1u));
    let p1 = target_pixel(part, min(row + 1u, ROWS - 1u));
    let p2 = target_pixel(part, min(row + 2u, ROWS - 1u));
    let p3 = target_pixel(part, min(row + 3u, ROWS - 1u));
    let h = vec4(p0.y, p1.y, p2.y, p3.y);
    let w = vec4(p0.z, p1.z, p2.z, p3.z);
    return Left(
        vec4(p0.x, p1.x, p2.x, p3.x) * A_N,
#if TRANSPOSE
        h + PAD_H,
        w + PAD_W,
#else
        h * STRIDE_H - PAD_H,
        w * STRIDE_W - PAD_W,
#endif
    );
}

// The source pixels under one tap: offsets in a (without the column if not
// A_VECTOR), columns, and whether they lie inside the image.
struct Reach {
    at: vec4<u32>,
    w: vec4<u32>,
    inside: vec4<bool>,
}

fn reach(p: Left, walk: u32) -> Reach {
    let kh = walk * RUN / KW;
    let kw = walk * RUN % KW;
#if TRANSPOSE
    let h = (p.h - kh * DILATION_H) / STRIDE_H;
    let w = (p.w - kw * DILATION_W) / STRIDE_W;
#else
    let h = p.h + kh * DILATION_H;
    let w = p.w + kw * DILATION_W;
#endif
    let row = h < vec4(SOURCE_H);
#if A_VECTOR
    let inside = row & (w < vec4(SOURCE_W));
    return Reach(select(vec4<u32>(), p.image + h * A_H + w * A_W, inside) / 4u, w, inside);
#else
    return Reach(p.image + select(vec4<u32>(), h, row) * A_H, w, row);
#endif
}

#if A_VECTOR
fn a_row(at: u32, w: u32, inside: bool, k: u32) -> vec4<f32> {
    return select(vec4<f32>(), unpack(a[at + k / 4u]), inside);
}
#else
fn a_element(at: u32, w: u32, inside: bool, k: u32) -> f32 {
#if RUN_MANY
    let tap_w = w + k / SOURCE_C * DILATION_W;
    let there = inside & (k < DEPTH) & (tap_w < SOURCE_W);
    return select(0.0, a[at + select(0u, tap_w * A_W + k % SOURCE_C * A_C, there)], there);
#else
    let there = inside & (k < DEPTH) & (w < SOURCE_W);
    return select(0.0, a[at + select(0u, w * A_W + k * A_C, there)], there);
#endif
}

fn a_row(at: u32, w: u32, inside: bool, k: u32) -> vec4<f32> {
    return vec4(
        a_element(at, w, inside, k),
        a_element(at, w, inside, k + 1u),
        a_element(at, w, inside, k + 2u),
        a_element(at, w, inside, k + 3u),
    );
}
#endif

fn a_block(r: Reach, k: u32) -> mat4x4<f32> {
    return mat4x4(
        a_row(r.at.x, r.w.x, r.inside.x, k),
        a_row(r.at.y, r.w.y, r.inside.y, k),
        a_row(r.at.z, r.w.z, r.inside.z, k),
        a_row(r.at.w, r.w.w, r.inside.w, k),
    );
}

fn store(part: u32, row: u32, column: u32, v: vec4<f32>) {
    let p = target_pixel(part, row);
    if ((row >= ROWS) | (column >= COLUMNS) | (p.y >= TARGET_H) | (p.z >= TARGET_W)) {
        return;
    }
    let at = p.x * Y_N + column * Y_C + p.y * Y_H + p.z * Y_W;
    let i = vec4(p.x, column, p.y, p.z);
#if Y_VECTOR
    y[at / 4u] = pack(vec4(
        epilogue(v.x, i),
        epilogue(v.y, i + vec4(0u, 1u, 0u, 0u)),
        epilogue(v.z, i + vec4(0u, 2u, 0u, 0u)),
        epilogue(v.w, i + vec4(0u, 3u, 0u, 0u)),
    ));
#else
    y[at] = epilogue(v.x, i);
    if (column + 1u < COLUMNS) {
        y[at + Y_C] = epilogue(v.y, i + vec4(0u, 1u, 0u, 0u));
    }
    if (column + 2u < COLUMNS) {
        y[at + 2u * Y_C] = epilogue(v.z, i + vec4(0u, 2u, 0u, 0u));
    }
    if (column + 3u < COLUMNS) {
        y[at + 3u * Y_C] = epilogue(v.w, i + vec4(0u, 3u, 0u, 0u));
    }
#endif
}
