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

#if SPLIT
const VECTORS_ACROSS: u32 = TILE_COLUMNS / 4u;
const VECTORS: u32 = TILE_ROWS * VECTORS_ACROSS;

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
fn store_block(part: u32, row: u32, column: u32, block: mat4x4<f32>) {
    store(part, row, column, block[0]);
    store(part, row + 1u, column, block[1]);
    store(part, row + 2u, column, block[2]);
    store(part, row + 3u, column, block[3]);
}

fn store_tile(t: Tile, wg: vec3<u32>, local: u32) {
    let at = find_place(wg, local);
    if (!at.live) {
        return;
    }
    store_block(at.part, at.row, at.column, t.b00);
#if WIDE
    store_block(at.part, at.row, at.column + 4u, t.b01);
#endif
#if TALL
    store_block(at.part, at.row + 4u, at.column, t.b10);
#endif
#if TALL_WIDE
    store_block(at.part, at.row + 4u, at.column + 4u, t.b11);
#endif
}
#endif
