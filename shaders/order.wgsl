// The places of an index along an axis, in the order of what they hold; equal
// ones keep the order of their places. A merge sort without workgroup memory:
// one thread a place finds its rank, first within runs of RUN places by looking
// at all of them, then (MERGE) within two neighbouring sorted runs of RUN places
// by a search of the other one. LINES lines of SIZE places, one after another.
#import lib/grid.wgsl

@group(0) @binding(0) var<storage, read_write> y: array<u32>;
@group(0) @binding(1) var<storage, read> index: array<f32>;
#if MERGE
@group(0) @binding(2) var<storage, read> runs: array<u32>;
#endif

// What the index holds at a place of the line that starts at `base`. Whatever
// it is, it has a place in the order, so that the order is complete.
fn key(base: u32, place: u32) -> u32 {
    return min(u32(index[base + place * INDEX_AXIS]), OUTSIDE);
}

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) wg: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let id = linear_id(wg, local);
    if (id >= COUNT) {
        return;
    }
{{place}}
    let index_base = {{index_base}};
    let slot = {{axis}};
    let line = id - slot;
    let run = slot / RUN;
    let first = run * RUN;
#if MERGE
    let here = runs[id];
    let mine = key(index_base, here);
    // Of equal keys, those of the left run come first.
    let right = run & 1u;
    let other = (run ^ 1u) * RUN;
    var low = min(other, SIZE);
    var high = min(other + RUN, SIZE);
    while (low < high) {
        let middle = (low + high) / 2u;
        if (key(index_base, runs[line + middle]) < mine + right) {
            low = middle + 1u;
        } else {
            high = middle;
        }
    }
    let rank = slot - first + low - min(other, SIZE);
    y[line + min(first, other) + rank] = here;
#else
    let mine = key(index_base, slot);
    var rank = 0u;
    for (var k = first; k < min(first + RUN, SIZE); k += 1u) {
        let met = key(index_base, k);
        rank += select(0u, 1u, (met < mine) | ((met == mine) & (k < slot)));
    }
    y[line + first + rank] = slot;
#endif
}
