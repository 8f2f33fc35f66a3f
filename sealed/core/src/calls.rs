//! The calls that a host makes, by number. The hosts (`web/src/sealed/mls/`, `sealed/`) keep the same list.

use std::cell::RefCell;
use std::collections::HashMap;

use mls_rs::group::{ContentType, GroupContext, GroupInfo};
use mls_rs::time::MlsTime;
use mls_rs::{MlsMessage, MlsMessageDescription};

use crate::device::Device;
use crate::error::{Failure, Kind, Outcome};
use crate::membership::{Changes, Membership};
use crate::wire::{Reader, Writer};

#[derive(Default)]
struct Table {
    last: u64,
    memberships: HashMap<u64, Membership>,
}

thread_local! {
    static TABLE: RefCell<Table> = RefCell::default();
}

/// Keeps a membership; the host names it by the number from then on.
fn keep(membership: Membership) -> u64 {
    TABLE.with_borrow_mut(|table| {
        table.last += 1;
        table.memberships.insert(table.last, membership);
        table.last
    })
}

fn forget(number: u64) {
    TABLE.with_borrow_mut(|table| table.memberships.remove(&number));
}

fn on(
    reader: &mut Reader<'_>,
    act: impl FnOnce(&mut Membership, &mut Reader<'_>) -> Outcome<Vec<u8>>,
) -> Outcome<Vec<u8>> {
    let number = reader.number()?;
    TABLE.with_borrow_mut(|table| {
        let gone = Failure::new(Kind::UnknownGroup, "no such group here");
        act(table.memberships.get_mut(&number).ok_or(gone)?, reader)
    })
}

fn time(reader: &mut Reader<'_>) -> Outcome<MlsTime> {
    Ok(MlsTime::from(reader.number()?))
}

fn leaf(reader: &mut Reader<'_>) -> Outcome<u32> {
    u32::try_from(reader.number()?).map_err(|_| Failure::call("a leaf has 32 bits"))
}

fn create(reader: &mut Reader<'_>) -> Outcome<Vec<u8>> {
    let device = Device::read(reader)?;
    let (id, link, agreed) = (reader.bytes()?, reader.bytes()?, reader.bytes()?);
    let membership = Membership::create(&device, id, link, agreed, time(reader)?)?;
    Ok(Writer::default().number(keep(membership)).done())
}

fn welcome(reader: &mut Reader<'_>) -> Outcome<Vec<u8>> {
    let device = Device::read(reader)?;
    let (message, privates) = (reader.bytes()?, reader.list()?);
    let (membership, spent) = Membership::welcome(&device, message, &privates)?;
    Ok(Writer::default().number(keep(membership)).bytes(&spent).done())
}

fn external(reader: &mut Reader<'_>) -> Outcome<Vec<u8>> {
    let device = Device::read(reader)?;
    let (info, tree, link) = (reader.bytes()?, reader.bytes()?, reader.bytes()?);
    let (membership, commit) = Membership::external(&device, info, tree, link, time(reader)?)?;
    Ok(Writer::default().number(keep(membership)).bytes(&commit).done())
}

fn commit(membership: &mut Membership, reader: &mut Reader<'_>) -> Outcome<Vec<u8>> {
    let now = time(reader)?;
    let adds = reader.list()?;
    let removes = (0..reader.number()?).map(|_| leaf(reader)).collect::<Outcome<_>>()?;
    let agreed = reader.list()?.first().copied();
    membership.commit(&Changes { adds, removes, agreed, note: reader.bytes()? }, now)
}

/// What a message says of itself, unverified: its kind, group, epoch and content.
fn read(message: &[u8]) -> Outcome<Vec<u8>> {
    let message = MlsMessage::from_bytes(message)?;
    let kind: &[u8] = match message.description() {
        MlsMessageDescription::Welcome { .. } => b"welcome",
        MlsMessageDescription::GroupInfo => b"group info",
        MlsMessageDescription::KeyPackage => b"key package",
        MlsMessageDescription::PublicProtocolMessage { content_type: ContentType::Commit, .. } => b"commit",
        MlsMessageDescription::PublicProtocolMessage { content_type: ContentType::Proposal, .. } => b"proposal",
        _ => return Err(Failure::new(Kind::BadMessage, "a message of a kind that rooms do not use")),
    };
    let context = message.as_group_info().map(GroupInfo::group_context);
    let id = message.group_id().or(context.map(GroupContext::group_id)).unwrap_or_default();
    let epoch = message.epoch().or(context.map(GroupContext::epoch)).unwrap_or_default();
    Ok(Writer::default().bytes(kind).bytes(id).number(epoch).done())
}

/// Makes one call.
pub fn call(number: u32, input: &[u8]) -> Outcome<Vec<u8>> {
    let reader = &mut Reader::new(input);
    match number {
        1 => {
            let device = Device::generate(reader.bytes()?)?;
            Ok(Writer::default().bytes(&device.public).bytes(&device.secret).done())
        }
        2 => Device::read(reader)?.key_package(time(reader)?),
        3 => create(reader),
        4 => welcome(reader),
        5 => external(reader),
        6 => on(reader, commit),
        7 => on(reader, |membership, _| membership.apply()),
        8 => on(reader, |membership, _| membership.discard()),
        9 => on(reader, |membership, reader| membership.propose_removal(leaf(reader)?)),
        10 => on(reader, |membership, reader| {
            let now = time(reader)?;
            membership.process(reader.bytes()?, now)
        }),
        11 => on(reader, |membership, reader| {
            let (label, context) = (reader.bytes()?, reader.bytes()?);
            membership.export(label, context, reader.number()? as usize)
        }),
        12 => on(reader, |membership, _| membership.authenticator()),
        13 => on(reader, |membership, _| membership.members()),
        14 => on(reader, |membership, _| membership.group_info()),
        15 => on(reader, |membership, _| Ok(membership.state())),
        16 => on(reader, |membership, _| membership.save()),
        17 => Ok(Writer::default().number(keep(Membership::restore(reader.bytes()?)?)).done()),
        18 => {
            forget(reader.number()?);
            Ok(Vec::new())
        }
        19 => on(reader, |membership, reader| Ok(membership.set_link(reader.bytes()?))),
        20 => on(reader, |membership, _| Ok(membership.link())),
        21 => read(reader.bytes()?),
        _ => Err(Failure::call("no such call")),
    }
}
