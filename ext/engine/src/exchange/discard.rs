//! Reading the rest of an answer that nobody gets, so that its connection can be used again.

use std::time::Duration;

use http_body_util::BodyExt;
use tokio::time::timeout;

use crate::connection::ResponseBody;

/// What is read at the most; past it a new connection is cheaper.
const BYTES: usize = 64 * 1024;
const TIME: Duration = Duration::from_secs(1);

/// Whether the body's end was reached within the bound.
pub(super) async fn drain(mut body: ResponseBody) -> bool {
    let reading = async {
        let mut seen = 0;
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else { return false };
            seen += frame.data_ref().map_or(0, |data| data.len());
            if seen > BYTES {
                return false;
            }
        }
        true
    };
    timeout(TIME, reading).await.unwrap_or(false)
}
