//! Bytes to messages and back: the protocol's framing, without any input or output.

use serde::Serialize;
use serde_json::Value;

/// Collects bytes and gives out the messages in them.
#[derive(Default)]
pub(crate) struct Frames {
    buffer: Vec<u8>,
    /// Bytes of the buffer that were given out.
    used: usize,
    /// Bytes of the message whose header was read.
    body: Option<usize>,
    /// A broken header was seen, and no good one since.
    lost: bool,
}

/// A message that cannot be read. Reading goes on behind it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Malformed(pub(crate) String);

const LENGTH: &[u8] = b"content-length";
/// Bytes of a header at most; more is no header.
const MAX_HEADER: usize = 8 * 1024;
/// Bytes of a message at most: a buffer of 50 MB in the worst escaping, and some.
const MAX_BODY: usize = 512 * 1024 * 1024;

impl Frames {
    /// Where the next bytes are to be appended.
    pub(crate) fn buffer(&mut self) -> &mut Vec<u8> {
        if self.used > 0 {
            self.buffer.drain(..self.used);
            self.used = 0;
        }
        &mut self.buffer
    }

    /// The next message, if all of it is there.
    pub(crate) fn next(&mut self) -> Option<Result<Value, Malformed>> {
        let length = match self.body {
            Some(length) => length,
            None => match self.header()? {
                Ok(length) => length,
                Err(malformed) => return Some(Err(malformed)),
            },
        };
        self.body = Some(length);
        let body = self.buffer.get(self.used..self.used + length)?;
        let message = serde_json::from_slice(body).map_err(|error| Malformed(error.to_string()));
        self.used += length;
        self.body = None;
        Some(message)
    }

    /// The length that the next header states, if all of it is there.
    fn header(&mut self) -> Option<Result<usize, Malformed>> {
        if self.lost && !self.find_header() {
            return None;
        }
        let rest = &self.buffer[self.used..];
        let Some(end) = find(rest, b"\r\n\r\n") else {
            return if rest.len() > MAX_HEADER { Some(self.lose("no end of the header")) } else { None };
        };
        match content_length(&rest[..end]) {
            Some(length) if length <= MAX_BODY => {
                self.used += end + 4;
                Some(Ok(length))
            }
            Some(_) => Some(self.lose("the message is too long")),
            None => Some(self.lose("no Content-Length in the header")),
        }
    }

    /// Skips to what looks like a header. False if there is none yet.
    fn find_header(&mut self) -> bool {
        let rest = &self.buffer[self.used..];
        let found = rest.windows(LENGTH.len()).position(|bytes| bytes.eq_ignore_ascii_case(LENGTH));
        // Its first bytes may be the last ones here.
        self.used += found.unwrap_or(rest.len().saturating_sub(LENGTH.len() - 1));
        self.lost = found.is_none();
        found.is_some()
    }

    /// Looks for the next header from the byte after this one's first: a good one may start inside of it.
    fn lose(&mut self, what: &str) -> Result<usize, Malformed> {
        self.lost = true;
        self.used += 1;
        Err(Malformed(what.into()))
    }
}

/// A message with its header.
pub(crate) fn encode(message: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    let body = serde_json::to_vec(message)?;
    let mut frame = format!("Content-Length: {}\r\n\r\n", body.len()).into_bytes();
    frame.extend(body);
    Ok(frame)
}

fn content_length(header: &[u8]) -> Option<usize> {
    let header = std::str::from_utf8(header).ok()?;
    let value = header.split("\r\n").find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.trim().as_bytes().eq_ignore_ascii_case(LENGTH).then_some(value)
    });
    value?.trim().parse().ok()
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read_in_pieces(bytes: &[u8], size: usize) -> Vec<Result<Value, Malformed>> {
        let mut frames = Frames::default();
        let mut out = Vec::new();
        for piece in bytes.chunks(size) {
            frames.buffer().extend(piece);
            out.extend(std::iter::from_fn(|| frames.next()));
        }
        out
    }

    fn frame(body: &str) -> String {
        format!("Content-Length: {}\r\n\r\n{body}", body.len())
    }

    #[test]
    fn messages_are_found_wherever_the_reads_end() {
        let message = json!({ "method": "é😀" });
        let mut bytes = encode(&message).unwrap();
        bytes.extend(
            b"content-LENGTH:2\r\nContent-Type: application/vscode-jsonrpc; charset=utf-8\r\nX: y\r\n\r\n[]",
        );
        for size in 1..=bytes.len() {
            assert_eq!(read_in_pieces(&bytes, size), [Ok(message.clone()), Ok(json!([]))], "{size}");
        }
    }

    #[test]
    fn what_is_malformed_costs_only_itself() {
        let good = json!({ "id": 1 });
        let cases = [
            frame("{\"method\":"),
            frame(""),
            frame("nonsense"),
            "Content-Length: x\r\n\r\nbody".into(),
            "Content-Length: 99999999999999\r\n\r\nbody".into(),
            "Length: 4\r\n\r\nbody".into(),
            "y".repeat(MAX_HEADER + 1),
        ];
        for bad in cases {
            let bytes = [bad.as_bytes(), &encode(&good).unwrap()].concat();
            for size in [1, 7, bytes.len()] {
                let read = read_in_pieces(&bytes, size);
                assert!(read.len() == 2 && read[0].is_err(), "{bad:.40} {read:?}");
                assert_eq!(read[1], Ok(good.clone()), "{bad:.40}");
            }
        }
    }

    #[test]
    fn invalid_utf_8_is_malformed() {
        let mut bytes = b"Content-Length: 4\r\n\r\n\"\xff\xfe\"".to_vec();
        bytes.extend(frame("1").bytes());
        let read = read_in_pieces(&bytes, bytes.len());
        assert!(read[0].is_err());
        assert_eq!(read[1], Ok(json!(1)));
    }
}
