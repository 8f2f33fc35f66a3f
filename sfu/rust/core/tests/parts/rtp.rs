//! RTP packets and header extensions: vectors, lies, round trips.

use std::collections::BTreeMap;

use crate::common::{Random, bytes_of, hex, unhex, vectors};
use serde_json::{Value, json};
use ting_core::rtp::{
    ExtensionOutOfRange, FixedHeader, abs_send_time, parse_audio_level, parse_header, write_extensions,
    write_fixed_header,
};

/// A whole unprotected packet as the vectors have it.
fn parse_packet(data: &[u8]) -> Option<Value> {
    let header = parse_header(data)?;
    let payload = header.strip_padding(&data[header.header_len..])?;
    let extensions: BTreeMap<String, String> =
        header.extensions(data).map(|(id, value)| (id.to_string(), hex(value))).collect();
    Some(json!({
        "payload_type": header.payload_type,
        "marker": header.marker,
        "seq": header.seq,
        "timestamp": header.timestamp,
        "ssrc": header.ssrc,
        "csrc": hex(header.csrc(data)),
        "extensions": extensions,
        "payload": hex(payload),
        "padding_bytes": data.len() - header.header_len - payload.len(),
    }))
}

#[test]
fn vectors_of_both_engines() {
    let vectors = vectors("rtp.json");
    for vector in vectors["packets"].as_array().unwrap() {
        let packet = parse_packet(&bytes_of(&vector["hex"]));
        let Some(expected) = vector["packet"].as_object() else {
            assert_eq!(packet, None, "{}", vector["name"]);
            continue;
        };
        let packet = packet.unwrap_or_else(|| panic!("{}", vector["name"]));
        for (name, value) in expected {
            assert_eq!(&packet[name], value, "{}: {name}", vector["name"]);
        }
    }
}

fn random_packet(random: &mut Random) -> Vec<u8> {
    let one_byte = random.below(2) == 0;
    let values: Vec<(u8, Vec<u8>)> = (0..random.below(6))
        .map(|_| {
            (1 + random.below(if one_byte { 14 } else { 255 }) as u8, random.bytes(if one_byte { 16 } else { 40 }))
        })
        .collect();
    let items: Vec<(u8, &[u8])> = values.iter().map(|(id, value)| (*id, value.as_slice())).collect();
    let padding = [0, 0, 1, 200][random.below(4)];
    let mut out = Vec::new();
    write_fixed_header(
        &mut out,
        &FixedHeader {
            payload_type: random.below(128) as u8,
            marker: random.below(2) == 0,
            has_padding: padding > 0,
            has_extensions: !items.is_empty(),
            seq: random.next() as u16,
            timestamp: random.next() as u32,
            ssrc: random.next() as u32,
        },
    );
    write_extensions(&mut out, &items).unwrap();
    out.extend(random.bytes(60));
    if padding > 0 {
        out.resize(out.len() + padding - 1, 0);
        out.push(padding as u8);
    }
    out
}

#[test]
fn what_is_written_is_read_and_every_truncation_refused_or_sound() {
    let mut random = Random(2);
    for _ in 0..300 {
        let data = random_packet(&mut random);
        let full = parse_header(&data).unwrap();
        assert!(full.strip_padding(&data[full.header_len..]).is_some());
        for size in 0..data.len() {
            assert_eq!(parse_header(&data[..size]).is_some(), size >= full.header_len);
        }
        ting_core::fuzzing::rtp_header(&data);
    }
}

#[test]
fn every_length_of_every_filling() {
    for size in 0..=64 {
        for fill in [0x00, 0x80, 0x90, 0x9F, 0xB0, 0xBF, 0xFF] {
            ting_core::fuzzing::rtp_header(&vec![fill; size]);
        }
    }
}

#[test]
fn fixed_header_on_the_wire() {
    let mut out = Vec::new();
    let fields = FixedHeader { payload_type: 96, seq: 1, timestamp: 2, ssrc: 0xDEAD_BEEF, ..FixedHeader::default() };
    write_fixed_header(&mut out, &fields);
    write_fixed_header(&mut out, &FixedHeader { marker: true, has_padding: true, has_extensions: true, ..fields });
    assert_eq!(out, unhex("8060000100000002deadbeef b0e0000100000002deadbeef"));
}

fn extensions(items: &[(u8, &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    write_extensions(&mut out, items).unwrap();
    out
}

#[test]
fn one_byte_form_when_it_fits() {
    assert_eq!(extensions(&[]), b"");
    assert_eq!(extensions(&[(1, b"a")]), unhex("bede0001 10610000"));
    assert_eq!(extensions(&[(14, &[0; 16])])[..2], [0xBE, 0xDE]);
    for items in [&[(15, &b"a"[..])][..], &[(1, b"")], &[(1, &[0; 17])], &[(1, b"a"), (16, b"b")]] {
        assert_eq!(extensions(items)[..2], [0x10, 0x00]);
    }
    assert_eq!(extensions(&[(1, b"")]), unhex("1000000101000000"));
}

#[test]
fn extensions_that_the_wire_cannot_carry() {
    for item in [(0, &b"a"[..]), (1, &[0; 256])] {
        let mut out = vec![1];
        assert_eq!(write_extensions(&mut out, &[item]), Err(ExtensionOutOfRange));
        assert_eq!(out, [1]);
    }
}

#[test]
fn send_time_and_audio_level() {
    for (now_ns, value) in [
        (0, "000000"),
        (1_000_000_000, "040000"),
        (500_000_000, "020000"),
        (64_000_000_000, "000000"),
        (3815, "000001"),
    ] {
        assert_eq!(hex(&abs_send_time(now_ns)), value);
    }
    assert_eq!(parse_audio_level(b""), None);
    assert_eq!(parse_audio_level(&[0x00]), Some((0, false)));
    assert_eq!(parse_audio_level(&[0xFF]), Some((127, true)));
    assert_eq!(parse_audio_level(&[0x9E, 0]), Some((30, true)));
}
