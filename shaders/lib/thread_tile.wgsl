// A tile of results a thread, over the plain kernels: every loaded value is
// used 4 or 8 times, and loads are vec4 where an axis is contiguous. TILE_ROWS x
// TILE_COLUMNS results are 1, 2 or 4 blocks in registers. SLICES threads share
// a tile, each with CHUNK of the DEPTH.

const GROUP_TILES: u32 = WORKGROUP / SLICES;
const VECTORS_ACROSS: u32 = TILE_COLUMNS / 4u;
const VECTORS: u32 = TILE_ROWS * VECTORS_ACROSS;

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

// The number of the tile of thread `local`. Threads without a tile repeat the
// last one, because all must reach the barrier.
fn tile_number(wg: vec3<u32>, local: u32) -> u32 {
    return linear_id(wg, 0u) / SLICES + local % GROUP_TILES;
}

fn tile_place(number: u32) -> Place {
    return find_place(min(number, TILE_COUNT - 1u));
}

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
        let slices = veiled(SLICES);
        for (var slice = 0u; slice < slices; slice++) {
            sum += partial[vector * WORKGROUP + slice * GROUP_TILES + tile];
        }
        let number = tile_number(wg, tile);
        if (number < TILE_COUNT) {
            let at = tile_place(number);
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
fn store_tile(t: Tile, wg: vec3<u32>, local: u32) {
    let number = tile_number(wg, local);
    if (number >= TILE_COUNT) {
        return;
    }
    let at = tile_place(number);
    var rest = t;
    let end = veiled(VECTORS / 4u);
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

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) wg: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let at = tile_place(tile_number(wg, local));
    let first = local / GROUP_TILES * CHUNK;
    let last = min(first + CHUNK, DEPTH);
    let left0 = find_left(at.part, at.row);
#if TALL
    let left1 = find_left(at.part, at.row + 4u);
#endif
    var t = Tile();
    for (var walk = 0u; walk < WALKS; walk++) {
        if (!meets(at.part, walk)) {
            continue;
        }
        let right = find_right(at.part, walk);
        let reach0 = reach(left0, walk);
#if TALL
        let reach1 = reach(left1, walk);
#endif
        for (var k = first; k < last; k += 4u) {
            let b0 = b_block(right, k, at.column);
            let a0 = a_block(reach0, k);
            t.b00 += b0 * a0;
#if WIDE
            let b1 = b_block(right, k, at.column + 4u);
            t.b01 += b1 * a0;
#endif
#if TALL
            let a1 = a_block(reach1, k);
            t.b10 += b0 * a1;
#endif
#if TALL_WIDE
            t.b11 += b1 * a1;
#endif
        }
    }
    store_tile(t, wg, local);
}
