// How a product of matrices is cut into tiles: PARTS products, one after
// another, of a ROWS x DEPTH matrix a and a DEPTH x COLUMNS matrix b, summed
// over WALKS (the taps of a kernel). Matrices are loaded and multiplied in 4 x 4
// blocks: a block of b (column k is row k of b) times a block of a (column r is
// row r of a) is a block of results, whose column r is result row r.
//
// The importing file says what the matrices are:
//   meets(part, walk)          whether this walk adds anything to this part
//   Left, find_left(part, row) what is known of four rows of a
//   Reach, reach(left, walk)   and of these rows in one walk
//   a_block(reach, k)          their block from depth k; zero past the DEPTH
//   find_right(part, walk)     where b begins
//   b_block(right, k, column)  a block of b; zero past the DEPTH
//   b_row or b_column          (B_ROWS says which) one vector of such a block
//   store(part, row, column, values)
//                              takes four neighbours along a row and drops
//                              what lies outside the result
// Depths are multiples of 4; rows and columns may lie outside.
#import lib/grid.wgsl
#import lib/packed.wgsl
#import lib/veiled.wgsl
#if BY_THREAD
#import lib/thread_tile.wgsl
#endif
#if BY_SUBGROUP
#import lib/subgroup_tile.wgsl
#endif
#if BY_WORKGROUP
#import lib/workgroup_tile.wgsl
#endif

const TILES_DOWN: u32 = (ROWS + TILE_ROWS - 1u) / TILE_ROWS;
const TILES_ACROSS: u32 = (COLUMNS + TILE_COLUMNS - 1u) / TILE_COLUMNS;
const TILE_COUNT: u32 = PARTS * TILES_DOWN * TILES_ACROSS;

// A tile's part of the result and its first row and column.
struct Place {
    part: u32,
    row: u32,
    column: u32,
}

fn find_place(tile: u32) -> Place {
    return Place(
        tile / (TILES_DOWN * TILES_ACROSS),
        tile / TILES_ACROSS % TILES_DOWN * TILE_ROWS,
        tile % TILES_ACROSS * TILE_COLUMNS,
    );
}

// Stores in a loop, so that the epilogue is compiled once and not for every
// row; the loop hands the values on from place to place.
fn store_block(part: u32, row: u32, column: u32, block: mat4x4<f32>) {
    var rest = block;
    let end = veiled(4u);
    for (var r = 0u; r < end; r++) {
        store(part, row + r, column, rest[0]);
        rest = mat4x4(rest[1], rest[2], rest[3], rest[0]);
    }
}
