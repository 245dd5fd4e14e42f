//! Upgrades over HTTP/1.1: the upstream switches to the requested protocol, and then plays
//! `x-demo-tunnel`.
//!
//! | script | what the upstream does with the tunnel |
//! |---|---|
//! | `echo` (default) | sends back what comes, and ends when the client does |
//! | `close` | sends back the first bytes, then closes in order (FIN) |
//! | `reset` | sends back the first bytes, then breaks the connection (RST) |

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::BytesMut;
use hyper::body::Incoming;
use hyper::header::{CONNECTION, HeaderValue, UPGRADE};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{FLUSH_BEFORE_BREAK, script};
use crate::script_body::ScriptBody;

/// The upgraded connection, if the request was an upgrade; clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Upgrade(Arc<Mutex<Option<(OnUpgrade, Script)>>>);

#[derive(Clone, Copy, Debug)]
enum Script {
    Echo,
    Close,
    Reset,
}

impl Upgrade {
    /// Takes the connection of an upgrade request that no `x-demo-status` refuses; yields the
    /// answer to it.
    pub(super) fn accept(&self, request: &mut Request<Incoming>) -> Option<Response<ScriptBody>> {
        let protocol = request.headers().get(UPGRADE)?.clone();
        if request.headers().contains_key("x-demo-status") {
            return None;
        }
        let script = match script(request.headers(), "x-demo-tunnel") {
            Some("close") => Script::Close,
            Some("reset") => Script::Reset,
            _ => Script::Echo,
        };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) =
            Some((hyper::upgrade::on(request), script));

        let mut response = Response::new(ScriptBody::default());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        response.headers_mut().insert(UPGRADE, protocol);
        response
            .headers_mut()
            .insert(CONNECTION, HeaderValue::from_static("upgrade"));
        Some(response)
    }

    /// Plays the tunnel to its end, if there is one.
    pub(super) async fn play(&self) {
        let taken = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some((upgrade, script)) = taken else {
            return;
        };
        let Ok(upgraded) = upgrade.await else { return };
        // A broken tunnel has ended.
        let _ = play(upgraded, script).await;
    }
}

async fn play(upgraded: Upgraded, script: Script) -> io::Result<()> {
    let Ok(parts) = upgraded.downcast::<TokioIo<TcpStream>>() else {
        return Err(io::ErrorKind::Unsupported.into());
    };
    let mut stream = parts.io.into_inner();

    let mut bytes = BytesMut::from(&parts.read_buf[..]);
    loop {
        if !bytes.is_empty() {
            stream.write_all_buf(&mut bytes).await?;
            match script {
                Script::Echo => {}
                Script::Close => return stream.shutdown().await,
                Script::Reset => {
                    tokio::time::sleep(FLUSH_BEFORE_BREAK).await;
                    return stream.set_zero_linger();
                }
            }
        }

        if stream.read_buf(&mut bytes).await? == 0 {
            return Ok(());
        }
    }
}
