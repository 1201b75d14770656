// Statistics per channel of x[batch, channels, pixels]. A workgroup is a tile
// of COLUMNS channels x ROWS threads over a chunk of the channel's elements.
//
// STATS: mean and variance by the corrected two-pass formula, relative to the
// chunk's first element, so that a mean far larger than the deviation cancels
// nothing. With several chunks y holds [chunk][mean, sum of squared
// deviations][channel], for MERGE.
// MERGE: combines the chunks (Chan, Golub and LeVeque 1983).
// DOT: sum of g and sum of g (x - mean), [chunk][2][channel].
#import lib/grid.wgsl

@group(0) @binding(0) var<storage, read_write> y: array<f32>;

#if MERGE
@group(0) @binding(1) var<storage, read> chunks: array<f32>;

fn chunk_size(chunk: u32) -> f32 {
    return f32(min(CHUNK, COUNT - chunk * CHUNK));
}

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) wg: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let c = linear_id(wg, local);
    if (c >= CHANNELS) {
        return;
    }
    let origin = chunks[c];
    var shift = 0.0;
    for (var k = 1u; k < CHUNKS; k += 1u) {
        shift += chunk_size(k) * (chunks[2u * k * CHANNELS + c] - origin);
    }
    let mean = origin + shift / f32(COUNT);
    var squares = 0.0;
    for (var k = 0u; k < CHUNKS; k += 1u) {
        let distance = chunks[2u * k * CHANNELS + c] - mean;
        squares += chunks[(2u * k + 1u) * CHANNELS + c] + chunk_size(k) * distance * distance;
    }
    y[c] = mean;
    y[CHANNELS + c] = squares / f32(COUNT);
}
#else
#if STATS
@group(0) @binding(1) var<storage, read> x: array<f32>;
#else
@group(0) @binding(1) var<storage, read> g: array<f32>;
@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read> stats: array<f32>;
#endif

fn combine(a: f32, b: f32) -> f32 {
    return a + b;
}

#import lib/tree.wgsl

fn x_address(c: u32, m: u32) -> u32 {
#if PLANES
    return (m / PIXELS) * X_BATCH + c * X_CHANNEL + (m % PIXELS) * X_PIXEL;
#else
    return c * X_CHANNEL + m * X_PIXEL;
#endif
}

fn g_address(c: u32, m: u32) -> u32 {
#if PLANES
    return (m / PIXELS) * G_BATCH + c * G_CHANNEL + (m % PIXELS) * G_PIXEL;
#else
    return c * G_CHANNEL + m * G_PIXEL;
#endif
}

// Adds (sum of d, sum of d^2) with d = x - reference for STATS, (sum of g, sum
// of g (x - reference)) for DOT.
fn terms(c: u32, m: u32, reference: f32) -> vec2<f32> {
    let d = x[x_address(c, m)] - reference;
#if STATS
    return vec2<f32>(d, d * d);
#else
    let weight = g[g_address(c, m)];
    return vec2<f32>(weight, weight * d);
#endif
}

// This thread's share of [first, end), four at a time so that loads overlap.
fn walk(c: u32, first: u32, end: u32, reference: f32) -> vec2<f32> {
    var a = vec2<f32>(0.0);
    var b = vec2<f32>(0.0);
    var m = first;
    for (; m + 3u * ROWS < end; m += 4u * ROWS) {
        let t0 = terms(c, m, reference);
        let t1 = terms(c, m + ROWS, reference);
        let t2 = terms(c, m + 2u * ROWS, reference);
        let t3 = terms(c, m + 3u * ROWS, reference);
        a += t0 + t1;
        b += t2 + t3;
    }
    for (; m < end; m += ROWS) {
        a += terms(c, m, reference);
    }
    return a + b;
}

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) wg: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let group = wg.y * GRID_X + wg.x;
    let row = (local / ROW_STEP) % ROWS;
    let column = (local / COLUMN_STEP) % COLUMNS;
    let wanted = (group % GROUPS) * COLUMNS + column;
    let chunk = group / GROUPS;
    // Threads past the end repeat the last channel and write nothing.
    let c = min(wanted, CHANNELS - 1u);
    let first = min(chunk, CHUNKS - 1u) * CHUNK;
    let end = min(first + CHUNK, COUNT);
#if STATS
    let origin = x[x_address(c, first)];
    let size = f32(end - first);
    let shift = tree(walk(c, first + row, end, origin).x, local, row) / size;
    let mean = origin + shift;
    let centred = walk(c, first + row, end, mean);
    let drift = tree(centred.x, local, row);
    var squares = tree(centred.y, local, row) - drift * drift / size;
    squares = max(squares, 0.0);
#if CHUNKS_MANY
    let results = vec2<f32>(mean, squares);
#else
    let results = vec2<f32>(mean, squares / size);
#endif
#else
    let sums = walk(c, first + row, end, stats[c]);
    let results = vec2<f32>(tree(sums.x, local, row), tree(sums.y, local, row));
#endif
    if (row == 0u && wanted < CHANNELS && chunk < CHUNKS) {
        y[2u * chunk * CHANNELS + c] = results.x;
        y[(2u * chunk + 1u) * CHANNELS + c] = results.y;
    }
}
#endif
