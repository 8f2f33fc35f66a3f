//! How loud an audio track was (RFC 6464 levels in, one figure per interval out).

/// Packets at or below this level (-45 dBov or louder) count as speech.
pub(crate) const ACTIVE_LEVEL: u8 = 45;
/// The level of a track that said nothing.
pub(crate) const SILENCE: u8 = 127;
const DEFAULT_PACKET_MS: u64 = 20;
const MAX_PACKET_MS: u64 = 120;

/// Collects the levels of one track between two calls of `take`.
///
/// The mean is one of amplitudes, not of decibels, so loud packets weigh more. A packet lasts as long as its timestamp
/// is ahead of the last one, 20 ms when that says nothing (lost packets, DTX).
#[derive(Clone, Debug, Default)]
pub(crate) struct LevelMeter {
    /// A packet with a level came since the last `take`.
    pub(crate) heard: bool,
    active_ms: u64,
    amplitude_ms: f64,
    last_timestamp: Option<u32>,
}

impl LevelMeter {
    /// A packet with `level` (0 loudest to 127) and its timestamp, which counts `clock_rate` a second.
    pub(crate) fn add(&mut self, level: u8, timestamp: u32, clock_rate: u32) {
        self.heard = true;
        let last = self.last_timestamp.replace(timestamp);
        if level > ACTIVE_LEVEL {
            return;
        }
        let elapsed_ms = last
            .and_then(|last| (u64::from(timestamp.wrapping_sub(last)) * 1000).checked_div(u64::from(clock_rate)))
            .unwrap_or(0);
        let duration_ms = if matches!(elapsed_ms, 1..=MAX_PACKET_MS) { elapsed_ms } else { DEFAULT_PACKET_MS };
        self.active_ms += duration_ms;
        self.amplitude_ms += 10_f64.powf(-f64::from(level) / 20.0) * duration_ms as f64;
    }

    /// (level in -dBov, active milliseconds) since the last call, and start again.
    pub(crate) fn take(&mut self) -> (u8, u64) {
        let (active_ms, amplitude_ms) = (self.active_ms, self.amplitude_ms);
        self.heard = false;
        self.active_ms = 0;
        self.amplitude_ms = 0.0;
        if active_ms == 0 {
            return (SILENCE, 0);
        }
        let level = (-20.0 * (amplitude_ms / active_ms as f64).log10()).round_ties_even();
        (level.clamp(0.0, f64::from(SILENCE)) as u8, active_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table() {
        // (levels, timestamps at 48 kHz, level, active ms)
        let cases: [(&[u8], &[u32], u8, u64); 5] = [
            (&[], &[], SILENCE, 0),
            (&[46, 127], &[0, 960], SILENCE, 0),
            (&[45], &[0], 45, 20),
            (&[10, 40], &[u32::MAX - 479, 480], 16, 40),
            (&[20, 20], &[0, 480_000], 20, 40),
        ];
        for (levels, timestamps, level, active_ms) in cases {
            let mut meter = LevelMeter::default();
            for (level, timestamp) in levels.iter().zip(timestamps) {
                meter.add(*level, *timestamp, 48_000);
            }
            assert_eq!(meter.take(), (level, active_ms), "{levels:?}");
            assert_eq!(meter.take(), (SILENCE, 0));
        }
    }
}
