// Results of a weight gradient: rows are channels under each tap, tap after tap,
// columns are filters, of which four are stored as one where Y_VECTOR.
#import lib/epilogue.wgsl
#import lib/packed.wgsl

#if Y_VECTOR
@group(0) @binding(0) var<storage, read_write> y: array<Packed>;
#else
@group(0) @binding(0) var<storage, read_write> y: array<f32>;
#endif

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
