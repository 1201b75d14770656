// Pixels, or the taps of a weight, to the planes of Winograd's products
// (ops/winograd): each thread takes four channels of TAKEN x TAKEN pixels of one
// phase of a tile and writes a number of each of the SIDE x SIDE planes. Every pixel
// is loaded once for each tile that it is in.
//
// Tensor a has images (of a weight: input channels), channels, rows and columns.
// VECTOR: its channels are contiguous and loaded as vec4.
#import lib/grid.wgsl

@group(0) @binding(0) var<storage, read_write> y: array<vec4<f32>>;
#if VECTOR
@group(0) @binding(1) var<storage, read> a: array<vec4<f32>>;
#else
@group(0) @binding(1) var<storage, read> a: array<f32>;
#endif

{{transform}}

// Zero outside, where h and w may have wrapped round below zero.
fn pixel(base: u32, h: u32, w: u32) -> vec4<f32> {
    let inside = (h < SIZE_H) & (w < SIZE_W);
    let at = base + select(0u, h * PIXEL_H + w * PIXEL_W, inside);
#if VECTOR
    return select(vec4<f32>(), a[at / 4u], inside);
#else
    let values = vec4(a[at], a[at + PIXEL_C], a[at + 2u * PIXEL_C], a[at + 3u * PIXEL_C]);
    return select(vec4<f32>(), values, inside);
#endif
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
    let quad = id % QUADS;
    let phase = id / QUADS % (STRIDE * STRIDE);
    let tile = id / (QUADS * STRIDE * STRIDE) % (TILES_H * TILES_W);
    let n = id / (QUADS * STRIDE * STRIDE * TILES_H * TILES_W);
    let h = tile / TILES_W * STEP * STRIDE + phase / STRIDE - PAD_H;
    let w = tile % TILES_W * STEP * STRIDE + phase % STRIDE - PAD_W;
    let base = n * PIXEL_N + quad * 4u * PIXEL_C;
#for j in TAKEN
    let c$j = transform(array(
#for i in TAKEN
        pixel(base, h + $iu * STRIDE, w + $ju * STRIDE),
#end
    ), false);
#end
    let at = (n * PLANE_N + tile * PLANE_TILE + phase * PLANE_PHASE) / 4u + quad;
#for i in SIDE
    let r$i = transform(array(
#for j in TAKEN
        c$j[$iu],
#end
    ), false);
#for j in SIDE
    y[($iu * SIDE + $ju) * (PLANE / 4u) + at] = r$i[$ju];
#end
#end
}
