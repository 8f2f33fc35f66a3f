//! Payload formats: tables of descriptors, truncations, rewriting.

use ting_core::api::Codec;
use ting_core::codecs::{CodecState, FrameInfo, describe, rewrite_vp8, rewrite_vp9};
use ting_core::frame_info::EVERY_PACKET;
use ting_core::red;

use crate::common::{hex, unhex};

fn info(codec: Codec, payload: &str) -> Option<FrameInfo> {
    describe(codec, &unhex(payload), false, None, &mut CodecState::default())
}

/// `head` is cut off at every length; one byte more makes it sound.
fn check_truncations(codec: Codec, heads: &[&str]) {
    for head in heads {
        let mut data = unhex(head);
        for size in 0..=data.len() {
            assert_eq!(describe(codec, &data[..size], false, None, &mut CodecState::default()), None, "{head}: {size}");
        }
        data.push(1);
        assert!(describe(codec, &data, false, None, &mut CodecState::default()).is_some(), "{head}");
    }
}

#[test]
fn vp8_keyframes() {
    for (payload, is_keyframe, starts_frame) in [
        ("10000000 9d012a 00", true, true),
        ("10000000", false, true),
        ("10010000 9d012a 00", false, true),
        ("00000000 9d012a 00", false, false),
        ("11000000 9d012a 00", false, false),
        ("9020 00 000000 9d012a", true, true),
    ] {
        let info = info(Codec::Vp8, payload).unwrap();
        assert_eq!((info.is_keyframe, info.starts_frame), (is_keyframe, starts_frame), "{payload}");
        assert_eq!((info.picture_id, info.spatial_switching_point), (None, is_keyframe));
        assert!(info.switching_point);
    }
}

#[test]
fn vp8_fields() {
    let starts = FrameInfo { starts_frame: true, switching_point: true, ..FrameInfo::default() };
    let cases = [
        ("9080 7f 01", FrameInfo { picture_id: Some(127), picture_id_bits: 7, ..starts }),
        ("9080 ffff 01", FrameInfo { picture_id: Some(32767), picture_id_bits: 15, ..starts }),
        ("9040 aa 01", FrameInfo { tl0picidx: Some(170), ..starts }),
        ("9020 40 01", FrameInfo { temporal: 1, switching_point: false, ..starts }),
        ("9020 a0 01", FrameInfo { temporal: 2, ..starts }),
        ("9010 9f 01", FrameInfo { keyidx: Some(31), ..starts }),
        ("9000 01", starts),
        (
            "90f0 8001 02 e5 01",
            FrameInfo {
                picture_id: Some(1),
                picture_id_bits: 15,
                tl0picidx: Some(2),
                temporal: 3,
                keyidx: Some(5),
                ..starts
            },
        ),
    ];
    for (payload, expected) in cases {
        assert_eq!(info(Codec::Vp8, payload), Some(expected), "{payload}");
    }
    check_truncations(Codec::Vp8, &["10", "9080ffff", "908001", "90c0800102", "90f080010265", "903060", "9000"]);
}

#[test]
fn vp8_rewriting() {
    for (payload, expected) in [
        ("90f0 8001 02 e5 0102030405", "90f0 9234 56 e5 0102030405"),
        ("90c0 8001 02 010203", "90c0 9234 56 010203"),
        ("9080 01 010203", "9080 34 010203"),
        ("9040 01 010203", "9040 56 010203"),
        ("9010 05 010203", "9010 05 010203"),
        ("9030 e5 01", "9030 e5 01"),
        ("9000 010203", "9000 010203"),
        ("10 0102030405060708", "10 0102030405060708"),
        ("9080 80", "9080 80"),
        ("90c0 8001", "90c0 8001"),
        ("90c0 01", "90c0 01"),
    ] {
        let mut data = unhex(payload);
        rewrite_vp8(&mut data, 0x1234, 0x56);
        assert_eq!(hex(&data), hex(&unhex(expected)));
    }
}

#[test]
fn vp9_fields() {
    let key = FrameInfo {
        is_keyframe: true,
        starts_frame: true,
        switching_point: true,
        spatial_switching_point: true,
        ..FrameInfo::default()
    };
    let delta = FrameInfo { is_keyframe: false, spatial_switching_point: false, ..key };
    let upper = FrameInfo { is_keyframe: false, spatial: 1, switching_point: false, tl0picidx: Some(9), ..key };
    let cases = [
        ("08 01", key),
        ("0c 01", FrameInfo { ends_frame: true, ..key }),
        ("04 01", FrameInfo { starts_frame: false, ends_frame: true, ..delta }),
        ("48 01", delta),
        ("88 7f 01", FrameInfo { picture_id: Some(127), picture_id_bits: 7, ..key }),
        ("88 ffff 01", FrameInfo { picture_id: Some(32767), picture_id_bits: 15, ..key }),
        ("28 00 09 01", FrameInfo { tl0picidx: Some(9), ..key }),
        ("28 02 09 01", upper),
        ("68 03 09 01", FrameInfo { inter_layer_predicted: true, spatial_switching_point: false, ..upper }),
        ("68 50 09 01", FrameInfo { temporal: 2, tl0picidx: Some(9), ..delta }),
        ("68 40 09 01", FrameInfo { temporal: 2, tl0picidx: Some(9), switching_point: false, ..delta }),
        ("38 00 01", key),
        ("78 00 02 01", FrameInfo { switching_point: false, ..delta }),
        ("78 00 03 05 06 01", FrameInfo { switching_point: false, ..delta }),
        ("0a 18 0140 00b4 00 01", key),
        ("0a 08 02 04 01 00 01", key),
    ];
    for (payload, expected) in cases {
        assert_eq!(info(Codec::Vp9, payload), Some(expected), "{payload}");
    }
    let heads = [
        "0c",
        "8cffff",
        "8c7f",
        "2c0009",
        "a8800102 09",
        "7c000304",
        "0a10014000b4",
        "0a18014000b40100",
        "0a0802040100",
    ];
    check_truncations(Codec::Vp9, &heads);
    assert!(info(Codec::Vp9, "58 03 05 06 01").is_some());
    assert_eq!(info(Codec::Vp9, "58 03 05 07 08 01"), None, "more than three references");
    assert_eq!(info(Codec::Vp9, &format!("0a f8 ff {}", "00".repeat(20))), None, "layers that have no room");
}

#[test]
fn vp9_rewriting() {
    for (payload, expected) in [
        ("88 8001 01", "88 9234 01"),
        ("88 01 01", "88 34 01"),
        ("08 8001 01", "08 8001 01"),
        ("88 80", "88 80"),
        ("a8 8001 20 05 01", "a8 9234 20 56 01"),
        ("a8 01 20 05 01", "a8 34 20 56 01"),
        ("a8 8001 20", "a8 8001 20"),
        ("b8 8001 20 05 01", "b8 9234 20 05 01"),
        ("28 20 05 01", "28 20 05 01"),
    ] {
        let mut data = unhex(payload);
        rewrite_vp9(&mut data, 0x1234, 0x156);
        assert_eq!(data, unhex(expected));
    }
}

#[test]
fn h264_payloads() {
    for (payload, keyframe, starts) in [
        ("67 42", true, true),
        ("65 88", true, true),
        ("65 08", false, true),
        ("68 ce", false, true),
        ("41 9a", false, true),
        ("78 0002 6742 0002 68ce", true, true),
        ("78 0002 68ce 0002 6588", true, true),
        ("78 0002 09f0 0002 419a", false, true),
        ("78 0001 67", false, true),
        ("7c 85 88", true, true),
        ("7c 05 88", false, false),
        ("7c 87 42", true, true),
        ("7c 81 9a", false, true),
    ] {
        let info = info(Codec::H264, payload).unwrap();
        assert_eq!((info.is_keyframe, info.starts_frame), (keyframe, starts), "{payload}");
        assert_eq!((info.switching_point, info.spatial_switching_point), (true, keyframe));
    }
    for payload in [
        "",
        "67",
        "60",
        "79 0000",
        "7a 0000",
        "7b 0000",
        "7d 85 88",
        "7e 00",
        "7f 00",
        "7c",
        "7c 85",
        "78",
        "78 00",
        "78 0000",
        "78 0003 6742",
        "78 0002 6742 00",
        "78 0002 6742 0001",
        "78 ffff 6742",
    ] {
        assert_eq!(info(Codec::H264, payload), None, "{payload}");
    }
}

#[test]
fn av1_aggregation_headers() {
    for (payload, keyframe, starts) in [
        ("18 08aa", true, true),
        ("18 0aaa", true, true),
        ("28 02 08aa 30bb", true, true),
        ("28 02 10aa 08bb", true, true),
        ("38 02 08aa 01 30 30bb", true, true),
        ("08 02 08aa 02 30bb", true, true),
        ("10 08aa", false, true),
        ("18 30aa", false, true),
        ("90 08aa", false, false),
        ("a0 02 08aa 08bb", false, false),
        ("08 8200 08aa", true, true),
    ] {
        let info = info(Codec::Av1, payload).unwrap();
        assert_eq!((info.is_keyframe, info.starts_frame), (keyframe, starts), "{payload}");
    }
    for payload in [
        "",
        "10",
        "98 08aa",
        "20 05 08aa",
        "08 03 08aa",
        "08 80",
        "08 ffffffffffffffffff",
        "30 02 08aa",
        "30 01 08 05 08",
        "08 ff",
    ] {
        assert_eq!(info(Codec::Av1, payload), None, "{payload}");
    }
}

#[test]
fn other_codecs_are_all_keyframes() {
    for codec in [Codec::Opus, Codec::Red, Codec::Other] {
        for payload in ["", "00", "ffff"] {
            assert_eq!(info(codec, payload), Some(EVERY_PACKET));
        }
    }
}

#[test]
fn red_blocks() {
    let payload = unhex("ef000403 e3fffc01 6f 010203 04 0506");
    let blocks = red::parse(&payload).unwrap();
    let found: Vec<(u8, u16, &[u8])> =
        blocks.iter().map(|block| (block.payload_type, block.timestamp_offset, block.data)).collect();
    assert_eq!(found, [(0x6F, 1, &[1, 2, 3][..]), (0x63, 0x3FFF, &[4]), (0x6F, 0, &[5, 6])]);
    for size in 0..payload.len() {
        assert_eq!(red::parse(&payload[..size]).is_some(), size >= 13);
        assert_eq!(red::primary(&payload[..size]), (size >= 13).then(|| &payload[13..size]));
    }
    for lie in ["", "ef", "ef0000", "ef000001", "ef00000163"] {
        assert_eq!(red::parse(&unhex(lie)), None);
        assert_eq!(red::primary(&unhex(lie)), None);
    }
}
