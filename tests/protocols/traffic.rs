//! The traffic of a row: the client's request, the moment it leaves, and the upstream's answer.

use base64ct::{Base64, Encoding};
use bytes::Bytes;
use testkit::client::Message;

/// In paths and header values: the row's number, so that rows never share a prepared answer.
pub const ROW: &str = "{row}";

/// A method of the service in [`crate::descriptor`].
pub const METHOD: &str = "/demo.Accounts/ChangePassword";

/// One empty gRPC message: flags and length.
pub const MESSAGE: [u8; 5] = [0; 5];

/// Protocol of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    Http1,
    Http2,
    Http3,
}

/// The moment at which the client leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaveAt {
    Never,
    /// When the upstream has the request.
    BeforeAnswer,
    /// After this many bytes of the body; 0: after the headers.
    Bytes(usize),
}

/// A prepared answer of the upstream.
#[derive(Clone, Debug)]
pub struct Prepared {
    pub path: String,
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
    pub then: Then,
}

/// Event after a prepared body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    End,
    Silence,
    Break,
}

/// One request with a plain body.
#[derive(Clone, Debug)]
pub struct Call {
    pub wire: Wire,
    pub message: Message,
    pub leave: LeaveAt,
    /// Over HTTP/3, leaving closes the connection instead of resetting the stream.
    pub hangs_up: bool,
    pub prepared: Vec<Prepared>,
}

/// How a tunnel is requested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    WebSocket,
    WebSocketHttp2,
    Connect,
    ConnectHttp2,
    ConnectUdp,
}

/// The side that ends a tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ender {
    ClientFinishes,
    ClientResets,
    /// The client waits until the tunnel has ended.
    Other,
}

/// A tunnel with data in both directions.
#[derive(Clone, Debug)]
pub struct Dig {
    pub kind: Kind,
    pub headers: Vec<(&'static str, &'static str)>,
    pub sends: &'static str,
    pub ender: Ender,
}

#[derive(Clone, Debug)]
pub enum Traffic {
    Call(Box<Call>),
    Dig(Dig),
}

impl From<Call> for Traffic {
    fn from(call: Call) -> Self {
        Self::Call(Box::new(call))
    }
}

impl From<Dig> for Traffic {
    fn from(dig: Dig) -> Self {
        Self::Dig(dig)
    }
}

impl Call {
    pub fn new(wire: Wire, method: &str, path: &str) -> Self {
        Self {
            wire,
            message: Message::new(method, path),
            leave: LeaveAt::Never,
            hangs_up: false,
            prepared: Vec::new(),
        }
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.message = self.message.header(name, value);
        self
    }

    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.message = self.message.body(body);
        self
    }

    pub fn leave(mut self, leave: LeaveAt) -> Self {
        self.leave = leave;
        self
    }

    pub fn hang_up(mut self) -> Self {
        self.hangs_up = true;
        self
    }

    /// Limits the flow-control window, so that the body arrives a few bytes at a time.
    pub fn window(mut self, bytes: u32) -> Self {
        self.message.window = Some(bytes);
        self
    }

    /// The upstream's HTTP/1.1 server has this answer for the request's path.
    pub fn answered(
        self,
        status: u16,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
        then: Then,
    ) -> Self {
        let path = self.message.path.clone();
        self.answered_at(&path, status, headers, body, then)
    }

    /// The same for another path, to which the request is redirected.
    pub fn answered_at(
        mut self,
        path: &str,
        status: u16,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
        then: Then,
    ) -> Self {
        let headers = headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let path = path.split('?').next().unwrap().to_owned();

        self.prepared.push(Prepared {
            path,
            status,
            headers,
            body: body.into(),
            then,
        });
        self
    }
}

/// A request without a body.
pub fn get(wire: Wire, path: &str) -> Call {
    Call::new(wire, "GET", path)
}

/// A native gRPC call with one message; `script` is for the demo upstream (`x-demo-grpc`).
pub fn grpc(script: &str) -> Call {
    grpc_over(Wire::Http2, script)
}

pub fn grpc_over(wire: Wire, script: &str) -> Call {
    let call = Call::new(wire, "POST", METHOD).header("content-type", "application/grpc");
    call.header("te", "trailers")
        .header("x-demo-grpc", script)
        .body(MESSAGE.to_vec())
}

/// A gRPC-Web call of a browser.
pub fn grpc_web(script: &str) -> Call {
    let call =
        Call::new(Wire::Http1, "POST", METHOD).header("content-type", "application/grpc-web+proto");
    call.header("x-grpc-web", "1")
        .header("x-demo-grpc", script)
        .body(MESSAGE.to_vec())
}

/// The same in base64.
pub fn grpc_web_text(script: &str) -> Call {
    let call = Call::new(Wire::Http1, "POST", METHOD)
        .header("content-type", "application/grpc-web-text+proto");
    let call = call
        .header("accept", "application/grpc-web-text+proto")
        .header("x-grpc-web", "1");
    call.header("x-demo-grpc", script)
        .body(Base64::encode_string(&MESSAGE))
}

/// A Connect call with one message.
pub fn connect_unary(script: &str) -> Call {
    let call = Call::new(Wire::Http1, "POST", METHOD).header("content-type", "application/proto");
    call.header("connect-protocol-version", "1")
        .header("x-demo-grpc", script)
}

/// A Connect call in the query of a GET.
pub fn connect_get(script: &str) -> Call {
    let path = format!("{METHOD}?connect=v1&encoding=proto&base64=1&message=");
    Call::new(Wire::Http1, "GET", &path).header("x-demo-grpc", script)
}

/// A streaming Connect call.
pub fn connect_stream(script: &str) -> Call {
    let call =
        Call::new(Wire::Http1, "POST", METHOD).header("content-type", "application/connect+proto");
    let call = call.header("connect-protocol-version", "1");
    call.header("x-demo-grpc", script).body(MESSAGE.to_vec())
}

/// JSON for the REST path of [`METHOD`].
pub fn rest(script: &str) -> Call {
    let call = Call::new(Wire::Http1, "POST", "/v1/users/ann/password")
        .header("content-type", "application/json");
    call.header("x-demo-grpc", script)
        .body(r#"{"password":"x"}"#)
}

/// The REST path of the streaming method.
pub fn rest_stream(script: &str) -> Call {
    get(Wire::Http1, "/v1/list").header("x-demo-grpc", script)
}
