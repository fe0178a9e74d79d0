//! Bounds-checked reading of a GGUF header.

use super::Value;

/// Reads little-endian values; every error says that the header is cut short or malformed.
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8], at: usize) -> Self {
        Cursor { bytes, at }
    }

    pub(super) fn position(&self) -> usize {
        self.at
    }

    fn take(&mut self, n: usize) -> Result<&'a [u8], String> {
        let end = self.at.checked_add(n).filter(|&end| end <= self.bytes.len());
        let end = end.ok_or("is cut short inside its header")?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        Ok(self.take(N)?.try_into().expect("take returns N bytes"))
    }

    pub(super) fn u32(&mut self) -> Result<u32, String> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(super) fn u64(&mut self) -> Result<u64, String> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// A length or offset.
    pub(super) fn size(&mut self) -> Result<usize, String> {
        usize::try_from(self.u64()?).map_err(|_| "has a size beyond this machine".into())
    }

    pub(super) fn text(&mut self) -> Result<String, String> {
        let n = self.size()?;
        String::from_utf8(self.take(n)?.to_vec()).map_err(|_| "has a name that is not UTF-8".into())
    }

    /// A metadata value of the given type; arrays are checked and skipped.
    pub(super) fn value(&mut self, kind: u32) -> Result<Value, String> {
        Ok(match kind {
            0 => Value::Integer(u8::from_le_bytes(self.array()?).into()),
            1 => Value::Integer(i8::from_le_bytes(self.array()?).into()),
            2 => Value::Integer(u16::from_le_bytes(self.array()?).into()),
            3 => Value::Integer(i16::from_le_bytes(self.array()?).into()),
            4 => Value::Integer(self.u32()?.into()),
            5 => Value::Integer(i32::from_le_bytes(self.array()?).into()),
            6 => Value::Float(f32::from_le_bytes(self.array()?).into()),
            7 => Value::Bool(self.array::<1>()?[0] != 0),
            8 => Value::Text(self.text()?),
            9 => self.skip_array()?,
            10 => Value::Integer(self.u64()?.into()),
            11 => Value::Integer(i64::from_le_bytes(self.array()?).into()),
            12 => Value::Float(f64::from_le_bytes(self.array()?)),
            _ => return Err(format!("has metadata of unknown type {kind}")),
        })
    }

    fn skip_array(&mut self) -> Result<Value, String> {
        let kind = self.u32()?;
        let n = self.size()?;
        let width = match kind {
            0 | 1 | 7 => 1,
            2 | 3 => 2,
            4..=6 => 4,
            10..=12 => 8,
            8 => {
                for _ in 0..n {
                    let length = self.size()?;
                    self.take(length)?;
                }
                return Ok(Value::Array);
            }
            _ => return Err(format!("has an array of unknown type {kind}")),
        };
        self.take(n.checked_mul(width).ok_or("has an array beyond this machine")?)?;
        Ok(Value::Array)
    }
}
