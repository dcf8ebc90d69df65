//! Estimates the memory of values, for the memory budget.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::{Map, Value};

use crate::account::{AccountId, KeyStatus};

/// Overhead of an allocation in bytes.
const ALLOCATION: usize = 16;

/// The heap memory that a value owns. Excludes the value's own size, which its owner counts.
pub(crate) trait Weight {
    fn weight(&self) -> usize;
}

/// Memory of a string with this text.
pub(crate) fn text(text: &str) -> usize {
    bytes(text.len())
}

/// Memory of an allocation of `length` bytes.
pub(crate) fn bytes(length: usize) -> usize {
    match length {
        0 => 0,
        length => length + ALLOCATION,
    }
}

/// Implements `Weight` as the sum over the fields. Fails to compile if a field is missing.
macro_rules! weigh {
    ($kind:ty { $($field:ident),+ $(,)? }) => {
        impl $crate::weight::Weight for $kind {
            fn weight(&self) -> usize {
                let Self { $($field),+ } = self;
                0 $(+ $crate::weight::Weight::weight($field))+
            }
        }
    };
}
pub(crate) use weigh;

macro_rules! weightless {
    ($($kind:ty),+) => { $(
        impl Weight for $kind {
            fn weight(&self) -> usize {
                0
            }
        }
    )+ };
}
weightless!(
    (),
    bool,
    u64,
    usize,
    i64,
    &'static str,
    SystemTime,
    Duration,
    IpAddr,
    AccountId,
    KeyStatus
);

impl Weight for String {
    fn weight(&self) -> usize {
        match self.capacity() {
            0 => 0,
            capacity => capacity + ALLOCATION,
        }
    }
}

impl<T: Weight> Weight for Option<T> {
    fn weight(&self) -> usize {
        self.as_ref().map_or(0, T::weight)
    }
}

impl<T: Weight> Weight for Arc<T> {
    fn weight(&self) -> usize {
        size_of::<T>() + 2 * ALLOCATION + T::weight(self)
    }
}

impl<A: Weight, B: Weight> Weight for (A, B) {
    fn weight(&self) -> usize {
        self.0.weight() + self.1.weight()
    }
}

impl<T: Weight> Weight for Vec<T> {
    fn weight(&self) -> usize {
        let own = self.capacity() * size_of::<T>() + ALLOCATION;
        own + self.iter().map(T::weight).sum::<usize>()
    }
}

impl<T: Weight> Weight for VecDeque<T> {
    fn weight(&self) -> usize {
        let own = self.capacity() * size_of::<T>() + ALLOCATION;
        own + self.iter().map(T::weight).sum::<usize>()
    }
}

/// Memory of a B-tree, whose nodes have room for 11 items and may be half empty.
fn tree(items: usize, size: usize) -> usize {
    items.max(5) * size * 2
}

impl<K: Weight, V: Weight> Weight for BTreeMap<K, V> {
    fn weight(&self) -> usize {
        if self.is_empty() {
            return 0;
        }
        let items = self
            .iter()
            .map(|(key, value)| key.weight() + value.weight());
        tree(self.len(), size_of::<(K, V)>()) + items.sum::<usize>()
    }
}

impl<K: Weight, V: Weight> Weight for HashMap<K, V> {
    fn weight(&self) -> usize {
        let items = self
            .iter()
            .map(|(key, value)| key.weight() + value.weight());
        self.capacity() * (size_of::<(K, V)>() + 2) + items.sum::<usize>()
    }
}

impl<T: Weight> Weight for HashSet<T> {
    fn weight(&self) -> usize {
        let items = self.iter().map(T::weight);
        self.capacity() * (size_of::<T>() + 2) + items.sum::<usize>()
    }
}

impl<T: Weight> Weight for BTreeSet<T> {
    fn weight(&self) -> usize {
        if self.is_empty() {
            return 0;
        }
        tree(self.len(), size_of::<T>()) + self.iter().map(T::weight).sum::<usize>()
    }
}

impl Weight for Map<String, Value> {
    fn weight(&self) -> usize {
        if self.is_empty() {
            return 0;
        }
        let items = self.iter().map(|(key, value)| text(key) + value.weight());
        tree(self.len(), size_of::<(String, Value)>()) + items.sum::<usize>()
    }
}

impl Weight for Value {
    fn weight(&self) -> usize {
        match self {
            Value::Null | Value::Bool(_) | Value::Number(_) => 0,
            Value::String(text) => text.weight(),
            Value::Array(items) => items.weight(),
            Value::Object(members) => members.weight(),
        }
    }
}
