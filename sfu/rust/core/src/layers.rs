//! Which layer a subscription gets inside of a stream.

use crate::api::HIGHEST_LAYER;
use crate::frame_info::FrameInfo;

/// A stream whose last packet is older is not active.
pub(crate) const ACTIVE_NS: i64 = 2_000_000_000;

/// What the filter must know of a stream.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tops {
    /// Highest spatial layer seen.
    pub(crate) spatial: u32,
    /// Highest temporal layer seen.
    pub(crate) temporal: u32,
}

/// Temporal and spatial layers of one stream that one subscription gets.
///
/// `max_temporal` and `max_spatial` are what is let through now; they move towards the targets only where a decoder can
/// follow: at a keyframe; down at the start of a picture; up at a switching point.
#[derive(Clone, Debug)]
pub(crate) struct LayerFilter {
    /// Spatial layers above are withheld.
    pub(crate) max_spatial: u32,
    /// Temporal layers above are withheld.
    pub(crate) max_temporal: u32,
    /// The targets are not reached yet: each packet has to be looked at.
    pub(crate) pending: bool,
    /// Packets older than this one have to be looked at: they are from before the last way up.
    pub(crate) raised_at: i64,
    target_spatial: u32,
    target_temporal: u32,
    temporal_before: u32,
}

impl Default for LayerFilter {
    fn default() -> Self {
        Self {
            max_spatial: HIGHEST_LAYER,
            max_temporal: HIGHEST_LAYER,
            pending: false,
            raised_at: -1,
            target_spatial: HIGHEST_LAYER,
            target_temporal: HIGHEST_LAYER,
            temporal_before: HIGHEST_LAYER,
        }
    }
}

impl LayerFilter {
    /// What is wanted from now on.
    pub(crate) fn set_target(&mut self, spatial: u32, temporal: u32) {
        self.target_spatial = spatial;
        self.target_temporal = temporal;
        self.pending = (spatial, temporal) != (self.max_spatial, self.max_temporal);
    }

    /// A stream starts at a keyframe: everything wanted can be had.
    pub(crate) fn begin(&mut self) {
        self.max_spatial = self.target_spatial;
        self.max_temporal = self.target_temporal;
        self.pending = false;
        self.raised_at = -1;
    }

    /// Whether a spatial layer that is there is wanted and not let through: it needs a keyframe.
    #[must_use]
    pub(crate) fn wants_spatial(&self, top_spatial: u32) -> bool {
        self.max_spatial < self.target_spatial.min(top_spatial)
    }

    /// Whether a packet goes out without a look at the targets.
    #[must_use]
    pub(crate) fn passes_at_once(&self, info: &FrameInfo, ext_seq: i64) -> bool {
        !self.pending
            && u32::from(info.temporal) <= self.max_temporal
            && u32::from(info.spatial) <= self.max_spatial
            && ext_seq >= self.raised_at
    }

    /// Whether the packet goes out, after moving the limits where this packet lets them move.
    pub(crate) fn passes(&mut self, info: &FrameInfo, ext_seq: i64, is_newest: bool, stream: &Tops) -> bool {
        if info.starts_frame && is_newest {
            self.move_limits(info, ext_seq, stream);
        }
        let temporal = u32::from(info.temporal);
        if temporal > self.max_temporal || u32::from(info.spatial) > self.max_spatial {
            return false;
        }
        // A straggler of a frame that was withheld before the way up must not come out alone.
        ext_seq >= self.raised_at || temporal <= self.temporal_before
    }

    fn move_limits(&mut self, info: &FrameInfo, ext_seq: i64, stream: &Tops) {
        if info.is_keyframe {
            self.begin();
            return;
        }
        let (temporal, spatial) = (u32::from(info.temporal), u32::from(info.spatial));
        if spatial == 0 {
            self.max_temporal = self.max_temporal.min(self.target_temporal);
            self.max_spatial = self.max_spatial.min(self.target_spatial);
        }
        if self.max_temporal < temporal && temporal <= self.target_temporal && info.switching_point {
            self.temporal_before = self.max_temporal;
            self.raised_at = ext_seq;
            self.max_temporal = temporal;
        }
        let is_next = self.max_spatial.checked_add(1) == Some(spatial);
        if is_next && spatial <= self.target_spatial && info.spatial_switching_point {
            self.max_spatial = spatial;
        }
        // Above the highest layer there is nothing to wait for.
        if self.max_temporal >= stream.temporal && self.target_temporal > self.max_temporal {
            self.max_temporal = self.target_temporal;
        }
        if self.max_spatial >= stream.spatial && self.target_spatial > self.max_spatial {
            self.max_spatial = self.target_spatial;
        }
        self.pending = (self.max_spatial, self.max_temporal) != (self.target_spatial, self.target_temporal);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(temporal: u8, spatial: u8, flags: &str) -> FrameInfo {
        FrameInfo {
            is_keyframe: flags.contains('K'),
            starts_frame: !flags.contains('c'),
            temporal,
            spatial,
            switching_point: flags.contains('S'),
            spatial_switching_point: flags.contains('P'),
            ..FrameInfo::default()
        }
    }

    /// Packets in order: (temporal, spatial, flags, passes). K keyframe, S switching point, P spatial switching
    /// point, c not the first packet of its frame.
    fn run(filter: &mut LayerFilter, tops: (u32, u32), packets: &[(u8, u8, &str, bool)]) {
        for (index, (temporal, spatial, flags, passes)) in packets.iter().enumerate() {
            let ext_seq = 100 + index as i64;
            let stream = Tops { spatial: tops.0, temporal: tops.1 };
            let info = frame(*temporal, *spatial, flags);
            let at_once = filter.passes_at_once(&info, ext_seq);
            let passed = at_once || filter.passes(&info, ext_seq, true, &stream);
            assert_eq!(passed, *passes, "packet {index} of {packets:?}");
        }
    }

    #[test]
    fn temporal_layers() {
        let mut filter = LayerFilter::default();
        filter.set_target(255, 0);
        // Down at the start of a picture, not inside of one.
        run(&mut filter, (0, 2), &[(1, 0, "c", true), (1, 0, "S", false), (0, 0, "", true), (2, 0, "S", false)]);
        assert!(!filter.pending);
        filter.set_target(255, 2);
        // Up at switching points only; all above when the top is reached.
        run(&mut filter, (0, 2), &[(0, 0, "", true), (2, 0, "", false), (1, 0, "S", true), (2, 0, "c", false)]);
        run(&mut filter, (0, 2), &[(2, 0, "S", true), (2, 0, "c", true)]);
        assert!(!filter.pending);
    }

    #[test]
    fn stragglers_from_before_the_way_up_stay_out() {
        let mut filter = LayerFilter::default();
        filter.set_target(255, 0);
        run(&mut filter, (0, 1), &[(0, 0, "", true), (1, 0, "S", false)]);
        filter.set_target(255, 1);
        let stream = Tops { spatial: 0, temporal: 1 };
        assert!(filter.passes(&frame(1, 0, "S"), 200, true, &stream));
        assert!(!filter.passes_at_once(&frame(1, 0, ""), 199));
        assert!(!filter.passes(&frame(1, 0, ""), 199, false, &stream));
        assert!(filter.passes(&frame(0, 0, ""), 198, false, &stream));
    }

    #[test]
    fn spatial_layers() {
        let mut filter = LayerFilter::default();
        filter.set_target(0, 255);
        run(&mut filter, (2, 0), &[(0, 0, "", true), (0, 1, "", false)]);
        filter.set_target(2, 255);
        assert!(filter.wants_spatial(2) && !filter.wants_spatial(0));
        // One by one at switching points.
        run(&mut filter, (2, 0), &[(0, 2, "P", false), (0, 1, "", false), (0, 1, "P", true), (0, 2, "P", true)]);
        assert!(!filter.pending);
        filter.set_target(0, 255);
        run(&mut filter, (2, 0), &[(0, 2, "", true), (0, 0, "K", true), (0, 1, "P", false)]);
        filter.set_target(u32::MAX, u32::MAX);
        run(&mut filter, (2, 0), &[(0, 0, "K", true), (0, 2, "", true)]);
        filter.set_target(u32::MAX, 0);
        run(&mut filter, (2, 0), &[(0, 1, "P", true)]);
    }
}
