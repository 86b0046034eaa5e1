//! The client of a carried session as russh reaches it: output becomes channel data, the end becomes the requests that
//! OpenSSH sends, in its order.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use russh::{ChannelId, Sig, server::Handle};
use tokio::sync::oneshot;

use super::party::Link;
use crate::{
    session::{Client, Gone},
    shell::frame::Exit,
};

/// Extended data of standard error (RFC 4254, section 5.2).
const STDERR: u32 = 1;

pub(super) struct Shown {
    pub(super) handle: Handle,
    pub(super) channel: ChannelId,
    pub(super) link: Arc<Link>,
    /// Who waits to hear whether it runs.
    pub(super) asked: Mutex<Option<oneshot::Sender<bool>>>,
    /// Whether the client closed the channel itself.
    pub(super) closed: Arc<AtomicBool>,
}

#[async_trait::async_trait]
impl Client for Shown {
    async fn started(&self, runs: bool) -> Result<(), Gone> {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(asked) = asked {
            // Who asked may be gone.
            let _ = asked.send(runs);
        } else if !runs {
            self.link.dead.cancel();
        }
        Ok(())
    }

    async fn output(&self, bytes: Vec<u8>) -> Result<(), Gone> {
        self.handle.data(self.channel, bytes).await.map_err(|_| Gone)
    }

    async fn errors(&self, bytes: Vec<u8>) -> Result<(), Gone> {
        self.handle.extended_data(self.channel, STDERR, bytes).await.map_err(|_| Gone)
    }

    async fn output_end(&self) -> Result<(), Gone> {
        self.handle.eof(self.channel).await.map_err(|()| Gone)
    }

    async fn exited(&self, exit: Exit) -> Result<(), Gone> {
        match exit {
            Exit::Status(status) => self.handle.exit_status_request(self.channel, status).await,
            Exit::Signal(name, core) => {
                let signal = signal(&name);
                self.handle
                    .exit_signal_request(self.channel, signal, core, String::new(), String::new())
                    .await
            }
        }
        .map_err(|()| Gone)
    }

    async fn close(&self) {
        if !self.closed.load(Ordering::Relaxed) {
            // The connection may be gone with the channel.
            let _ = self.handle.close(self.channel).await;
        }
    }
}

fn signal(name: &str) -> Sig {
    match name {
        "ABRT" => Sig::ABRT,
        "ALRM" => Sig::ALRM,
        "FPE" => Sig::FPE,
        "HUP" => Sig::HUP,
        "ILL" => Sig::ILL,
        "INT" => Sig::INT,
        "KILL" => Sig::KILL,
        "PIPE" => Sig::PIPE,
        "QUIT" => Sig::QUIT,
        "SEGV" => Sig::SEGV,
        "TERM" => Sig::TERM,
        "USR1" => Sig::USR1,
        other => Sig::Custom(other.to_owned()),
    }
}

/// Its name as the client sent it.
pub(super) fn name(signal: &Sig) -> String {
    match signal {
        Sig::Custom(name) => name.clone(),
        known => format!("{known:?}"),
    }
}
