// A convolution's adjoint for the weight as a matrix product, whose rows are
// the image's channels under each tap (tap after tap), whose columns are filters
// and whose depth is all pixels of the filter side, by tiles. TURNED: rows are filters
// and columns are channels under each tap, where these are so few that they would not
// fill a tile's rows.
//
// Image a [N, C, H, W], filter side b [N, FILTERS, OH, OW], weight gradient y.
// A PART_DEPTH cuts the depth: part p begins at pixel p PART_DEPTH.
// SWAPPED: the filter side is a and the image b, as of the adjoint that correlates them
// the other way round, so that few filters are few rows and not few columns.
// A_VECTOR: the image's channels are contiguous and loaded as vec4, so that four
// of them lie under one tap. Otherwise they are loaded one by one.
#import lib/tiling.wgsl

#if TURNED
const UNDER_TAPS: u32 = COLUMNS;
const FILTERS: u32 = ROWS;
#else
const UNDER_TAPS: u32 = ROWS;
const FILTERS: u32 = COLUMNS;
#endif

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

// Four channels under taps: the places of the taps, less the padding (so they may wrap
// round below 0), and the channels in memory.
#if A_VECTOR
// They are neighbours under one tap.
struct Under {
    h: u32,
    w: u32,
    channel: u32,
}

fn find_under(number: u32) -> Under {
    let first = min(number, UNDER_TAPS - 4u);
    let tap = first / C;
    let h = tap / KW * DILATION_H - PAD_H;
    return Under(h, tap % KW * DILATION_W - PAD_W, first % C);
}

// Their values at pixel k of the filter side.
fn image_at(under: Under, k: u32) -> vec4<f32> {
    let p = find_pixel(k);
    let h = p.y * STRIDE_H + under.h;
    let w = p.z * STRIDE_W + under.w;
    let inside = (k < PIXELS) & (h < H) & (w < W);
    let i = p.x * A_N + select(0u, h * A_H + w * A_W, inside) + under.channel;
    return select(vec4<f32>(), unpack(a[i / 4u]), inside);
}
#else
struct Under {
    h: vec4<u32>,
    w: vec4<u32>,
    channel: vec4<u32>,
}

fn find_under(number: u32) -> Under {
    let four = min(vec4(number, number + 1u, number + 2u, number + 3u), vec4(UNDER_TAPS - 1u));
    let tap = four / C;
    let h = tap / KW * DILATION_H - PAD_H;
    return Under(h, tap % KW * DILATION_W - PAD_W, four % C * A_C);
}

fn image_at(under: Under, k: u32) -> vec4<f32> {
    let p = find_pixel(k);
    let h = p.y * STRIDE_H + under.h;
    let w = p.z * STRIDE_W + under.w;
    let inside = (h < vec4(H)) & (w < vec4(W)) & vec4(k < PIXELS);
    let place = select(vec4<u32>(), h * A_H + w * A_W, inside);
    let i = p.x * A_N + under.channel + place;
    return select(vec4<f32>(), vec4(a[i.x], a[i.y], a[i.z], a[i.w]), inside);
}
#endif

// Four filters at pixel k of their side.
fn filters_at(number: u32, k: u32) -> vec4<f32> {
    let p = find_pixel(k);
    let at = p.x * B_N + p.y * B_H + p.z * B_W;
#if B_VECTOR
    let values = unpack(b[(at + min(number, FILTERS - 4u)) / 4u]);
#else
    let i = min(vec4(number, number + 1u, number + 2u, number + 3u), vec4(FILTERS - 1u)) * B_C + at;
    let values = vec4(b[i.x], b[i.y], b[i.z], b[i.w]);
#endif
    return select(vec4<f32>(), values, k < PIXELS);
}

// The first pixel of a part, and what its rows are.
struct Left {
    first: u32,
#if TURNED
    number: u32,
#else
    under: Under,
#endif
}
alias Reach = Left;

fn find_left(part: u32, row: u32) -> Left {
#if TURNED
    return Left(part * PART_DEPTH, row);
#else
    return Left(part * PART_DEPTH, find_under(row));
#endif
}

fn reach(left: Left, walk: u32) -> Reach {
    return left;
}

fn a_column(r: Reach, k: u32) -> vec4<f32> {
#if TURNED
    return filters_at(r.number, r.first + k);
#else
    return image_at(r.under, r.first + k);
#endif
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
#if TURNED
    return image_at(find_under(column), first + k);
#else
    return filters_at(column, first + k);
#endif
}

fn b_block(first: u32, k: u32, column: u32) -> mat4x4<f32> {
    return mat4x4(
        b_row(first, k, column),
        b_row(first, k + 1u, column),
        b_row(first, k + 2u, column),
        b_row(first, k + 3u, column),
    );
}
