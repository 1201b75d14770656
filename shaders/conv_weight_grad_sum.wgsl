// Adds the parts of a weight gradient whose depth was cut, in a fixed order: SLICES
// threads share four columns of a row, each with every SLICES-th part, so that long
// sums of few weights do not wait for one load after another.
//
// Parts a [PARTS, ROWS, QUADS] in fours of columns, weight gradient y.
#import lib/grid.wgsl
#import lib/weight.wgsl

@group(0) @binding(1) var<storage, read> a: array<Packed>;

const QUADS: u32 = (COLUMNS + 3u) / 4u;
// Fours of columns of a workgroup.
const GROUP: u32 = WORKGROUP / SLICES;

var<workgroup> sums: array<vec4<f32>, WORKGROUP>;

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) wg: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let quad = linear_id(wg, 0u) / SLICES + local % GROUP;
    // Threads past the last repeat it, because all must reach the barrier.
    let place = min(quad, ROWS * QUADS - 1u);
    var sum = vec4<f32>();
    for (var part = local / GROUP; part < PARTS; part += SLICES) {
        sum += unpack(a[part * ROWS * QUADS + place]);
    }
    sums[local] = sum;
    workgroupBarrier();
    if ((local >= GROUP) | (quad >= ROWS * QUADS)) {
        return;
    }
    for (var slice = 1u; slice < SLICES; slice++) {
        sum += sums[slice * GROUP + local];
    }
    store(0u, quad / QUADS, quad % QUADS * 4u, sum);
}
