//! The fuzz targets on mutated packets and on noise: nothing panics, and what they assert holds.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use ting_association::Kind;
use ting_association::fuzzing::{Pair, association, guard};

struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % end.max(1)
    }

    fn byte(&mut self) -> u8 {
        u8::try_from(self.below(256)).unwrap()
    }

    fn mutate(&mut self, data: &[u8]) -> Vec<u8> {
        let mut changed = data.to_vec();
        for _ in 0..=self.below(3) {
            let at = self.below(changed.len());
            match self.below(4) {
                0 if !changed.is_empty() => changed[at] = self.byte(),
                1 => changed.insert(at, self.byte()),
                2 => changed.truncate(at),
                _ if !changed.is_empty() => changed[at] ^= 1 << self.below(8),
                _ => (),
            }
        }
        changed
    }
}

/// Packets of a call in which everything happens.
fn packets() -> Vec<Vec<u8>> {
    let mut kept = Vec::new();
    let mut pair = Pair::default();
    for round in 0..80 {
        if round > 40 {
            for kind in Kind::ALL {
                pair.ends[round % 2].send(kind, &vec![0; round * 40]);
            }
        }
        let mut number = 0;
        pair.step(50_000_000, &mut |_, packet| {
            kept.push(packet.to_vec());
            number += 1;
            number % 7 != 3
        });
    }
    pair.ends[0].abort();
    pair.step(1, &mut |_, packet| {
        kept.push(packet.to_vec());
        true
    });
    kept
}

#[test]
fn guard_on_mutated_packets() {
    let corpus = packets();
    let mut random = Random(1);
    for sample in &corpus {
        guard(sample);
        (0..sample.len().min(100)).for_each(|size| guard(&sample[..size]));
    }
    for _ in 0..20_000 {
        let at = random.below(corpus.len());
        guard(&random.mutate(&corpus[at]));
    }
}

#[test]
fn association_on_mutated_chunks() {
    let corpus: Vec<Vec<u8>> = packets().into_iter().filter(|packet| packet.len() < 240).collect();
    let mut random = Random(2);
    for _ in 0..300 {
        let mut script = Vec::new();
        for _ in 0..40 {
            let at = random.below(corpus.len());
            let body = random.mutate(&corpus[at][12..]);
            let body = &body[..body.len().min(255)];
            script.extend([u8::try_from(random.below(12)).unwrap(), u8::try_from(body.len()).unwrap()]);
            script.extend(body);
        }
        association(&script);
    }
}
