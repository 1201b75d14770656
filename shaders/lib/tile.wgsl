// A matrix product with its results in registers. Each thread holds TILE_ROWS
// x TILE_COLUMNS of them as 4 x 4 blocks, in which column r is result row r,
// so that a block of b (column k is row k of b) times a block of a (column r
// is row r of a) is one matrix product and no result is stored before the end.
//
// PARTS products of ROWS x COLUMNS results lie one after another; SLICES
// threads share a tile, each with CHUNK of the DEPTH. The importing file
// defines `store(part, row, column, values)`, which takes four neighbours
// along a row and drops what lies outside the result.
#import lib/grid.wgsl

const TILES_DOWN: u32 = (ROWS + TILE_ROWS - 1u) / TILE_ROWS;
const TILES_ACROSS: u32 = (COLUMNS + TILE_COLUMNS - 1u) / TILE_COLUMNS;
const TILE_COUNT: u32 = PARTS * TILES_DOWN * TILES_ACROSS;
const GROUP_TILES: u32 = WORKGROUP / SLICES;

struct Tile {
    b00: mat4x4<f32>,
#if WIDE
    b01: mat4x4<f32>,
#endif
#if TALL
    b10: mat4x4<f32>,
#endif
#if TALL_WIDE
    b11: mat4x4<f32>,
#endif
}

struct Place {
    live: bool,
    part: u32,
    row: u32,
    column: u32,
    // The thread's part of the depth.
    first: u32,
    last: u32,
}

// Where thread `local` of the workgroup works. Threads without a tile repeat
// the last one, because all must reach the barrier.
fn find_place(wg: vec3<u32>, local: u32) -> Place {
    let number = linear_id(wg, 0u) / SLICES + local % GROUP_TILES;
    let tile = min(number, TILE_COUNT - 1u);
    let first = local / GROUP_TILES * CHUNK;
    return Place(
        number < TILE_COUNT,
        tile / (TILES_DOWN * TILES_ACROSS),
        tile / TILES_ACROSS % TILES_DOWN * TILE_ROWS,
        tile % TILES_ACROSS * TILE_COLUMNS,
        first,
        min(first + CHUNK, DEPTH),
    );
}

const VECTORS_ACROSS: u32 = TILE_COLUMNS / 4u;
const VECTORS: u32 = TILE_ROWS * VECTORS_ACROSS;

#if SPLIT
var<workgroup> partial: array<vec4<f32>, VECTORS * WORKGROUP>;

fn share_block(local: u32, first: u32, block: mat4x4<f32>) {
    partial[first * WORKGROUP + local] = block[0];
    partial[(first + 1u) * WORKGROUP + local] = block[1];
    partial[(first + 2u) * WORKGROUP + local] = block[2];
    partial[(first + 3u) * WORKGROUP + local] = block[3];
}

// Adds the slices of each tile in their order and stores the sums.
fn store_tile(t: Tile, wg: vec3<u32>, local: u32) {
    share_block(local, 0u, t.b00);
#if WIDE
    share_block(local, 4u, t.b01);
#endif
#if TALL
    share_block(local, 4u * VECTORS_ACROSS, t.b10);
#endif
#if TALL_WIDE
    share_block(local, 4u * VECTORS_ACROSS + 4u, t.b11);
#endif
    workgroupBarrier();
    for (var i = local; i < VECTORS * GROUP_TILES; i += WORKGROUP) {
        let vector = i / GROUP_TILES;
        let tile = i % GROUP_TILES;
        var sum = vec4<f32>();
        for (var slice = 0u; slice < SLICES; slice++) {
            sum += partial[vector * WORKGROUP + slice * GROUP_TILES + tile];
        }
        let at = find_place(wg, tile);
        if (at.live) {
            let block = vector / 4u;
            store(
                at.part,
                at.row + block / VECTORS_ACROSS * 4u + vector % 4u,
                at.column + block % VECTORS_ACROSS * 4u,
                sum,
            );
        }
    }
}
#else
// Stores in loops, so that the epilogue is compiled once and not for every row.
// The loops hand the values on from place to place and their ends are no
// constants, lest a driver unroll them: that took some of them seconds a
// kernel.
fn store_block(part: u32, row: u32, column: u32, block: mat4x4<f32>) {
    var rest = block;
    let end = min(4u, arrayLength(&y));
    for (var r = 0u; r < end; r++) {
        store(part, row + r, column, rest[0]);
        rest = mat4x4(rest[1], rest[2], rest[3], rest[0]);
    }
}

fn store_tile(t: Tile, wg: vec3<u32>, local: u32) {
    let at = find_place(wg, local);
    if (!at.live) {
        return;
    }
    var rest = t;
    let end = min(VECTORS / 4u, arrayLength(&y));
    for (var b = 0u; b < end; b++) {
        let row = at.row + b / VECTORS_ACROSS * 4u;
        store_block(at.part, row, at.column + b % VECTORS_ACROSS * 4u, rest.b00);
#if WIDE
        rest.b00 = rest.b01;
#endif
#if TALL_WIDE
        rest.b01 = rest.b10;
        rest.b10 = rest.b11;
#else
#if TALL
        rest.b00 = rest.b10;
#endif
#endif
    }
}
#endif
