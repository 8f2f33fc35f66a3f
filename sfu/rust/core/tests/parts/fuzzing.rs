//! The fuzz targets on mutated vectors and on noise: nothing panics, and what they assert holds.

use crate::common::{Random, bytes_of, unhex, vectors};
use ting_core::{fuzzing, fuzzing_engine};

fn field(file: &str, list: &str, name: &str) -> Vec<Vec<u8>> {
    vectors(file)[list].as_array().unwrap().iter().map(|vector| bytes_of(&vector[name])).collect()
}

fn run(seed: u64, rounds: usize, corpus: &[Vec<u8>], target: fn(&[u8])) {
    let mut random = Random(seed);
    for sample in corpus {
        target(sample);
        (0..sample.len()).for_each(|size| target(&sample[..size]));
    }
    for _ in 0..rounds {
        let place = random.below(corpus.len());
        let mutated = random.mutate(&corpus[place]);
        target(&mutated);
        target(&random.bytes(120));
    }
}

#[test]
fn rtp_header() {
    run(1, 20_000, &field("rtp.json", "packets", "hex"), fuzzing::rtp_header);
}

#[test]
fn rtcp() {
    run(2, 20_000, &field("rtcp.json", "compounds", "hex"), fuzzing::rtcp);
}

#[test]
fn srtp() {
    let mut corpus = field("srtp.json", "packets", "srtp");
    corpus.extend((0..=64).flat_map(|size| [0x00, 0x80, 0xFF].map(|fill| vec![fill; size])));
    run(3, 20_000, &corpus, fuzzing::srtp);
}

#[test]
fn payload() {
    let corpus: Vec<Vec<u8>> = [
        "00 05 90f08001 02e501020304",
        "00 05 1000 0000 9d012a 00",
        "01 05 ba 8001 12 58 014000b4 028001e0 05000300 00 01",
        "01 05 0a 18 0140 00b4 01 04 01 00 01",
        "00 05 78 0002 6742 0002 68ce",
        "00 05 7c 85 88",
        "00 05 38 02 08aa 01 30 30bb",
    ]
    .map(unhex)
    .to_vec();
    run(4, 20_000, &corpus, fuzzing::payload);
}

#[test]
fn dependency_descriptor() {
    // Each behind its length: one with a structure of five templates and three targets, then two that use it.
    let attached = "d10000 80 44 49 4f aa 05 50 80 54 10 05 90 94 00 13 fc 0b 38";
    let size = unhex(attached).len();
    let corpus = vec![unhex(&format!("{size:02x} {attached} 03 d30001 04 d20002 20"))];
    run(5, 20_000, &corpus, fuzzing::dependency_descriptor);
}

#[test]
fn red_payload() {
    let corpus = ["ef000001 63 aabb", "ef00000a 6f 00010203040506070809 ff", "ef0003ff6f"].map(unhex);
    run(6, 20_000, &corpus, fuzzing::red_payload);
}

#[test]
fn transport_feedback() {
    let corpus = ["00 1000 010001 02ffff ff7fff 050010", "10 ffff 018000 017fff c80001 ff0001"].map(unhex);
    run(7, 20_000, &corpus, fuzzing::transport_feedback);
}

#[test]
fn engine() {
    // VP8 keyframe and delta frames on two layers, audio, RED, a gap, a late one, RTX, RTCP, time, decisions, keys,
    // feedback by RTP numbers.
    let vp8_key = "0c 90f0 8001 02 20 00 0000 9d012a";
    let vp8_delta = "09 90f0 8002 03 20 01 0000";
    let steps = [
        &format!("00 04 01 {vp8_key} 01 04 01 {vp8_key} 00 04 01 {vp8_delta} 02 02 04 {vp8_delta}"),
        &format!("00 07 10 {vp8_delta} 00 08 01 0b 0003 90f0 8002 03 20 01 0000 05 04 01 {vp8_key}"),
        "06 40 01 03 010203 07 00 01 07 ef000001 63 aabb 02 04 01 04 0c01 0203 03 24 01 03 d10001 02 1030",
        "0c 0a 0c 14 0a 05 41 0c 00000001 000003e8 8000ffff 0a 06 41 08 00000001 00000000 0e 09 0e 02 0e 00",
        "0f 02 0f 03 00 04 01 0c 90f0 8003 02 20 00 0000 9d012a 0c ff 08 00 00 18 00000064 0000000100000002",
        "0b 02 04 80600001 0a 01 00 04 00000001 0e 04 0e 05 0c 32",
        "0a 0d 4b 14 00000001 000007d0 0000 0002 8000 8010 00100000 0a 0d 4b 08 00000001 00000000",
    ];
    let corpus: Vec<Vec<u8>> = (0..steps.len()).map(|from| unhex(&steps[from..].concat())).collect();
    assert!(fuzzing_engine::engine(&corpus[0]) > 3);
    run(8, 3000, &corpus, |data| assert!(fuzzing_engine::engine(data) < 10_000));
}
