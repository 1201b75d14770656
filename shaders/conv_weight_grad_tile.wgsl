// A convolution's adjoint for the weight as a matrix product for each tap,
// whose rows are image channels, whose columns are filters and whose depth is
// all pixels of the filter side. Over conv_plain: a tile of results a thread,
// vec4 loads along channels.
//
// Image a [N, C, H, W], filter side b [N, COLUMNS, OH, OW], weight gradient y.
// A_VECTOR: the image's channels are contiguous and loaded as vec4. Otherwise
// they are loaded one by one, and rows run through all taps of a kernel row
// (RUN = KW), so that few channels still fill a tile.
#import lib/epilogue.wgsl
#import lib/tile.wgsl

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

// A pixel of the filter side: its offset in b, and the image pixel under the
// tap as offset of its row in a and its column, which may wrap round below 0.
struct Pixel {
    b: u32,
    a: u32,
    w: u32,
    // Within the depth; and also within the image's rows.
    live: bool,
    inside: bool,
}

fn find_pixel(kh: u32, kw: u32, number: u32) -> Pixel {
    let live = number < DEPTH;
    let pixel = min(number, DEPTH - 1u);
    let n = pixel / (OH * OW);
    let oh = pixel / OW % OH;
    let ow = pixel % OW;
    let h = oh * STRIDE_H + kh * DILATION_H - PAD_H;
    let w = ow * STRIDE_W + kw * DILATION_W - PAD_W;
    let inside = live & (h < H);
    return Pixel(
        n * B_N + oh * B_H + ow * B_W,
        n * A_N + select(0u, h, inside) * A_H,
        w,
        live,
        inside,
    );
}

#if A_VECTOR
fn a_column(p: Pixel, row: u32) -> vec4<f32> {
    let inside = p.inside & (p.w < W);
    let i = p.a + select(0u, p.w, inside) * A_W + min(row, ROWS - 4u);
    return select(vec4<f32>(), a[i / 4u], inside);
}
#else
fn a_element(p: Pixel, row: u32) -> f32 {
    let w = p.w + row / C * DILATION_W;
    let inside = p.inside & (w < W) & (row < ROWS);
    return select(0.0, a[p.a + select(0u, w * A_W + row % C * A_C, inside)], inside);
}

fn a_column(p: Pixel, row: u32) -> vec4<f32> {
    return vec4(
        a_element(p, row),
        a_element(p, row + 1u),
        a_element(p, row + 2u),
        a_element(p, row + 3u),
    );
}
#endif

fn a_block(p0: Pixel, p1: Pixel, p2: Pixel, p3: Pixel, row: u32) -> mat4x4<f32> {
    return transpose(mat4x4(
        a_column(p0, row),
        a_column(p1, row),
        a_column(p2, row),
        a_column(p3, row),
    ));
}

fn b_row(p: Pixel, column: u32) -> vec4<f32> {
#if B_VECTOR
    let values = b[(p.b + min(column, COLUMNS - 4u)) / 4u];
#else
    let i = min(vec4(column, column + 1u, column + 2u, column + 3u), vec4(COLUMNS - 1u)) * B_C + p.b;
    let values = vec4(b[i.x], b[i.y], b[i.z], b[i.w]);
#endif
    return select(vec4<f32>(), values, p.live);
}

fn b_block(p0: Pixel, p1: Pixel, p2: Pixel, p3: Pixel, column: u32) -> mat4x4<f32> {
    return mat4x4(b_row(p0, column), b_row(p1, column), b_row(p2, column), b_row(p3, column));
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

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) wg: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let at = find_place(wg, local);
    let kh = at.part * RUN / KW;
    let kw = at.part * RUN % KW;
    var t = Tile();
    for (var k = at.first; k < at.last; k += 4u) {
        let p0 = find_pixel(kh, kw, k);
        let p1 = find_pixel(kh, kw, k + 1u);
        let p2 = find_pixel(kh, kw, k + 2u);
        let p3 = find_pixel(kh, kw, k + 3u);
        let b0 = b_block(p0, p1, p2, p3, at.column);
        let a0 = a_block(p0, p1, p2, p3, at.row);
        t.b00 += b0 * a0;
#if WIDE
        let b1 = b_block(p0, p1, p2, p3, at.column + 4u);
        t.b01 += b1 * a0;
#endif
#if TALL
        let a1 = a_block(p0, p1, p2, p3, at.row + 4u);
        t.b10 += b0 * a1;
#endif
#if TALL_WIDE
        t.b11 += b1 * a1;
#endif
    }
    store_tile(t, wg, local);
}
