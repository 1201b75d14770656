// Elements picked and added by index along one axis. One thread an output
// element; SCATTER scans the whole index along the axis in its order, so the
// sum is the same every time, and with SORTED only the places that hold the
// element's, in the same order.
#import lib/grid.wgsl

@group(0) @binding(0) var<storage, read_write> y: array<f32>;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> index: array<f32>;

#if SORTED
@group(0) @binding(3) var<storage, read> order: array<u32>;
#endif

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
#if SORTED
    let order_base = {{order_base}};
    let here = {{axis}};
    // The first place that holds it, by bisection.
    var low = 0u;
    var high = INDEX_SIZE;
    while (low < high) {
        let middle = (low + high) / 2u;
        if (u32(index[index_base + order[order_base + middle] * INDEX_AXIS]) < here) {
            low = middle + 1u;
        } else {
            high = middle;
        }
    }
    var result = 0.0;
    for (; low < INDEX_SIZE; low += 1u) {
        let k = order[order_base + low];
        if (u32(index[index_base + k * INDEX_AXIS]) != here) {
            break;
        }
        result += x[x_base + k * X_AXIS];
    }
#else
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
#endif
    y[{{y_address}}] = result;
}
