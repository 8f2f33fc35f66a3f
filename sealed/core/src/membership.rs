//! One device's membership in one group, in the words of RFC 9420.

use mls_rs::extension::built_in::RatchetTreeExt;
use mls_rs::group::proposal::Proposal;
use mls_rs::group::{
    CommitEffect, CommitMessageDescription, ExportedTree, ProposalMessageDescription, ProposalSender, ReceivedMessage,
};
use mls_rs::mls_rs_codec::MlsDecode;
use mls_rs::psk::ExternalPskId;
use mls_rs::storage_provider::KeyPackageData;
use mls_rs::time::MlsTime;
use mls_rs::{Extension, ExtensionList, Group, MlsMessage};

use crate::device::{valid_from, Config, Device, Parts, AGREED, LINK_SECRET};
use crate::error::{Failure, Kind, Outcome};
use crate::roster::{self, Member};
use crate::rules::LINK;
use crate::wire::{Reader, Writer};

/// The version of a saved state; others are refused.
const SAVED: u64 = 1;

fn agreement(text: &[u8]) -> ExtensionList {
    let mut list = ExtensionList::new();
    list.set(Extension::new(AGREED, text.to_vec()));
    list
}

/// What a commit is to do.
pub struct Changes<'a> {
    pub adds: Vec<&'a [u8]>,
    pub removes: Vec<u32>,
    /// What members agree on from then on; `None` leaves it.
    pub agreed: Option<&'a [u8]>,
    /// Authenticated, not encrypted.
    pub note: &'a [u8],
}

pub struct Membership {
    group: Group<Config>,
    parts: Parts,
    removed: bool,
}

impl Membership {
    fn new(group: Group<Config>, parts: Parts) -> Self {
        Self { group, parts, removed: false }
    }

    /// Creates a group of one (RFC 9420, 11).
    pub fn create(device: &Device, id: &[u8], link: &[u8], agreed: &[u8], now: MlsTime) -> Outcome<Self> {
        let parts = Parts::with_link(link);
        let client = parts.client(Some(device));
        let extensions = (agreement(agreed), ExtensionList::new());
        let group = client.create_group_with_id(id.to_vec(), extensions.0, extensions.1, Some(valid_from(now)))?;
        Ok(Self::new(group, parts))
    }

    /// Joins by a welcome (RFC 9420, 12.4.3.1); answers also which of `privates`, the private halves of unused key
    /// packages, was spent. The link's secret comes along if the inviting member knew it.
    pub fn welcome(device: &Device, welcome: &[u8], privates: &[&[u8]]) -> Outcome<(Self, Vec<u8>)> {
        let parts = Parts::default();
        for private in privates {
            let mut reader = Reader::new(private);
            let (id, package) = (reader.bytes()?, reader.bytes()?);
            parts.packages.put(id, KeyPackageData::mls_decode(&mut &*package)?);
        }
        let message = MlsMessage::from_bytes(welcome)?;
        let spent = message.welcome_key_package_references().into_iter().find(|id| parts.packages.has(id));
        let spent = spent.map(|id| id.to_vec()).unwrap_or_default();
        let (group, info) = parts.client(Some(device)).join_group(None, &message, None)?;
        if let Some(link) = info.group_info_extensions.get(LINK_SECRET) {
            parts.link.set(&link.extension_data);
        }
        Ok((Self::new(group, parts), spent))
    }

    /// Joins by a commit of its own (RFC 9420, 12.4.3.2) that carries the link's secret and puts this device's
    /// former leaf out, if it has one. `tree` is empty where the group info holds it.
    pub fn external(device: &Device, info: &[u8], tree: &[u8], link: &[u8], now: MlsTime) -> Outcome<(Self, Vec<u8>)> {
        if link.is_empty() {
            return Err(Failure::new(Kind::NoLink, "joining needs the secret of the link"));
        }
        let parts = Parts::with_link(link);
        let info = MlsMessage::from_bytes(info)?;
        let tree = match tree {
            [] => {
                let extensions = info.as_group_info().map(mls_rs::group::GroupInfo::extensions);
                let held = extensions.map(|all| all.get_as::<RatchetTreeExt>().map_err(mls_rs::error::MlsError::from));
                let held = held.transpose()?.flatten();
                held.ok_or(Failure::new(Kind::BadMessage, "no ratchet tree"))?.tree_data
            }
            bytes => ExportedTree::from_bytes(bytes)?.into_owned(),
        };
        let former = roster::members(&tree.roster()).into_iter().find(|member| member.key == device.public);
        let mut builder = parts
            .client(Some(device))
            .external_commit_builder()?
            .with_external_psk(ExternalPskId::new(LINK.to_vec()))
            .with_tree_data(tree)
            .commit_time(now);
        if let Some(former) = former {
            builder = builder.with_removal(former.leaf);
        }
        let (group, commit) = builder.build(info)?;
        Ok((Self::new(group, parts), commit.to_bytes()?))
    }

    fn live(&mut self) -> Outcome<&mut Group<Config>> {
        if self.removed {
            return Err(Failure::new(Kind::NotMember, "this device was removed from the group"));
        }
        Ok(&mut self.group)
    }

    /// Prepares one commit (RFC 9420, 12.4.1) with all proposals received in this epoch: the commit and, if it adds,
    /// a welcome. It counts when `apply` is called or its echo is processed. Until then, or `discard`, no other is
    /// prepared: a commit that may have been accepted must not be forgotten, for its echo could not be followed.
    pub fn commit(&mut self, changes: &Changes<'_>, now: MlsTime) -> Outcome<Vec<u8>> {
        let secret = self.parts.link.secret();
        let group = self.live()?;
        let mut handed = ExtensionList::new();
        if !secret.is_empty() {
            handed.set(Extension::new(LINK_SECRET, secret.to_vec()));
        }
        let mut builder = group
            .commit_builder()
            .authenticated_data(changes.note.to_vec())
            .set_group_info_ext(handed)
            .commit_time(now);
        for add in &changes.adds {
            builder = builder.add_member(MlsMessage::from_bytes(add)?)?;
        }
        for leaf in &changes.removes {
            builder = builder.remove_member(*leaf)?;
        }
        if let Some(agreed) = changes.agreed {
            builder = builder.set_group_context_ext(agreement(agreed))?;
        }
        let output = builder.build()?;
        let welcome = output.welcome_messages.first().map(MlsMessage::to_bytes).transpose()?;
        Ok(Writer::default().bytes(&output.commit_message.to_bytes()?).bytes(&welcome.unwrap_or_default()).done())
    }

    /// Takes the prepared commit as accepted.
    pub fn apply(&mut self) -> Outcome<Vec<u8>> {
        let before = roster::members(&self.live()?.roster());
        let done = self.live()?.apply_pending_commit()?;
        Ok(self.describe_commit(&done, &before))
    }

    /// Drops the prepared commit.
    pub fn discard(&mut self) -> Outcome<Vec<u8>> {
        self.live()?.clear_pending_commit();
        Ok(Vec::new())
    }

    /// A proposal to remove a leaf, one's own included (RFC 9420, 12.1.3).
    pub fn propose_removal(&mut self, leaf: u32) -> Outcome<Vec<u8>> {
        Ok(self.live()?.propose_remove(leaf, Vec::new())?.to_bytes()?)
    }

    /// Processes a commit (own ones included) or a proposal of the current epoch; answers who did what.
    pub fn process(&mut self, message: &[u8], now: MlsTime) -> Outcome<Vec<u8>> {
        let message = MlsMessage::from_bytes(message)?;
        let group = self.live()?;
        let (Some(id), Some(there)) = (message.group_id(), message.epoch()) else {
            return Err(Failure::new(Kind::BadMessage, "neither a commit nor a proposal"));
        };
        if id != group.group_id() {
            return Err(Failure::new(Kind::UnknownGroup, "the message is for another group"));
        }
        let here = group.current_epoch();
        if there != here {
            let kind = if there < here { Kind::StaleEpoch } else { Kind::FutureEpoch };
            return Err(Failure::new(kind, format!("a message of epoch {there}, this device is in {here}")));
        }
        let before = roster::members(&group.roster());
        match group.process_incoming_message_with_time(message, now) {
            Ok(ReceivedMessage::Commit(done)) => {
                self.removed = matches!(done.effect, CommitEffect::Removed { .. });
                Ok(self.describe_commit(&done, &before))
            }
            Ok(ReceivedMessage::Proposal(made)) => Ok(describe_proposal(&made, &before)),
            Ok(_) => Err(Failure::new(Kind::BadMessage, "neither a commit nor a proposal")),
            Err(error) => Err(self.parts.rules.take().map_or_else(|| Failure::from(error), Failure::from)),
        }
    }

    fn describe_commit(&self, done: &CommitMessageDescription, before: &[Member]) -> Vec<u8> {
        let after = if self.removed { Vec::new() } else { roster::members(&self.group.roster()) };
        let (added, removed) = if self.removed {
            (Vec::new(), before.iter().filter(|member| member.leaf == self.own_leaf()).collect())
        } else {
            (roster::beyond(&after, before), roster::beyond(before, &after))
        };
        let among = if done.is_external { &after } else { before };
        let committer = among.iter().find(|member| member.leaf == done.committer);
        let mut writer = Writer::default();
        writer.bytes(b"commit").number(self.epoch()).number(done.is_external.into()).number(self.removed.into());
        roster::write(&mut writer, committer.into_iter().collect::<Vec<_>>().into_iter());
        roster::write(&mut writer, added.into_iter());
        roster::write(&mut writer, removed.into_iter());
        writer.bytes(&done.authenticated_data).done()
    }

    pub fn epoch(&self) -> u64 {
        self.group.current_epoch()
    }

    fn own_leaf(&self) -> u32 {
        self.group.current_member_index()
    }

    /// The group's id, the epoch, the own leaf, whether this device was removed, and what members agree on.
    pub fn state(&self) -> Vec<u8> {
        let agreed = self.group.context().extensions().get(AGREED).map(|found| found.extension_data);
        Writer::default()
            .bytes(self.group.group_id())
            .number(self.epoch())
            .number(self.own_leaf().into())
            .number(self.removed.into())
            .bytes(&agreed.unwrap_or_default())
            .done()
    }

    pub fn members(&mut self) -> Outcome<Vec<u8>> {
        let mut writer = Writer::default();
        roster::write(&mut writer, roster::members(&self.live()?.roster()).iter());
        Ok(writer.done())
    }

    /// RFC 9420, 8.5.
    pub fn export(&mut self, label: &[u8], context: &[u8], length: usize) -> Outcome<Vec<u8>> {
        Ok(self.live()?.export_secret(label, context, length)?.to_vec())
    }

    /// RFC 9420, 8.7.
    pub fn authenticator(&mut self) -> Outcome<Vec<u8>> {
        Ok(self.live()?.epoch_authenticator()?.to_vec())
    }

    /// What a newcomer needs for a commit of its own in this epoch, the ratchet tree included (RFC 9420, 12.4.3).
    pub fn group_info(&mut self) -> Outcome<Vec<u8>> {
        Ok(self.live()?.group_info_message_allowing_ext_commit(true)?.to_bytes()?)
    }

    /// Empty: this device does not know the secret.
    pub fn set_link(&mut self, secret: &[u8]) -> Vec<u8> {
        self.parts.link.set(secret);
        Vec::new()
    }

    /// Empty: this device does not know the secret.
    pub fn link(&self) -> Vec<u8> {
        self.parts.link.secret().to_vec()
    }

    /// All of this membership, the prepared commit included, former epochs not. Secret.
    pub fn save(&mut self) -> Outcome<Vec<u8>> {
        let id = self.group.group_id().to_vec();
        self.group.write_to_storage()?;
        let state = self.parts.shelf.take().ok_or(Failure::call("nothing was saved"))?;
        let mut writer = Writer::default();
        writer.number(SAVED).number(self.removed.into()).bytes(&id).bytes(&self.parts.link.secret()).bytes(&state);
        Ok(writer.done())
    }

    pub fn restore(saved: &[u8]) -> Outcome<Self> {
        let mut reader = Reader::new(saved);
        if reader.number()? != SAVED {
            return Err(Failure::new(Kind::BadMessage, "a saved state of another version"));
        }
        let (removed, id) = (reader.number()? != 0, reader.bytes()?);
        let mut parts = Parts::with_link(reader.bytes()?);
        parts.shelf = crate::stores::Shelf::holding(reader.bytes()?);
        let group = parts.client(None).load_group(id)?;
        Ok(Self { group, parts, removed })
    }
}

fn describe_proposal(made: &ProposalMessageDescription, members: &[Member]) -> Vec<u8> {
    let by = match made.sender {
        ProposalSender::Member(leaf) => members.iter().find(|member| member.leaf == leaf),
        _ => None,
    };
    let newcomer = match &made.proposal {
        Proposal::Add(add) => Some(Member::new(u32::MAX, add.signing_identity())),
        _ => None,
    };
    let leaving = match &made.proposal {
        Proposal::Remove(remove) => members.iter().find(|member| member.leaf == remove.to_remove()),
        _ => None,
    };
    let mut writer = Writer::default();
    writer.bytes(b"proposal");
    roster::write(&mut writer, by.into_iter().collect::<Vec<_>>().into_iter());
    roster::write(&mut writer, newcomer.iter().collect::<Vec<_>>().into_iter());
    roster::write(&mut writer, leaving.into_iter().collect::<Vec<_>>().into_iter());
    writer.done()
}
