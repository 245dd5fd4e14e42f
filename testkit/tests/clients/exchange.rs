//! Exchanges that the client leaves, and tunnels, without a proxy.

use std::net::SocketAddr;
use std::time::Duration;

use testkit::client::{CallOptions, End, Leave, Message, Reply, Tunnel, Version, exchange};
use testkit::headers::Headers;
use testkit::upstream::{PreparedAnswer, Upstream};
use tokio::sync::oneshot;

const FAST: CallOptions = CallOptions {
    source_ip: None,
    timeout: Duration::from_secs(5),
};

fn servers(upstream: &Upstream) -> [(SocketAddr, Version); 2] {
    [
        (upstream.http_addr(), Version::Http1),
        (upstream.grpc_addr(), Version::Http2),
    ]
}

async fn send((addr, version): (SocketAddr, Version), message: Message, leave: Leave) -> Reply {
    exchange(addr, version, message, leave, &FAST)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_body_goes_out_as_it_is_and_comes_back() {
    let upstream = Upstream::start().await.unwrap();
    for server in servers(&upstream) {
        upstream.prepare(
            "/a",
            PreparedAnswer::whole(207, [("x-a", "1")], "prepared").unwrap(),
        );

        let message = Message::new("POST", "/a")
            .header("content-type", "application/connect+proto")
            .body("12345");
        let reply = send(server, message, Leave::Never).await;
        assert_eq!(
            (
                reply.status,
                reply.headers.text("x-a").as_deref(),
                &reply.body[..]
            ),
            (Some(207), Some("1"), &b"prepared"[..])
        );
        assert_eq!(reply.end, End::Complete);
    }

    let seen = upstream.seen().at_path("/a");
    assert_eq!(
        seen.iter().map(|seen| seen.body_bytes).collect::<Vec<_>>(),
        [5, 5]
    );
    assert!(
        seen.iter()
            .all(|seen| seen.headers.text("content-type").as_deref()
                == Some("application/connect+proto"))
    );
}

#[tokio::test]
async fn trailers_come_over_http2() {
    let upstream = Upstream::start().await.unwrap();
    let mut message = Message::new("POST", "/a.B/C").header("x-demo-grpc", "status:7:no");
    message.trailers = Headers::from([("x-trailer", "1")]);
    let reply = send(
        (upstream.grpc_addr(), Version::Http2),
        message,
        Leave::Never,
    )
    .await;

    assert_eq!(reply.trailers.text("grpc-status").as_deref(), Some("7"));
    assert!(
        upstream
            .seen()
            .all()
            .iter()
            .all(|seen| seen.trailers.contains("x-trailer"))
    );
}

#[tokio::test]
async fn the_client_leaves_within_the_body() {
    let upstream = Upstream::start().await.unwrap();
    for server in servers(&upstream) {
        let (answer, feed) = PreparedAnswer::fed(200, []).unwrap();
        upstream.prepare("/a", answer);
        feed.send("0123456789");
        let reply = send(server, Message::new("GET", "/a"), Leave::AfterBytes(3)).await;
        assert_eq!((reply.status, reply.end), (Some(200), End::Left));
        assert!(reply.body.len() >= 3);
    }
}

#[tokio::test]
async fn the_client_leaves_before_the_answer() {
    let upstream = Upstream::start().await.unwrap();
    for server in servers(&upstream) {
        let (signal, leave) = oneshot::channel();
        let message = Message::new("GET", "/a").header("x-demo-delay-ms", "60000");
        let reply = tokio::spawn(send(server, message, Leave::OnSignal(leave)));

        while upstream.seen().all().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        signal.send(()).unwrap();
        let reply = reply.await.unwrap();

        assert_eq!((reply.status, reply.end), (None, End::Left));
        upstream.seen().clear();
    }
}

#[tokio::test]
async fn a_broken_answer_is_a_reply() {
    let upstream = Upstream::start().await.unwrap();
    for (name, status) in [("before", None), ("after-headers", Some(200))] {
        let message = Message::new("GET", "/a").header("x-demo-reset", name);
        let reply = send(
            (upstream.http_addr(), Version::Http1),
            message,
            Leave::Never,
        )
        .await;

        assert_eq!(reply.status, status);
        assert!(matches!(reply.end, End::Broken(_)), "{reply:?}");
    }
}

async fn tunnel(upstream: &Upstream, script: &str) -> Tunnel {
    let head = format!(
        "GET /ws HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n{script}\r\n\r\n"
    );
    Tunnel::open_http1(upstream.http_addr(), &head, &FAST)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_tunnel_echoes_until_the_client_ends_it() {
    let upstream = Upstream::start().await.unwrap();
    let mut tunnel = tunnel(&upstream, "x-a: 1").await;
    assert_eq!(
        (tunnel.status(), tunnel.headers().text("Upgrade").as_deref()),
        (101, Some("websocket"))
    );

    for bytes in [b"one", b"two"] {
        tunnel.send(bytes).await.unwrap();
        assert_eq!(tunnel.receive().await.unwrap(), bytes);
    }

    tunnel.finish().await;
    assert!(tunnel.receive().await.unwrap().is_empty());
}

#[tokio::test]
async fn the_upstream_ends_a_tunnel() {
    let upstream = Upstream::start().await.unwrap();
    for script in ["close", "reset"] {
        let mut tunnel = tunnel(&upstream, &format!("x-demo-tunnel: {script}")).await;
        tunnel.send(b"one").await.unwrap();
        assert_eq!(tunnel.receive().await.unwrap(), b"one");
        assert!(tunnel.receive().await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn an_upgrade_may_be_refused() {
    let upstream = Upstream::start().await.unwrap();
    assert_eq!(tunnel(&upstream, "x-demo-status: 403").await.status(), 403);
}
