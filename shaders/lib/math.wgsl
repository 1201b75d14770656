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
    return sign(x) * ((1.0 - t) / (1.0 + t));
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

fn op_select(condition: f32, a: f32, b: f32) -> f32 {
    return select(b, a, condition != 0.0);
}
