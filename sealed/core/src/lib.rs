//! MLS (RFC 9420) for sealed rooms. A host passes a call's number and fields (`wire`) and gets the answer: one byte
//! that is 0 or the kind of failure, then fields or a sentence. The time comes with the call; only random bytes
//! are taken from outside.

pub mod calls;
mod device;
mod error;
mod membership;
mod roster;
mod rules;
mod stores;
pub mod wire;

pub use error::{Failure, Kind, Outcome};

use zeroize::Zeroize;

/// Room for `length` bytes, to be given back with `ting_free`.
#[no_mangle]
pub extern "C" fn ting_alloc(length: usize) -> *mut u8 {
    Box::into_raw(vec![0u8; length].into_boxed_slice()).cast()
}

/// Wipes and gives back `length` bytes at `start`.
///
/// # Safety
/// They come from `ting_alloc` or from an answer of `ting_call`.
#[no_mangle]
pub unsafe extern "C" fn ting_free(start: *mut u8, length: usize) {
    let mut bytes = Box::from_raw(std::ptr::slice_from_raw_parts_mut(start, length));
    bytes.zeroize();
}

/// Makes a call; the answer is its place (upper 32 bits) and length (lower), to be given back with `ting_free`.
///
/// # Safety
/// `length` bytes at `start` can be read.
#[no_mangle]
pub unsafe extern "C" fn ting_call(number: u32, start: *const u8, length: usize) -> u64 {
    let (kind, mut body) = match calls::call(number, std::slice::from_raw_parts(start, length)) {
        Ok(body) => (0, body),
        Err(failure) => (failure.kind as u8, failure.text.into_bytes()),
    };
    let mut answer = Vec::with_capacity(1 + body.len());
    answer.push(kind);
    answer.extend_from_slice(&body);
    body.zeroize();
    let answer = answer.into_boxed_slice();
    let length = answer.len() as u64;
    ((Box::into_raw(answer).cast::<u8>() as u64) << 32) | length
}
