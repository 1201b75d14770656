// One step of an optimiser over a slice of the arena that holds all parameters
// of a network, by PyTorch's definitions; g includes the L2 penalty.
// Sutskever and pylearn2 write momentum with the learning rate inside the
// velocity (SGD_INSIDE). EMA instead moves an average towards parameters.
#import lib/grid.wgsl
#import lib/step.wgsl

// f32, or vec4<f32> where the length allows.
alias Value = {{value}};

@group(0) @binding(0) var<storage, read_write> parameters: array<Value>;
#if EMA
@group(0) @binding(1) var<storage, read> current: array<Value>;
#else
@group(0) @binding(1) var<storage, read> gradients: array<Value>;
#endif
#if MOMENTS
@group(0) @binding(2) var<storage, read_write> first: array<Value>;
#endif
#if ADAM
@group(0) @binding(3) var<storage, read_write> second: array<Value>;
#endif
@group(0) @binding({{step_binding}}) var<uniform> step: Step;

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) wg: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let id = linear_id(wg, local);
    if (id >= COUNT) {
        return;
    }
    var p = parameters[id];
#if EMA
    p = step.ema_decay * p + (1.0 - step.ema_decay) * current[id];
#else
    var g = gradients[id];
#if WEIGHT_DECAY
    g += {{weight_decay}} * p;
#endif
#if SGD
    p -= step.learning_rate * g;
#endif
#if SGD_OUTSIDE
    let velocity = step.momentum * first[id] + g;
    first[id] = velocity;
    p -= step.learning_rate * velocity;
#endif
#if SGD_INSIDE
    let velocity = step.momentum * first[id] - step.learning_rate * g;
    first[id] = velocity;
    p += velocity;
#endif
#if RMSPROP
    let square = {{alpha}} * first[id] + {{one_minus_alpha}} * (g * g);
    first[id] = square;
    p -= step.learning_rate * g / (sqrt(square) + {{eps}});
#endif
#if ADAM
    let m = {{beta1}} * first[id] + {{one_minus_beta1}} * g;
    let v = {{beta2}} * second[id] + {{one_minus_beta2}} * (g * g);
    first[id] = m;
    second[id] = v;
    p -= step.learning_rate * (m / step.correction1) / (sqrt(v) / step.correction2 + {{eps}});
#endif
#if CLIP
    p = clamp(p, Value(-{{clip}}), Value({{clip}}));
#endif
#endif
    parameters[id] = p;
}
