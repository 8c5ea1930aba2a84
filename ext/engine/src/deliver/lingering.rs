//! What follows a response that has been written whole: nobody waits for it but the socket.

use std::time::Duration;

use tokio::time::timeout;

use super::socket::ClientSocket;
use crate::error::Failure;

/// How long a client may take to end its side once it has the whole response.
const LINGER: Duration = Duration::from_secs(2);

/// The socket of a client to which the whole response has been written.
pub(crate) type Written = Result<ClientSocket, Failure>;

/// Ends our side and tells `ended` how writing ended; only then waits for the client to end its own.
/// Whoever ends the engine does not wait for that: nothing of it is counted any more.
pub(crate) async fn conclude(written: Written, ended: impl FnOnce(Result<(), Failure>)) {
    match written {
        Ok(socket) => {
            // Fails only where the client has left, with all that there was for it.
            let _ = socket.end();
            ended(Ok(()));
            let _ = timeout(LINGER, socket.ended()).await;
        }
        Err(failure) => ended(Err(failure)),
    }
}
