//! Answers prepared by a program, and clients that read them chunk by chunk, without a proxy.

use std::net::SocketAddr;
use std::time::Duration;

use testkit::client::{AnswerStream, CallOptions, Version};
use testkit::upstream::{PreparedAnswer, Upstream};

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

async fn get((addr, version): (SocketAddr, Version), path: &str) -> AnswerStream {
    AnswerStream::open(addr, version, "GET", path, [], &FAST)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_prepared_answer_is_given_once() {
    let upstream = Upstream::start().await.unwrap();
    for server in servers(&upstream) {
        upstream.prepare(
            "/a",
            PreparedAnswer::whole(207, [("x-a", "1"), ("x-a", "2")], "prepared").unwrap(),
        );

        let answer = get(server, "/a?q=1").await;
        assert_eq!(
            (answer.status(), answer.headers().all("x-a").len()),
            (207, 2)
        );
        assert_eq!(
            answer.headers().text("content-length").as_deref(),
            Some("8")
        );
        assert_eq!(answer.rest().await, (b"prepared".to_vec(), true));
        assert_eq!(get(server, "/a").await.status(), 200, "only once");
    }

    assert_eq!(upstream.seen().at_path("/a").len(), 4);
}

#[tokio::test]
async fn a_body_comes_as_it_is_fed() {
    let upstream = Upstream::start().await.unwrap();
    for server in servers(&upstream) {
        let (answer, feed) = PreparedAnswer::fed(200, []).unwrap();
        upstream.prepare("/a", answer);
        let mut answer = get(server, "/a").await;
        for chunk in ["a", "bc"] {
            feed.send(chunk);
            assert_eq!(answer.chunk().await.unwrap().unwrap(), chunk);
        }

        drop(feed);
        assert!(answer.chunk().await.unwrap().is_none());
    }
}

#[tokio::test]
async fn a_body_breaks_off() {
    let upstream = Upstream::start().await.unwrap();
    for server in servers(&upstream) {
        let (answer, feed) = PreparedAnswer::fed(200, [("content-length", "3")]).unwrap();
        upstream.prepare("/a", answer);
        let mut answer = get(server, "/a").await;
        feed.send("a");
        assert_eq!(answer.chunk().await.unwrap().unwrap(), "a");

        feed.break_off();
        assert_eq!(answer.rest().await, (Vec::new(), false));
    }
}

#[tokio::test]
async fn an_answer_is_cut() {
    let upstream = Upstream::start().await.unwrap();
    for server in servers(&upstream) {
        upstream.prepare("/a", PreparedAnswer::cut(200, [], "ab").unwrap());
        assert_eq!(
            get(server, "/a").await.rest().await,
            (b"ab".to_vec(), false)
        );
    }
}
