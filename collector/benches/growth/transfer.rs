//! Exports over HTTP, which come in chunks.

use std::io::{self, BufRead as _, BufReader, Error, Read as _, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

const BUFFER: usize = 256 * 1024;
/// Longest silence within an export.
const PATIENCE: Duration = Duration::from_secs(3600);

/// Writes what a `GET` returns to `out`, and returns the number of its bytes.
///
/// # Errors
/// When the answer is a refusal, or breaks off.
pub fn get(address: SocketAddr, path: &str, out: &mut dyn Write) -> io::Result<u64> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nhost: collector\r\nconnection: close\r\n\r\n"
    )?;

    let mut reader = BufReader::with_capacity(BUFFER, stream);
    let status = line(&mut reader)?;
    if !status.contains(" 200 ") {
        return Err(Error::other(format!("{path}: {status}")));
    }
    while !line(&mut reader)?.is_empty() {}

    copy(&mut reader, out)
}

/// Copies chunks up to the last one, which is empty.
fn copy(reader: &mut BufReader<TcpStream>, out: &mut dyn Write) -> io::Result<u64> {
    let mut copied = 0;
    loop {
        let length = line(reader)?;
        let length = u64::from_str_radix(&length, 16)
            .map_err(|_| Error::other(format!("not the length of a chunk: {length}")))?;
        if length == 0 {
            return Ok(copied);
        }

        let chunk = io::copy(&mut reader.by_ref().take(length), out)?;
        line(reader)?;
        if chunk < length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        copied += length;
    }
}

fn line(reader: &mut BufReader<TcpStream>) -> io::Result<String> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(line.trim_end().to_owned())
}
