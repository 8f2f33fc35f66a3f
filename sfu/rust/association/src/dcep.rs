//! The two messages by which a data channel is opened (RFC 8832 §5).

use sctp_proto::ReliabilityType;

const ACK: u8 = 2;
const OPEN: u8 = 3;
const OPEN_BYTES: usize = 12;
const UNORDERED: u8 = 0x80;

/// What the peer sends on this channel's stream before anything else, or we do.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Open {
    pub(crate) label: String,
    pub(crate) is_ordered: bool,
    pub(crate) reliability: ReliabilityType,
    /// Retransmissions or milliseconds.
    pub(crate) reliability_value: u32,
}

/// A message of this protocol.
#[derive(Debug, PartialEq)]
pub(crate) enum Message {
    Open(Open),
    Ack,
}

/// The message, when it is one.
pub(crate) fn parse(data: &[u8]) -> Option<Message> {
    match *data.first()? {
        ACK => Some(Message::Ack),
        OPEN => parse_open(data).map(Message::Open),
        _ => None,
    }
}

fn parse_open(data: &[u8]) -> Option<Open> {
    let (&[_, kind, _, _, r0, r1, r2, r3, l0, l1, p0, p1], names) = data.split_first_chunk::<OPEN_BYTES>()?;
    let (label, rest) = names.split_at_checked(usize::from(u16::from_be_bytes([l0, l1])))?;
    rest.get(..usize::from(u16::from_be_bytes([p0, p1])))?;
    let reliability = match kind & !UNORDERED {
        0 => ReliabilityType::Reliable,
        1 => ReliabilityType::Rexmit,
        2 => ReliabilityType::Timed,
        _ => return None,
    };
    Some(Open {
        label: std::str::from_utf8(label).ok()?.to_owned(),
        is_ordered: kind & UNORDERED == 0,
        reliability,
        reliability_value: u32::from_be_bytes([r0, r1, r2, r3]),
    })
}

impl Open {
    /// As bytes; without a protocol's name, at priority 0 as browsers' defaults are.
    pub(crate) fn build(&self) -> Vec<u8> {
        let order = if self.is_ordered { 0 } else { UNORDERED };
        let mut data = vec![OPEN, order | self.reliability as u8, 0, 0];
        data.extend(self.reliability_value.to_be_bytes());
        data.extend(u16::try_from(self.label.len()).unwrap_or(0).to_be_bytes());
        data.extend([0, 0]);
        data.extend(self.label.as_bytes());
        data
    }
}

/// The answer to an `Open`.
pub(crate) fn build_ack() -> [u8; 1] {
    [ACK]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_built_is_parsed() {
        for (is_ordered, reliability, reliability_value) in [
            (true, ReliabilityType::Reliable, 0),
            (false, ReliabilityType::Rexmit, 0),
            (true, ReliabilityType::Timed, 90),
        ] {
            let open = Open { label: "_lossy".to_owned(), is_ordered, reliability, reliability_value };
            assert_eq!(parse(&open.build()), Some(Message::Open(open)));
        }
        assert_eq!(parse(&build_ack()), Some(Message::Ack));
    }

    #[test]
    fn what_lies_is_refused() {
        let whole = Open {
            label: "x".to_owned(),
            is_ordered: true,
            reliability: ReliabilityType::Reliable,
            reliability_value: 0,
        }
        .build();
        (0..whole.len()).for_each(|size| assert_eq!(parse(&whole[..size]), None));
        for (at, value) in [(0, 4), (1, 3), (9, 2), (11, 1), (12, 0xFF)] {
            let mut changed = whole.clone();
            changed[at] = value;
            assert_eq!(parse(&changed), None, "{at}");
        }
    }
}
