// Pixels, or the taps of a weight, to the planes of Winograd's products
// (ops/winograd): each thread takes four channels of TAKEN x TAKEN pixels of one
// phase of a tile and writes a number of each of the SIDE x SIDE planes. Every pixel
// is loaded once for each tile that it is in.
//
// Tensor a has images (of a weight: input channels), channels, rows and columns.
// VECTOR: its channels are contiguous and loaded as vec4.
#import lib/grid.wgsl
#import lib/packed.wgsl
#import lib/veiled.wgsl

@group(0) @binding(0) var<storage, read_write> y: array<Packed>;
#if VECTOR
@group(0) @binding(1) var<storage, read> a: array<Packed>;
#else
@group(0) @binding(1) var<storage, read> a: array<f32>;
#endif

{{transform}}

// Zero outside, where h and w may have wrapped round below zero.
fn pixel(base: u32, h: u32, w: u32) -> vec4<f32> {
    let inside = (h < SIZE_H) & (w < SIZE_W);
    let at = base + select(0u, h * PIXEL_H + w * PIXEL_W, inside);
#if VECTOR
    return select(vec4<f32>(), unpack(a[at / 4u]), inside);
#else
    let values = vec4(a[at], a[at + PIXEL_C], a[at + 2u * PIXEL_C], a[at + 3u * PIXEL_C]);
    return select(vec4<f32>(), values, inside);
#endif
}

alias Column = array<vec4<f32>, SIDE>;

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) wg: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let id = linear_id(wg, local);
    if (id >= COUNT) {
        return;
    }
    let quad = id % QUADS;
    let phase = id / QUADS % (STRIDE * STRIDE);
    let tile = id / (QUADS * STRIDE * STRIDE) % (TILES_H * TILES_W);
    let n = id / (QUADS * STRIDE * STRIDE * TILES_H * TILES_W);
    let h = tile / TILES_W * STEP * STRIDE + phase / STRIDE - PAD_H;
    let w = tile % TILES_W * STEP * STRIDE + phase % STRIDE - PAD_W;
    let base = n * PIXEL_N + quad * 4u * PIXEL_C;
    // In loops whose values move on from place to place, so that a load and a store are
    // compiled once a row and not for every pixel.
    var columns: array<Column, TAKEN>;
    let taken = veiled(TAKEN);
    for (var j = 0u; j < taken; j++) {
        columns = array(
#for k in TAKEN
            columns[($ku + 1u) % TAKEN],
#end
        );
        columns[TAKEN - 1u] = transform(array(
#for i in TAKEN
            pixel(base, h + $iu * STRIDE, w + j * STRIDE),
#end
        ), false);
    }
    var at = (n * PLANE_N + tile * PLANE_TILE + phase * PLANE_PHASE) / 4u + quad;
    let side = veiled(SIDE);
    for (var i = 0u; i < side; i++) {
        let row = transform(array(
#for j in TAKEN
            columns[$j][0],
#end
        ), false);
#for j in SIDE
        y[at + $ju * (PLANE / 4u)] = pack(row[$ju]);
#end
        at += SIDE * (PLANE / 4u);
#for j in TAKEN
        columns[$j] = Column(
#for k in SIDE
            columns[$j][($ku + 1u) % SIDE],
#end
        );
#end
    }
}
