//! What has been sent of a body, kept for a retry.

use bytes::Bytes;

use super::Piece;

/// Bytes that are kept at the most.
const MAX_KEPT: usize = 64 * 1024;

/// The bytes of a pass so far, unless they have become too many.
#[derive(Debug, Default)]
pub(super) struct Kept {
    bytes: Vec<u8>,
    ended: bool,
    overflowed: bool,
}

impl Kept {
    /// Takes note of a piece that is being sent.
    pub(super) fn keep(&mut self, piece: &Piece) {
        match piece {
            _ if self.overflowed => {}
            Piece::Chunk(bytes) if self.bytes.len() + bytes.len() > MAX_KEPT => {
                self.overflowed = true;
                self.bytes = Vec::new();
            }
            Piece::Chunk(bytes) => self.bytes.extend_from_slice(bytes),
            Piece::End => self.ended = true,
            Piece::Failed(_) => {}
        }
    }

    /// Whether more was sent than could be kept.
    pub(super) fn is_overflowed(&self) -> bool {
        self.overflowed
    }

    /// Bytes that are kept.
    pub(super) fn memory(&self) -> usize {
        self.bytes.capacity()
    }

    /// What to send again before what is still queued.
    pub(super) fn replay(&self) -> Vec<Piece> {
        let mut pieces = Vec::new();
        if !self.bytes.is_empty() {
            pieces.push(Piece::Chunk(Bytes::copy_from_slice(&self.bytes)));
        }
        if self.ended {
            pieces.push(Piece::End);
        }
        pieces
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rt4_keeps_64_kib_and_not_a_byte_more() {
        let mut kept = Kept::default();
        kept.keep(&Piece::Chunk(Bytes::from(vec![b'x'; MAX_KEPT])));
        kept.keep(&Piece::End);
        assert!(!kept.is_overflowed());
        assert_eq!(kept.replay().len(), 2);
        kept.keep(&Piece::Chunk(Bytes::from_static(b"y")));
        assert!(kept.is_overflowed());
    }
}
