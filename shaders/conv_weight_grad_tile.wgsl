// A convolution's adjoint for the weight as a matrix product, whose rows are
// the image's channels under each tap (tap after tap), whose columns are filters
// and whose depth is all pixels of the filter side, by tiles.
//
// Image a [N, C, H, W], filter side b [N, COLUMNS, OH, OW], weight gradient y.
// A_VECTOR: the image's channels are contiguous and loaded as vec4, so that four
// rows are four channels under one tap. Otherwise they are loaded one by one.
#import lib/epilogue.wgsl
#import lib/tiling.wgsl

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
#if B_VECTOR
@group(0) @binding(2) var<storage, read> b: array<Packed>;
#else
@group(0) @binding(2) var<storage, read> b: array<f32>;
#endif

fn meets(part: u32, walk: u32) -> bool {
    return true;
}

// A pixel of the filter side: its image and its place there. Those past the
// last repeat it.
fn find_pixel(number: u32) -> vec3<u32> {
    let pixel = min(number, DEPTH - 1u);
    return vec3(pixel / (OH * OW), pixel / OW % OH, pixel % OW);
}

// Rows of a: the place of their tap, less the padding (so it may wrap round
// below 0), and their channel in memory.
#if A_VECTOR
// The tap and the first of four channels.
struct Left {
    h: u32,
    w: u32,
    channel: u32,
}

fn find_left(part: u32, row: u32) -> Left {
    let tap = min(row, ROWS - 4u) / C;
    let h = tap / KW * DILATION_H - PAD_H;
    return Left(h, tap % KW * DILATION_W - PAD_W, min(row, ROWS - 4u) % C);
}

fn a_column(r: Left, k: u32) -> vec4<f32> {
    let p = find_pixel(k);
    let h = p.y * STRIDE_H + r.h;
    let w = p.z * STRIDE_W + r.w;
    let inside = (k < DEPTH) & (h < H) & (w < W);
    let i = p.x * A_N + select(0u, h * A_H + w * A_W, inside) + r.channel;
    return select(vec4<f32>(), unpack(a[i / 4u]), inside);
}
#else
struct Left {
    h: vec4<u32>,
    w: vec4<u32>,
    channel: vec4<u32>,
}

fn find_left(part: u32, row: u32) -> Left {
    let rows = min(vec4(row, row + 1u, row + 2u, row + 3u), vec4(ROWS - 1u));
    let tap = rows / C;
    return Left(tap / KW * DILATION_H - PAD_H, tap % KW * DILATION_W - PAD_W, rows % C * A_C);
}

fn a_column(r: Left, k: u32) -> vec4<f32> {
    let p = find_pixel(k);
    let h = p.y * STRIDE_H + r.h;
    let w = p.z * STRIDE_W + r.w;
    let inside = (h < vec4(H)) & (w < vec4(W)) & vec4(k < DEPTH);
    let place = select(vec4<u32>(), h * A_H + w * A_W, inside);
    let i = p.x * A_N + r.channel + place;
    return select(vec4<f32>(), vec4(a[i.x], a[i.y], a[i.z], a[i.w]), inside);
}
#endif

alias Reach = Left;

fn reach(left: Left, walk: u32) -> Reach {
    return left;
}

fn a_block(r: Reach, k: u32) -> mat4x4<f32> {
    return transpose(mat4x4(
        a_column(r, k),
        a_column(r, k + 1u),
        a_column(r, k + 2u),
        a_column(r, k + 3u),
    ));
}

fn find_right(part: u32, walk: u32) -> u32 {
    return 0u;
}

fn b_row(right: u32, k: u32, column: u32) -> vec4<f32> {
    let p = find_pixel(k);
    let at = right + p.x * B_N + p.y * B_H + p.z * B_W;
#if B_VECTOR
    let values = unpack(b[(at + min(column, COLUMNS - 4u)) / 4u]);
#else
    let i = min(vec4(column, column + 1u, column + 2u, column + 3u), vec4(COLUMNS - 1u)) * B_C + at;
    let values = vec4(b[i.x], b[i.y], b[i.z], b[i.w]);
#endif
    return select(vec4<f32>(), values, k < DEPTH);
}

fn b_block(right: u32, k: u32, column: u32) -> mat4x4<f32> {
    return mat4x4(
        b_row(right, k, column),
        b_row(right, k + 1u, column),
        b_row(right, k + 2u, column),
        b_row(right, k + 3u, column),
    );
}

fn store(part: u32, row: u32, column: u32, v: vec4<f32>) {
    if ((row >= ROWS) | (column >= COLUMNS)) {
        return;
    }
    let tap = row / C;
    let i = vec4(column, row % C, tap / KW, tap % KW);
    let at = i.x * Y_O + i.y * Y_C + i.z * Y_H + i.w * Y_W;
#if Y_VECTOR
    y[at / 4u] = pack(vec4(
        epilogue(v.x, i),
        epilogue(v.y, i + vec4(1u, 0u, 0u, 0u)),
        epilogue(v.z, i + vec4(2u, 0u, 0u, 0u)),
        epilogue(v.w, i + vec4(3u, 0u, 0u, 0u)),
    ));
#else
    y[at] = epilogue(v.x, i);
    if (column + 1u < COLUMNS) {
        y[at + Y_O] = epilogue(v.y, i + vec4(1u, 0u, 0u, 0u));
    }
    if (column + 2u < COLUMNS) {
        y[at + 2u * Y_O] = epilogue(v.z, i + vec4(2u, 0u, 0u, 0u));
    }
    if (column + 3u < COLUMNS) {
        y[at + 3u * Y_O] = epilogue(v.w, i + vec4(3u, 0u, 0u, 0u));
    }
#endif
}
