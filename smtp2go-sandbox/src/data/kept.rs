//! A map that tracks changes, so that the data file has a record for each item.

use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Index;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::keep::Figure;
use crate::weight::Weight;

/// Items by key, in the order of their keys. With a data file, it tracks which items change, so that
/// only those are written.
pub(crate) struct Kept<K, V> {
    items: BTreeMap<K, V>,
    /// Keys of items that were added, changed or removed since the last write. `None` without a data
    /// file.
    changed: Option<BTreeSet<K>>,
}

impl<K, V> Default for Kept<K, V> {
    fn default() -> Self {
        Self {
            items: BTreeMap::new(),
            changed: None,
        }
    }
}

impl<K: fmt::Debug, V: fmt::Debug> fmt::Debug for Kept<K, V> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.items.fmt(formatter)
    }
}

impl<K: Weight, V: Weight> Weight for Kept<K, V> {
    fn weight(&self) -> usize {
        self.items.weight()
    }
}

impl<K: Ord + Clone, V> Kept<K, V> {
    fn mark(&mut self, key: &K) {
        if let Some(changed) = &mut self.changed {
            changed.insert(key.clone());
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &V> {
        self.items.values()
    }

    /// Iterates over the items with their keys.
    pub(crate) fn numbered(&self) -> impl DoubleEndedIterator<Item = (&K, &V)> {
        self.items.iter()
    }

    pub(crate) fn contains<Q: Ord + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.items.contains_key(key)
    }

    pub(crate) fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.items.get(key)
    }

    /// Returns an item and marks it as changed.
    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let item = self.items.get_mut(key)?;
        if let Some(changed) = &mut self.changed {
            changed.insert(key.clone());
        }
        Some(item)
    }

    /// Returns the key of the first item that matches.
    pub(crate) fn find(&self, is_wanted: impl Fn(&V) -> bool) -> Option<K> {
        let mut items = self.items.iter();
        let (key, _) = items.find(|(_, item)| is_wanted(item))?;
        Some(key.clone())
    }

    pub(crate) fn insert(&mut self, key: K, item: V) {
        self.mark(&key);
        self.items.insert(key, item);
    }

    pub(crate) fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let (key, item) = self.items.remove_entry(key)?;
        self.mark(&key);
        Some(item)
    }

    /// Removes the first item, and returns it with its key.
    pub(crate) fn pop_first(&mut self) -> Option<(K, V)> {
        let (key, item) = self.items.pop_first()?;
        self.mark(&key);
        Some((key, item))
    }

    /// Removes the items for which `stays` returns false.
    pub(crate) fn retain(&mut self, stays: impl Fn(&V) -> bool) {
        let changed = &mut self.changed;
        self.items.retain(|key, item| {
            let stays = stays(item);
            if !stays && let Some(changed) = changed {
                changed.insert(key.clone());
            }
            stays
        });
    }

    /// Iterates over the items that match, and marks each as changed.
    pub(crate) fn each_mut(
        &mut self,
        is_wanted: impl Fn(&V) -> bool,
    ) -> impl Iterator<Item = &mut V> {
        let changed = &mut self.changed;
        let wanted = self
            .items
            .iter_mut()
            .filter(move |(_, item)| is_wanted(item));
        wanted.map(move |(key, item)| {
            if let Some(changed) = changed {
                changed.insert(key.clone());
            }
            item
        })
    }

    /// Returns an item, and marks it as changed. If it is missing, the default is inserted first.
    pub(crate) fn or_default(&mut self, key: K) -> &mut V
    where
        V: Default,
    {
        self.mark(&key);
        self.items.entry(key).or_default()
    }
}

impl<V> Kept<u64, V> {
    /// Adds an item at the end, and returns its number.
    pub(crate) fn push(&mut self, item: V) -> u64 {
        let last = self.items.last_key_value();
        let number = last.map_or(0, |(number, _)| number + 1);
        self.insert(number, item);
        number
    }
}

impl<K: Ord + Clone, V> Index<K> for Kept<K, V> {
    type Output = V;

    fn index(&self, key: K) -> &V {
        &self.items[&key]
    }
}

/// Converts a key to text and back. The texts sort like the keys.
pub(crate) trait RecordKey: Ord + Clone {
    fn write(&self) -> String;
    fn read(text: &str) -> Option<Self>;
}

impl RecordKey for u64 {
    fn write(&self) -> String {
        format!("{self:020}")
    }

    fn read(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

impl RecordKey for String {
    fn write(&self) -> String {
        self.clone()
    }

    fn read(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }
}

impl RecordKey for Figure {
    fn write(&self) -> String {
        serde_json::json!(self).to_string()
    }

    fn read(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }
}

/// A changed record: its key and its value. The value is `None` if the record was removed.
pub(crate) type Changed = (String, Option<serde_json::Result<Vec<u8>>>);

/// A [`Kept`] of any type, for saving and loading.
pub(crate) trait Collection {
    /// Starts to track changes. `all` marks the existing items as changed.
    fn track(&mut self, all: bool);

    /// Returns the changes since the last call.
    fn take_changed(&mut self) -> Vec<Changed>;

    /// Restores an item from its record.
    fn restore(&mut self, key: &str, value: &[u8]) -> Result<(), String>;
}

impl<K: RecordKey, V: Serialize + DeserializeOwned> Collection for Kept<K, V> {
    fn track(&mut self, all: bool) {
        let items = if all { self.items.len() } else { 0 };
        self.changed = Some(self.items.keys().take(items).cloned().collect());
    }

    fn take_changed(&mut self) -> Vec<Changed> {
        let changed = self.changed.as_mut().map(std::mem::take);
        let changed = changed.into_iter().flatten();
        let changed = changed.map(|key| {
            let value = self.items.get(&key).map(serde_json::to_vec);
            (key.write(), value)
        });
        changed.collect()
    }

    fn restore(&mut self, key: &str, value: &[u8]) -> Result<(), String> {
        let key = K::read(key).ok_or("the key cannot be read")?;
        let value = serde_json::from_slice(value).map_err(|error| error.to_string())?;
        self.items.insert(key, value);
        Ok(())
    }
}
