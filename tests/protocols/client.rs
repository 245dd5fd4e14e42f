//! Plays the traffic of one row, and describes the client's result.

use std::net::SocketAddr;
use std::time::Duration;

use base64ct::{Base64, Encoding};
use testkit::client::{
    CallError, CallOptions, End, Leave, Message, Reply, Tunnel, Version, exchange,
};
use testkit::envoy::http3::Http3;
use testkit::headers::Headers;
use testkit::upstream::{Feed, PreparedAnswer};
use tokio::sync::oneshot;

use crate::stage::Stage;
use crate::traffic::{Call, Dig, Ender, Kind, LeaveAt, Prepared, ROW, Then, Traffic, Wire};

/// The target host of tunnels and CONNECT requests.
pub const TARGET: &str = "target.test:4443";

const POLL: Duration = Duration::from_millis(5);

/// The name of a row in `user-agent`.
pub fn agent(row: usize) -> String {
    format!("row-{row}")
}

/// Plays it, and describes the client's result.
///
/// `<status>` of a complete answer, followed by `grpc=<n>` or `connect=<code>` if one is in
/// headers, trailers or body; `broken` and `left` if the answer is incomplete.
pub async fn play(stage: &Stage, listener: SocketAddr, row: usize, traffic: &Traffic) -> String {
    match traffic {
        Traffic::Call(call) => describe(&send(stage, listener, row, call).await),
        Traffic::Dig(dig) => match tunnel(listener, row, dig).await {
            Ok(text) => text,
            Err(error) => error.to_string(),
        },
    }
}

async fn send(stage: &Stage, listener: SocketAddr, row: usize, call: &Call) -> Reply {
    let message = addressed(&call.message, row);
    // Held until the end: a dropped feed ends the body.
    let _feeds: Vec<Feed> = call
        .prepared
        .iter()
        .filter_map(|prepared| prepare(stage, prepared, row))
        .collect();

    let (signal, received) = oneshot::channel();
    let leave = match call.leave {
        LeaveAt::Never => Leave::Never,
        LeaveAt::Bytes(count) => Leave::AfterBytes(count),
        LeaveAt::BeforeAnswer => Leave::OnSignal(received),
    };

    let exchanging = async {
        match call.wire {
            Wire::Http3 => {
                let mut client = Http3::connect(listener, &stage.authority).await;
                let reply = client.exchange(&message, leave).await;
                if reply.end == End::Left && !call.hangs_up {
                    // A closed connection gives no information about its streams. When this is
                    // answered, Envoy has the reset.
                    client
                        .exchange(&Message::new("GET", "/after"), Leave::Never)
                        .await;
                }

                client.close().await;
                reply
            }
            Wire::Http1 => over_tcp(listener, Version::Http1, message, leave).await,
            Wire::Http2 => over_tcp(listener, Version::Http2, message, leave).await,
        }
    };

    let leaving = async {
        if call.leave == LeaveAt::BeforeAnswer {
            arrives(stage, row).await;
            let _ = signal.send(());
        }
    };
    tokio::join!(exchanging, leaving).0
}

async fn over_tcp(listener: SocketAddr, version: Version, message: Message, leave: Leave) -> Reply {
    let reply = exchange(listener, version, message, leave, &CallOptions::default()).await;
    reply.unwrap_or_else(|error| Reply::none(End::Broken(error.to_string())))
}

/// Waits until the upstream has the row's request, up to the caller's deadline.
async fn arrives(stage: &Stage, row: usize) {
    let name = agent(row);
    while !stage
        .upstream
        .seen()
        .all()
        .iter()
        .any(|seen| seen.headers.text("user-agent").as_ref() == Some(&name))
    {
        tokio::time::sleep(POLL).await;
    }
}

fn addressed(message: &Message, row: usize) -> Message {
    let number = row.to_string();
    let mut message = message.clone();
    message.path = message.path.replace(ROW, &number);
    let headers = message.headers.iter();
    message.headers = headers.fold(Headers::new(), |headers, (name, value)| {
        headers.with(name, String::from_utf8_lossy(value).replace(ROW, &number))
    });
    message.header("user-agent", agent(row))
}

fn prepare(stage: &Stage, prepared: &Prepared, row: usize) -> Option<Feed> {
    let number = row.to_string();
    let path = prepared.path.replace(ROW, &number);
    let headers = prepared.headers.iter();
    let headers = headers.fold(Headers::new(), |headers, (name, value)| {
        headers.with(name, value.replace(ROW, &number))
    });

    let body = prepared.body.clone();
    let (answer, feed) = match prepared.then {
        Then::End => (
            PreparedAnswer::whole(prepared.status, headers, body).unwrap(),
            None,
        ),
        Then::Break => (
            PreparedAnswer::cut(prepared.status, headers, body).unwrap(),
            None,
        ),
        Then::Silence => {
            let (answer, feed) = PreparedAnswer::fed(prepared.status, headers).unwrap();
            feed.send(body);
            (answer, Some(feed))
        }
    };
    stage.upstream.prepare(&path, answer);
    feed
}

fn describe(reply: &Reply) -> String {
    let mut words: Vec<String> = reply.status.iter().map(u16::to_string).collect();
    match reply.end {
        End::Complete => {}
        End::Left => words.push("left".to_owned()),
        End::Broken(_) => words.push("broken".to_owned()),
    }

    let body = plain(reply);
    let status = reply
        .trailers
        .text("grpc-status")
        .or_else(|| reply.headers.text("grpc-status"));
    let status = status.or_else(|| after(&body, "grpc-status:", |c| c.is_ascii_digit()));
    let is_grpc = reply
        .headers
        .text("content-type")
        .is_some_and(|kind| kind == "application/grpc");

    if is_grpc && status.is_none() && reply.end != End::Left {
        // Envoy may reset an HTTP/2 stream with NO_ERROR, which the client reads as its end.
        words.truncate(1);
        words.push("without status".to_owned());
    }
    words.extend(status.map(|status| format!("grpc={status}")));

    let code = after(&body, "\"code\":\"", |c| c.is_ascii_lowercase() || c == '_');
    words.extend(code.map(|code| format!("connect={code}")));
    words.join(" ")
}

/// The body as text. gRPC-Web text is decoded from base64 in groups of four characters, since every
/// piece of the body may have padding.
fn plain(reply: &Reply) -> String {
    let is_base64 = reply
        .headers
        .text("content-type")
        .is_some_and(|kind| kind.starts_with("application/grpc-web-text"));
    let bytes = if is_base64 {
        let groups = reply
            .body
            .chunks(4)
            .map(|group| std::str::from_utf8(group).unwrap_or_default());
        groups
            .flat_map(|group| Base64::decode_vec(group).unwrap_or_default())
            .collect()
    } else {
        reply.body.to_vec()
    };
    String::from_utf8_lossy(&bytes).into_owned()
}

fn after(text: &str, name: &str, belongs: fn(char) -> bool) -> Option<String> {
    let (_, value) = text.split_once(name)?;
    Some(
        value
            .trim_start()
            .chars()
            .take_while(|c| belongs(*c))
            .collect(),
    )
}

async fn tunnel(listener: SocketAddr, row: usize, dig: &Dig) -> Result<String, CallError> {
    let mut tunnel = open(listener, row, dig).await?;
    let status = tunnel.status();
    if !(status == 101 || status == 200) {
        return Ok(status.to_string());
    }

    tunnel.send(dig.sends.as_bytes()).await?;
    if tunnel.receive().await?.is_empty() {
        return Ok(format!("{status} closed"));
    }

    match dig.ender {
        Ender::ClientFinishes => tunnel.finish().await,
        Ender::ClientResets => {
            tunnel.reset();
            return Ok(format!("{status} left"));
        }
        Ender::Other => {}
    }

    while !tunnel.receive().await?.is_empty() {}
    Ok(status.to_string())
}

async fn open(listener: SocketAddr, row: usize, dig: &Dig) -> Result<Tunnel, CallError> {
    let agent = agent(row);
    let headers = dig.headers.iter().fold(
        Headers::from([("user-agent", agent.as_str())]),
        |headers, (name, value)| headers.with(name, value),
    );

    let extended = Some(("websocket", "/socket"));
    let options = CallOptions::default();
    let head = match dig.kind {
        Kind::WebSocketHttp2 => {
            return Tunnel::open_http2(listener, TARGET, extended, headers, &options).await;
        }
        Kind::ConnectHttp2 => {
            return Tunnel::open_http2(listener, TARGET, None, headers, &options).await;
        }
        Kind::WebSocket => upgrade("/socket", "websocket"),
        Kind::ConnectUdp => {
            upgrade("/.well-known/masque/udp/target.test/4443/", "connect-udp")
                + "capsule-protocol: ?1\r\n"
        }
        Kind::Connect => format!("CONNECT {TARGET} HTTP/1.1\r\nhost: {TARGET}\r\n"),
    };

    let lines = headers
        .iter()
        .map(|(name, value)| format!("{name}: {}\r\n", String::from_utf8_lossy(value)));
    Tunnel::open_http1(
        listener,
        &format!("{head}{}\r\n", lines.collect::<String>()),
        &options,
    )
    .await
}

fn upgrade(path: &str, protocol: &str) -> String {
    let key = if protocol == "websocket" {
        "sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
    } else {
        ""
    };
    format!(
        "GET {path} HTTP/1.1\r\nhost: app.test\r\nconnection: upgrade\r\nupgrade: {protocol}\r\n{key}"
    )
}
