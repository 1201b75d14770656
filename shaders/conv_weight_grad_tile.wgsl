// A convolution's adjoint for the weight as a matrix product, whose rows are
// the image's channels under each tap (tap after tap), whose columns are filters
// and whose depth is all pixels of the filter side, by tiles.
//
// Image a [N, C, H, W], filter side b [N, COLUMNS, OH, OW], weight gradient y.
// A PART_DEPTH cuts the depth: part p begins at pixel p PART_DEPTH.
// SWAPPED: the filter side is a and the image b, as of the adjoint that correlates them
// the other way round, so that few filters are few rows and not few columns.
// A_VECTOR: the image's channels are contiguous and loaded as vec4, so that four
// rows are four channels under one tap. Otherwise they are loaded one by one.
#import lib/tiling.wgsl

#if PART_DEPTH
// Parts of the sums, of PART_DEPTH pixels each: [PARTS, ROWS, QUADS].
@group(0) @binding(0) var<storage, read_write> y: array<Packed>;

const QUADS: u32 = (COLUMNS + 3u) / 4u;

fn store(part: u32, row: u32, column: u32, v: vec4<f32>) {
    if ((row < ROWS) & (column < COLUMNS)) {
        y[(part * ROWS + row) * QUADS + column / 4u] = pack(v);
    }
}
#else
#import lib/weight.wgsl
#endif
#if A_VECTOR
@group(0) @binding(1u + SWAPPED) var<storage, read> a: array<Packed>;
#else
@group(0) @binding(1u + SWAPPED) var<storage, read> a: array<f32>;
#endif
#if B_VECTOR
@group(0) @binding(2u - SWAPPED) var<storage, read> b: array<Packed>;
#else
@group(0) @binding(2u - SWAPPED) var<storage, read> b: array<f32>;
#endif

fn meets(part: u32, walk: u32) -> bool {
    return true;
}

// A pixel of the filter side: its image and its place there. Those past the
// last repeat it.
fn find_pixel(number: u32) -> vec3<u32> {
    let pixel = min(number, PIXELS - 1u);
    return vec3(pixel / (OH * OW), pixel / OW % OH, pixel % OW);
}

// Rows of a: the place of their tap, less the padding (so it may wrap round
// below 0), and their channel in memory.
#if A_VECTOR
// The tap, the first of four channels, and the first pixel of the part.
struct Left {
    first: u32,
    h: u32,
    w: u32,
    channel: u32,
}

fn find_left(part: u32, row: u32) -> Left {
    let tap = min(row, ROWS - 4u) / C;
    let h = tap / KW * DILATION_H - PAD_H;
    let first = part * PART_DEPTH;
    return Left(first, h, tap % KW * DILATION_W - PAD_W, min(row, ROWS - 4u) % C);
}

fn a_column(r: Left, k: u32) -> vec4<f32> {
    let p = find_pixel(r.first + k);
    let h = p.y * STRIDE_H + r.h;
    let w = p.z * STRIDE_W + r.w;
    let inside = (r.first + k < PIXELS) & (h < H) & (w < W);
    let i = p.x * A_N + select(0u, h * A_H + w * A_W, inside) + r.channel;
    return select(vec4<f32>(), unpack(a[i / 4u]), inside);
}
#else
struct Left {
    first: u32,
    h: vec4<u32>,
    w: vec4<u32>,
    channel: vec4<u32>,
}

fn find_left(part: u32, row: u32) -> Left {
    let rows = min(vec4(row, row + 1u, row + 2u, row + 3u), vec4(ROWS - 1u));
    let tap = rows / C;
    let h = tap / KW * DILATION_H - PAD_H;
    let w = tap % KW * DILATION_W - PAD_W;
    return Left(part * PART_DEPTH, h, w, rows % C * A_C);
}

fn a_column(r: Left, k: u32) -> vec4<f32> {
    let p = find_pixel(r.first + k);
    let h = p.y * STRIDE_H + r.h;
    let w = p.z * STRIDE_W + r.w;
    let inside = (h < vec4(H)) & (w < vec4(W)) & vec4(r.first + k < PIXELS);
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
    return part * PART_DEPTH;
}

fn b_row(first: u32, k: u32, column: u32) -> vec4<f32> {
    let p = find_pixel(first + k);
    let at = p.x * B_N + p.y * B_H + p.z * B_W;
#if B_VECTOR
    let values = unpack(b[(at + min(column, COLUMNS - 4u)) / 4u]);
#else
    let i = min(vec4(column, column + 1u, column + 2u, column + 3u), vec4(COLUMNS - 1u)) * B_C + at;
    let values = vec4(b[i.x], b[i.y], b[i.z], b[i.w]);
#endif
    return select(vec4<f32>(), values, first + k < PIXELS);
}

fn b_block(first: u32, k: u32, column: u32) -> mat4x4<f32> {
    return mat4x4(
        b_row(first, k, column),
        b_row(first, k + 1u, column),
        b_row(first, k + 2u, column),
        b_row(first, k + 3u, column),
    );
}
