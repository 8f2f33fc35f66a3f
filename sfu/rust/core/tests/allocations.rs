//! The way of a media packet through the parts allocates nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use ting_core::api::{Codec, SrtpProfile};
use ting_core::codecs::{CodecState, describe, rewrite_vp8, rewrite_vp9};
use ting_core::red;
use ting_core::rtp::{FixedHeader, parse_header, write_extensions, write_fixed_header};
use ting_core::seqnum::{Freshness, ReplayWindow, SeqExtender};
use ting_core::srtp::{MAX_RTP_OVERHEAD, SrtpContext, key_bytes, salt_bytes};

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: every call goes to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations(work: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.with(Cell::get);
    work();
    ALLOCATIONS.with(Cell::get) - before
}

/// Write, protect, parse, unprotect and describe 100 packets.
fn travel(out: &mut Vec<u8>, tx: &SrtpContext, rx: &SrtpContext, codec: Codec, payload: &[u8]) {
    let (mut extender, mut window) = (SeqExtender::default(), ReplayWindow::new());
    let mut state = CodecState::default();
    for seq in 0..100 {
        out.clear();
        let fields = FixedHeader {
            payload_type: 96,
            has_extensions: true,
            seq,
            ssrc: 1,
            marker: true,
            ..FixedHeader::default()
        };
        write_fixed_header(out, &fields);
        write_extensions(out, &[(1, b"0"), (3, &seq.to_be_bytes()), (4, &[0xC0, 0, 1])]).unwrap();
        let header_len = out.len();
        out.extend_from_slice(payload);
        out.resize(out.len() + tx.rtp_overhead(), 0);
        tx.protect_rtp(out, header_len, 1, extender.extend(seq)).unwrap();

        let header = parse_header(out).unwrap();
        assert_eq!(header.extension(out, 3), Some(&seq.to_be_bytes()[..]));
        let ext_seq = extender.extend(header.seq);
        assert_eq!(window.check(ext_seq), Freshness::Fresh);
        let size = rx.unprotect_rtp(out, header.header_len, header.ssrc, ext_seq).unwrap();
        extender.commit(ext_seq);
        window.commit(ext_seq);
        let plain = header.strip_padding(&out[header_len..header_len + size]).unwrap();
        assert!(describe(codec, plain, header.marker, header.extension(out, 4), &mut state).is_some());
        assert!(codec != Codec::Red || red::primary(plain).is_some());
        match codec {
            Codec::Vp8 => rewrite_vp8(&mut out[header_len..header_len + size], 7, 8),
            Codec::Vp9 => rewrite_vp9(&mut out[header_len..header_len + size], 7, 8),
            _ => (),
        }
    }
}

#[test]
fn a_media_packet_allocates_nothing() {
    for profile in [SrtpProfile::AeadAes128Gcm, SrtpProfile::AeadAes256Gcm, SrtpProfile::Aes128CmSha1_80] {
        let make = || SrtpContext::new(profile, &vec![1; key_bytes(profile)], &vec![2; salt_bytes(profile)]).unwrap();
        let (tx, rx) = (make(), make());
        let mut out = Vec::with_capacity(1300 + MAX_RTP_OVERHEAD);
        for codec in [Codec::Opus, Codec::Red, Codec::Vp8, Codec::Vp9, Codec::H264, Codec::Av1] {
            let mut payload = vec![0x10; 1200];
            payload[..6].copy_from_slice(match codec {
                Codec::Vp8 => &[0x90, 0xF0, 0x80, 1, 2, 0x65],
                Codec::Vp9 => &[0xA8, 0x80, 1, 0x10, 2, 1],
                Codec::H264 => &[0x7C, 0x85, 0x88, 0, 0, 0],
                _ => &[0x10, 0x30, 0, 0, 0, 0],
            });
            assert_eq!(allocations(|| travel(&mut out, &tx, &rx, codec, &payload)), 0, "{profile:?} {codec:?}");
        }
    }
}
