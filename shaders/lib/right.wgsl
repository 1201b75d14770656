// The right operand of a tiled product, DEPTH x COLUMNS, in 4 x 4 blocks
// whose column k is row k. The importing file defines `b_depth`, the offset of
// a row; columns lie B_COLUMN apart. B_VECTOR: loaded as vec4, along the depth
// if B_DEEP, else along columns. Columns beyond the last repeat it (their
// results are dropped); rows beyond the last are zero.
#if B_VECTOR
@group(0) @binding(2) var<storage, read> b: array<Packed>;
#else
@group(0) @binding(2) var<storage, read> b: array<f32>;
#endif

#if B_VECTOR
#if B_DEEP
fn b_column(base: u32, k: u32, column: u32) -> vec4<f32> {
    return unpack(b[(base + b_depth(k) + min(column, COLUMNS - 1u) * B_COLUMN) / 4u]);
}

fn b_block(base: u32, k: u32, column: u32) -> mat4x4<f32> {
    return transpose(mat4x4(
        b_column(base, k, column),
        b_column(base, k, column + 1u),
        b_column(base, k, column + 2u),
        b_column(base, k, column + 3u),
    ));
}
#else
fn b_row(base: u32, k: u32, column: u32) -> vec4<f32> {
#if DEPTH_REST
    let i = base + b_depth(min(k, DEPTH - 1u)) + min(column, COLUMNS - 4u);
    return select(vec4<f32>(), unpack(b[i / 4u]), k < DEPTH);
#else
    return unpack(b[(base + b_depth(k) + min(column, COLUMNS - 4u)) / 4u]);
#endif
}
#endif
#else
fn b_row(base: u32, k: u32, column: u32) -> vec4<f32> {
    let at = base + b_depth(min(k, DEPTH - 1u));
    let i = min(vec4(column, column + 1u, column + 2u, column + 3u), vec4(COLUMNS - 1u)) * B_COLUMN;
    let row = vec4(b[at + i.x], b[at + i.y], b[at + i.z], b[at + i.w]);
    return select(vec4<f32>(), row, k < DEPTH);
}
#endif

#if B_ROWS
fn b_block(base: u32, k: u32, column: u32) -> mat4x4<f32> {
    return mat4x4(
        b_row(base, k, column),
        b_row(base, k + 1u, column),
        b_row(base, k + 2u, column),
        b_row(base, k + 3u, column),
    );
}
#endif
