//! A TCP connection with a read buffer, and minimal codecs on it: they add little noise to a
//! measurement, and send what no library sends.

pub(crate) mod frame;
pub mod http1;

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::client::TlsStream;

use crate::envoy::tls::Peer;

/// Bytes requested in one read.
const CHUNK: usize = 16 * 1024;

/// A loopback address that Envoy does not treat as the local address.
const ELSEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

/// A connection, and the bytes that were read but not yet taken.
pub struct Wire {
    stream: Stream,
    unread: Vec<u8>,
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Wire {
    /// Connects as a remote client does. For a client from 127.0.0.1, Envoy adds an address other
    /// than the client's to `x-forwarded-for` (Envoy `source/common/http/conn_manager_utility.cc`).
    pub async fn connect(addr: SocketAddr) -> Self {
        Self::new(connected(addr).await)
    }

    /// The same over TLS, with the certificate of `peer`.
    pub async fn connect_as(addr: SocketAddr, peer: &Peer) -> Self {
        let stream = connected(addr).await;
        stream.set_nodelay(true).unwrap();
        let stream = peer.handshake(stream).await.unwrap();
        Self {
            stream: Stream::Tls(Box::new(stream)),
            unread: Vec::new(),
        }
    }

    /// A connection on this stream.
    pub fn new(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        Self {
            stream: Stream::Plain(stream),
            unread: Vec::new(),
        }
    }

    /// Sends all bytes. Panics if the connection breaks.
    pub async fn send(&mut self, bytes: &[u8]) {
        match &mut self.stream {
            Stream::Plain(stream) => send_plain(stream, bytes).await,
            Stream::Tls(stream) => {
                stream.write_all(bytes).await.unwrap();
                stream.flush().await.unwrap();
            }
        }
    }

    /// Takes the next `length` bytes; `None` when the peer closes before.
    pub async fn take(&mut self, length: usize) -> Option<Vec<u8>> {
        while self.unread.len() < length {
            self.fill().await?;
        }
        let rest = self.unread.split_off(length);
        Some(std::mem::replace(&mut self.unread, rest))
    }

    /// Waits until `find` finds something in the unread bytes; `None` when the peer closes before.
    pub async fn find<T>(&mut self, find: impl Fn(&[u8]) -> Option<T>) -> Option<T> {
        loop {
            if let Some(found) = find(&self.unread) {
                return Some(found);
            }
            self.fill().await?;
        }
    }

    async fn fill(&mut self) -> Option<()> {
        let mut chunk = [0; CHUNK];
        let read = match &mut self.stream {
            Stream::Plain(stream) => read_plain(stream, &mut chunk).await?,
            Stream::Tls(stream) => stream.read(&mut chunk).await.ok()?,
        };

        self.unread.extend_from_slice(&chunk[..read]);
        (read > 0).then_some(())
    }
}

async fn connected(addr: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((ELSEWHERE, 0).into()).unwrap();
    socket.connect(addr).await.unwrap()
}

async fn send_plain(stream: &TcpStream, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        stream.writable().await.unwrap();
        match stream.try_write(bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => panic!("the connection broke while sending: {error}"),
        }
    }
}

/// Number of bytes; 0 when the peer has closed.
async fn read_plain(stream: &TcpStream, chunk: &mut [u8]) -> Option<usize> {
    loop {
        stream.readable().await.ok()?;
        match stream.try_read(chunk) {
            Ok(read) => return Some(read),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => return None,
        }
    }
}
