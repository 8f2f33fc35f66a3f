//! The call format between the host (JavaScript, Python) and this library: fields of bytes, each behind
//! its length as a 32-bit little-endian number. Numbers are fields of eight little-endian bytes.

use crate::error::{Failure, Outcome};

/// Reads the fields of one call in their order.
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The next field.
    pub fn bytes(&mut self) -> Outcome<&'a [u8]> {
        let (head, rest) = self.0.split_first_chunk::<4>().ok_or(Failure::call("a field is missing"))?;
        let (field, rest) =
            rest.split_at_checked(u32::from_le_bytes(*head) as usize).ok_or(Failure::call("a field is cut off"))?;
        self.0 = rest;
        Ok(field)
    }

    /// The next field as a number.
    pub fn number(&mut self) -> Outcome<u64> {
        let field: [u8; 8] = self.bytes()?.try_into().map_err(|_| Failure::call("a number has eight bytes"))?;
        Ok(u64::from_le_bytes(field))
    }

    /// A list: a number of fields, then the fields.
    pub fn list(&mut self) -> Outcome<Vec<&'a [u8]>> {
        (0..self.number()?).map(|_| self.bytes()).collect()
    }
}

/// Writes the fields of one answer.
#[derive(Default)]
pub struct Writer(Vec<u8>);

impl Writer {
    pub fn bytes(&mut self, field: &[u8]) -> &mut Self {
        self.0.extend_from_slice(&(field.len() as u32).to_le_bytes());
        self.0.extend_from_slice(field);
        self
    }

    pub fn number(&mut self, value: u64) -> &mut Self {
        self.bytes(&value.to_le_bytes())
    }

    pub fn done(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.0)
    }
}
