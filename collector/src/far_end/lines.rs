//! Lines of JSON: the filter's own NDJSON, the collector's export, and OTLP requests.

use std::io::{self, BufRead, Read as _};

use crate::otlp::decode_line;
use crate::record::Content;

/// Most bytes of a line: twice the largest request that the collector accepts by default.
pub const MAX_LINE_BYTES: usize = 64 * 1024 * 1024;

/// Why lines could not be read to their end.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    /// Their source failed.
    #[error("line {0}: {1}")]
    Read(u64, io::Error),
    /// A line holds no record; the text has the reason and the column.
    #[error("line {0} is {1}")]
    Invalid(u64, String),
}

/// Calls `each` for the records of all lines. Blank lines count, and hold none.
///
/// # Errors
///
/// See [`LineError`]; a line beyond [`MAX_LINE_BYTES`] is invalid. The records of the lines before
/// are passed on.
pub fn read_lines(input: &mut dyn BufRead, mut each: impl FnMut(Content)) -> Result<(), LineError> {
    let mut lines = Lines::new(input);
    while let Some(line) = lines.next_line()? {
        if !line.trim_ascii().is_empty() {
            decode_line(line, &mut each).map_err(|why| lines.invalid(why))?;
        }
    }
    Ok(())
}

/// The lines of an input, one in memory at a time.
pub(super) struct Lines<'i> {
    input: &'i mut dyn BufRead,
    line: Vec<u8>,
    number: u64,
}

impl<'i> Lines<'i> {
    pub(super) fn new(input: &'i mut dyn BufRead) -> Self {
        Self {
            input,
            line: Vec::new(),
            number: 0,
        }
    }

    /// The next line without its end; `None` after the last one.
    pub(super) fn next_line(&mut self) -> Result<Option<&mut [u8]>, LineError> {
        // One byte more, to notice that the line goes on.
        const MOST: u64 = MAX_LINE_BYTES as u64 + 1;

        self.number += 1;
        self.line.clear();
        let read = (&mut *self.input)
            .take(MOST)
            .read_until(b'\n', &mut self.line)
            .map_err(|cause| LineError::Read(self.number, cause))?;

        if self.line.len() > MAX_LINE_BYTES {
            return Err(self.invalid(format!("longer than {MAX_LINE_BYTES} bytes")));
        }
        if self.line.ends_with(b"\n") {
            self.line.pop();
        }
        Ok((read > 0).then_some(&mut self.line))
    }

    /// The error that names the line that was read last.
    pub(super) fn invalid(&self, why: String) -> LineError {
        LineError::Invalid(self.number, why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8]) -> (usize, Result<(), LineError>) {
        let mut count = 0;
        let result = read_lines(&mut &*text, |_| count += 1);
        (count, result)
    }

    #[test]
    fn a_bad_line_is_named_by_its_number() {
        let good: &[u8] = b"{\"a\":1}\n\r\n{}\n{\"a\":2}";
        let (count, result) = read(good);
        assert!(result.is_ok() && count == 3, "{result:?}");

        for (bad, why) in [
            ("{\"a\"", "EOF while parsing an object at column 4"),
            (
                "7",
                "invalid type: integer `7`, expected an object at column 1",
            ),
            ("\u{0}", "expected value at column 1"),
            ("{}{}", "trailing characters at column 3"),
        ] {
            let (count, result) = read(&[good, b"\n", bad.as_bytes(), b"\n{}"].concat());
            let message = result.unwrap_err().to_string();
            assert!(message.starts_with("line 5 is not "), "{message}");
            assert!(message.ends_with(why), "{message}");
            assert_eq!(count, 3);
        }
    }

    #[test]
    fn a_line_without_an_end_takes_bounded_memory() {
        let mut endless = io::BufReader::new(io::repeat(b' '));
        let error = read_lines(&mut endless, |_| ()).unwrap_err();
        assert_eq!(error.to_string(), "line 1 is longer than 67108864 bytes");
    }
}
