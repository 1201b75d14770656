// The second half of a transposed convolution with few channels: each pixel of
// the image gathers the products of its taps, which one matrix product computed
// for all pixels of the filter side at once. MIRRORED: the weight's last tap is the
// first, as of a convolution of stride 1 that is computed so.
//
// Products a [N, OH, OW, C, KH, KW], image y with any strides.
#import lib/grid.wgsl
#import lib/epilogue.wgsl
#import lib/veiled.wgsl

@group(0) @binding(0) var<storage, read_write> y: array<f32>;
@group(0) @binding(1) var<storage, read> a: array<f32>;

// The product of one tap, which is zero where the tap's pixel lies outside. In
// units of the stride; subtracting the tap may wrap round below zero.
fn product(i: vec4<u32>, kh: u32, kw: u32) -> f32 {
    let oh = (i.z + PAD_H - kh) / STRIDE_H;
    let ow = (i.w + PAD_W - kw) / STRIDE_W;
    let inside = (kh < KH) & (kw < KW) & (oh < OH) & (ow < OW);
#if MIRRORED
    let tap = KH * KW - 1u - (kh * KW + kw);
#else
    let tap = kh * KW + kw;
#endif
    let at = (((i.x * OH + oh) * OW + ow) * C + i.y) * (KH * KW) + tap;
    return select(0.0, a[select(0u, at, inside)], inside);
}

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) wg: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let id = linear_id(wg, local);
    if (id >= N * C * H * W) {
        return;
    }
    let i = vec4(id / (C * H * W), id / (H * W) % C, id / W % H, id % W);
    // Taps that meet this pixel lie a stride apart.
    let kh = (i.z + PAD_H) % STRIDE_H;
    let kw = (i.w + PAD_W) % STRIDE_W;
    var sum = 0.0;
    let rows = veiled(TAPS_H);
    for (var m = 0u; m < rows; m++) {
#for n in TAPS_W
        sum += product(i, kh + m * STRIDE_H, kw + $nu * STRIDE_W);
#end
    }
    y[i.x * Y_N + i.y * Y_C + i.z * Y_H + i.w * Y_W] = epilogue(sum, i);
}
