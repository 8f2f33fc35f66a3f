//! Packets that went no further, by reason.

/// Why a packet was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DropReason {
    /// Not STUN, DTLS, RTP or RTCP.
    NotRtc,
    /// Above `MAX_DATAGRAM_BYTES`.
    TooLong,
    /// From a path that no transport has.
    UnknownPath,
    /// Media before keys.
    NoKeys,
    /// It lies about its structure.
    Malformed,
    /// No stream has this SSRC.
    UnknownSsrc,
    /// The track did not declare this payload type.
    UnknownPayloadType,
    /// Too many SSRCs.
    SsrcLimit,
    /// Seen before.
    Replayed,
    /// Left of a window.
    TooOld,
    /// The tag does not verify.
    AuthFailed,
    /// A copy with another SRTP index, or an RTX of what is there.
    Duplicate,
    /// Nothing but padding.
    PaddingOnly,
    /// The track is muted.
    Muted,
    /// Above a rate.
    Policed,
    /// The subscriber does not know the payload type.
    NoPayloadForSubscriber,
    /// A resend that a limit forbids.
    NackLimited,
    /// More transport-wide feedback than anybody needs to give.
    FeedbackLimited,
    /// It waited too long for its turn towards a narrow line.
    PacerFull,
}

/// Every reason with its name in the order of `sfu.engine.api.DROP_REASONS`.
pub const DROP_REASONS: [(DropReason, &str); 19] = [
    (DropReason::NotRtc, "not_rtc"),
    (DropReason::TooLong, "too_long"),
    (DropReason::UnknownPath, "unknown_path"),
    (DropReason::NoKeys, "no_keys"),
    (DropReason::Malformed, "malformed"),
    (DropReason::UnknownSsrc, "unknown_ssrc"),
    (DropReason::UnknownPayloadType, "unknown_payload_type"),
    (DropReason::SsrcLimit, "ssrc_limit"),
    (DropReason::Replayed, "replayed"),
    (DropReason::TooOld, "too_old"),
    (DropReason::AuthFailed, "auth_failed"),
    (DropReason::Duplicate, "duplicate"),
    (DropReason::PaddingOnly, "padding_only"),
    (DropReason::Muted, "muted"),
    (DropReason::Policed, "policed"),
    (DropReason::NoPayloadForSubscriber, "no_payload_for_subscriber"),
    (DropReason::NackLimited, "nack_limited"),
    (DropReason::FeedbackLimited, "feedback_limited"),
    (DropReason::PacerFull, "pacer_full"),
];

/// Counters by `DropReason`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Drops([u64; DROP_REASONS.len()]);

impl Drops {
    /// Drops for this reason so far.
    #[must_use]
    pub fn get(&self, reason: DropReason) -> u64 {
        self.0.get(reason as usize).copied().unwrap_or(0)
    }

    /// Name and count of every reason, in the order of `DROP_REASONS`.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        DROP_REASONS.iter().map(|(reason, name)| (*name, self.get(*reason)))
    }

    /// Count what another engine counted as well.
    pub fn merge(&mut self, other: &Self) {
        for (reason, _) in DROP_REASONS {
            self.add(reason, other.get(reason));
        }
    }

    pub(crate) fn add(&mut self, reason: DropReason, count: u64) {
        if let Some(counter) = self.0.get_mut(reason as usize) {
            *counter = counter.wrapping_add(count);
        }
    }
}
