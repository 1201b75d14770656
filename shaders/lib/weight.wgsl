// Results of a weight gradient: rows are channels under each tap, tap after tap,
// columns are filters, of which four are stored as one where Y_VECTOR. SWAPPED: rows
// are filters under each tap from the last to the first, columns are channels. TURNED:
// rows and columns change places.
#import lib/epilogue.wgsl
#import lib/packed.wgsl

#if Y_VECTOR
@group(0) @binding(0) var<storage, read_write> y: array<Packed>;
#else
@group(0) @binding(0) var<storage, read_write> y: array<f32>;
#endif

#if SWAPPED
const NEXT_COLUMN: vec4<u32> = vec4(0u, 1u, 0u, 0u);

fn weight_at(row: u32, column: u32) -> vec4<u32> {
    let tap = KH * KW - 1u - row / C;
    return vec4(row % C, column, tap / KW, tap % KW);
}
#else
const NEXT_COLUMN: vec4<u32> = vec4(1u, 0u, 0u, 0u);

fn weight_at(row: u32, column: u32) -> vec4<u32> {
    let tap = row / C;
    return vec4(column, row % C, tap / KW, tap % KW);
}
#endif

#if TURNED
fn store_weight(row: u32, column: u32, v: f32) {
    if (column < COLUMNS) {
        let i = weight_at(column, row);
        y[i.x * Y_O + i.y * Y_C + i.z * Y_H + i.w * Y_W] = epilogue(v, i);
    }
}
#endif

fn store(part: u32, row: u32, column: u32, v: vec4<f32>) {
    if ((row >= ROWS) | (column >= COLUMNS)) {
        return;
    }
#if TURNED
    store_weight(row, column, v.x);
    store_weight(row, column + 1u, v.y);
    store_weight(row, column + 2u, v.z);
    store_weight(row, column + 3u, v.w);
#else
    let i = weight_at(row, column);
    let at = i.x * Y_O + i.y * Y_C + i.z * Y_H + i.w * Y_W;
#if Y_VECTOR
    y[at / 4u] = pack(vec4(
        epilogue(v.x, i),
        epilogue(v.y, i + NEXT_COLUMN),
        epilogue(v.z, i + 2u * NEXT_COLUMN),
        epilogue(v.w, i + 3u * NEXT_COLUMN),
    ));
#else
    y[at] = epilogue(v.x, i);
    if (column + 1u < COLUMNS) {
        y[at + Y_COLUMN] = epilogue(v.y, i + NEXT_COLUMN);
    }
    if (column + 2u < COLUMNS) {
        y[at + 2u * Y_COLUMN] = epilogue(v.z, i + 2u * NEXT_COLUMN);
    }
    if (column + 3u < COLUMNS) {
        y[at + 3u * Y_COLUMN] = epilogue(v.w, i + 3u * NEXT_COLUMN);
    }
#endif
#endif
}
