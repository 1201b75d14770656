// Combines one value of each of the ROWS threads that share a column, in a
// fixed order; every one of them gets the result. Rows lie ROW_STEP threads
// apart. The importing file defines `combine`. Uniform control flow only.
#if ROWS_MANY
var<workgroup> tree_values: array<f32, WORKGROUP>;
#endif

fn tree(value: f32, local: u32, row: u32) -> f32 {
#if ROWS_MANY
    tree_values[local] = value;
    workgroupBarrier();
    for (var span = ROWS / 2u; span > 0u; span = span / 2u) {
        if (row < span) {
            let other = tree_values[local + span * ROW_STEP];
            tree_values[local] = combine(tree_values[local], other);
        }
        workgroupBarrier();
    }
    let result = tree_values[local - row * ROW_STEP];
    workgroupBarrier();
    return result;
#else
    return value;
#endif
}
