//! Several engines that look like one: each group of transports lives in one of them, behind a lock of its own.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use parking_lot::{Mutex, MutexGuard, RwLock};
use ting_core::api::{AudioLevel, EngineStats, Error, Path, SubscriptionConfig, TrackHandle, TransportConfig};
use ting_core::engine::Engine;

/// Parts of the table of paths; threads that read different parts do not touch the same cache line.
const PATH_PARTS: usize = 64;

/// One engine, alone on its cache lines.
#[repr(align(128))]
struct Shard(Mutex<Engine>);

#[repr(align(128))]
struct PathPart(RwLock<HashMap<Path, usize>>);

/// Which engine a group lives in, and how many transports it has.
#[derive(Default)]
struct Groups {
    homes: HashMap<u64, (usize, usize)>,
    transports: Vec<usize>,
}

/// The engines. A handle tells its engine: handles of engine i of n are i + 1, i + 1 + n, i + 1 + 2 n and so on.
pub(crate) struct Shards {
    shards: Vec<Shard>,
    paths: Vec<PathPart>,
    hasher: RandomState,
    groups: Mutex<Groups>,
}

impl Shards {
    /// `count` engines; with one, the bytes are those of `Engine::new(seed)`.
    pub(crate) fn new(seed: u64, count: usize) -> Self {
        let count = count.max(1);
        let make = |index: usize| {
            // Far apart in the generator's sequence, so that no two engines draw the same numbers.
            let seed = seed ^ (index as u64).wrapping_mul(0xD1B5_4A32_D192_ED03);
            Shard(Mutex::new(Engine::with_handles(seed, (index as u64).wrapping_add(1), count as u64)))
        };
        Self {
            shards: (0..count).map(make).collect(),
            paths: (0..PATH_PARTS).map(|_| PathPart(RwLock::new(HashMap::new()))).collect(),
            hasher: RandomState::new(),
            groups: Mutex::new(Groups { homes: HashMap::new(), transports: vec![0; count] }),
        }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.shards.len()
    }

    /// The engine with this number, once it is free. Numbers wrap around.
    pub(crate) fn lock(&self, index: usize) -> MutexGuard<'_, Engine> {
        let index = index.checked_rem(self.shards.len()).unwrap_or(0);
        #[allow(clippy::indexing_slicing)] // There is at least one, and the remainder is smaller than their number.
        self.shards[index].0.lock()
    }

    /// The same, if it is free now.
    pub(crate) fn try_lock(&self, index: usize) -> Option<MutexGuard<'_, Engine>> {
        self.shards.get(index)?.0.try_lock()
    }

    /// The engine that gave out `handle`.
    pub(crate) fn of_handle(&self, handle: u64) -> usize {
        let count = self.shards.len() as u64;
        handle.wrapping_sub(1).checked_rem(count).unwrap_or(0) as usize
    }

    // --- paths --------------------------------------------------------------------------------------------------

    fn part(&self, path: &Path) -> Option<&RwLock<HashMap<Path, usize>>> {
        let index = (self.hasher.hash_one(path) as usize).checked_rem(PATH_PARTS)?;
        self.paths.get(index).map(|part| &part.0)
    }

    /// The engine that knows `path`.
    pub(crate) fn of_path(&self, path: &Path) -> Option<usize> {
        if self.shards.len() == 1 {
            return Some(0);
        }
        self.part(path)?.read().get(path).copied()
    }

    /// Runs a command that may change the paths of a transport, and keeps the table right.
    pub(crate) fn change_paths<R>(
        &self,
        transport: u64,
        change: impl FnOnce(&mut Engine) -> Result<R, Error>,
    ) -> Result<R, Error> {
        let index = self.of_handle(transport);
        let mut engine = self.lock(index);
        if self.shards.len() == 1 {
            return change(&mut engine);
        }
        let before = engine.paths(transport)?.to_vec();
        let done = change(&mut engine)?;
        let after = engine.paths(transport).map(<[Path]>::to_vec).unwrap_or_default();
        for path in before.iter().chain(&after) {
            if !engine.has_path(path) {
                self.unmap(path, index);
            } else if let Some(part) = self.part(path) {
                part.write().insert(*path, index);
            }
        }
        Ok(done)
    }

    fn unmap(&self, path: &Path, index: usize) {
        if let Some(part) = self.part(path) {
            let mut part = part.write();
            if part.get(path) == Some(&index) {
                part.remove(path);
            }
        }
    }

    /// `path` leads nowhere from now on.
    pub(crate) fn forget_path(&self, path: &Path) {
        if let Some(index) = self.of_path(path) {
            let mut engine = self.lock(index);
            engine.forget_path(path);
            self.unmap(path, index);
        }
    }

    /// A path moves to `transport`: an engine that knows it for another one forgets it.
    pub(crate) fn claim_path(&self, transport: u64, path: &Path) {
        let home = self.of_handle(transport);
        let is_elsewhere = self.of_path(path).is_some_and(|owner| owner != home);
        if is_elsewhere && self.lock(home).group_of(transport).is_ok() {
            self.forget_path(path);
        }
    }

    // --- commands that are more than one engine's -----------------------------------------------------------------

    /// A transport in the engine of its group; a new group goes where the fewest transports are.
    pub(crate) fn add_transport(&self, config: TransportConfig) -> Result<u64, Error> {
        let mut groups = self.groups.lock();
        let group = config.group;
        let home = groups.homes.get(&group).map(|home| home.0).or_else(|| {
            let counts = groups.transports.iter().enumerate();
            counts.min_by_key(|(_, count)| **count).map(|(index, _)| index)
        });
        let home = home.unwrap_or(0);
        let handle = self.lock(home).add_transport(config)?;
        let entry = groups.homes.entry(group).or_insert((home, 0));
        entry.1 = entry.1.saturating_add(1);
        if let Some(count) = groups.transports.get_mut(home) {
            *count = count.saturating_add(1);
        }
        Ok(handle)
    }

    /// Forget a transport and, with its last one, its group.
    pub(crate) fn remove_transport(&self, transport: u64) -> Result<(), Error> {
        let home = self.of_handle(transport);
        let group = self.lock(home).group_of(transport)?;
        self.change_paths(transport, |engine| engine.remove_transport(transport))?;
        let mut groups = self.groups.lock();
        if let Some(entry) = groups.homes.get_mut(&group) {
            entry.1 = entry.1.saturating_sub(1);
            if entry.1 == 0 {
                groups.homes.remove(&group);
            }
        }
        if let Some(count) = groups.transports.get_mut(home) {
            *count = count.saturating_sub(1);
        }
        Ok(())
    }

    /// A subscription within one group.
    pub(crate) fn add_subscription(
        &self,
        transport: u64,
        track: TrackHandle,
        config: SubscriptionConfig,
    ) -> Result<u64, Error> {
        let (to, from) = (self.of_handle(transport), self.of_handle(track));
        if to == from {
            return self.lock(to).add_subscription(transport, track, config);
        }
        self.lock(to).group_of(transport)?;
        if self.lock(from).has_track(track) {
            Err(Error::OtherGroup(transport, track))
        } else {
            Err(Error::UnknownTrack(track))
        }
    }

    /// `Engine::audio_levels` of all, in order of the handles.
    pub(crate) fn audio_levels(&self) -> Vec<AudioLevel> {
        let mut levels: Vec<AudioLevel> = (0..self.len()).flat_map(|index| self.lock(index).audio_levels()).collect();
        levels.sort_by_key(|level| level.track);
        levels
    }

    /// `Engine::stats` of all as one, in order of the handles.
    pub(crate) fn stats(&self) -> EngineStats {
        let mut total = self.lock(0).stats();
        for index in 1..self.len() {
            let more = self.lock(index).stats();
            total.transports.extend(more.transports);
            total.tracks.extend(more.tracks);
            total.subscriptions.extend(more.subscriptions);
            total.drops.merge(&more.drops);
            total.checks_answered = total.checks_answered.wrapping_add(more.checks_answered);
            total.faults = total.faults.wrapping_add(more.faults);
            total.packets_received = total.packets_received.wrapping_add(more.packets_received);
            total.packets_sent = total.packets_sent.wrapping_add(more.packets_sent);
            total.bytes_received = total.bytes_received.wrapping_add(more.bytes_received);
            total.bytes_sent = total.bytes_sent.wrapping_add(more.bytes_sent);
        }
        total.transports.sort_by_key(|one| one.transport);
        total.tracks.sort_by_key(|one| one.track);
        total.subscriptions.sort_by_key(|one| one.subscription);
        total
    }
}
