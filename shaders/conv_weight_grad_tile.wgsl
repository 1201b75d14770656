// A convolution's adjoint for the weight as a matrix product for each tap,
// whose rows are image channels, whose columns are filters and whose depth is
// all pixels of the filter side, by tiles.
//
// Image a [N, C, H, W], filter side b [N, COLUMNS, OH, OW], weight gradient y.
// A_VECTOR: the image's channels are contiguous and loaded as vec4. Otherwise
// they are loaded one by one, and rows run through all taps of a kernel row
// (RUN = KW), so that few channels still fill a tile.
#import lib/epilogue.wgsl
#import lib/tiling.wgsl

#if Y_VECTOR
@group(0) @binding(0) var<storage, read_write> y: array<vec4<f32>>;
#else
@group(0) @binding(0) var<storage, read_write> y: array<f32>;
#endif
#if A_VECTOR
@group(0) @binding(1) var<storage, read> a: array<vec4<f32>>;
#else
@group(0) @binding(1) var<storage, read> a: array<f32>;
#endif
#if B_VECTOR
@group(0) @binding(2) var<storage, read> b: array<vec4<f32>>;
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

// Four rows of a: the tap, less the padding (so it may wrap round below 0), and
// the first row.
struct Left {
    h: u32,
    w: u32,
    row: u32,
}
alias Reach = Left;

fn find_left(part: u32, row: u32) -> Left {
    let tap = part * RUN;
    return Left(tap / KW * DILATION_H - PAD_H, tap % KW * DILATION_W - PAD_W, row);
}

fn reach(left: Left, walk: u32) -> Reach {
    return left;
}

#if A_VECTOR
fn a_column(r: Reach, k: u32) -> vec4<f32> {
    let p = find_pixel(k);
    let h = p.y * STRIDE_H + r.h;
    let w = p.z * STRIDE_W + r.w;
    let inside = (k < DEPTH) & (h < H) & (w < W);
    let i = p.x * A_N + select(0u, h * A_H + w * A_W, inside) + min(r.row, ROWS - 4u);
    return select(vec4<f32>(), a[i / 4u], inside);
}
#else
fn a_element(image: u32, h: u32, w: u32, live: bool, row: u32) -> f32 {
    let tap_w = w + row / C * DILATION_W;
    let inside = live & (tap_w < W) & (row < ROWS);
    let i = image + select(0u, h * A_H + tap_w * A_W + row % C * A_C, inside);
    return select(0.0, a[i], inside);
}

fn a_column(r: Reach, k: u32) -> vec4<f32> {
    let p = find_pixel(k);
    let h = p.y * STRIDE_H + r.h;
    let w = p.z * STRIDE_W + r.w;
    let live = (k < DEPTH) & (h < H);
    let image = p.x * A_N;
    return vec4(
        a_element(image, h, w, live, r.row),
        a_element(image, h, w, live, r.row + 1u),
        a_element(image, h, w, live, r.row + 2u),
        a_element(image, h, w, live, r.row + 3u),
    );
}
#endif

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
    let values = b[(at + min(column, COLUMNS - 4u)) / 4u];
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
    let tap = part * RUN + row / C;
    let i = vec4(column, row % C, tap / KW, tap % KW);
    let at = i.x * Y_O + i.y * Y_C + i.z * Y_H + i.w * Y_W;
#if Y_VECTOR
    y[at / 4u] = vec4(
        epilogue(v.x, i),
        epilogue(v.y, i + vec4(1u, 0u, 0u, 0u)),
        epilogue(v.z, i + vec4(2u, 0u, 0u, 0u)),
        epilogue(v.w, i + vec4(3u, 0u, 0u, 0u)),
    );
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
