//! The WGSL of functions of one element or two, of `shaders/lib/math.wgsl` where they
//! need more than an operator.

use crate::graph::{Binary, Unary};

/// A finite number as a WGSL literal; larger magnitudes than f32 holds become
/// the largest, and NaN, which WGSL cannot write, becomes 0.
pub fn literal(value: f32) -> String {
    let value = if value.is_nan() {
        0.0
    } else {
        value.clamp(f32::MIN, f32::MAX)
    };
    if value.is_sign_negative() {
        format!("(-{:?}f)", -value)
    } else {
        format!("{value:?}f")
    }
}

/// WGSL expression of `f(x)`, where `x` is a name or literal; the functions lie in
/// `shaders/lib/math.wgsl`.
pub fn unary_code(f: Unary, x: &str) -> String {
    match f {
        Unary::Neg => format!("(-{x})"),
        Unary::Exp => format!("exp({x})"),
        Unary::Log => format!("op_log({x})"),
        Unary::Sqrt => format!("sqrt({x})"),
        Unary::Rsqrt => format!("inverseSqrt({x})"),
        Unary::Recip => format!("(1.0 / {x})"),
        Unary::Abs => format!("abs({x})"),
        Unary::Sign => format!("sign({x})"),
        Unary::Sigmoid => format!("op_sigmoid({x})"),
        Unary::Tanh => format!("op_tanh({x})"),
        Unary::Softplus => format!("op_softplus({x})"),
        Unary::Atanh => format!("op_atanh({x})"),
        Unary::Sin => format!("op_sin({x})"),
        Unary::Cos => format!("op_cos({x})"),
        Unary::Floor => format!("floor({x})"),
        Unary::Round => format!("round({x})"),
        Unary::Finite => format!("op_finite({x})"),
        Unary::LeakyRelu(slope) => format!("op_leaky_relu({x}, {})", literal(slope.0)),
    }
}

/// WGSL expression of `f(a, b)`, where both are names or literals.
pub fn binary_code(f: Binary, a: &str, b: &str) -> String {
    match f {
        Binary::Add => format!("({a} + {b})"),
        Binary::Sub => format!("({a} - {b})"),
        Binary::Mul => format!("({a} * {b})"),
        Binary::Div => format!("({a} / {b})"),
        Binary::Max => format!("max({a}, {b})"),
        Binary::Min => format!("min({a}, {b})"),
        Binary::Pow => format!("pow({a}, {b})"),
        Binary::Greater => format!("op_greater({a}, {b})"),
        Binary::GreaterEqual => format!("op_greater_equal({a}, {b})"),
        Binary::Equal => format!("op_equal({a}, {b})"),
    }
}

/// WGSL expression of `condition != 0 ? a : b`.
pub fn select_code(condition: &str, a: &str, b: &str) -> String {
    format!("op_select({condition}, {a}, {b})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_are_exact() {
        assert_eq!(literal(0.1), "0.1f");
        assert_eq!(literal(-2.0), "(-2.0f)");
        assert_eq!(literal(1e-40), "1e-40f");
        assert_eq!(literal(f32::INFINITY), literal(f32::MAX));
        for value in [1.0f32 / 3.0, 1e30, f32::MIN_POSITIVE, 16_777_217.0] {
            let text = literal(value);
            assert_eq!(text.trim_end_matches('f').parse::<f32>(), Ok(value));
        }
    }
}
