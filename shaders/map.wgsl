// y = f(inputs) element by element; inputs are read through their own strides,
// so permuting, slicing and stretching cost nothing extra. Variant quad: one
// thread computes four neighbours along the innermost axis, so that contiguous
// tensors move as vec4. Variant together: several maps after one another, each by as
// many threads as it has, where a launch takes longer than what it computes.
#import lib/grid.wgsl
#import lib/math.wgsl
#import lib/packed.wgsl
#import lib/veiled.wgsl

{{bindings}}

// `linear` counts output elements in the order of the output's axes.
{{functions}}
@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) wg: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let id = linear_id(wg, local);
    if (id >= COUNT) {
        return;
    }
{{moves}}
}
