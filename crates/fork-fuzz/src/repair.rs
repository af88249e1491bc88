//! Checksums put right, so that changed bytes get past them: behind a checksum most parsers have never
//! been reached by chance.

const TAR_BLOCK: usize = 512;
const LOG_BLOCK: usize = 32 << 10;
const LOG_HEADER: usize = 7;

/// Corrects the checksum of everything at a multiple of 4 that looks like a tar header: the word
/// `ustar` is at its place. Members of packages begin at even offsets, which are no multiple of 512.
pub(crate) fn with_checksums(data: &[u8]) -> Vec<u8> {
    let mut data = data.to_vec();
    let mut at = 0;
    while at + TAR_BLOCK <= data.len() {
        let block = &mut data[at..at + TAR_BLOCK];
        if &block[257..262] == b"ustar" {
            block[148..156].fill(b' ');
            let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
            block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
            at += TAR_BLOCK;
        } else {
            at += 2;
        }
    }
    data
}

/// Corrects the checksums of a write-ahead log, fragment by fragment, as far as their lengths lead.
#[cfg_attr(not(feature = "store"), allow(dead_code))]
pub(crate) fn with_log_checksums(data: &[u8]) -> Vec<u8> {
    let mut data = data.to_vec();
    let mut at = 0;
    loop {
        let left = LOG_BLOCK - at % LOG_BLOCK;
        if left < LOG_HEADER {
            at += left;
        }
        let Some(header) = data.get(at..at + LOG_HEADER) else {
            return data;
        };
        let length = usize::from(u16::from_le_bytes([header[4], header[5]]));
        let Some(fragment) = data.get(at + 6..at + LOG_HEADER + length) else {
            return data;
        };
        let checksum = crc32c::crc32c(fragment)
            .rotate_right(15)
            .wrapping_add(0xa282_ead8);
        data[at..at + 4].copy_from_slice(&checksum.to_le_bytes());
        at += LOG_HEADER + length;
    }
}
