//! Members by Ting's library and by OpenMLS, an implementation that shares no code with it, in the same rooms: after
//! every commit of a random script all live members have the same secrets, and who was removed has none.

use openmls::prelude::tls_codec::{Deserialize, Serialize};
use openmls::prelude::*;
use openmls::schedule::psk::PreSharedKeyId;
use openmls_basic_credential::SignatureKeyPair;
use openmls_rust_crypto::OpenMlsRustCrypto;
use ting_mls::calls::call;
use ting_mls::wire::{Reader, Writer};
use ting_mls::Kind;

const NAME: &[u8] = b"ting-link";
const LINK: &[u8] = b"the secret of the link, 32 bytes";
const AGREED: u16 = 0xf7a6;
const SUITE: Ciphersuite = Ciphersuite::MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519;
const LABEL: &str = "ting media";

/// Authenticator of the epoch and a secret of it.
type Secrets = (Vec<u8>, Vec<u8>);

trait Member {
    fn leaf(&self) -> u32;
    fn group_info(&mut self) -> Vec<u8>;
    /// Makes a commit that counts at once: removes, then adds.
    fn commit(&mut self, removes: &[u32], adds: &[Vec<u8>]) -> (Vec<u8>, Vec<u8>);
    fn process(&mut self, commit: &[u8]);
    /// None once it was removed.
    fn secrets(&mut self) -> Option<Secrets>;
}

/// A device before it is a member.
trait Newcomer {
    fn by_link(self: Box<Self>, info: &[u8]) -> (Box<dyn Member>, Vec<u8>);
    fn key_package(&mut self) -> Vec<u8>;
    fn by_welcome(self: Box<Self>, welcome: &[u8]) -> Box<dyn Member>;
}

fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

fn fields(answer: &[u8], count: usize) -> Vec<Vec<u8>> {
    let mut reader = Reader::new(answer);
    (0..count).map(|_| reader.bytes().unwrap().to_vec()).collect()
}

fn number(answer: &[u8]) -> u64 {
    Reader::new(answer).number().unwrap()
}

struct Ours(u64);

struct OurDevice {
    leaf: Vec<u8>,
    secret: Vec<u8>,
}

impl OurDevice {
    fn new(name: &str) -> Self {
        let keys = fields(&call(1, &Writer::default().bytes(name.as_bytes()).done()).unwrap(), 2);
        let leaf = Writer::default().bytes(name.as_bytes()).bytes(&keys[0]).bytes(&keys[1]).done();
        Self { leaf, secret: Vec::new() }
    }

    fn call(&self, number: u32, rest: &[u8]) -> Vec<u8> {
        call(number, &[&self.leaf, rest].concat()).unwrap()
    }
}

impl Newcomer for OurDevice {
    fn by_link(self: Box<Self>, info: &[u8]) -> (Box<dyn Member>, Vec<u8>) {
        let rest = Writer::default().bytes(info).bytes(b"").bytes(LINK).number(now()).done();
        let answer = self.call(5, &rest);
        (Box::new(Ours(number(&answer))), fields(&answer, 2)[1].clone())
    }

    fn key_package(&mut self) -> Vec<u8> {
        let made = fields(&self.call(2, &Writer::default().number(now()).done()), 3);
        self.secret.clone_from(&made[2]);
        made[1].clone()
    }

    fn by_welcome(self: Box<Self>, welcome: &[u8]) -> Box<dyn Member> {
        let rest = Writer::default().bytes(welcome).number(1).bytes(&self.secret).done();
        let group = number(&self.call(4, &rest));
        // OpenMLS hands no link on; a person has it from the address.
        call(19, &Writer::default().number(group).bytes(LINK).done()).unwrap();
        Box::new(Ours(group))
    }
}

impl Ours {
    fn create(device: &OurDevice) -> Self {
        let rest = Writer::default().bytes(b"room").bytes(LINK).bytes(b"sealed").number(now()).done();
        Self(number(&device.call(3, &rest)))
    }

    fn on(&self, call_number: u32) -> Result<Vec<u8>, ting_mls::Failure> {
        call(call_number, &Writer::default().number(self.0).done())
    }
}

impl Member for Ours {
    fn leaf(&self) -> u32 {
        let state = self.on(15).unwrap();
        let mut reader = Reader::new(&state);
        reader.bytes().unwrap();
        reader.number().unwrap();
        u32::try_from(reader.number().unwrap()).unwrap()
    }

    fn group_info(&mut self) -> Vec<u8> {
        self.on(14).unwrap()
    }

    fn commit(&mut self, removes: &[u32], adds: &[Vec<u8>]) -> (Vec<u8>, Vec<u8>) {
        let mut writer = Writer::default();
        writer.number(self.0).number(now()).number(adds.len() as u64);
        for add in adds {
            writer.bytes(add);
        }
        writer.number(removes.len() as u64);
        for leaf in removes {
            writer.number((*leaf).into());
        }
        let sent = fields(&call(6, &writer.number(0).bytes(b"").done()).unwrap(), 2);
        self.on(7).unwrap();
        (sent[0].clone(), sent[1].clone())
    }

    fn process(&mut self, commit: &[u8]) {
        call(10, &Writer::default().number(self.0).number(now()).bytes(commit).done()).unwrap();
    }

    fn secrets(&mut self) -> Option<Secrets> {
        let authenticator = match self.on(12) {
            Err(failure) if failure.kind == Kind::NotMember => return None,
            answer => answer.unwrap(),
        };
        let wanted = Writer::default().number(self.0).bytes(LABEL.as_bytes()).bytes(b"x").number(16).done();
        Some((authenticator, call(11, &wanted).unwrap()))
    }
}

struct Oracle {
    provider: OpenMlsRustCrypto,
    signer: SignatureKeyPair,
    group: MlsGroup,
}

struct OracleDevice {
    provider: OpenMlsRustCrypto,
    signer: SignatureKeyPair,
    credential: CredentialWithKey,
}

fn capabilities() -> Capabilities {
    Capabilities::new(None, None, Some(&[ExtensionType::Unknown(AGREED)]), None, None)
}

fn link() -> PreSharedKeyId {
    let nonce = OpenMlsRustCrypto::default().rand().random_vec(32).unwrap();
    PreSharedKeyId::external(NAME.to_vec(), nonce)
}

fn config() -> MlsGroupJoinConfig {
    MlsGroupJoinConfig::builder()
        .wire_format_policy(PURE_PLAINTEXT_WIRE_FORMAT_POLICY)
        .use_ratchet_tree_extension(true)
        .build()
}

impl OracleDevice {
    fn new(name: &str) -> Self {
        let provider = OpenMlsRustCrypto::default();
        let signer = SignatureKeyPair::new(SUITE.signature_algorithm()).unwrap();
        signer.store(provider.storage()).unwrap();
        link().store(&provider, LINK).unwrap();
        let credential = CredentialWithKey {
            credential: BasicCredential::new(name.as_bytes().to_vec()).into(),
            signature_key: signer.to_public_vec().into(),
        };
        Self { provider, signer, credential }
    }
}

impl Newcomer for OracleDevice {
    fn by_link(self: Box<Self>, info: &[u8]) -> (Box<dyn Member>, Vec<u8>) {
        let MlsMessageBodyIn::GroupInfo(info) = MlsMessageIn::tls_deserialize_exact(info).unwrap().extract() else {
            panic!("no group info");
        };
        let parameters = LeafNodeParameters::builder().with_capabilities(capabilities()).build();
        let (group, sent) = MlsGroup::external_commit_builder()
            .with_config(config())
            .build_group(&self.provider, info, self.credential)
            .unwrap()
            .leaf_node_parameters(parameters)
            .add_psk_proposal(PreSharedKeyProposal::new(link()))
            .load_psks(self.provider.storage())
            .unwrap()
            .build(self.provider.rand(), self.provider.crypto(), &self.signer, |_| true)
            .unwrap()
            .finalize(&self.provider)
            .unwrap();
        let commit = sent.into_commit().tls_serialize_detached().unwrap();
        (Box::new(Oracle { provider: self.provider, signer: self.signer, group }), commit)
    }

    fn key_package(&mut self) -> Vec<u8> {
        let made = KeyPackage::builder()
            .leaf_node_capabilities(capabilities())
            .build(SUITE, &self.provider, &self.signer, self.credential.clone())
            .unwrap();
        MlsMessageOut::from(made.key_package().clone()).tls_serialize_detached().unwrap()
    }

    fn by_welcome(self: Box<Self>, welcome: &[u8]) -> Box<dyn Member> {
        let MlsMessageBodyIn::Welcome(welcome) = MlsMessageIn::tls_deserialize_exact(welcome).unwrap().extract() else {
            panic!("no welcome");
        };
        let staged = StagedWelcome::new_from_welcome(&self.provider, &config(), welcome, None).unwrap();
        let group = staged.into_group(&self.provider).unwrap();
        Box::new(Oracle { provider: self.provider, signer: self.signer, group })
    }
}

impl Member for Oracle {
    fn leaf(&self) -> u32 {
        self.group.own_leaf_index().u32()
    }

    fn group_info(&mut self) -> Vec<u8> {
        let made = self.group.export_group_info(self.provider.crypto(), &self.signer, true).unwrap();
        made.tls_serialize_detached().unwrap()
    }

    fn commit(&mut self, removes: &[u32], adds: &[Vec<u8>]) -> (Vec<u8>, Vec<u8>) {
        let adds = adds.iter().map(|message| {
            let MlsMessageBodyIn::KeyPackage(package) = MlsMessageIn::tls_deserialize_exact(message).unwrap().extract()
            else {
                panic!("no key package");
            };
            package.validate(self.provider.crypto(), ProtocolVersion::Mls10).unwrap()
        });
        let sent = self
            .group
            .commit_builder()
            .propose_removals(removes.iter().copied().map(LeafNodeIndex::new))
            .propose_adds(adds.collect::<Vec<_>>())
            .force_self_update(true)
            .load_psks(self.provider.storage())
            .unwrap()
            .build(self.provider.rand(), self.provider.crypto(), &self.signer, |_| true)
            .unwrap()
            .stage_commit(&self.provider)
            .unwrap();
        self.group.merge_pending_commit(&self.provider).unwrap();
        let welcome = sent.to_welcome_msg().map(|message| message.tls_serialize_detached().unwrap());
        (sent.into_commit().tls_serialize_detached().unwrap(), welcome.unwrap_or_default())
    }

    fn process(&mut self, commit: &[u8]) {
        let message = MlsMessageIn::tls_deserialize_exact(commit).unwrap().try_into_protocol_message().unwrap();
        let processed = self.group.process_message(&self.provider, message).unwrap();
        let ProcessedMessageContent::StagedCommitMessage(staged) = processed.into_content() else {
            panic!("no commit");
        };
        self.group.merge_staged_commit(&self.provider, *staged).unwrap();
    }

    fn secrets(&mut self) -> Option<Secrets> {
        if !self.group.is_active() {
            return None;
        }
        let secret = self.group.export_secret(self.provider.crypto(), LABEL, b"x", 16).unwrap();
        Some((self.group.epoch_authenticator().as_slice().to_vec(), secret))
    }
}

/// Numbers that look random and are the same each time (xorshift).
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).unwrap()
    }
}

struct Room {
    dice: Dice,
    members: Vec<Box<dyn Member>>,
    names: u32,
}

impl Room {
    fn newcomer(&mut self) -> Box<dyn Newcomer> {
        self.names += 1;
        let name = format!("person {}\0device", self.names);
        if self.dice.below(2) == 0 {
            Box::new(OurDevice::new(&name))
        } else {
            Box::new(OracleDevice::new(&name))
        }
    }

    fn tell_all_but(&mut self, committer: usize, commit: &[u8]) {
        for (at, member) in self.members.iter_mut().enumerate() {
            if at != committer {
                member.process(commit);
            }
        }
    }

    fn join_by_link(&mut self) {
        let at = self.dice.below(self.members.len());
        let info = self.members[at].group_info();
        let (joined, commit) = self.newcomer().by_link(&info);
        self.tell_all_but(usize::MAX, &commit);
        self.members.push(joined);
    }

    /// One commit that removes up to two and adds up to three.
    fn commit(&mut self) {
        let at = self.dice.below(self.members.len());
        let mut removed: Vec<usize> = (0..self.dice.below(3)).map(|_| self.dice.below(self.members.len())).collect();
        removed.retain(|other| *other != at);
        removed.sort_unstable();
        removed.dedup();
        let leaves: Vec<u32> = removed.iter().map(|other| self.members[*other].leaf()).collect();
        let mut newcomers: Vec<_> = (0..self.dice.below(4)).map(|_| self.newcomer()).collect();
        let packages: Vec<_> = newcomers.iter_mut().map(|newcomer| newcomer.key_package()).collect();
        let (commit, welcome) = self.members[at].commit(&leaves, &packages);
        self.tell_all_but(at, &commit);
        for other in removed.into_iter().rev() {
            assert_eq!(self.members.remove(other).secrets(), None);
        }
        self.members.extend(newcomers.into_iter().map(|newcomer| newcomer.by_welcome(&welcome)));
    }

    fn check(&mut self) {
        let first = self.members[0].secrets();
        assert!(first.is_some());
        for member in &mut self.members {
            assert_eq!(member.secrets(), first);
        }
    }
}

fn play(seed: u64, steps: usize) {
    let members: Vec<Box<dyn Member>> = vec![Box::new(Ours::create(&OurDevice::new("first\0device")))];
    let mut room = Room { dice: Dice(seed), members, names: 0 };
    for _ in 0..steps {
        if room.dice.below(3) == 0 {
            room.join_by_link();
        } else {
            room.commit();
        }
        room.check();
    }
}

#[test]
fn members_of_both_kinds_agree_after_every_commit() {
    for seed in 1..=12 {
        play(seed * 0x9e37_79b9, 20);
    }
}
