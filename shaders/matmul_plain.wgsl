// y = a b, one thread an element, operands through any strides.
#import lib/grid.wgsl
#import lib/epilogue.wgsl
#import lib/veiled.wgsl

@group(0) @binding(0) var<storage, read_write> y: array<f32>;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) wg: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let id = linear_id(wg, local);
    if (id >= BATCH * M * N) {
        return;
    }
    let batch = id / (M * N);
    let row = id / N % M;
    let column = id % N;
    let a_row = batch * A_BATCH + row * A_ROW;
    let b_column = batch * B_BATCH + column * B_COLUMN;
    var sum = 0.0;
    let end = veiled(K);
    for (var k = 0u; k < end; k++) {
        sum += a[a_row + k * A_COLUMN] * b[b_column + k * B_ROW];
    }
    y[batch * Y_BATCH + row * Y_ROW + column * Y_COLUMN] =
        epilogue(sum, vec4(0u, batch, row, column));
}
