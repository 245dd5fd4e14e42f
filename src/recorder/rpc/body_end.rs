//! The status at the end of a body: the trailers of gRPC-Web, the last message of a Connect stream,
//! or the JSON of a unary Connect error.

use super::base64_text::Base64Text;
use super::frames::{EndFrame, Frames, MAX_END_BYTES};
use super::{Found, MAX_MESSAGE_BYTES, Status, StatusSource, Wire};
use crate::host::Stream;
use crate::quota::Lease;
use crate::recorder::bounds::clipped;
use crate::recorder::identity::response_json::error_of_json;

/// Bytes of a chunk fetched at once: enough for the last frames of most bodies, and small compared
/// to a chunk.
const READ_BYTES: usize = 4096;

/// Reads the end of one response body as it passes. Messages are not kept.
#[derive(Debug)]
pub(in crate::recorder) struct BodyEnd {
    form: Form,
    /// Accounts for the kept bytes in the quota that all exchanges share.
    lease: Lease,
}

#[derive(Debug)]
enum Form {
    GrpcWeb(Frames),
    GrpcWebText(Frames, Base64Text),
    Connect(Frames),
    /// The complete body of a unary error; `None` if it is too long.
    Json(Option<Vec<u8>>),
}

impl BodyEnd {
    /// Decides by content type and encoding of the response. `None`: its body has no readable
    /// status.
    ///
    /// `is_error`: the request may be a unary call of Connect, and the HTTP status is an error, as
    /// for all its errors.
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

    /// Takes the next chunk of the body, of this size, and fetches the needed part of it.
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

    /// Bytes of memory in use.
    fn kept_bytes(&self) -> usize {
        match &self.form {
            Form::GrpcWeb(frames) | Form::GrpcWebText(frames, _) | Form::Connect(frames) => {
                frames.kept_bytes()
            }
            Form::Json(kept) => kept.as_ref().map_or(0, Vec::capacity),
        }
    }

    /// Skips bytes that need not be read, and returns their number. Text form must be decoded,
    /// since padding hides how many characters a frame has.
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

    /// The status, if the whole end has arrived and is readable.
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

/// Trailers of gRPC-Web: lines as in HTTP/1.1, names in lower case (grpc/grpc
/// `doc/PROTOCOL-WEB.md`).
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

/// The last message of a Connect stream (Connect protocol, "EndStreamResponse"): a JSON object with
/// an optional `error`.
fn of_end_message(text: &[u8]) -> Option<Found> {
    of_error(text, &["error".to_owned()])
}

/// An error of the Connect protocol (its "Error" section) at this path of a JSON text. A missing
/// `error` means success.
fn of_error(text: &[u8], path: &[String]) -> Option<Found> {
    let Some(error) = error_of_json(text, path)? else {
        let is_end = !path.is_empty();
        return is_end.then_some(Found {
            status: Status::OK,
            source: StatusSource::Trailers,
            message: None,
        });
    };

    // In a stream, an error with a missing or unknown code is `unknown`. A unary response with one
    // is not a Connect error.
    let status = Status::of_connect(&error.code.unwrap_or_default());
    let status = if path.is_empty() {
        status?
    } else {
        status.unwrap_or(Status::UNKNOWN)
    };
    let message = error.message.filter(|message| !message.is_empty());
    let message = message.map(|message| clipped(&message, MAX_MESSAGE_BYTES).to_vec());
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
