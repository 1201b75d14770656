// The functions of graph::Unary and graph::Binary that need more than one
// WGSL operator, in forms that neither overflow nor cancel. WGSL's own log is
// only promised to 2^-21 absolute near 1, and its tanh may be a difference of
// exponentials; both are rebuilt here to keep relative accuracy.

// atanh z for |z| <= 1/3, to the last bits: the odd series to z^13.
fn atanh_series(z: f32) -> f32 {
    let s = z * z;
    let tail = 1.0 / 7.0 + s * (1.0 / 9.0 + s * (1.0 / 11.0 + s * (1.0 / 13.0)));
    return z + z * s * (1.0 / 3.0 + s * (1.0 / 5.0 + s * tail));
}

// log(1 + t) for 0 <= t <= 1.
fn log1p_unit(t: f32) -> f32 {
    return 2.0 * atanh_series(t / (2.0 + t));
}

fn op_log(x: f32) -> f32 {
    if (x > 0.5 && x < 2.0) {
        return 2.0 * atanh_series((x - 1.0) / (x + 1.0));
    }
    return log(x);
}

fn op_sigmoid(x: f32) -> f32 {
    let t = exp(-abs(x));
    return select(t, 1.0, x >= 0.0) / (1.0 + t);
}

fn op_tanh(x: f32) -> f32 {
    if (abs(x) < 0.6) {
        // Continued fraction cut after its seventh level.
        let s = x * x;
        let top = 135135.0 + s * (17325.0 + s * (378.0 + s));
        let bottom = 135135.0 + s * (62370.0 + s * (3150.0 + s * 28.0));
        return x * top / bottom;
    }
    let t = exp(-2.0 * min(abs(x), 10.0));
    // A NaN stays one, told by its bits: min and sign may make a number of it.
    let is_nan = (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u;
    return select(sign(x) * ((1.0 - t) / (1.0 + t)), x, is_nan);
}

fn op_softplus(x: f32) -> f32 {
    return max(x, 0.0) + log1p_unit(exp(-abs(x)));
}

fn op_atanh(x: f32) -> f32 {
    if (abs(x) < 0.33) {
        return atanh_series(x);
    }
    return 0.5 * log((1.0 + x) / (1.0 - x));
}

fn op_leaky_relu(x: f32, slope: f32) -> f32 {
    return select(slope * x, x, x > 0.0);
}

fn op_greater(a: f32, b: f32) -> f32 {
    return select(0.0, 1.0, a > b);
}

fn op_greater_equal(a: f32, b: f32) -> f32 {
    return select(0.0, 1.0, a >= b);
}

fn op_equal(a: f32, b: f32) -> f32 {
    return select(0.0, 1.0, a == b);
}

fn op_finite(x: f32) -> f32 {
    return select(1.0, 0.0, (bitcast<u32>(x) & 0x7f800000u) == 0x7f800000u);
}

fn op_select(condition: f32, a: f32, b: f32) -> f32 {
    return select(b, a, condition != 0.0);
}

// Sine of x + quarter * pi / 2. Drivers may be off by 2^-11 in their own (the
// Vulkan limit), so the angle is brought to [-pi / 4, pi / 4] in three exact
// steps (Cody and Waite 1980) and the rest is a polynomial (Moshier's Cephes,
// sinf): below 1e-7 absolute for |x| < 8192.
fn sine(x: f32, quarter: i32) -> f32 {
    let turns = round(x * 0.63661975);
    let r = ((x - turns * 1.5703125) - turns * 4.8351288e-4) - turns * 3.1391648e-7;
    let s = r * r;
    let odd = r + r * s * (-1.6666655e-1 + s * (8.332161e-3 - s * 1.9515296e-4));
    let even = 1.0 - 0.5 * s + s * s * (4.1666646e-2 + s * (-1.3887316e-3 + s * 2.4433157e-5));
    let q = u32(i32(turns) + quarter) & 3u;
    let size = select(odd, even, (q & 1u) == 1u);
    return select(size, -size, q >= 2u);
}

fn op_sin(x: f32) -> f32 {
    return sine(x, 0);
}

fn op_cos(x: f32) -> f32 {
    return sine(x, 1);
}
