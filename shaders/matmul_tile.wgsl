// y = a b by tiles.
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
    return k * B_ROW;
}

fn find_right(batch: u32, walk: u32) -> u32 {
    return batch * B_BATCH;
}

fn meets(batch: u32, walk: u32) -> bool {
    return true;
}

// Four rows of a: where their matrix begins, and the first.
struct Left {
    base: u32,
    row: u32,
}
alias Reach = Left;

fn find_left(batch: u32, row: u32) -> Left {
    return Left(batch * A_BATCH, row);
}

fn reach(left: Left, walk: u32) -> Reach {
    return left;
}

// Block of a whose column r is row r, along the depth from k. Rows beyond the
// last repeat it, the depth beyond its end is zero.
#if A_VECTOR
#if A_DEEP
fn a_row(base: u32, row: u32, k: u32) -> vec4<f32> {
    return unpack(a[(base + min(row, ROWS - 1u) * A_ROW + k) / 4u]);
}
#else
fn a_column(base: u32, row: u32, k: u32) -> vec4<f32> {
    let i = base + min(k, DEPTH - 1u) * A_COLUMN + min(row, ROWS - 4u);
    return select(vec4<f32>(), unpack(a[i / 4u]), k < DEPTH);
}

fn a_block(r: Reach, k: u32) -> mat4x4<f32> {
    return transpose(mat4x4(
        a_column(r.base, r.row, k),
        a_column(r.base, r.row, k + 1u),
        a_column(r.base, r.row, k + 2u),
        a_column(r.base, r.row, k + 3u),
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
fn a_block(r: Reach, k: u32) -> mat4x4<f32> {
    return mat4x4(
        a_row(r.base, r.row, k),
        a_row(r.base, r.row + 1u, k),
        a_row(r.base, r.row + 2u, k),
        a_row(r.base, r.row + 3u, k),
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
    y[at / 4u] = pack(vec4(
        epilogue(v.x, i),
        epilogue(v.y, i + vec4(0u, 0u, 0u, 1u)),
        epilogue(v.z, i + vec4(0u, 0u, 0u, 2u)),
        epilogue(v.w, i + vec4(0u, 0u, 0u, 3u)),
    ));
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
