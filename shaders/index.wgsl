// Elements picked and added by index along one axis. One thread an output
// element; SCATTER scans the whole index along the axis in its order, so the
// sum is the same every time.
#import lib/grid.wgsl

@group(0) @binding(0) var<storage, read_write> y: array<f32>;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> index: array<f32>;

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
    let x_base = {{x_base}};
    let index_base = {{index_base}};
#if SCATTER
    let here = f32({{axis}});
    var result = 0.0;
    for (var k = 0u; k < INDEX_SIZE; k += 1u) {
        if (index[index_base + k * INDEX_AXIS] == here) {
            result += x[x_base + k * X_AXIS];
        }
    }
#else
    let k = min(u32(index[index_base + {{axis}} * INDEX_AXIS]), X_SIZE - 1u);
    let result = x[x_base + k * X_AXIS];
#endif
    y[{{y_address}}] = result;
}
