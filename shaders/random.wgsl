// Random numbers by counter: element, stream, step and seed fix each of them
// (pcg4d of Jarzynski and Olano, "Hash Functions for GPU Rendering", 2020).
// `reference::random` computes the same bits.
#import lib/grid.wgsl
#import lib/math.wgsl
#import lib/step.wgsl

@group(0) @binding(0) var<storage, read_write> y: array<f32>;
@group(0) @binding({{step_binding}}) var<uniform> step: Step;

fn pcg4d(key: vec4<u32>) -> vec4<u32> {
    var v = key * 1664525u + 1013904223u;
    v.x += v.y * v.w;
    v.y += v.z * v.x;
    v.z += v.x * v.y;
    v.w += v.y * v.z;
    v = v ^ (v >> vec4<u32>(16u));
    v.x += v.y * v.w;
    v.y += v.z * v.x;
    v.z += v.x * v.y;
    v.w += v.y * v.z;
    return v;
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
    let bits = pcg4d(vec4<u32>(id, STREAM, step.counter, step.seed));
    // 24 bits: every f32 below is exact.
    let unit = f32(bits.x >> 8u) * 5.9604645e-8;
#if NORMAL
    // Box-Muller; the first number is in (0, 1], so its logarithm is finite. Near 1 a
    // driver's own may be above 0, and the root of what is below it is not a number.
    let radius = sqrt(-2.0 * op_log(unit + 5.9604645e-8));
    let angle = 6.2831855 * (f32(bits.y >> 8u) * 5.9604645e-8);
    y[id] = radius * op_cos(angle);
#endif
#if BERNOULLI
    y[id] = select(0.0, 1.0, unit < {{probability}});
#endif
#if UNIFORM
    y[id] = unit;
#endif
}
