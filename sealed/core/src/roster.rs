//! Members as a host sees them, and what a commit changed among them.

use mls_rs::group::Roster;
use mls_rs::identity::SigningIdentity;

use crate::wire::Writer;

/// One member: its leaf, what its credential says, its signature key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    pub leaf: u32,
    pub credential: Vec<u8>,
    pub key: Vec<u8>,
}

impl Member {
    pub fn new(leaf: u32, identity: &SigningIdentity) -> Self {
        let basic = identity.credential.as_basic();
        Self {
            leaf,
            credential: basic.map(|basic| basic.identifier().to_vec()).unwrap_or_default(),
            key: identity.signature_key.to_vec(),
        }
    }
}

/// All members by leaf.
pub fn members(roster: &Roster<'_>) -> Vec<Member> {
    roster.members_iter().map(|member| Member::new(member.index, &member.signing_identity)).collect()
}

/// Those of `members` who are not among `others`; both are by leaf.
pub fn beyond<'a>(members: &'a [Member], others: &[Member]) -> Vec<&'a Member> {
    let is_there = |member: &Member| {
        others.binary_search_by_key(&member.leaf, |other| other.leaf).is_ok_and(|at| others[at] == *member)
    };
    members.iter().filter(|member| !is_there(member)).collect()
}

/// Writes a list of members.
pub fn write<'a>(writer: &mut Writer, members: impl ExactSizeIterator<Item = &'a Member>) {
    writer.number(members.len() as u64);
    for member in members {
        writer.number(member.leaf.into()).bytes(&member.credential).bytes(&member.key);
    }
}
