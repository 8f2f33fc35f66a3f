//! Where the MLS library finds and leaves what outlives a call: the link's secret, key packages, a group's state.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard};

use mls_rs::psk::{ExternalPskId, PreSharedKey};
use mls_rs::storage_provider::KeyPackageData;
use mls_rs::{GroupStateStorage, KeyPackageStorage, PreSharedKeyStorage};
use mls_rs_core::group::{EpochRecord, GroupState};
use zeroize::Zeroizing;

use crate::rules::LINK;

type Shared<T> = Arc<Mutex<T>>;

fn held<T>(shared: &Shared<T>) -> MutexGuard<'_, T> {
    shared.lock().expect("one thread")
}

/// The secret of the room's link, as far as this device knows it.
#[derive(Clone, Default)]
pub struct Link(Shared<Option<PreSharedKey>>);

impl Link {
    pub fn new(secret: &[u8]) -> Self {
        let link = Self::default();
        link.set(secret);
        link
    }

    /// Empty: this device does not know the secret.
    pub fn set(&self, secret: &[u8]) {
        *held(&self.0) = (!secret.is_empty()).then(|| PreSharedKey::new(secret.to_vec()));
    }

    pub fn secret(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(held(&self.0).as_ref().map(|key| key.raw_value().to_vec()).unwrap_or_default())
    }
}

impl PreSharedKeyStorage for Link {
    type Error = Infallible;

    fn get(&self, id: &ExternalPskId) -> Result<Option<PreSharedKey>, Infallible> {
        Ok(if **id == *LINK { held(&self.0).clone() } else { None })
    }
}

/// One group's state on its way in or out. Former epochs are never kept.
#[derive(Clone, Default)]
pub struct Shelf(Shared<Option<Zeroizing<Vec<u8>>>>);

impl Shelf {
    pub fn holding(state: &[u8]) -> Self {
        Self(Arc::new(Mutex::new(Some(Zeroizing::new(state.to_vec())))))
    }

    pub fn take(&self) -> Option<Zeroizing<Vec<u8>>> {
        held(&self.0).take()
    }
}

impl GroupStateStorage for Shelf {
    type Error = Infallible;

    fn state(&self, _group_id: &[u8]) -> Result<Option<Zeroizing<Vec<u8>>>, Infallible> {
        Ok(self.take())
    }

    fn epoch(&self, _group_id: &[u8], _epoch_id: u64) -> Result<Option<Zeroizing<Vec<u8>>>, Infallible> {
        Ok(None)
    }

    fn write(&mut self, state: GroupState, _new: Vec<EpochRecord>, _old: Vec<EpochRecord>) -> Result<(), Infallible> {
        *held(&self.0) = Some(state.data);
        Ok(())
    }

    fn max_epoch_id(&self, _group_id: &[u8]) -> Result<Option<u64>, Infallible> {
        Ok(None)
    }
}

/// The private halves of the key packages that one call works with, by reference (RFC 9420, 5.2).
#[derive(Clone, Default)]
pub struct KeyPackages(Shared<HashMap<Vec<u8>, KeyPackageData>>);

impl KeyPackages {
    pub fn take(&self) -> Option<(Vec<u8>, KeyPackageData)> {
        held(&self.0).drain().next()
    }

    pub fn put(&self, id: &[u8], package: KeyPackageData) {
        held(&self.0).insert(id.to_vec(), package);
    }

    pub fn has(&self, id: &[u8]) -> bool {
        held(&self.0).contains_key(id)
    }
}

impl KeyPackageStorage for KeyPackages {
    type Error = Infallible;

    fn delete(&mut self, id: &[u8]) -> Result<(), Infallible> {
        held(&self.0).remove(id);
        Ok(())
    }

    fn insert(&mut self, id: Vec<u8>, package: KeyPackageData) -> Result<(), Infallible> {
        self.put(&id, package);
        Ok(())
    }

    fn get(&self, id: &[u8]) -> Result<Option<KeyPackageData>, Infallible> {
        Ok(held(&self.0).get(id).cloned())
    }
}
