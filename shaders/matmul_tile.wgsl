// y = a b. Over matmul_plain: a tile of results a thread, so that every
// loaded value is used 4 or 8 times, and vec4 loads where an axis is
// contiguous.
#import lib/epilogue.wgsl
#import lib/tile.wgsl
#import lib/right.wgsl

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

fn b_depth(k: u32) -> u32 {
    return k * B_ROW;
}

// Block of a whose column r is row r, along the depth from k. Rows beyond the
// last repeat it, the depth beyond its end is zero.
#if A_VECTOR
#if A_DEEP
fn a_row(base: u32, row: u32, k: u32) -> vec4<f32> {
    return a[(base + min(row, ROWS - 1u) * A_ROW + k) / 4u];
}
#else
fn a_column(base: u32, row: u32, k: u32) -> vec4<f32> {
    let i = base + min(k, DEPTH - 1u) * A_COLUMN + min(row, ROWS - 4u);
    return select(vec4<f32>(), a[i / 4u], k < DEPTH);
}

fn a_block(base: u32, row: u32, k: u32) -> mat4x4<f32> {
    return transpose(mat4x4(
        a_column(base, row, k),
        a_column(base, row, k + 1u),
        a_column(base, row, k + 2u),
        a_column(base, row, k + 3u),
    ));
}
#endif
#else
fn a_row(base: u32, row: u32, k: u32) -> vec4<f32> {
    let at = base + min(row, ROWS - 1u) * A_ROW;
    let deep = vec4(k, k + 1u, k + 2u, k + 3u);
    let i = at + min(deep, vec4(DEPTH - 1u)) * A_COLUMN;
    return select(vec4<f32>(), vec4(a[i.x], a[i.y], a[i.z], a[i.w]), deep < vec4(DEPTH));
}
#endif

#if A_ROWS
fn a_block(base: u32, row: u32, k: u32) -> mat4x4<f32> {
    return mat4x4(
        a_row(base, row, k),
        a_row(base, row + 1u, k),
        a_row(base, row + 2u, k),
        a_row(base, row + 3u, k),
    );
}
#endif

fn store(batch: u32, row: u32, column: u32, v: vec4<f32>) {
    if ((row >= ROWS) | (column >= COLUMNS)) {
        return;
    }
    let at = batch * Y_BATCH + row * Y_ROW + column * Y_COLUMN;
    let i = vec4(0u, batch, row, column);
#if Y_VECTOR
    y[at / 4u] = vec4(
        epilogue(v.x, i),
        epilogue(v.y, i + vec4(0u, 0u, 0u, 1u)),
        epilogue(v.z, i + vec4(0u, 0u, 0u, 2u)),
        epilogue(v.w, i + vec4(0u, 0u, 0u, 3u)),
    );
#else
    y[at] = epilogue(v.x, i);
    if (column + 1u < COLUMNS) {
        y[at + Y_COLUMN] = epilogue(v.y, i + vec4(0u, 0u, 0u, 1u));
    }
    if (column + 2u < COLUMNS) {
        y[at + 2u * Y_COLUMN] = epilogue(v.z, i + vec4(0u, 0u, 0u, 2u));
    }
    if (column + 3u < COLUMNS) {
        y[at + 3u * Y_COLUMN] = epilogue(v.w, i + vec4(0u, 0u, 0u, 3u));
    }
#endif
}

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) wg: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let at = find_place(wg, local);
    let a_base = at.part * A_BATCH;
    let b_base = at.part * B_BATCH;
    var t = Tile();
    for (var k = at.first; k < at.last; k += 4u) {
        let b0 = b_block(b_base, k, at.column);
        let a0 = a_block(a_base, at.row, k);
        t.b00 += b0 * a0;
#if WIDE
        let b1 = b_block(b_base, k, at.column + 4u);
        t.b01 += b1 * a0;
#endif
#if TALL
        let a1 = a_block(a_base, at.row + 4u, k);
        t.b10 += b0 * a1;
#endif
#if TALL_WIDE
        t.b11 += b1 * a1;
#endif
    }
    store_tile(t, wg, local);
}
