//! A TCP connection with a read buffer, and minimal codecs on it: they add little noise to a
//! measurement, and send what no library sends.

pub(crate) mod frame;
pub mod http1;

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use tokio::net::{TcpSocket, TcpStream};

/// Bytes requested in one read.
const CHUNK: usize = 16 * 1024;

/// A loopback address that Envoy does not treat as the local address.
const ELSEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

/// A connection, and the bytes that were read but not yet taken.
pub struct Wire {
    stream: TcpStream,
    unread: Vec<u8>,
}

impl Wire {
    /// Connects as a remote client does. For a client from 127.0.0.1, Envoy adds an address other
    /// than the client's to `x-forwarded-for` (Envoy `source/common/http/conn_manager_utility.cc`).
    pub async fn connect(addr: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((ELSEWHERE, 0).into()).unwrap();
        Self::new(socket.connect(addr).await.unwrap())
    }

    /// A connection on this stream.
    pub fn new(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            unread: Vec::new(),
        }
    }

    /// Sends all bytes. Panics if the connection breaks.
    pub async fn send(&self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            self.stream.writable().await.unwrap();
            match self.stream.try_write(bytes) {
                Ok(written) => bytes = &bytes[written..],
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => panic!("the connection broke while sending: {error}"),
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
        loop {
            self.stream.readable().await.ok()?;
            let mut chunk = [0; CHUNK];

            match self.stream.try_read(&mut chunk) {
                Ok(0) => return None,
                Ok(read) => {
                    self.unread.extend_from_slice(&chunk[..read]);
                    return Some(());
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => return None,
            }
        }
    }
}
