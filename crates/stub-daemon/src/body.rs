//! The bytes of an answer: texts in memory and parts of files, so that a ledger is never in memory.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

/// Bytes sent at a time.
pub(crate) const PIECE_BYTES: usize = 64 << 10;

/// Bytes of a body, one segment after the other.
#[derive(Clone, Debug, Default)]
pub(crate) struct Body(Vec<Segment>);

#[derive(Clone, Debug)]
enum Segment {
    Bytes(Vec<u8>),
    File {
        file: Arc<File>,
        from: u64,
        bytes: u64,
    },
}

impl Segment {
    fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File { bytes, .. } => *bytes,
        }
    }
}

impl Body {
    pub(crate) fn from_bytes(bytes: impl Into<Vec<u8>>) -> Self {
        Self(vec![Segment::Bytes(bytes.into())])
    }

    /// Appends text; joins it to text before it.
    pub(crate) fn push(&mut self, bytes: impl AsRef<[u8]>) {
        let bytes = bytes.as_ref();
        match self.0.last_mut() {
            Some(Segment::Bytes(last)) => last.extend_from_slice(bytes),
            _ => self.0.push(Segment::Bytes(bytes.to_vec())),
        }
    }

    /// Appends a part of a file.
    pub(crate) fn push_file(&mut self, file: &Arc<File>, from: u64, bytes: u64) {
        if bytes > 0 {
            self.0.push(Segment::File {
                file: Arc::clone(file),
                from,
                bytes,
            });
        }
    }

    pub(crate) fn append(&mut self, mut other: Self) {
        self.0.append(&mut other.0);
    }

    pub(crate) fn len(&self) -> u64 {
        self.0.iter().map(Segment::len).sum()
    }

    /// Reads up to `buffer.len()` bytes at `position`; 0 at the end.
    pub(crate) fn read_at(&self, position: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut start = 0;
        for segment in &self.0 {
            let end = start + segment.len();
            if position < end {
                let offset = position - start;
                let wanted = usize::try_from(end - position)
                    .unwrap_or(usize::MAX)
                    .min(buffer.len());
                match segment {
                    Segment::Bytes(bytes) => {
                        // Below the length of a slice, so it fits.
                        let offset = usize::try_from(offset).unwrap_or_default();
                        buffer[..wanted].copy_from_slice(&bytes[offset..offset + wanted]);
                    }
                    Segment::File { file, from, .. } => {
                        file.read_exact_at(&mut buffer[..wanted], from + offset)?;
                    }
                }
                return Ok(wanted);
            }
            start = end;
        }
        Ok(0)
    }

    /// The whole body in memory, for bodies known to be small.
    #[cfg(test)]
    pub(crate) fn to_vec(&self) -> Vec<u8> {
        let mut all = Vec::new();
        let mut piece = [0; 1000];
        loop {
            match self.read_at(all.len() as u64, &mut piece).unwrap() {
                0 => return all,
                count => all.extend_from_slice(&piece[..count]),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn segments_read_as_one_text() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"0123456789").unwrap();
        let file = Arc::new(file);
        let mut body = Body::from_bytes("ab");
        body.push("c");
        body.push_file(&file, 3, 4);
        body.push_file(&file, 0, 0);
        body.push("d");
        assert_eq!(body.to_vec(), b"abc3456d");
        assert_eq!(body.len(), 8);
        let mut buffer = [0; 3];
        assert_eq!(body.read_at(5, &mut buffer).unwrap(), 2);
        assert_eq!(&buffer[..2], b"56");
        assert_eq!(body.read_at(8, &mut buffer).unwrap(), 0);
    }
}
