// The planes of Winograd's products (ops/winograd) to pixels, or to the taps of a
// weight gradient (WEIGHT): each thread takes four channels of one phase of a tile
// from the SIDE x SIDE planes and gives GIVEN x GIVEN pixels.
//
// Where TAKEN is more than SIDE, the tiles of the image overlap by a pixel, and along
// each axis the last number comes from a neighbour: the last plane of the tile before
// completes the first pixel, or, where the phase begins with a tile's second pixel
// (late), the first plane of the tile behind completes the last. The image may end
// in another tile than the planes, unless ENDS_WITH_PLANES.
#import lib/grid.wgsl
#import lib/epilogue.wgsl
#import lib/packed.wgsl
#import lib/veiled.wgsl

#if VECTOR
@group(0) @binding(0) var<storage, read_write> y: array<Packed>;
#else
@group(0) @binding(0) var<storage, read_write> y: array<f32>;
#endif
@group(0) @binding(1) var<storage, read> a: array<Packed>;

{{transform}}

// Where a number of the tile comes from along one axis.
struct Source {
    tile: u32,
    plane: u32,
    inside: bool,
}

fn source(i: u32, tile: u32, tiles: u32, late: bool) -> Source {
    if (i < SIDE) {
        return Source(tile, i, (ENDS_WITH_PLANES == 1u) | (tile < tiles));
    }
    let neighbour = select(tile - 1u, tile + 1u, late);
    return Source(neighbour, select(SIDE - 1u, 0u, late), neighbour < tiles);
}

fn number(base: u32, h: Source, w: Source) -> vec4<f32> {
    let plane = (h.plane * SIDE + w.plane) * (PLANE / 4u);
    let at = base + plane + (h.tile * TILES_W + w.tile) * (PLANE_TILE / 4u);
    let inside = h.inside & w.inside;
    return select(vec4<f32>(), unpack(a[select(0u, at, inside)]), inside);
}

fn store(n: u32, channel: u32, h: u32, w: u32, v: vec4<f32>) {
    if ((h >= SIZE_H) | (w >= SIZE_W)) {
        return;
    }
    let at = n * PIXEL_N + channel * PIXEL_C + h * PIXEL_H + w * PIXEL_W;
#if WEIGHT
    let i = vec4(channel, n, h, w);
    let next = vec4(1u, 0u, 0u, 0u);
#else
    let i = vec4(n, channel, h, w);
    let next = vec4(0u, 1u, 0u, 0u);
#endif
    let e = vec4(
        epilogue(v.x, i),
        epilogue(v.y, i + next),
        epilogue(v.z, i + 2u * next),
        epilogue(v.w, i + 3u * next),
    );
#if VECTOR
    y[at / 4u] = pack(e);
#else
    y[at] = e.x;
    y[at + PIXEL_C] = e.y;
    y[at + 2u * PIXEL_C] = e.z;
    y[at + 3u * PIXEL_C] = e.w;
#endif
}

alias Column = array<vec4<f32>, GIVEN>;

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) wg: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let id = linear_id(wg, local);
    if (id >= COUNT) {
        return;
    }
#if VECTOR
    let quad = id % QUADS;
    let phase = id / QUADS % (STRIDE * STRIDE);
#else
    // All phases of a weight's taps at once, which share lines of the cache.
    let phase = id % (STRIDE * STRIDE);
    let quad = id / (STRIDE * STRIDE) % QUADS;
#endif
    let tile = id / (QUADS * STRIDE * STRIDE) % (GRID_H * GRID_W);
    let n = id / (QUADS * STRIDE * STRIDE * GRID_H * GRID_W);
    let tile_h = tile / GRID_W;
    let tile_w = tile % GRID_W;
    // The first pixel of a phase is the first or the second of its tile.
    let first_h = (PAD_H + STRIDE - 1u - phase / STRIDE) / STRIDE;
    let first_w = (PAD_W + STRIDE - 1u - phase % STRIDE) / STRIDE;
    let base = (n * PLANE_N + phase * PLANE_PHASE) / 4u + quad;
    // In loops whose values move on from place to place, so that loads are
    // compiled once a column, and the epilogue once.
    var columns: array<Column, TAKEN>;
    let taken = veiled(TAKEN);
    for (var j = 0u; j < taken; j++) {
        let from_w = source(j, tile_w, TILES_W, first_w > 0u);
        columns = array(
#for k in TAKEN
            columns[($ku + 1u) % TAKEN],
#end
        );
        columns[TAKEN - 1u] = transform(array(
#for i in TAKEN
            number(base, source($iu, tile_h, TILES_H, first_h > 0u), from_w),
#end
        ), first_h > 0u);
    }
    let h = (tile_h * STEP + first_h) * STRIDE + phase / STRIDE - PAD_H;
    let w = (tile_w * STEP + first_w) * STRIDE + phase % STRIDE - PAD_W;
    let given = veiled(GIVEN);
    for (var i = 0u; i < given; i++) {
        var row = transform(array(
#for j in TAKEN
            columns[$j][0],
#end
        ), first_w > 0u);
        for (var j = 0u; j < given; j++) {
            store(n, quad * 4u, h + i * STRIDE, w + j * STRIDE, row[0]);
            row = Column(
#for k in GIVEN
                row[($ku + 1u) % GIVEN],
#end
            );
        }
#for j in TAKEN
        columns[$j] = Column(
#for k in GIVEN
            columns[$j][($ku + 1u) % GIVEN],
#end
        );
#end
    }
}
