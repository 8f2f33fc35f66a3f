//! Several engines that look like one: each group of transports lives in one of them, behind a lock of its own.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::yield_now;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard, RwLock};
use ting_core::api::{AudioLevel, EngineStats, Error, Path, SubscriptionConfig, TrackHandle, TransportConfig};
use ting_core::engine::Engine;

use crate::engine_guard::{EngineGuard, Shard};
use crate::groups::Groups;
use crate::lanes::Lanes;
use crate::waiting::EventFd;

/// Parts of the table of paths; threads that read different parts do not touch the same cache line.
const PATH_PARTS: usize = 64;
/// How long transports that move wait for what is decided already to leave: a network that takes nothing must not hold up
/// two engines. Datagrams may then overtake each other, which receivers of RTP put right.
const MAX_SENDING: Duration = Duration::from_millis(20);

#[repr(align(128))]
struct PathPart(RwLock<HashMap<Path, usize>>);

/// What a handle is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Transport,
    Track,
    Subscription,
}

impl Kind {
    fn is_in(self, engine: &Engine, handle: u64) -> bool {
        match self {
            Self::Transport => engine.has_transport(handle),
            Self::Track => engine.has_track(handle),
            Self::Subscription => engine.has_subscription(handle),
        }
    }
}

/// The engines. A handle tells its engine: handles of engine i of n are i + 1, i + 1 + n, i + 1 + 2 n and so on; the
/// exception are those that have moved to another engine.
///
/// Locks are taken in this order: `groups`, engines by rising number, tables.
pub(crate) struct Shards {
    shards: Vec<Shard>,
    paths: Vec<PathPart>,
    hasher: RandomState,
    moved: RwLock<HashMap<(Kind, u64), usize>>,
    /// How often something has moved. It changes while both engines are locked: what was looked up before a lock was had
    /// is still right if this is still the same.
    moves: AtomicU64,
    groups: Mutex<Groups>,
    /// What wakes the threads that give the engines their time; none before there are any.
    clocks: OnceLock<Vec<Arc<EventFd>>>,
}

impl Shards {
    /// `count` engines; with one, the bytes are those of `Engine::new(seed)`.
    pub(crate) fn new(seed: u64, count: usize) -> Self {
        let count = count.max(1);
        let make = |index: usize| {
            // Far apart in the generator's sequence, so that no two engines draw the same numbers.
            let seed = seed ^ (index as u64).wrapping_mul(0xD1B5_4A32_D192_ED03);
            Shard::new(Engine::with_handles(seed, (index as u64).wrapping_add(1), count as u64))
        };
        Self {
            shards: (0..count).map(make).collect(),
            paths: (0..PATH_PARTS).map(|_| PathPart(RwLock::new(HashMap::new()))).collect(),
            hasher: RandomState::new(),
            moved: RwLock::new(HashMap::new()),
            moves: AtomicU64::new(0),
            groups: Mutex::new(Groups { transports: vec![0; count], ..Groups::default() }),
            clocks: OnceLock::new(),
        }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.shards.len()
    }

    /// The ways out of the engines: who moves waits until they are empty.
    pub(crate) fn set_lanes(&self, lanes: Arc<[Lanes]>) {
        self.groups.lock().lanes = lanes;
    }

    /// What wakes the threads: thread i of n gives their time to the engines i, i + n, i + 2 n and so on.
    pub(crate) fn set_clocks(&self, clocks: Vec<Arc<EventFd>>) {
        let _ = self.clocks.set(clocks);
    }

    /// The engine with this number, once it is free. Numbers wrap around.
    pub(crate) fn lock(&self, index: usize) -> EngineGuard<'_> {
        let index = index.checked_rem(self.shards.len()).unwrap_or(0);
        #[allow(clippy::indexing_slicing)] // There is at least one, and the remainder is smaller than their number.
        let shard = &self.shards[index];
        shard.lock(self.clock(index))
    }

    /// The same, if it is free now.
    pub(crate) fn try_lock(&self, index: usize) -> Option<EngineGuard<'_>> {
        self.shards.get(index)?.try_lock(self.clock(index))
    }

    /// What wakes the thread that gives this engine its time.
    fn clock(&self, index: usize) -> Option<&EventFd> {
        let clocks = self.clocks.get()?;
        clocks.get(index.checked_rem(clocks.len())?).map(Arc::as_ref)
    }

    /// The thread that gives this engine its time is awake, and looks at it before it waits for anything.
    pub(crate) fn will_look(&self, index: usize) {
        if let Some(shard) = self.shards.get(index) {
            shard.will_look();
        }
    }

    fn lock_both(&self, one: usize, two: usize) -> (EngineGuard<'_>, EngineGuard<'_>) {
        if one < two {
            let first = self.lock(one);
            (first, self.lock(two))
        } else {
            let second = self.lock(two);
            (self.lock(one), second)
        }
    }

    /// How often something has moved so far.
    pub(crate) fn moves(&self) -> u64 {
        self.moves.load(Ordering::Acquire)
    }

    /// The engine that has `handle` now, or gave it out.
    pub(crate) fn home_of(&self, kind: Kind, handle: u64) -> usize {
        // Nothing ever moves where there is one, and most servers never move anybody.
        if self.moves() > 0
            && let Some(home) = self.moved.read().get(&(kind, handle))
        {
            return *home;
        }
        let count = self.shards.len() as u64;
        handle.wrapping_sub(1).checked_rem(count).unwrap_or(0) as usize
    }

    /// The same, once it is free: what has the handle does not move while the lock is held.
    pub(crate) fn lock_home(&self, kind: Kind, handle: u64) -> EngineGuard<'_> {
        self.lock_found(|| self.home_of(kind, handle)).1
    }

    /// The engine that knows `path`, else the one with the number `other`, once it is free.
    pub(crate) fn lock_path(&self, path: &Path, other: usize) -> (usize, EngineGuard<'_>) {
        self.lock_found(|| self.of_path(path).unwrap_or(other))
    }

    fn lock_found(&self, find: impl Fn() -> usize) -> (usize, EngineGuard<'_>) {
        loop {
            let moves = self.moves();
            let index = find();
            let engine = self.lock(index);
            if self.moves() == moves {
                return (index, engine);
            }
        }
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

    /// Runs a command that may change the paths of a transport, and keeps the table right. `groups` are locked: nothing
    /// moves.
    fn change_paths<R>(
        &self,
        _groups: &MutexGuard<'_, Groups>,
        transport: u64,
        change: impl FnOnce(&mut Engine) -> Result<R, Error>,
    ) -> Result<R, Error> {
        let index = self.home_of(Kind::Transport, transport);
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
        let _groups = self.groups.lock();
        if let Some(index) = self.of_path(path) {
            let mut engine = self.lock(index);
            engine.forget_path(path);
            self.unmap(path, index);
        }
    }

    /// Runs a command that gives `path` to `transport`: an engine that knows it for another one forgets it.
    pub(crate) fn give_path(
        &self,
        transport: u64,
        path: &Path,
        give: impl FnOnce(&mut Engine) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let groups = self.groups.lock();
        let home = self.home_of(Kind::Transport, transport);
        if let Some(owner) = self.of_path(path).filter(|owner| *owner != home) {
            self.lock(home).group_of(transport)?;
            self.lock(owner).forget_path(path);
            self.unmap(path, owner);
        }
        self.change_paths(&groups, transport, give)
    }

    // --- commands that are more than one engine's -----------------------------------------------------------------

    /// A transport in the engine of its group; a new group goes where the fewest transports are.
    pub(crate) fn add_transport(&self, config: TransportConfig) -> Result<u64, Error> {
        let mut groups = self.groups.lock();
        let group = config.group;
        let home = groups.home_for(group);
        let handle = self.lock(home).add_transport(config)?;
        groups.add(group, home, 1);
        Ok(handle)
    }

    /// Forget a transport and, with its last one, its group.
    pub(crate) fn remove_transport(&self, transport: u64) -> Result<(), Error> {
        let mut groups = self.groups.lock();
        let group = self.lock(self.home_of(Kind::Transport, transport)).group_of(transport)?;
        self.change_paths(&groups, transport, |engine| engine.remove_transport(transport))?;
        groups.remove(group, 1);
        Ok(())
    }

    /// `Engine::set_group`: transports move to the engine of `group`, with everything that they have.
    pub(crate) fn set_group(&self, transports: &[u64], group: u64) -> Result<(), Error> {
        let mut groups = self.groups.lock();
        let home_of = |transport: &u64| self.home_of(Kind::Transport, *transport);
        let Some(source) = transports.first().map(home_of) else { return Ok(()) };
        for transport in transports {
            self.lock(home_of(transport)).group_of(*transport)?;
        }
        if transports.iter().any(|transport| home_of(transport) != source) {
            return Err(Error::InvalidConfig("transports that move together are of one group"));
        }
        self.regroup(&mut groups, source, transports, group)
    }

    /// All transports of `group` go on in the group `into`.
    pub(crate) fn join_groups(&self, group: u64, into: u64) -> Result<(), Error> {
        let mut groups = self.groups.lock();
        let Some((source, _)) = groups.homes.get(&group).copied() else { return Ok(()) };
        let transports = self.lock(source).transports_of(group);
        self.regroup(&mut groups, source, &transports, into)
    }

    /// All of `transports` are in the engine `source`.
    fn regroup(&self, groups: &mut Groups, source: usize, transports: &[u64], group: u64) -> Result<(), Error> {
        let Some(first) = transports.first() else { return Ok(()) };
        let before = self.lock(source).group_of(*first)?;
        let target = groups.home_for(group);
        let count = if source == target {
            self.lock(source).set_group(transports, group)?
        } else {
            self.migrate(groups, source, target, transports, group)?
        };
        groups.remove(before, count);
        groups.add(group, target, count);
        Ok(())
    }

    fn migrate(
        &self,
        groups: &Groups,
        source: usize,
        target: usize,
        transports: &[u64],
        group: u64,
    ) -> Result<usize, Error> {
        self.forget_ended();
        let (mut from, mut to) = self.lock_both(source, target);
        let parcel = from.take_out(transports)?;
        if let Some(lanes) = groups.lanes.get(source) {
            // What the engine has decided already leaves before what it decides on elsewhere.
            let deadline = Instant::now().checked_add(MAX_SENDING);
            while !lanes.are_idle() && deadline.is_some_and(|deadline| Instant::now() < deadline) {
                yield_now();
            }
        }
        for path in parcel.paths() {
            if let Some(part) = self.part(path) {
                part.write().insert(*path, target);
            }
        }
        let count = parcel.transports().count();
        let mut moved = self.moved.write();
        moved.extend(parcel.transports().map(|handle| ((Kind::Transport, handle), target)));
        moved.extend(parcel.tracks().map(|handle| ((Kind::Track, handle), target)));
        moved.extend(parcel.subscriptions().map(|handle| ((Kind::Subscription, handle), target)));
        drop(moved);
        to.take_in(parcel, group);
        self.moves.fetch_add(1, Ordering::Release);
        Ok(count)
    }

    /// The table of what has moved shall not grow for ever.
    fn forget_ended(&self) {
        for index in 0..self.len() {
            let engine = self.lock(index);
            self.moved.write().retain(|(kind, handle), home| *home != index || kind.is_in(&engine, *handle));
        }
    }

    /// A subscription within one group.
    pub(crate) fn add_subscription(
        &self,
        transport: u64,
        track: TrackHandle,
        config: SubscriptionConfig,
    ) -> Result<u64, Error> {
        let _groups = self.groups.lock();
        let (to, from) = (self.home_of(Kind::Transport, transport), self.home_of(Kind::Track, track));
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
