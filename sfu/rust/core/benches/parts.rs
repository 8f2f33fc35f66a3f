//! What the parts of a media packet's way cost: `cargo bench -p ting-core --bench parts`.
//!
//! Prints the best of five rounds in ns per call. Payloads have 1,200 bytes.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::hint::black_box;
use std::time::Instant;

use ting_core::api::{Codec, SrtpProfile};
use ting_core::codecs::{CodecState, describe};
use ting_core::rtp::{FixedHeader, parse_header, write_extensions, write_fixed_header};
use ting_core::seqnum::{EXT_SEQ_START, ReplayWindow};
use ting_core::srtp::{SrtpContext, key_bytes, salt_bytes};

const CALLS: i64 = 200_000;

fn measure(name: &str, mut call: impl FnMut(i64)) {
    let mut best = f64::MAX;
    for _ in 0..5 {
        let start = Instant::now();
        (0..CALLS).for_each(&mut call);
        best = best.min(start.elapsed().as_nanos() as f64 / CALLS as f64);
    }
    println!("{name:40} {best:8.1} ns");
}

fn packet(payload: &[u8]) -> (Vec<u8>, usize) {
    let mut out = Vec::new();
    write_fixed_header(&mut out, &FixedHeader { payload_type: 96, has_extensions: true, ..FixedHeader::default() });
    write_extensions(&mut out, &[(1, b"0"), (3, &[0; 2]), (4, &[0; 3]), (10, b"hi")]).unwrap();
    let header_len = out.len();
    out.extend_from_slice(payload);
    (out, header_len)
}

fn main() {
    let payload = [0x10; 1200];
    let (plain, header_len) = packet(&payload);
    for profile in [SrtpProfile::AeadAes128Gcm, SrtpProfile::AeadAes256Gcm, SrtpProfile::Aes128CmSha1_80] {
        let context = SrtpContext::new(profile, &vec![1; key_bytes(profile)], &vec![2; salt_bytes(profile)]).unwrap();
        let mut buffer = plain.clone();
        buffer.resize(plain.len() + context.rtp_overhead(), 0);
        measure(&format!("protect {profile:?}"), |seq| {
            black_box(context.protect_rtp(&mut buffer, header_len, 1, EXT_SEQ_START + seq).unwrap());
        });
        let mut sealed = plain.clone();
        sealed.resize(buffer.len(), 0);
        context.protect_rtp(&mut sealed, header_len, 1, EXT_SEQ_START).unwrap();
        measure(&format!("copy and unprotect {profile:?}"), |_| {
            buffer.copy_from_slice(&sealed);
            black_box(context.unprotect_rtp(&mut buffer, header_len, 1, EXT_SEQ_START).unwrap());
        });
    }
    measure("parse a header with four extensions", |_| {
        black_box(parse_header(black_box(&plain)).unwrap());
    });
    let header = parse_header(&plain).unwrap();
    measure("look up an extension", |_| {
        black_box(header.extension(black_box(&plain), 4).unwrap());
    });
    let mut window = ReplayWindow::new();
    measure("replay window, check and commit", |seq| {
        black_box(window.check(seq));
        window.commit(seq);
    });
    let vp8 = [&[0x90, 0xF0, 0x80, 1, 2, 0x65][..], &payload].concat();
    let mut state = CodecState::default();
    measure("describe VP8", |_| {
        black_box(describe(Codec::Vp8, black_box(&vp8), true, None, &mut state).unwrap());
    });
}
