// A convolution or one of its two adjoints, one thread an output element,
// tensors through any strides. Image x [N, C, H, W], weight w
// [O, C / GROUPS, KH, KW], filter side y [N, O, OH, OW]; one of FORWARD,
// TRANSPOSE and WEIGHT_GRAD is set and says which of the three is written.
#import lib/grid.wgsl
#import lib/epilogue.wgsl

#if FORWARD
@group(0) @binding(0) var<storage, read_write> y: array<f32>;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> w: array<f32>;
#endif
#if TRANSPOSE
@group(0) @binding(0) var<storage, read_write> x: array<f32>;
@group(0) @binding(1) var<storage, read> y: array<f32>;
@group(0) @binding(2) var<storage, read> w: array<f32>;
#endif
#if WEIGHT_GRAD
@group(0) @binding(0) var<storage, read_write> w: array<f32>;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> y: array<f32>;
#endif

const GROUP_C: u32 = C / GROUPS;
const GROUP_O: u32 = O / GROUPS;

fn x_at(n: u32, c: u32, h: u32, v: u32) -> u32 {
    return n * X_N + c * X_C + h * X_H + v * X_W;
}

fn w_at(o: u32, c: u32, kh: u32, kw: u32) -> u32 {
    return o * W_O + c * W_C + kh * W_H + kw * W_W;
}

fn y_at(n: u32, o: u32, oh: u32, ow: u32) -> u32 {
    return n * Y_N + o * Y_O + oh * Y_H + ow * Y_W;
}

#if FORWARD
const COUNT: u32 = N * O * OH * OW;

fn compute(id: u32) {
    let i = vec4(id / (O * OH * OW), id / (OH * OW) % O, id / OW % OH, id % OW);
    let first = i.y / GROUP_O * GROUP_C;
    var sum = 0.0;
    for (var c = 0u; c < GROUP_C; c++) {
        for (var kh = 0u; kh < KH; kh++) {
            for (var kw = 0u; kw < KW; kw++) {
                // Above or left of the image the difference wraps round to
                // something large.
                let h = i.z * STRIDE_H + kh * DILATION_H - PAD_H;
                let v = i.w * STRIDE_W + kw * DILATION_W - PAD_W;
                if (h < H && v < W) {
                    sum += x[x_at(i.x, first + c, h, v)] * w[w_at(i.y, c, kh, kw)];
                }
            }
        }
    }
    y[y_at(i.x, i.y, i.z, i.w)] = epilogue(sum, i);
}
#endif

#if TRANSPOSE
const COUNT: u32 = N * C * H * W;

fn compute(id: u32) {
    let i = vec4(id / (C * H * W), id / (H * W) % C, id / W % H, id % W);
    let first = i.y / GROUP_C * GROUP_O;
    var sum = 0.0;
    for (var o = first; o < first + GROUP_O; o++) {
        for (var kh = 0u; kh < KH; kh++) {
            for (var kw = 0u; kw < KW; kw++) {
                let h = i.z + PAD_H - kh * DILATION_H;
                let v = i.w + PAD_W - kw * DILATION_W;
                let inside = i.z + PAD_H >= kh * DILATION_H && i.w + PAD_W >= kw * DILATION_W;
                if (inside && h % STRIDE_H == 0u && v % STRIDE_W == 0u
                    && h / STRIDE_H < OH && v / STRIDE_W < OW) {
                    sum += y[y_at(i.x, o, h / STRIDE_H, v / STRIDE_W)]
                        * w[w_at(o, i.y % GROUP_C, kh, kw)];
                }
            }
        }
    }
    x[x_at(i.x, i.y, i.z, i.w)] = epilogue(sum, i);
}
#endif

#if WEIGHT_GRAD
const COUNT: u32 = O * GROUP_C * KH * KW;

fn compute(id: u32) {
    let i = vec4(id / (GROUP_C * KH * KW), id / (KH * KW) % GROUP_C, id / KW % KH, id % KW);
    let c = i.x / GROUP_O * GROUP_C + i.y;
    var sum = 0.0;
    for (var n = 0u; n < N; n++) {
        for (var oh = 0u; oh < OH; oh++) {
            for (var ow = 0u; ow < OW; ow++) {
                let h = oh * STRIDE_H + i.z * DILATION_H - PAD_H;
                let v = ow * STRIDE_W + i.w * DILATION_W - PAD_W;
                if (h < H && v < W) {
                    sum += x[x_at(n, c, h, v)] * y[y_at(n, i.x, oh, ow)];
                }
            }
        }
    }
    w[w_at(i.x, i.y, i.z, i.w)] = epilogue(sum, i);
}
#endif

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) wg: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let id = linear_id(wg, local);
    if (id < COUNT) {
        compute(id);
    }
}
