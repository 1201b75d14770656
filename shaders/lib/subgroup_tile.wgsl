// A tile of results a subgroup, over the tile a thread: each lane holds 4 rows
// of TILE_COLUMNS results and loads its own rows of a, but of b only its share,
// which the lanes hand round. A value of a is so used TILE_COLUMNS times and one
// of b 4 SUBGROUP times, without workgroup memory or barriers. It wins where
// loads are dear and handing round is cheap, as on software drivers.
//
// b comes in PIECES of one vec4 a lane. PIECE_QUADS groups of four columns make
// a piece, four lanes a group: lane l holds, if B_ROWS, row l % 4 of its group,
// else column l % 4.
//
// The workgroup is one subgroup of SUBGROUP lanes. All loads of a step stand
// before its sums: mixed, they took twice the time on lavapipe.

const QUADS: u32 = TILE_COLUMNS / 4u;

fn b_vector(right: u32, k: u32, column: u32, place: u32) -> vec4<f32> {
#if B_ROWS
    return b_row(right, k + place, column);
#else
    return b_column(right, k, column + place);
#endif
}

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) wg: vec3<u32>,
    @builtin(subgroup_invocation_id) lane: u32,
) {
    let number = linear_id(wg, 0u) / WORKGROUP;
    if (number >= TILE_COUNT) {
        return;
    }
    let at = find_place(number);
    let row = at.row + lane * 4u;
    let left = find_left(at.part, row);
    let column = at.column + lane / 4u % PIECE_QUADS * 4u;
#for p in PIECES
#for q in PIECE_QUADS
    var t$p_$q = mat4x4<f32>();
#end
#end
    let end = veiled(WALKS);
    for (var walk = 0u; walk < end; walk++) {
        if (!meets(at.part, walk)) {
            continue;
        }
        let right = find_right(at.part, walk);
        let rows = reach(left, walk);
        for (var k = 0u; k < DEPTH; k += 4u) {
            let a = transpose(a_block(rows, k));
#for p in PIECES
            let b$p = b_vector(right, k, column + 4u * PIECE_QUADS * $pu, lane % 4u);
#end
#for p in PIECES
#for q in PIECE_QUADS
            let b$p_$q = mat4x4(
                subgroupBroadcast(b$p, 4u * $qu),
                subgroupBroadcast(b$p, 4u * $qu + 1u),
                subgroupBroadcast(b$p, 4u * $qu + 2u),
                subgroupBroadcast(b$p, 4u * $qu + 3u),
            );
#if B_ROWS
            t$p_$q += a * transpose(b$p_$q);
#else
            t$p_$q += a * b$p_$q;
#endif
#end
#end
        }
    }
    // Column c of these blocks is result column c.
    var rest: array<mat4x4<f32>, QUADS>;
#for p in PIECES
#for q in PIECE_QUADS
    rest[PIECE_QUADS * $pu + $qu] = t$p_$q;
#end
#end
    let quads = veiled(QUADS);
    for (var q = 0u; q < quads; q++) {
        store_block(at.part, row, at.column + 4u * q, transpose(rest[q]));
    }
}
