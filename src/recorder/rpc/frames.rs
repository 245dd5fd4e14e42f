//! Finds the last frame of a body that is a sequence of frames. The others are skipped, if possible
//! unread.
//!
//! gRPC-Web and Connect streams share the format: a byte of flags, a 32-bit big-endian length, and
//! that many bytes (grpc/grpc `doc/PROTOCOL-WEB.md`; Connect protocol, "Streaming-Response").

/// Flags and length.
const HEAD_BYTES: usize = 5;
/// Flag of a compressed frame; the same bit in both protocols.
const COMPRESSED: u8 = 0x01;

/// Longest last frame kept, in bytes. It has trailers, and Envoy accepts 60 KiB of headers by
/// default (`max_request_headers_kb`).
pub(super) const MAX_END_BYTES: usize = 65_536;

/// The last frame of a body.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct EndFrame {
    pub(super) is_compressed: bool,
    pub(super) content: Vec<u8>,
}

/// Reads frames up to the last one. Memory grows with the bytes received, never with a declared
/// length.
#[derive(Debug)]
pub(super) struct Frames {
    /// The flag of a last frame: 0x80 for gRPC-Web, 0x02 for Connect.
    end_flag: u8,
    state: State,
}

#[derive(Debug)]
enum State {
    /// In the head of a frame.
    Head(Vec<u8>),
    /// In a skipped frame, with this many bytes left.
    Message(usize),
    /// In the last frame, with this many bytes left.
    End(EndFrame, usize),
    /// Malformed, or over the limit: the rest is ignored.
    Lost,
}

impl Frames {
    pub(super) fn new(end_flag: u8) -> Self {
        Self {
            end_flag,
            state: State::Head(Vec::new()),
        }
    }

    /// Number of next bytes that need not be read; skip them with [`Self::skip`].
    pub(super) fn skippable(&self) -> usize {
        match self.state {
            State::Message(left) => left,
            State::Lost => usize::MAX,
            State::Head(_) | State::End(..) => 0,
        }
    }

    /// Skips at most [`Self::skippable`] bytes.
    pub(super) fn skip(&mut self, bytes: usize) {
        if let State::Message(left) = &mut self.state {
            *left = left.saturating_sub(bytes);
            if *left == 0 {
                self.state = State::Head(Vec::new());
            }
        }
    }

    /// Memory used by the last frame.
    pub(super) fn kept_bytes(&self) -> usize {
        match &self.state {
            State::End(end, _) => end.content.capacity(),
            State::Head(_) | State::Message(_) | State::Lost => 0,
        }
    }

    /// Gives up: the body is unreadable.
    pub(super) fn lose(&mut self) {
        self.state = State::Lost;
    }

    /// Reads the next bytes.
    pub(super) fn push(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let taken = match &mut self.state {
                State::Lost => return,
                State::Message(left) => (*left).min(bytes.len()),
                State::Head(head) => (HEAD_BYTES - head.len()).min(bytes.len()),
                State::End(_, left) => (*left).min(bytes.len()),
            };
            let (now, later) = bytes.split_at_checked(taken).unwrap_or((bytes, &[]));

            self.take(now);
            bytes = later;
        }
    }

    /// Takes bytes that belong to the current part of a frame.
    fn take(&mut self, bytes: &[u8]) {
        match &mut self.state {
            State::Lost => {}
            State::Message(_) => self.skip(bytes.len()),
            State::Head(head) => {
                head.extend_from_slice(bytes);
                if let Ok(head) = <[u8; HEAD_BYTES]>::try_from(head.as_slice()) {
                    self.state = self.after_head(head);
                }
            }
            // Nothing may follow the last frame.
            State::End(_, 0) => self.state = State::Lost,
            State::End(end, left) => {
                end.content.extend_from_slice(bytes);
                *left -= bytes.len();
            }
        }
    }

    fn after_head(&self, [flags, length @ ..]: [u8; HEAD_BYTES]) -> State {
        let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);

        match flags & !COMPRESSED {
            0 if length == 0 => State::Head(Vec::new()),
            0 => State::Message(length),
            flag if flag == self.end_flag && length <= MAX_END_BYTES => {
                let end = EndFrame {
                    is_compressed: flags & COMPRESSED != 0,
                    content: Vec::new(),
                };
                State::End(end, length)
            }
            _ => State::Lost,
        }
    }

    /// The last frame, if it is complete.
    pub(super) fn end(self) -> Option<EndFrame> {
        match self.state {
            State::End(end, 0) => Some(end),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const WEB: u8 = 0x80;

    fn frame(flags: u8, content: &[u8]) -> Vec<u8> {
        let length = u32::try_from(content.len()).unwrap().to_be_bytes();
        [&[flags], length.as_slice(), content].concat()
    }

    fn end(end_flag: u8, body: &[u8]) -> Option<Vec<u8>> {
        let mut frames = Frames::new(end_flag);
        frames.push(body);
        frames.end().map(|end| end.content)
    }

    #[test]
    fn the_last_frame_is_kept() {
        assert_eq!(end(WEB, &frame(WEB, b"x")), Some(b"x".to_vec()));
        assert_eq!(
            end(
                WEB,
                &[frame(0, b"abc"), frame(1, b""), frame(WEB, b"")].concat()
            ),
            Some(Vec::new())
        );
        assert_eq!(
            end(0x02, &[frame(0, b"abc"), frame(0x02, b"{}")].concat()),
            Some(b"{}".to_vec())
        );
        assert_eq!(
            end(WEB, &frame(WEB, &vec![b'x'; MAX_END_BYTES])).map(|end| end.len()),
            Some(MAX_END_BYTES)
        );
    }

    #[test]
    fn what_is_malformed_has_no_end() {
        for (what, body) in [
            ("nothing", Vec::new()),
            ("no end", frame(0, b"abc")),
            ("half a head", vec![WEB, 0, 0]),
            (
                "a length that lies",
                [&frame(WEB, b"abc")[..4], &[9], b"abc"].concat(),
            ),
            ("the largest length", vec![WEB, 255, 255, 255, 255, b'x']),
            (
                "unknown flags",
                [frame(0x40, b""), frame(WEB, b"x")].concat(),
            ),
            ("the other protocol's flag", frame(0x02, b"{}")),
            ("too long", frame(WEB, &vec![b'x'; MAX_END_BYTES + 1])),
            ("bytes behind the end", [frame(WEB, b"x"), vec![0]].concat()),
            ("two ends", [frame(WEB, b"x"), frame(WEB, b"y")].concat()),
        ] {
            assert_eq!(end(WEB, &body), None, "{what}");
        }
    }

    #[test]
    fn a_length_takes_no_memory() {
        let mut frames = Frames::new(WEB);
        frames.push(&[WEB, 0, 1, 0, 0]);
        let State::End(end, left) = &frames.state else {
            panic!("{:?}", frames.state)
        };
        assert_eq!((end.content.capacity(), *left), (0, MAX_END_BYTES));
    }

    proptest! {
        #[test]
        fn frames_are_found_wherever_the_body_is_cut(
            messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..6),
            last in prop::collection::vec(any::<u8>(), 0..40),
            cuts in prop::collection::vec(1..20_usize, 1..6),
        ) {
            let mut body: Vec<u8> = messages.iter().flat_map(|message| frame(0, message)).collect();
            body.extend(frame(WEB, &last));

            let (mut frames, mut rest, mut cuts) = (Frames::new(WEB), body.as_slice(), cuts.iter().cycle());
            while !rest.is_empty() {
                let skipped = frames.skippable().min(rest.len());
                frames.skip(skipped);
                rest = &rest[skipped..];
                let (now, later) = rest.split_at((*cuts.next().unwrap()).min(rest.len()));
                frames.push(now);
                rest = later;
            }

            prop_assert_eq!(frames.end().map(|end| end.content), Some(last));
        }

        #[test]
        fn no_bytes_make_it_panic_or_keep_more_than_its_bound(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut frames = Frames::new(WEB);
            frames.push(&bytes);
            prop_assert!(frames.end().is_none_or(|end| end.content.len() <= MAX_END_BYTES));
        }
    }
}
