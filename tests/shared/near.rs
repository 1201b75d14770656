//! How near numbers are to each other.

/// Within a relative difference.
pub(crate) fn assert_near(what: &str, found: f64, wanted: f64, relative: f64) {
    let off = (found - wanted).abs() / wanted.abs().max(1e-12);
    assert!(
        off <= relative,
        "{what}: {found}, not {wanted} ({off:.2e} off)"
    );
}

/// Asserts that evenly spaced elements are these, within a share of the largest.
pub(crate) fn assert_elements(what: &str, found: &[f64], wanted: &[f64], tolerance: f64) {
    let largest = wanted.iter().fold(0.0_f64, |m, x| m.max(x.abs()));
    let count = wanted.len();
    let off = |(index, wanted): (usize, &f64)| (found[index * found.len() / count] - wanted).abs();
    let worst = wanted.iter().enumerate().map(off).fold(0.0, f64::max) / largest;
    println!("{what}: {worst:.1e} of the largest, {largest:.3}");
    assert!(worst < tolerance, "{what}: {worst:.1e} of the largest off");
}
