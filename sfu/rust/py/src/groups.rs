//! Which engine a group of transports lives in.

use std::collections::HashMap;
use std::sync::Arc;

use crate::lanes::Lanes;

/// The groups that have transports.
#[derive(Default)]
pub(crate) struct Groups {
    /// By group: its engine, and how many transports it has.
    pub(crate) homes: HashMap<u64, (usize, usize)>,
    /// By engine.
    pub(crate) transports: Vec<usize>,
    /// The ways out of the engines, once there is a runtime.
    pub(crate) lanes: Arc<[Lanes]>,
}

impl Groups {
    /// The engine of a group; for a new one that with the fewest transports.
    pub(crate) fn home_for(&self, group: u64) -> usize {
        let home = self.homes.get(&group).map(|home| home.0).or_else(|| {
            let counts = self.transports.iter().enumerate();
            counts.min_by_key(|(_, count)| **count).map(|(index, _)| index)
        });
        home.unwrap_or(0)
    }

    /// So many transports of a group are in its engine `home` more.
    pub(crate) fn add(&mut self, group: u64, home: usize, transports: usize) {
        let entry = self.homes.entry(group).or_insert((home, 0));
        entry.1 = entry.1.saturating_add(transports);
        if let Some(count) = self.transports.get_mut(home) {
            *count = count.saturating_add(transports);
        }
    }

    /// So many fewer; a group without transports is forgotten.
    pub(crate) fn remove(&mut self, group: u64, transports: usize) {
        let Some(entry) = self.homes.get_mut(&group) else { return };
        entry.1 = entry.1.saturating_sub(transports);
        let home = entry.0;
        if entry.1 == 0 {
            self.homes.remove(&group);
        }
        if let Some(count) = self.transports.get_mut(home) {
            *count = count.saturating_sub(transports);
        }
    }
}
