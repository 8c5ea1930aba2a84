//! Panics on purpose, so that the tests can prove that none crosses the border. Compiled only with
//! the `test-panics` feature.

use crate::headers::RequestHead;

/// Panics inside an exchange's task when the request asks for it.
pub(crate) fn in_task(head: &RequestHead) {
    if head.fields.iter().any(|(name, value)| name == "x-test-panic" && value == "task") {
        panic!("a panic in an exchange's task, asked for by a test");
    }
}
