//! A device: what its leaf shows, the key that signs, and its key packages.

use std::time::Duration;

use mls_rs::client_builder::{
    BaseConfig, WithCryptoProvider, WithGroupStateStorage, WithIdentityProvider, WithKeyPackageRepo, WithMlsRules,
    WithPskStore,
};
use mls_rs::extension::ExtensionType;
use mls_rs::identity::basic::{BasicCredential, BasicIdentityProvider};
use mls_rs::identity::SigningIdentity;
use mls_rs::mls_rs_codec::MlsEncode;
use mls_rs::time::MlsTime;
use mls_rs::{CipherSuite, CipherSuiteProvider, Client, CryptoProvider, ExtensionList};
use mls_rs_crypto_rustcrypto::RustCryptoProvider;

use crate::error::{Failure, Kind, Outcome};
use crate::rules::Rules;
use crate::stores::{KeyPackages, Link, Shelf};
use crate::wire::{Reader, Writer};

/// `MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519`, which RFC 9420 (17.1) asks of everyone.
pub const SUITE: CipherSuite = CipherSuite::CURVE25519_AES128;

/// The extension of the group's context that holds what members agree on (private use, RFC 9420, 17.3).
pub const AGREED: ExtensionType = ExtensionType::new(0xf7a6);

/// The extension of a welcome's group info that hands the link's secret on to who is added.
pub const LINK_SECRET: ExtensionType = ExtensionType::new(0xf7a7);

/// How long a key package may be used. A room outlives it: leaves already in the tree are not checked again.
pub const LIFETIME: Duration = Duration::from_secs(365 * 24 * 3600);

/// How far a newcomer's clock may be ahead of a member's before its key package looks not yet valid.
const SKEW: Duration = Duration::from_secs(24 * 3600);

pub type Config = WithMlsRules<
    Rules,
    WithPskStore<
        Link,
        WithGroupStateStorage<
            Shelf,
            WithKeyPackageRepo<
                KeyPackages,
                WithIdentityProvider<BasicIdentityProvider, WithCryptoProvider<RustCryptoProvider, BaseConfig>>,
            >,
        >,
    >,
>;

/// What one membership shares with the library below it.
#[derive(Clone, Default)]
pub struct Parts {
    pub rules: Rules,
    pub link: Link,
    pub shelf: Shelf,
    pub packages: KeyPackages,
}

impl Parts {
    pub fn with_link(secret: &[u8]) -> Self {
        Self { link: Link::new(secret), ..Self::default() }
    }

    /// The library's client; without a device it can only load a group that was saved.
    pub fn client(&self, device: Option<&Device>) -> Client<Config> {
        let builder = Client::builder()
            .crypto_provider(RustCryptoProvider::new())
            .identity_provider(BasicIdentityProvider::new())
            .key_package_repo(self.packages.clone())
            .group_state_storage(self.shelf.clone())
            .psk_store(self.link.clone())
            .mls_rules(self.rules.clone())
            .key_package_lifetime(LIFETIME)
            .extension_type(AGREED);
        let Some(device) = device else {
            return builder.build();
        };
        let credential = BasicCredential::new(device.credential.clone()).into_credential();
        let identity = SigningIdentity::new(credential, device.public.clone().into());
        builder.signing_identity(identity, device.secret.clone().into(), SUITE).build()
    }
}

/// The time from which a leaf of now is valid.
pub fn valid_from(now: MlsTime) -> MlsTime {
    MlsTime::from(now.seconds_since_epoch().saturating_sub(SKEW.as_secs()))
}

pub struct Device {
    pub credential: Vec<u8>,
    pub public: Vec<u8>,
    pub secret: Vec<u8>,
}

impl Device {
    /// Draws a signature key for `credential`.
    pub fn generate(credential: &[u8]) -> Outcome<Self> {
        let suite = RustCryptoProvider::new().cipher_suite_provider(SUITE).ok_or(Failure::call("no such suite"))?;
        let keys = suite.signature_key_generate();
        let (secret, public) = keys.map_err(|error| Failure::new(Kind::BadMessage, format!("{error:?}")))?;
        Ok(Self { credential: credential.to_vec(), public: public.to_vec(), secret: secret.to_vec() })
    }

    pub fn read(reader: &mut Reader<'_>) -> Outcome<Self> {
        Ok(Self {
            credential: reader.bytes()?.to_vec(),
            public: reader.bytes()?.to_vec(),
            secret: reader.bytes()?.to_vec(),
        })
    }

    /// A key package (RFC 9420, 10): its reference, what is published, and the private half.
    pub fn key_package(&self, now: MlsTime) -> Outcome<Vec<u8>> {
        let parts = Parts::default();
        let message = parts.client(Some(self)).generate_key_package_message(
            ExtensionList::new(),
            ExtensionList::new(),
            Some(valid_from(now)),
        )?;
        let (id, package) = parts.packages.take().ok_or(Failure::call("no key package was made"))?;
        let private = Writer::default().bytes(&id).bytes(&package.mls_encode_to_vec()?).done();
        Ok(Writer::default().bytes(&id).bytes(&message.to_bytes()?).bytes(&private).done())
    }
}
