// What an adapter can do at best, for benchmarks to compare with.
//
// ARITHMETIC: multiplications and additions on registers; CHAINS chains of four
// numbers an invocation keep the pipelines of a processor full.
// COPY: PLACES vec4s an invocation from a to y, INVOCATIONS apart.
// NOTHING: a dispatch that does next to nothing.
#import lib/grid.wgsl
#import lib/packed.wgsl

@group(0) @binding(0) var<storage, read_write> y: array<Packed>;
@group(0) @binding(1) var<storage, read> a: array<Packed>;

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) wg: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let id = linear_id(wg, local);
#if ARITHMETIC
    // Read, so that no compiler can do the sums beforehand.
    let start = unpack(a[id % 64u]);
    let factor = start.x;
    let term = start.y;
#for c in CHAINS
    var p$c = start + f32($c);
#end
    for (var round = 0u; round < ROUNDS; round++) {
#for n in UNROLLED
#for c in CHAINS
        p$c = p$c * factor + term;
#end
#end
    }
    var sum = vec4<f32>();
#for c in CHAINS
    sum += p$c;
#end
    y[id] = pack(sum);
#endif
#if COPY
#for n in PLACES
    let v$n = a[id + $nu * INVOCATIONS];
#end
#for n in PLACES
    y[id + $nu * INVOCATIONS] = v$n;
#end
#endif
#if NOTHING
    if (id == 0u) {
        y[0] = a[0];
    }
#endif
}
