//! The rules of a room: what its members refuse although RFC 9420 alone would allow it.

use std::sync::{Arc, Mutex};

use mls_rs::error::IntoAnyError;
use mls_rs::group::proposal::{ReInitProposal, UpdateProposal};
use mls_rs::group::{GroupContext, Roster};
use mls_rs::mls_rules::{CommitDirection, CommitOptions, CommitSource, EncryptionOptions, ProposalBundle};
use mls_rs::psk::ExternalPskId;
use mls_rs::MlsRules;

use crate::error::{Failure, Kind};

/// The id of the pre-shared key that is the secret of the room's link (RFC 9420, 8.4).
pub const LINK: &[u8] = b"ting-link";

/// Why a commit is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    NoLink,
    NotItsLeaf,
    Unused,
}

impl IntoAnyError for Refusal {}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NoLink => Self::new(Kind::NoLink, "a newcomer's commit does not carry the secret of the link"),
            Refusal::NotItsLeaf => Self::new(Kind::BadMessage, "a newcomer may replace its own leaf only"),
            Refusal::Unused => Self::new(Kind::BadMessage, "a proposal of a kind that rooms do not use"),
        }
    }
}

/// Kept by every member on sending and on receiving. The library reports only that its rules failed, so the
/// reason is left here for the caller.
#[derive(Clone, Debug, Default)]
pub struct Rules(Arc<Mutex<Option<Refusal>>>);

impl Rules {
    /// The reason of the last refusal, once.
    pub fn take(&self) -> Option<Refusal> {
        self.0.lock().expect("one thread").take()
    }

    fn refuse<T>(&self, refusal: Refusal) -> Result<T, Refusal> {
        *self.0.lock().expect("one thread") = Some(refusal);
        Err(refusal)
    }
}

impl MlsRules for Rules {
    type Error = Refusal;

    fn filter_proposals(
        &self,
        direction: CommitDirection,
        source: CommitSource,
        roster: &Roster<'_>,
        _context: &GroupContext,
        mut proposals: ProposalBundle,
    ) -> Result<ProposalBundle, Refusal> {
        if direction == CommitDirection::Send {
            // Left out rather than refused: someone's odd proposal must not keep the others from committing.
            let unused: Result<(), Refusal> = proposals
                .retain_by_type::<UpdateProposal, _, _>(|_| Ok(false))
                .and_then(|()| proposals.retain_by_type::<ReInitProposal, _, _>(|_| Ok(false)));
            unused?;
        } else if !proposals.update_proposals().is_empty() || !proposals.reinit_proposals().is_empty() {
            return self.refuse(Refusal::Unused);
        }
        let CommitSource::NewMember(newcomer) = source else {
            return Ok(proposals);
        };
        let link = ExternalPskId::new(LINK.to_vec());
        let psks = proposals.psk_proposals();
        if psks.len() != 1 || psks[0].proposal.external_psk_id() != Some(&link) {
            return self.refuse(Refusal::NoLink);
        }
        // A basic credential says of itself who it is: only the signature key tells whose leaf it was.
        let own = |leaf: u32| {
            roster
                .member_with_index(leaf)
                .is_ok_and(|member| member.signing_identity.signature_key == newcomer.signature_key)
        };
        if !proposals.remove_proposals().iter().all(|remove| own(remove.proposal.to_remove())) {
            return self.refuse(Refusal::NotItsLeaf);
        }
        Ok(proposals)
    }

    fn commit_options(
        &self,
        _roster: &Roster<'_>,
        _context: &GroupContext,
        _proposals: &ProposalBundle,
    ) -> Result<CommitOptions, Refusal> {
        // A path in every commit: each one heals the group, and adding many leaves few unmerged leaves behind.
        Ok(CommitOptions::new().with_path_required(true).with_ratchet_tree_extension(true))
    }

    fn encryption_options(&self, _roster: &Roster<'_>, _context: &GroupContext) -> Result<EncryptionOptions, Refusal> {
        Ok(EncryptionOptions::default())
    }
}
