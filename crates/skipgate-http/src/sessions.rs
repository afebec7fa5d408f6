//! Several sessions on one artifact.

use skipgate_runtime::{Reply, Request, Server};
use tokio::sync::oneshot;

use crate::error::Refusal;

/// Servers of one artifact, each a session with a thread, a queue and a controller of its own: a controller's account is that of
/// one device. A request goes to the one where the fewest wait.
#[derive(Debug)]
pub struct Sessions {
    servers: Vec<Server>,
    /// Most requests that are being processed or wait, at all of them together.
    most_waiting: usize,
}

impl Sessions {
    /// Of `servers`, which must not be empty, at which `most_waiting` requests at most are being processed or wait.
    pub fn new(servers: Vec<Server>, most_waiting: usize) -> Self {
        Self { servers, most_waiting }
    }

    /// Asks one of them.
    ///
    /// # Errors
    ///
    /// [`Refusal`], before anything runs or when it failed.
    pub(crate) async fn ask(&self, request: Request) -> Result<Reply, Refusal> {
        let waiting: Vec<_> = self.servers.iter().map(Server::waiting).collect();
        let all = waiting.iter().sum();
        if all >= self.most_waiting {
            return Err(Refusal::Full { waiting: all });
        }
        let least = self.servers.iter().zip(&waiting).min_by_key(|(_, waiting)| **waiting);
        let (server, _) = least.ok_or(Refusal::Stopped)?;
        let (sender, reply) = oneshot::channel();
        // A client that is gone does not want to know any more.
        let kept = server.request(request, move |reply| drop(sender.send(reply)))?;
        if !kept {
            return Err(Refusal::Dropped);
        }
        // Without a reply, the session's thread panicked.
        Ok(reply.await.map_err(|_| Refusal::Stopped)??)
    }
}
