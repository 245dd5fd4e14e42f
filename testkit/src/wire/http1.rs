//! A minimal HTTP/1.1 codec.

use crate::wire::Wire;

/// The bytes of a `GET`.
pub fn get(path: &str, headers: &[(&str, String)]) -> Vec<u8> {
    let lines: String = headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect();
    format!("GET {path} HTTP/1.1\r\nhost: bench.test\r\n{lines}\r\n").into_bytes()
}

/// One request and its answer, which must be 200.
pub async fn exchange(wire: &mut Wire, request: &[u8]) {
    wire.send(request).await;
    let answer = read_message(wire).await.expect("Envoy answers");
    assert!(
        answer.starts_with(b"HTTP/1.1 200"),
        "not 200: {}",
        String::from_utf8_lossy(&answer)
    );
}

/// Reads a whole message, head and body; `None` when the peer closes.
pub async fn read_message(wire: &mut Wire) -> Option<Vec<u8>> {
    let length = wire.find(message_length).await?;
    wire.take(length).await
}

fn message_length(bytes: &[u8]) -> Option<usize> {
    let head = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&bytes[..head]).expect("the head is ASCII");

    if text
        .lines()
        .any(|line| line == "transfer-encoding: chunked")
    {
        return chunks_end(bytes, head);
    }

    let length = text
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    Some(
        head + length.map_or(0, |digits| {
            digits.parse::<usize>().expect("content-length is a number")
        }),
    )
}

/// The end of the last chunk, which is empty.
fn chunks_end(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let line = bytes
            .get(at..)?
            .windows(2)
            .position(|window| window == b"\r\n")?;
        let digits =
            std::str::from_utf8(&bytes[at..at + line]).expect("the size of a chunk is ASCII");
        let size = usize::from_str_radix(digits, 16).expect("the size of a chunk is a number");

        at += line + 2 + size + 2;
        if size == 0 {
            return Some(at);
        }
    }
}
