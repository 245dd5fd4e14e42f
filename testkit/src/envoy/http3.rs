//! HTTP/3 over QUIC: an Envoy listener for it, and a client.

use std::net::{Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use h3::client::{RequestStream, SendRequest};
use h3::error::StreamError;
use h3_quinn::{BidiStream, OpenStreams, RecvStream, SendStream};
use http::{HeaderMap, Request};
use quinn::crypto::rustls::QuicClientConfig;
use serde_json::{Value, json};
use tokio::time::timeout;
use tokio_rustls::rustls::ClientConfig;

use crate::DEADLINE;
use crate::client::{End, Leave, Message, Reply};
use crate::envoy::tls::{Authority, SERVER};
use crate::headers::Headers;

/// Makes a listener of the bootstrap accept HTTP/3 only.
pub fn speak_http3(listener: &mut Value, server: &Authority) {
    listener["address"]["socket_address"]["protocol"] = json!("UDP");
    listener["udp_listener_config"] = json!({"quic_options": {}});
    listener["filter_chains"][0]["transport_socket"] = json!({
        "name": "envoy.transport_sockets.quic",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.quic.v3.QuicDownstreamTransport",
            "downstream_tls_context": {"common_tls_context": {"tls_certificates": [server.listener_certificate()]}},
        },
    });

    let filters = listener["filter_chains"][0]["filters"]
        .as_array_mut()
        .unwrap();
    let manager = &mut filters.last_mut().expect("a connection manager")["typed_config"];
    manager["codec_type"] = json!("HTTP3");
    manager["http3_protocol_options"] = json!({});
}

/// One QUIC connection for any number of requests; dropping it closes the connection.
pub struct Http3 {
    addr: SocketAddr,
    sender: SendRequest<OpenStreams, Bytes>,
    connection: quinn::Connection,
    endpoint: quinn::Endpoint,
}

type Sending = RequestStream<SendStream<Bytes>, Bytes>;
type Receiving = RequestStream<RecvStream, Bytes>;

impl Http3 {
    /// Connects to a listener with a certificate of this authority.
    pub async fn connect(addr: SocketAddr, server: &Authority) -> Self {
        let mut tls = ClientConfig::builder()
            .with_root_certificates(server.roots())
            .with_no_client_auth();
        tls.alpn_protocols = vec![b"h3".to_vec()];

        let config = quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).unwrap()));
        let endpoint = quinn::Endpoint::client((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let connecting = endpoint.connect_with(config, addr, SERVER).unwrap();
        let connection = timeout(DEADLINE, connecting)
            .await
            .expect("a QUIC handshake in time")
            .unwrap();

        let (mut driver, sender) = h3::client::new(h3_quinn::Connection::new(connection.clone()))
            .await
            .unwrap();
        // The task ends with the connection.
        tokio::spawn(
            async move { std::future::poll_fn(|context| driver.poll_close(context)).await },
        );

        Self {
            addr,
            sender,
            connection,
            endpoint,
        }
    }

    /// Sends a message on a new stream. To leave, it drops the stream, which sends STOP_SENDING:
    /// the `stop_sending` of h3-quinn panics while a read is pending.
    pub async fn exchange(&mut self, message: &Message, leave: Leave) -> Reply {
        let exchanging = async {
            let (sending, mut receiving) = self.open(message).await?.split();
            // In a separate task: a peer that answers early may never read the rest.
            let sending = tokio::spawn(send(sending, message.clone()));
            let reply = read(&mut receiving, leave).await;
            sending.abort();
            Ok(reply)
        };
        let reply: Result<Reply, StreamError> = timeout(DEADLINE, exchanging)
            .await
            .expect("an answer in time");
        reply.unwrap_or_else(|error| Reply::none(End::Broken(error.to_string())))
    }

    /// Closes the connection after all frames, including a cancellation, are sent.
    pub async fn close(self) {
        drop(self.sender);
        self.connection.close(0x100_u32.into(), b"");
        let _ = timeout(DEADLINE, self.endpoint.wait_idle()).await;
    }

    /// Opens a stream with the request's headers.
    async fn open(
        &mut self,
        message: &Message,
    ) -> Result<RequestStream<BidiStream<Bytes>, Bytes>, StreamError> {
        let authority = message
            .headers
            .text("host")
            .unwrap_or_else(|| self.addr.to_string());
        let request = Request::builder().method(message.method.as_str());
        let mut request = request
            .uri(format!("https://{authority}{}", message.path))
            .body(())
            .unwrap();
        *request.headers_mut() = message.headers.to_map().unwrap();
        request.headers_mut().remove("host");

        self.sender.send_request(request).await
    }
}

/// Sends the frames after the headers.
async fn send(mut stream: Sending, message: Message) -> Result<(), StreamError> {
    if !message.body.is_empty() {
        stream.send_data(message.body).await?;
    }
    if !message.trailers.is_empty() {
        stream
            .send_trailers(message.trailers.to_map().unwrap())
            .await?;
    }
    stream.finish().await
}

/// Reads until the end, or until the client must leave.
async fn read(stream: &mut Receiving, leave: Leave) -> Reply {
    let (signal, limit) = match leave {
        Leave::Never => (None, None),
        Leave::OnSignal(signal) => (Some(signal), None),
        Leave::AfterBytes(limit) => (None, Some(limit)),
    };
    let signal = async {
        match signal {
            Some(signal) => signal.await.expect("the signal comes"),
            None => std::future::pending().await,
        }
    };

    let response = tokio::select! {
        response = stream.recv_response() => response,
        () = pin!(signal) => return Reply::none(End::Left),
    };

    match response {
        Err(error) => Reply::none(End::Broken(error.to_string())),
        Ok(response) => {
            let mut reply = Reply::none(End::Complete);
            reply.status = Some(response.status().as_u16());
            reply.headers = Headers::from(response.headers());
            read_body(stream, reply, limit).await
        }
    }
}

async fn read_body(stream: &mut Receiving, mut reply: Reply, limit: Option<usize>) -> Reply {
    let mut body = Vec::new();
    let end = loop {
        if limit.is_some_and(|limit| body.len() >= limit) {
            break End::Left;
        }
        match stream.recv_data().await {
            Ok(Some(data)) => body.extend_from_slice(data.chunk()),
            Ok(None) => break End::Complete,
            Err(error) => break End::Broken(error.to_string()),
        }
    };

    if end == End::Complete {
        let trailers = stream.recv_trailers().await.ok().flatten();
        reply.trailers = trailers
            .as_ref()
            .map_or_else(Headers::new, |trailers: &HeaderMap| Headers::from(trailers));
    }

    (reply.end, reply.body) = (end, body.into());
    reply
}
