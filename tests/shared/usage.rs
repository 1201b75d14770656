//! Mistakes of the user.

use gpugan::Error;

/// Asserts a mistake of the user, and that its one line holds all the parts.
pub(crate) fn refused<T: std::fmt::Debug>(result: Result<T, Error>, parts: &[&str]) {
    let error = result.expect_err("this must be refused");
    let line = error.to_string();
    assert!(matches!(error, Error::Usage { .. }), "{error:?}");
    assert_eq!(error.exit_code(), 2);
    assert!(!line.contains('\n') && line.contains("; "), "{line}");
    for part in parts {
        assert!(line.contains(part), "{part:?} is not in: {line}");
    }
}
