//! Where pictures begin and end in the numbers of a stream. What is missing between the end of one picture and the
//! beginning of the next was padding: senders without RTX pad in the numbers of their media, and never resend that.

/// As many are remembered: what is missed for longer has been given up.
const PICTURES: usize = 16;

/// A picture and one of its packets, by their extended numbers.
type Edge = (i64, i64);

#[derive(Clone, Debug)]
pub(crate) struct PictureEdges {
    /// First packets, at the picture modulo `PICTURES`.
    begins: [Edge; PICTURES],
    ends: [Edge; PICTURES],
}

impl Default for PictureEdges {
    fn default() -> Self {
        Self { begins: [(-1, 0); PICTURES], ends: [(-1, 0); PICTURES] }
    }
}

impl PictureEdges {
    /// A picture begins with that packet. The packet that ended the one before and this one, when both are known.
    pub(crate) fn begin(&mut self, picture: i64, ext_seq: i64) -> Option<(i64, i64)> {
        note(&mut self.begins, (picture, ext_seq));
        find(&self.ends, picture - 1).map(|ended_at| (ended_at, ext_seq))
    }

    /// A picture ends with that packet. The same with the one after it.
    pub(crate) fn end(&mut self, picture: i64, ext_seq: i64) -> Option<(i64, i64)> {
        note(&mut self.ends, (picture, ext_seq));
        find(&self.begins, picture + 1).map(|begins_at| (ext_seq, begins_at))
    }
}

fn place(picture: i64) -> usize {
    picture.rem_euclid(PICTURES as i64) as usize
}

fn note(edges: &mut [Edge; PICTURES], edge: Edge) {
    if let Some(known) = edges.get_mut(place(edge.0)) {
        *known = edge;
    }
}

fn find(edges: &[Edge; PICTURES], picture: i64) -> Option<i64> {
    edges.get(place(picture)).filter(|known| known.0 == picture && picture >= 0).map(|known| known.1)
}
