//! How near numbers are to each other.

/// Within a relative difference.
pub(crate) fn assert_near(what: &str, found: f64, wanted: f64, relative: f64) {
    let off = (found - wanted).abs() / wanted.abs().max(1e-12);
    assert!(
        off <= relative,
        "{what}: {found}, not {wanted} ({off:.2e} off)"
    );
}
