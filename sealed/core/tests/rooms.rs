//! Rooms through the calls that hosts make, without a host.

use ting_mls::calls::call;
use ting_mls::wire::{Reader, Writer};
use ting_mls::{Failure, Kind};

const NOW: u64 = 1_800_000_000;
const LINK: &[u8] = b"the secret of the link, 32 bytes";

type Device = [Vec<u8>; 3];

fn fields(answer: &[u8], count: usize) -> Vec<Vec<u8>> {
    let mut reader = Reader::new(answer);
    (0..count).map(|_| reader.bytes().unwrap().to_vec()).collect()
}

fn number(answer: &[u8]) -> u64 {
    Reader::new(answer).number().unwrap()
}

fn device(credential: &str) -> Device {
    let keys = fields(&call(1, &Writer::default().bytes(credential.as_bytes()).done()).unwrap(), 2);
    [credential.as_bytes().to_vec(), keys[0].clone(), keys[1].clone()]
}

fn with(device: &Device) -> Writer {
    let mut writer = Writer::default();
    for field in device {
        writer.bytes(field);
    }
    writer
}

fn create(device: &Device, id: &[u8]) -> u64 {
    number(&call(3, &with(device).bytes(id).bytes(LINK).bytes(b"sealed").number(NOW).done()).unwrap())
}

fn join(device: &Device, group: u64, link: &[u8]) -> Result<(u64, Vec<u8>), Failure> {
    let info = call(14, &Writer::default().number(group).done()).unwrap();
    let answer = call(5, &with(device).bytes(&info).bytes(b"").bytes(link).number(NOW).done())?;
    Ok((number(&answer), fields(&answer, 2)[1].clone()))
}

fn commit(group: u64, adds: &[&[u8]], removes: &[u64]) -> Result<Vec<Vec<u8>>, Failure> {
    let mut writer = Writer::default();
    writer.number(group).number(NOW).number(adds.len() as u64);
    for add in adds {
        writer.bytes(add);
    }
    writer.number(removes.len() as u64);
    for leaf in removes {
        writer.number(*leaf);
    }
    call(6, &writer.number(0).bytes(b"").done()).map(|answer| fields(&answer, 2))
}

fn process(group: u64, message: &[u8]) -> Result<Vec<u8>, Failure> {
    call(10, &Writer::default().number(group).number(NOW).bytes(message).done())
}

fn on(number: u32, group: u64) -> Result<Vec<u8>, Failure> {
    call(number, &Writer::default().number(group).done())
}

fn authenticator(group: u64) -> Vec<u8> {
    on(12, group).unwrap()
}

#[test]
fn a_newcomer_joins_with_the_links_secret() {
    let group = create(&device("ada\0one"), b"room");
    let (newcomer, message) = join(&device("bob\0two"), group, LINK).unwrap();
    process(group, &message).unwrap();
    assert_eq!(authenticator(group), authenticator(newcomer));
}

#[test]
fn without_the_secret_a_newcomer_is_refused_and_members_stay_where_they_are() {
    let group = create(&device("ada\0one"), b"room");
    let before = authenticator(group);
    assert_eq!(join(&device("bob\0two"), group, b"").unwrap_err().kind, Kind::NoLink);
    let (_, message) = join(&device("bob\0two"), group, b"another secret").unwrap();
    assert_eq!(process(group, &message).unwrap_err().kind, Kind::BadMessage);
    assert_eq!(authenticator(group), before);
}

#[test]
fn a_member_without_the_secret_cannot_follow_a_newcomer() {
    let group = create(&device("ada\0one"), b"room");
    let (_, message) = join(&device("bob\0two"), group, LINK).unwrap();
    call(19, &Writer::default().number(group).bytes(b"").done()).unwrap();
    assert_eq!(process(group, &message).unwrap_err().kind, Kind::NoLink);
}

#[test]
fn a_welcome_hands_the_links_secret_on() {
    let (ada, bob) = (device("ada\0one"), device("bob\0two"));
    let group = create(&ada, b"room");
    let package = fields(&call(2, &with(&bob).number(NOW).done()).unwrap(), 3);
    let sent = commit(group, &[&package[1]], &[]).unwrap();
    on(7, group).unwrap();
    let answer = call(4, &with(&bob).bytes(&sent[1]).number(1).bytes(&package[2]).done()).unwrap();
    let added = number(&answer);
    assert_eq!(fields(&answer, 2)[1], package[0]);
    let (third, message) = join(&device("cy\0three"), group, LINK).unwrap();
    process(group, &message).unwrap();
    process(added, &message).unwrap();
    assert_eq!(authenticator(third), authenticator(added));
}

#[test]
fn who_was_removed_is_told_so_and_has_no_secret() {
    let group = create(&device("ada\0one"), b"room");
    let (gone, message) = join(&device("bob\0two"), group, LINK).unwrap();
    process(group, &message).unwrap();
    let sent = commit(group, &[], &[1]).unwrap();
    on(7, group).unwrap();
    process(gone, &sent[0]).unwrap();
    assert_eq!(on(12, gone).unwrap_err().kind, Kind::NotMember);
    let restored = number(&call(17, &Writer::default().bytes(&on(16, gone).unwrap()).done()).unwrap());
    assert_eq!(on(12, restored).unwrap_err().kind, Kind::NotMember);
}

#[test]
fn a_device_comes_back_in_place_of_its_own_leaf_only() {
    let bob = device("bob\0two");
    let group = create(&device("ada\0one"), b"room");
    let (first, message) = join(&bob, group, LINK).unwrap();
    process(group, &message).unwrap();
    let (second, message) = join(&bob, group, LINK).unwrap();
    process(group, &message).unwrap();
    process(first, &message).unwrap();
    assert_eq!(authenticator(group), authenticator(second));
    assert_eq!(on(12, first).unwrap_err().kind, Kind::NotMember);
    assert_eq!(number(&on(13, group).unwrap()), 2);
    // The same name and device with another key is not the same device.
    assert_eq!(join(&device("bob\0two"), group, LINK).unwrap_err().kind, Kind::BadMessage);
}

#[test]
fn messages_of_other_epochs_and_groups_are_told_apart() {
    let group = create(&device("ada\0one"), b"room");
    let other = create(&device("eve\0four"), b"another");
    let (member, first) = join(&device("bob\0two"), group, LINK).unwrap();
    process(group, &first).unwrap();
    let second = commit(group, &[], &[]).unwrap();
    on(7, group).unwrap();
    let third = commit(group, &[], &[]).unwrap();
    assert_eq!(process(member, &third[0]).unwrap_err().kind, Kind::FutureEpoch);
    process(member, &second[0]).unwrap();
    assert_eq!(process(member, &second[0]).unwrap_err().kind, Kind::StaleEpoch);
    assert_eq!(process(other, &third[0]).unwrap_err().kind, Kind::UnknownGroup);
    assert_eq!(process(99_999, &third[0]).unwrap_err().kind, Kind::UnknownGroup);
}

#[test]
fn a_prepared_commit_survives_saving_and_counts_when_its_echo_comes() {
    let group = create(&device("ada\0one"), b"room");
    let (member, first) = join(&device("bob\0two"), group, LINK).unwrap();
    process(group, &first).unwrap();
    let sent = commit(group, &[], &[]).unwrap();
    assert_eq!(commit(group, &[], &[]).unwrap_err().kind, Kind::BadCall);
    let saved = on(16, group).unwrap();
    let restored = number(&call(17, &Writer::default().bytes(&saved).done()).unwrap());
    process(restored, &sent[0]).unwrap();
    process(member, &sent[0]).unwrap();
    assert_eq!(authenticator(restored), authenticator(member));
}

#[test]
fn a_damaged_message_is_refused_and_harms_nobody() {
    let group = create(&device("ada\0one"), b"room");
    let (member, first) = join(&device("bob\0two"), group, LINK).unwrap();
    process(group, &first).unwrap();
    let sent = commit(group, &[], &[]).unwrap();
    on(7, group).unwrap();
    for at in 0..sent[0].len() {
        let mut damaged = sent[0].clone();
        damaged[at] ^= 1;
        process(member, &damaged).unwrap_err();
    }
    process(member, &sent[0]).unwrap();
    assert_eq!(authenticator(member), authenticator(group));
}

#[test]
fn who_leaves_proposes_it_and_another_commits_it() {
    let group = create(&device("ada\0one"), b"room");
    let (leaver, first) = join(&device("bob\0two"), group, LINK).unwrap();
    process(group, &first).unwrap();
    let proposal = call(9, &Writer::default().number(leaver).number(1).done()).unwrap();
    assert_eq!(fields(&process(group, &proposal).unwrap(), 1)[0], b"proposal");
    let sent = commit(group, &[], &[]).unwrap();
    on(7, group).unwrap();
    process(leaver, &sent[0]).unwrap();
    assert_eq!(number(&on(13, group).unwrap()), 1);
    assert_eq!(on(12, leaver).unwrap_err().kind, Kind::NotMember);
}

#[test]
fn a_call_that_is_cut_off_is_a_fault_of_the_host() {
    let whole = Writer::default().bytes(b"ada").done();
    for length in 0..whole.len() {
        assert_eq!(call(1, &whole[..length]).unwrap_err().kind, Kind::BadCall);
    }
    assert_eq!(call(0, &whole).unwrap_err().kind, Kind::BadCall);
}
