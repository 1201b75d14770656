// y[o] = combine over r of f(inputs at (o, r)). A workgroup is a tile of
// COLUMNS outputs x ROWS threads that walk the reduced range together and meet
// in a tree. Variant thread has one row; in variant columns neighbouring threads hold
// neighbouring outputs, in variant rows neighbouring reduced elements,
// whichever lie side by side in memory.
#import lib/math.wgsl

{{bindings}}

#if SUM
const IDENTITY: f32 = 0.0;
fn combine(a: f32, b: f32) -> f32 {
    return a + b;
}
fn combine4(a: vec4<f32>, b: vec4<f32>) -> vec4<f32> {
    return a + b;
}
#else
const IDENTITY: f32 = -3.4028234e38;
fn combine(a: f32, b: f32) -> f32 {
    return max(a, b);
}
fn combine4(a: vec4<f32>, b: vec4<f32>) -> vec4<f32> {
    return max(a, b);
}
#endif

#import lib/tree.wgsl

// The value at output `o` and reduced position `r`, both in the order of
// their axes.
fn element(o: u32, r: u32{{base_parameters}}) -> f32 {
{{loads}}
{{body}}
    return result;
}

#if ARGMAX
#if ROWS_MANY
var<workgroup> places: array<u32, WORKGROUP>;
#endif
#endif

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) wg: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let row = (local / ROW_STEP) % ROWS;
    let column = (local / COLUMN_STEP) % COLUMNS;
    let wanted = (wg.y * GRID_X + wg.x) * COLUMNS + column;
    // Threads past the end repeat the last output and write nothing.
    let o = min(wanted, OUTPUTS - 1u);
{{bases}}
#if ARGMAX
    var best = IDENTITY;
    var place = row;
    for (var r = row; r < REDUCED; r += ROWS) {
        let value = element(o, r{{base_arguments}});
        if (value > best) {
            best = value;
            place = r;
        }
    }
#if ROWS_MANY
    let top = tree(best, local, row);
    // The smallest place among the rows that hold the largest value.
    places[local] = select(REDUCED, place, best == top);
    workgroupBarrier();
    for (var span = ROWS / 2u; span > 0u; span = span / 2u) {
        if (row < span) {
            places[local] = min(places[local], places[local + span * ROW_STEP]);
        }
        workgroupBarrier();
    }
    place = places[local];
#endif
    let result = f32(place);
#else
    // Four at a time: independent loads overlap, and shorter sums round less.
    var parts = vec4<f32>(IDENTITY);
    var r = row;
    for (; r + 3u * ROWS < REDUCED; r += 4u * ROWS) {
        let values = vec4<f32>(
            element(o, r{{base_arguments}}),
            element(o, r + ROWS{{base_arguments}}),
            element(o, r + 2u * ROWS{{base_arguments}}),
            element(o, r + 3u * ROWS{{base_arguments}}),
        );
        parts = combine4(parts, values);
    }
    for (; r < REDUCED; r += ROWS) {
        parts.x = combine(parts.x, element(o, r{{base_arguments}}));
    }
    let mine = combine(combine(parts.x, parts.y), combine(parts.z, parts.w));
    let result = tree(mine, local, row);
#endif
    if (row == 0u && wanted < OUTPUTS) {
        y[o] = result;
    }
}
