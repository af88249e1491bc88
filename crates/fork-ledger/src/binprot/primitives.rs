//! bin_prot's integers and lengths.
//!
//! Integers and lengths share the codes `FE`, `FD`, `FC` and differ in where one byte stops being
//! enough: an OCaml int switches to four bytes at 0x8000 (its two bytes are signed), a length
//! (nat0) at 0x10000.

use fork_types::FieldBytes;

use super::account::{BinProtError, BinProtErrorKind};

const CODE_NEG_INT8: u8 = 0xFF;
const CODE_INT16: u8 = 0xFE;
const CODE_INT32: u8 = 0xFD;
const CODE_INT64: u8 = 0xFC;

/// First byte that is not a number by itself.
const SMALL_END: u8 = 0x80;

/// Appends an OCaml int in its shortest form.
pub fn write_int(value: i64, out: &mut Vec<u8>) {
    if let Ok(small) = u8::try_from(value)
        && small < SMALL_END
    {
        out.push(small);
    } else if let Ok(byte) = i8::try_from(value) {
        // Only negative numbers get here: the others below 0x80 were small.
        out.push(CODE_NEG_INT8);
        out.extend_from_slice(&byte.to_le_bytes());
    } else if let Ok(two) = i16::try_from(value) {
        out.push(CODE_INT16);
        out.extend_from_slice(&two.to_le_bytes());
    } else if let Ok(four) = i32::try_from(value) {
        out.push(CODE_INT32);
        out.extend_from_slice(&four.to_le_bytes());
    } else {
        out.push(CODE_INT64);
        out.extend_from_slice(&value.to_le_bytes());
    }
}

/// Appends a length in its shortest form.
pub fn write_nat0(value: u64, out: &mut Vec<u8>) {
    if let Ok(small) = u8::try_from(value)
        && small < SMALL_END
    {
        out.push(small);
    } else if let Ok(two) = u16::try_from(value) {
        out.push(CODE_INT16);
        out.extend_from_slice(&two.to_le_bytes());
    } else if let Ok(four) = u32::try_from(value) {
        out.push(CODE_INT32);
        out.extend_from_slice(&four.to_le_bytes());
    } else {
        out.push(CODE_INT64);
        out.extend_from_slice(&value.to_le_bytes());
    }
}

/// Bytes of an OCaml int in its shortest form.
const fn int_len(value: i64) -> usize {
    match value {
        0..=0x7f => 1,
        -0x80..=-1 => 2,
        -0x8000..=-0x81 | 0x80..=0x7fff => 3,
        -0x8000_0000..=-0x8001 | 0x8000..=0x7fff_ffff => 5,
        _ => 9,
    }
}

/// Bytes of a length in its shortest form.
const fn nat0_len(value: u64) -> usize {
    match value {
        0..=0x7f => 1,
        0x80..=0xffff => 3,
        0x1_0000..=0xffff_ffff => 5,
        _ => 9,
    }
}

/// Appends a `UInt64`: its bits as a signed number.
pub fn write_u64(value: u64, out: &mut Vec<u8>) {
    write_int(i64::from_le_bytes(value.to_le_bytes()), out);
}

/// Appends a `UInt32`: its bits as a signed number.
pub fn write_u32(value: u32, out: &mut Vec<u8>) {
    write_int(i64::from(i32::from_le_bytes(value.to_le_bytes())), out);
}

/// Appends a boolean.
pub fn write_bool(value: bool, out: &mut Vec<u8>) {
    out.push(u8::from(value));
}

/// Reads bin_prot values from the front of a slice, accepting shortest forms only.
#[derive(Debug)]
pub struct Reader<'b> {
    bytes: &'b [u8],
    offset: usize,
}

impl<'b> Reader<'b> {
    /// Starts at the first of `bytes`.
    #[must_use]
    pub const fn new(bytes: &'b [u8]) -> Self {
        Self { bytes, offset: 0 }
    }

    /// Offset of the next byte.
    #[must_use]
    pub const fn offset(&self) -> usize {
        self.offset
    }

    /// An error at the next byte.
    pub(super) fn error(&self, kind: BinProtErrorKind) -> BinProtError {
        BinProtError {
            offset: self.offset,
            kind,
        }
    }

    /// Checks that nothing is left.
    ///
    /// # Errors
    ///
    /// Fails when bytes are left over.
    pub fn end(self) -> Result<(), BinProtError> {
        match self.bytes.len() - self.offset {
            0 => Ok(()),
            bytes => Err(self.error(BinProtErrorKind::TrailingBytes { bytes })),
        }
    }

    /// The next `count` bytes.
    ///
    /// # Errors
    ///
    /// Fails when there are fewer.
    pub fn bytes(&mut self, count: usize) -> Result<&'b [u8], BinProtError> {
        let taken = self
            .bytes
            .get(self.offset..)
            .and_then(|rest| rest.get(..count))
            .ok_or_else(|| self.error(BinProtErrorKind::UnexpectedEnd))?;
        self.offset += count;
        Ok(taken)
    }

    /// The next `N` bytes as an array.
    ///
    /// # Errors
    ///
    /// Fails when there are fewer.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], BinProtError> {
        let mut array = [0; N];
        array.copy_from_slice(self.bytes(N)?);
        Ok(array)
    }

    /// The next byte.
    ///
    /// # Errors
    ///
    /// Fails at the end.
    pub fn byte(&mut self) -> Result<u8, BinProtError> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// An OCaml int.
    ///
    /// # Errors
    ///
    /// Fails at the end, on an undefined code and on a form that is not the shortest.
    pub fn int(&mut self) -> Result<i64, BinProtError> {
        let start = self.offset;
        let value = match self.byte()? {
            small if small < SMALL_END => return Ok(i64::from(small)),
            CODE_NEG_INT8 => i64::from(i8::from_le_bytes(self.array()?)),
            CODE_INT16 => i64::from(i16::from_le_bytes(self.array()?)),
            CODE_INT32 => i64::from(i32::from_le_bytes(self.array()?)),
            CODE_INT64 => i64::from_le_bytes(self.array()?),
            code => return Err(BinProtError::at(start, BinProtErrorKind::Code { code })),
        };
        self.shortest(start, int_len(value))?;
        Ok(value)
    }

    /// A length.
    ///
    /// # Errors
    ///
    /// Fails at the end, on an undefined code and on a form that is not the shortest.
    pub fn nat0(&mut self) -> Result<u64, BinProtError> {
        let start = self.offset;
        let value = match self.byte()? {
            small if small < SMALL_END => return Ok(u64::from(small)),
            CODE_INT16 => u64::from(u16::from_le_bytes(self.array()?)),
            CODE_INT32 => u64::from(u32::from_le_bytes(self.array()?)),
            CODE_INT64 => u64::from_le_bytes(self.array()?),
            code => return Err(BinProtError::at(start, BinProtErrorKind::Code { code })),
        };
        self.shortest(start, nat0_len(value))?;
        Ok(value)
    }

    /// Checks that what was read since `start` took no more bytes than necessary. The code byte
    /// fixes the number of bytes, so the right number means the right form.
    fn shortest(&self, start: usize, necessary: usize) -> Result<(), BinProtError> {
        if self.offset - start == necessary {
            Ok(())
        } else {
            Err(BinProtError::at(start, BinProtErrorKind::NotShortest))
        }
    }

    /// A `UInt64`.
    ///
    /// # Errors
    ///
    /// As [`Reader::int`].
    pub fn u64(&mut self) -> Result<u64, BinProtError> {
        Ok(u64::from_le_bytes(self.int()?.to_le_bytes()))
    }

    /// A `UInt32`.
    ///
    /// # Errors
    ///
    /// As [`Reader::int`], and on numbers outside 32 bits.
    pub fn u32(&mut self) -> Result<u32, BinProtError> {
        let start = self.offset;
        let value = i32::try_from(self.int()?)
            .map_err(|_| BinProtError::at(start, BinProtErrorKind::NotUInt32))?;
        Ok(u32::from_le_bytes(value.to_le_bytes()))
    }

    /// A boolean.
    ///
    /// # Errors
    ///
    /// Fails at the end and on a byte other than 0 and 1.
    pub fn bool(&mut self) -> Result<bool, BinProtError> {
        let start = self.offset;
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            byte => Err(BinProtError::at(
                start,
                BinProtErrorKind::Tag {
                    what: "boolean",
                    byte,
                },
            )),
        }
    }

    /// A constant byte, such as the unit at the end of a vector.
    ///
    /// # Errors
    ///
    /// Fails at the end and on another byte.
    pub fn constant(&mut self, expected: u8, what: &'static str) -> Result<(), BinProtError> {
        let start = self.offset;
        let byte = self.byte()?;
        if byte == expected {
            Ok(())
        } else {
            Err(BinProtError::at(
                start,
                BinProtErrorKind::Tag { what, byte },
            ))
        }
    }

    /// A string of at most `bytes_max` bytes.
    ///
    /// # Errors
    ///
    /// Fails at the end and on a longer string.
    pub fn string(
        &mut self,
        what: &'static str,
        bytes_max: usize,
    ) -> Result<&'b [u8], BinProtError> {
        let start = self.offset;
        let length = self.nat0()?;
        let length = usize::try_from(length)
            .ok()
            .filter(|length| *length <= bytes_max)
            .ok_or_else(|| {
                BinProtError::at(
                    start,
                    BinProtErrorKind::TooLong {
                        what,
                        found: length,
                        bytes_max,
                    },
                )
            })?;
        self.bytes(length)
    }

    /// A field element.
    ///
    /// # Errors
    ///
    /// Fails at the end and on a number that is not below the modulus.
    pub fn field(&mut self) -> Result<FieldBytes, BinProtError> {
        let start = self.offset;
        FieldBytes::from_le_bytes(self.array()?)
            .ok_or(BinProtError::at(start, BinProtErrorKind::FieldTooLarge))
    }
}
