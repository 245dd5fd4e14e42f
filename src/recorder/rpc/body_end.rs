//! The status that a body ends with: the trailers of gRPC-Web, the last message of a Connect stream, the JSON of a unary
//! Connect error.

use super::base64_text::Base64Text;
use super::frames::{EndFrame, Frames, MAX_END_BYTES};
use super::{Found, Status, StatusSource, Wire};
use crate::host::Stream;
use crate::quota::Lease;
use crate::recorder::response_json::error_of_json;

/// How much of a chunk is fetched at once, in bytes: enough for the last frames of most bodies, small beside a chunk.
const READ_BYTES: usize = 4096;

/// Reads the end of one response body while it passes. Nothing of the messages is kept.
#[derive(Debug)]
pub(in crate::recorder) struct BodyEnd {
    form: Form,
    /// The memory of what is kept, a part of what all exchanges may keep.
    lease: Lease,
}

#[derive(Debug)]
enum Form {
    GrpcWeb(Frames),
    GrpcWebText(Frames, Base64Text),
    Connect(Frames),
    /// The body of a unary error, whole; `None` when it is too long.
    Json(Option<Vec<u8>>),
}

impl BodyEnd {
    /// Decides by what the answer says of its body. `None`: it has no status in its body.
    ///
    /// `is_error`: the request may be a unary call of Connect, and the HTTP status is an error, as that of each of its
    /// errors is.
    pub(in crate::recorder) fn begin(
        content_type: &[u8],
        is_encoded: bool,
        is_error: bool,
        lease: Lease,
    ) -> Option<Self> {
        if is_encoded {
            return None;
        }
        let form = match Wire::of_content_type(content_type) {
            Some(Wire::GrpcWeb) => Form::GrpcWeb(Frames::new(0x80)),
            Some(Wire::GrpcWebText) => Form::GrpcWebText(Frames::new(0x80), Base64Text::default()),
            Some(Wire::ConnectStream) => Form::Connect(Frames::new(0x02)),
            None if is_error && content_type.starts_with(b"application/json") => {
                Form::Json(Some(Vec::new()))
            }
            _ => return None,
        };
        Some(Self { form, lease })
    }

    /// Takes the next chunk of the body, of this size, of which it fetches what it needs.
    pub(in crate::recorder) fn handle_chunk(&mut self, bytes: usize, stream: &dyn Stream) {
        let mut at = 0;
        while at < bytes {
            at += self.skip(bytes - at);
            if at >= bytes {
                return;
            }

            let fetched = stream.response_body(at, READ_BYTES.min(bytes - at));
            if fetched.is_empty() {
                return self.lose();
            }
            at += fetched.len();
            self.push(&fetched);
            if !self.lease.resize(self.kept_bytes()) {
                return self.lose();
            }
        }
    }

    /// The memory that is taken.
    fn kept_bytes(&self) -> usize {
        match &self.form {
            Form::GrpcWeb(frames) | Form::GrpcWebText(frames, _) | Form::Connect(frames) => {
                frames.kept_bytes()
            }
            Form::Json(kept) => kept.as_ref().map_or(0, Vec::capacity),
        }
    }

    /// Passes over what need not be read, and yields how much that is. In text, no byte says how many others follow.
    fn skip(&mut self, bytes: usize) -> usize {
        match &mut self.form {
            Form::GrpcWeb(frames) | Form::Connect(frames) => {
                let skipped = frames.skippable().min(bytes);
                frames.skip(skipped);
                skipped
            }
            Form::GrpcWebText(frames, _) if frames.skippable() == usize::MAX => bytes,
            Form::Json(None) => bytes,
            Form::GrpcWebText(..) | Form::Json(Some(_)) => 0,
        }
    }

    fn push(&mut self, bytes: &[u8]) {
        match &mut self.form {
            Form::GrpcWeb(frames) | Form::Connect(frames) => frames.push(bytes),
            Form::GrpcWebText(frames, text) => match text.push(bytes) {
                Some(decoded) => frames.push(&decoded),
                None => frames.lose(),
            },
            Form::Json(Some(kept)) if kept.len() + bytes.len() <= MAX_END_BYTES => {
                kept.extend_from_slice(bytes)
            }
            Form::Json(kept) => *kept = None,
        }
    }

    fn lose(&mut self) {
        match &mut self.form {
            Form::GrpcWeb(frames) | Form::GrpcWebText(frames, _) | Form::Connect(frames) => {
                frames.lose()
            }
            Form::Json(kept) => *kept = None,
        }
        self.lease.end();
    }

    /// The status, when the whole end has come and can be read.
    pub(in crate::recorder) fn status(self) -> Option<Found> {
        match self.form {
            Form::GrpcWeb(frames) | Form::GrpcWebText(frames, _) => of_trailers(&readable(frames)?),
            Form::Connect(frames) => of_end_message(&readable(frames)?),
            Form::Json(kept) => of_error(&kept?, &[]),
        }
    }
}

fn readable(frames: Frames) -> Option<Vec<u8>> {
    let EndFrame {
        is_compressed,
        content,
    } = frames.end()?;
    (!is_compressed).then_some(content)
}

/// Trailers of gRPC-Web: lines as in HTTP/1.1, names in lower case (grpc/grpc `doc/PROTOCOL-WEB.md`).
fn of_trailers(block: &[u8]) -> Option<Found> {
    let value = |name: &str| {
        let mut lines = block.split(|byte| *byte == b'\n').filter_map(|line| {
            let at = line.iter().position(|byte| *byte == b':')?;
            let (found, rest) = line.split_at_checked(at)?;
            found
                .trim_ascii()
                .eq_ignore_ascii_case(name.as_bytes())
                .then(|| rest.get(1..))?
        });
        lines.next().map(<[u8]>::trim_ascii)
    };
    let status = Status::parse(value("grpc-status")?);
    Some(Found::new(
        status,
        StatusSource::Trailers,
        value("grpc-message").unwrap_or_default(),
    ))
}

/// The last message of a Connect stream (Connect protocol, "EndStreamResponse"): a JSON object, with `error` if there was
/// one.
fn of_end_message(text: &[u8]) -> Option<Found> {
    of_error(text, &["error".to_owned()])
}

/// An error of the Connect protocol (its "Error" section) at this place of a JSON text. None at `error`: success.
fn of_error(text: &[u8], path: &[String]) -> Option<Found> {
    let Some(error) = error_of_json(text, path)? else {
        let is_end = !path.is_empty();
        return is_end.then_some(Found {
            status: Status::OK,
            source: StatusSource::Trailers,
            message: None,
        });
    };
    // A stream's error with a code that is missing or unknown is `unknown`; a unary answer is then no Connect error.
    let status = Status::of_connect(&error.code.unwrap_or_default());
    let status = if path.is_empty() {
        status?
    } else {
        status.unwrap_or(Status::UNKNOWN)
    };
    let message = error.message.filter(|message| !message.is_empty());
    let source = if path.is_empty() {
        StatusSource::Http
    } else {
        StatusSource::Trailers
    };
    Some(Found {
        status,
        source,
        message,
    })
}
