// Four elements that lie together, as kernels load them. Software drivers load
// each element of each lane by itself and so take half as long for half as many
// that are twice as wide: LOADS_64, where the device computes on the CPU and has
// 64-bit integers.
#if LOADS_64
alias Packed = vec2<u64>;

fn unpack(p: Packed) -> vec4<f32> {
    return bitcast<vec4<f32>>(vec4(u32(p.x), u32(p.x >> 32u), u32(p.y), u32(p.y >> 32u)));
}

fn pack(v: vec4<f32>) -> Packed {
    let u = bitcast<vec4<u32>>(v);
    return vec2(u64(u.x) | (u64(u.y) << 32u), u64(u.z) | (u64(u.w) << 32u));
}
#else
alias Packed = vec4<f32>;

fn unpack(p: Packed) -> vec4<f32> {
    return p;
}

fn pack(v: vec4<f32>) -> Packed {
    return v;
}
#endif
