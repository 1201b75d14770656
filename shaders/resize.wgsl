// Bilinear resize of an image [IMAGE_H, IMAGE_W] to [RESIZED_H, RESIZED_W] with
// cell centres at half-integers, and its adjoint, which gathers from the output
// cells that had read an image cell. Positions are whole numbers of
// 1 / (2 resized) cells, so both directions agree on every weight exactly.
#import lib/grid.wgsl

@group(0) @binding(0) var<storage, read_write> y: array<f32>;
@group(0) @binding(1) var<storage, read> x: array<f32>;

struct Sample {
    near: u32,
    far: u32,
    // of `far`; `near` has the rest
    weight: f32,
}

// Where output cell `o` reads along one axis.
fn sample(o: u32, image: u32, resized: u32) -> Sample {
    // (o + 1/2) image / resized - 1/2, at least 0, in units of 1 / (2 resized)
    let place = max((2u * o + 1u) * image, resized) - resized;
    let near = place / (2u * resized);
    let weight = f32(place % (2u * resized)) / f32(2u * resized);
    return Sample(near, min(near + 1u, image - 1u), weight);
}

#if ADJOINT
// First output cell that may read image cell `i` and the one after the last.
fn readers(i: u32, image: u32, resized: u32) -> vec2<u32> {
    // Cells with sample position in (i - 1, i + 1); a cell more at each end
    // does no harm, its weight is 0. Below position 0 all read cell 0.
    let first = (max(2u * i, 1u) - 1u) * resized / image / 2u;
    let end = ((2u * i + 3u) * resized / image) / 2u + 1u;
    return vec2<u32>(select(max(first, 1u) - 1u, 0u, i == 0u), min(end, resized));
}

fn weight_of(i: u32, o: u32, image: u32, resized: u32) -> f32 {
    let s = sample(o, image, resized);
    return select(0.0, 1.0 - s.weight, s.near == i) + select(0.0, s.weight, s.far == i);
}
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
    let base = {{x_base}};
#if ADJOINT
    let rows = readers(h, IMAGE_H, RESIZED_H);
    let columns = readers(w, IMAGE_W, RESIZED_W);
    var result = 0.0;
    for (var i = rows.x; i < rows.y; i += 1u) {
        var line = 0.0;
        for (var j = columns.x; j < columns.y; j += 1u) {
            line += weight_of(w, j, IMAGE_W, RESIZED_W) * x[base + i * X_H + j * X_W];
        }
        result += weight_of(h, i, IMAGE_H, RESIZED_H) * line;
    }
#else
    let v = sample(h, IMAGE_H, RESIZED_H);
    let u = sample(w, IMAGE_W, RESIZED_W);
    let top = mix(
        x[base + v.near * X_H + u.near * X_W],
        x[base + v.near * X_H + u.far * X_W],
        u.weight,
    );
    let bottom = mix(
        x[base + v.far * X_H + u.near * X_W],
        x[base + v.far * X_H + u.far * X_W],
        u.weight,
    );
    let result = mix(top, bottom, v.weight);
#endif
    y[{{y_address}}] = result;
}
