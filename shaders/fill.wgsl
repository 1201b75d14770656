// y[i] = an f32 expression of i, for LEN elements: constants, and the simplest
// kernel there is for checks of the machinery.
// Snippets: value (the expression), extras (declarations of further bindings).
#import lib/grid.wgsl
#if READS_STEP
#import lib/step.wgsl
@group(0) @binding({{step_binding}}) var<uniform> step: Step;
#endif
@group(0) @binding(0) var<storage, read_write> y: array<f32>;
{{extras}}

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) wg: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let i = linear_id(wg, local);
    if i < LEN {
        y[i] = {{value}};
    }
}
