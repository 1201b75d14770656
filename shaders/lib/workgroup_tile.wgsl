// A tile of results a workgroup, over the tile a thread: a step's blocks of a
// and b are loaded once, by all threads together, into workgroup memory, so that
// each value is loaded from storage once a tile and not once a thread. A thread
// computes BLOCKS x BLOCKS blocks; 8 x 8 threads make a tile. While they
// multiply one step, their loads of the next are on the way.
//
// The blocks of a step lie in workgroup memory vector by vector, so that
// neighbouring threads read neighbouring vectors and no banks collide.

// Threads along each side of the tile.
const SIDE: u32 = 8u;
// Blocks along each side of the tile, and along the depth of a step: one block
// of a and one of b for each thread.
const TILE_BLOCKS: u32 = SIDE * BLOCKS;
const STEP_BLOCKS: u32 = WORKGROUP / TILE_BLOCKS;
const STEP: u32 = 4u * STEP_BLOCKS;
// The last depth from which a block can be loaded.
const LAST: u32 = (DEPTH - 1u) / 4u * 4u;

var<workgroup> shared_a: array<vec4<f32>, 4u * WORKGROUP>;
var<workgroup> shared_b: array<vec4<f32>, 4u * WORKGROUP>;

// Vector r of the blocks at depth block d begins here.
fn shelf(d: u32, r: u32) -> u32 {
    return (4u * d + r) * TILE_BLOCKS;
}

// Blocks of b past the depth are zero, those of a whatever is before it.
fn b_within(right: u32, k: u32, column: u32) -> mat4x4<f32> {
    if (k >= DEPTH) {
        return mat4x4<f32>();
    }
    return b_block(right, k, column);
}

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) wg: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let number = linear_id(wg, 0u) / WORKGROUP;
    if (number >= TILE_COUNT) {
        return;
    }
    let at = find_place(number);
    // What this thread loads, and what it computes.
    let block = local % TILE_BLOCKS;
    let depth = local / TILE_BLOCKS;
    let down = local / SIDE;
    let across = local % SIDE;

    let left = find_left(at.part, at.row + 4u * block);
    let column = at.column + 4u * block;
#for i in BLOCKS
#for j in BLOCKS
    var t$i_$j = mat4x4<f32>();
#end
#end
    for (var walk = 0u; walk < WALKS; walk++) {
        if (!meets(at.part, walk)) {
            continue;
        }
        let right = find_right(at.part, walk);
        let rows = reach(left, walk);
        var a = a_block(rows, min(4u * depth, LAST));
        var b = b_within(right, 4u * depth, column);
        for (var k = 0u; k < DEPTH; k += STEP) {
            workgroupBarrier();
            shared_a[shelf(depth, 0u) + block] = a[0];
            shared_a[shelf(depth, 1u) + block] = a[1];
            shared_a[shelf(depth, 2u) + block] = a[2];
            shared_a[shelf(depth, 3u) + block] = a[3];
            shared_b[shelf(depth, 0u) + block] = b[0];
            shared_b[shelf(depth, 1u) + block] = b[1];
            shared_b[shelf(depth, 2u) + block] = b[2];
            shared_b[shelf(depth, 3u) + block] = b[3];
            workgroupBarrier();
            let next = k + STEP + 4u * depth;
            a = a_block(rows, min(next, LAST));
            b = b_within(right, next, column);
            for (var d = 0u; d < STEP_BLOCKS; d++) {
#for i in BLOCKS
                let a$i = mat4x4(
                    shared_a[shelf(d, 0u) + $iu * SIDE + down],
                    shared_a[shelf(d, 1u) + $iu * SIDE + down],
                    shared_a[shelf(d, 2u) + $iu * SIDE + down],
                    shared_a[shelf(d, 3u) + $iu * SIDE + down],
                );
                let b$i = mat4x4(
                    shared_b[shelf(d, 0u) + $iu * SIDE + across],
                    shared_b[shelf(d, 1u) + $iu * SIDE + across],
                    shared_b[shelf(d, 2u) + $iu * SIDE + across],
                    shared_b[shelf(d, 3u) + $iu * SIDE + across],
                );
#end
#for i in BLOCKS
#for j in BLOCKS
                t$i_$j += b$j * a$i;
#end
#end
            }
        }
    }
#for i in BLOCKS
#for j in BLOCKS
    store_block(
        at.part,
        at.row + 4u * ($iu * SIDE + down),
        at.column + 4u * ($ju * SIDE + across),
        t$i_$j,
    );
#end
#end
}
