//! The keyspace: sixteen databases of bounded size, with expiry, in the order of a keyed hash.
//!
//! SCAN walks buckets as the real dictionary does (cursor increments in reverse binary), so cursors look right and
//! every key that stays is seen. Types and commands are elsewhere.

use std::collections::{BTreeMap, VecDeque};

use sha2::{Digest, Sha256};

/// Databases.
pub const DATABASES: usize = 16;
/// Bytes that clients may put in, all databases together.
pub const BYTES_MAX: usize = 8 << 20;
/// What an entry costs besides its bytes.
const OVERHEAD: usize = 64;

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Bytes.
    Str(Vec<u8>),
    /// A list.
    List(VecDeque<Vec<u8>>),
    /// Fields in order of arrival.
    Hash(Vec<(Vec<u8>, Vec<u8>)>),
    /// Members in order of arrival.
    Set(Vec<Vec<u8>>),
    /// Members ordered by score, then name.
    Zset(Vec<(f64, Vec<u8>)>),
}

impl Value {
    /// Name of the type.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Str(_) => "string",
            Self::List(_) => "list",
            Self::Hash(_) => "hash",
            Self::Set(_) => "set",
            Self::Zset(_) => "zset",
        }
    }

    /// Bytes in it.
    pub fn size(&self) -> usize {
        match self {
            Self::Str(bytes) => bytes.len(),
            Self::List(items) => items.iter().map(|item| item.len() + 8).sum(),
            Self::Hash(pairs) => pairs.iter().map(|(key, value)| key.len() + value.len() + 16).sum(),
            Self::Set(items) => items.iter().map(|item| item.len() + 16).sum(),
            Self::Zset(items) => items.iter().map(|(_, item)| item.len() + 24).sum(),
        }
    }

    /// Whether a collection has become empty: such keys vanish.
    fn is_empty(&self) -> bool {
        match self {
            Self::Str(_) => false,
            Self::List(items) => items.is_empty(),
            Self::Hash(pairs) => pairs.is_empty(),
            Self::Set(items) => items.is_empty(),
            Self::Zset(items) => items.is_empty(),
        }
    }
}

/// A key's value and when it ends.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The value.
    pub value: Value,
    /// Unix milliseconds.
    pub expires: Option<i64>,
    /// A client wrote it (bait that nobody touched may still be changed by its owner).
    pub foreign: bool,
}

/// One database.
#[derive(Debug, Default)]
pub struct Database {
    entries: BTreeMap<(u64, Vec<u8>), Entry>,
}

/// All databases.
#[derive(Debug)]
pub struct Store {
    databases: Vec<Database>,
    hash_key: [u8; 16],
    bytes: usize,
    /// No key ends before this.
    next_expiry: i64,
    /// Keys that have expired.
    pub expired: u64,
    /// Lookups that found a key.
    pub hits: u64,
    /// Lookups that did not.
    pub misses: u64,
    /// Writes since the last save.
    pub dirty: u64,
}

impl Store {
    /// An empty keyspace whose order depends on `hash_key`.
    pub fn new(hash_key: [u8; 16]) -> Self {
        let databases = (0..DATABASES).map(|_| Database::default()).collect();
        Self {
            databases,
            hash_key,
            bytes: 0,
            next_expiry: i64::MAX,
            expired: 0,
            hits: 0,
            misses: 0,
            dirty: 0,
        }
    }

    /// Bytes in use.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether clients may add.
    pub fn is_full(&self) -> bool {
        self.bytes >= BYTES_MAX
    }

    fn slot(&self, key: &[u8]) -> (u64, Vec<u8>) {
        let digest = Sha256::new_with_prefix(self.hash_key).chain_update(key).finalize();
        let head = digest.first_chunk::<8>().copied().unwrap_or_default();
        (u64::from_be_bytes(head), key.to_vec())
    }

    /// Removes what has expired by `now`.
    pub fn expire(&mut self, now: i64) {
        if now < self.next_expiry {
            return;
        }
        self.next_expiry = i64::MAX;
        for database in &mut self.databases {
            let before = database.entries.len();
            let mut freed = 0;
            database.entries.retain(|(_, key), entry| {
                let alive = entry.expires.is_none_or(|at| at > now);
                if alive {
                    self.next_expiry = self.next_expiry.min(entry.expires.unwrap_or(i64::MAX));
                } else {
                    freed += key.len() + entry.value.size() + OVERHEAD;
                }
                alive
            });
            self.expired += (before - database.entries.len()) as u64;
            self.bytes = self.bytes.saturating_sub(freed);
        }
    }

    /// The entry of a key.
    pub fn get(&self, db: usize, key: &[u8]) -> Option<&Entry> {
        self.databases.get(db)?.entries.get(&self.slot(key))
    }

    /// Looks a key up on behalf of a client: counts.
    pub fn look(&mut self, db: usize, key: &[u8]) -> Option<&Value> {
        if self.get(db, key).is_some() {
            self.hits += 1;
        } else {
            self.misses += 1;
        }
        self.get(db, key).map(|entry| &entry.value)
    }

    /// Sets a key.
    pub fn put(&mut self, db: usize, key: &[u8], entry: Entry) {
        self.remove(db, key);
        self.next_expiry = self.next_expiry.min(entry.expires.unwrap_or(i64::MAX));
        let slot = self.slot(key);
        if let Some(database) = self.databases.get_mut(db) {
            self.bytes += key.len() + entry.value.size() + OVERHEAD;
            database.entries.insert(slot, entry);
        }
    }

    /// Takes a key out.
    pub fn remove(&mut self, db: usize, key: &[u8]) -> Option<Entry> {
        let slot = self.slot(key);
        let entry = self.databases.get_mut(db)?.entries.remove(&slot)?;
        self.bytes = self.bytes.saturating_sub(key.len() + entry.value.size() + OVERHEAD);
        Some(entry)
    }

    /// Changes a value in place; `make` gives the value of a missing key. A collection left empty is removed.
    pub fn update<R>(
        &mut self,
        db: usize,
        key: &[u8],
        make: impl FnOnce() -> Value,
        change: impl FnOnce(&mut Value) -> R,
    ) -> R {
        let mut entry =
            self.remove(db, key).unwrap_or_else(|| Entry { value: make(), expires: None, foreign: true });
        let result = change(&mut entry.value);
        entry.foreign = true;
        if !entry.value.is_empty() {
            self.put(db, key, entry);
        }
        self.dirty += 1;
        result
    }

    /// Sets or clears the time at which a key ends; false when there is no such key.
    pub fn set_expiry(&mut self, db: usize, key: &[u8], expires: Option<i64>) -> bool {
        let slot = self.slot(key);
        self.next_expiry = self.next_expiry.min(expires.unwrap_or(i64::MAX));
        let found = self.databases.get_mut(db).and_then(|database| database.entries.get_mut(&slot));
        match found {
            Some(entry) => {
                entry.expires = expires;
                self.dirty += 1;
                true
            }
            None => false,
        }
    }

    /// Number of keys, and of those that expire.
    pub fn size(&self, db: usize) -> (usize, usize) {
        self.databases.get(db).map_or((0, 0), |database| {
            (
                database.entries.len(),
                database.entries.values().filter(|entry| entry.expires.is_some()).count(),
            )
        })
    }

    /// Mean time to live in milliseconds of the keys that expire.
    pub fn mean_ttl(&self, db: usize, now: i64) -> i64 {
        let ttls: Vec<i64> = self.databases.get(db).map_or_else(Vec::new, |database| {
            database.entries.values().filter_map(|entry| Some((entry.expires? - now).max(0))).collect()
        });
        let count = i64::try_from(ttls.len()).unwrap_or(1).max(1);
        ttls.iter().fold(0i64, |sum, ttl| sum.saturating_add(*ttl)) / count
    }

    /// Removes all keys of one database.
    pub fn clear(&mut self, db: usize) {
        let keys: Vec<Vec<u8>> = self.keys(db).map(<[u8]>::to_vec).collect();
        for key in keys {
            self.remove(db, &key);
            self.dirty += 1;
        }
    }

    /// Exchanges two databases.
    pub fn swap(&mut self, first: usize, second: usize) {
        if first.max(second) < self.databases.len() {
            self.databases.swap(first, second);
        }
    }

    /// All keys in dictionary order.
    pub fn keys(&self, db: usize) -> impl Iterator<Item = &[u8]> {
        self.databases
            .get(db)
            .into_iter()
            .flat_map(|database| database.entries.keys().map(|(_, key)| key.as_slice()))
    }

    /// What clients have written, for evidence when they save it to disk.
    pub fn foreign(&self) -> impl Iterator<Item = (&[u8], &Value)> {
        self.databases
            .iter()
            .flat_map(|database| database.entries.iter())
            .filter(|(_, entry)| entry.foreign)
            .map(|((_, key), entry)| (key.as_slice(), &entry.value))
    }

    /// One step of SCAN: the next cursor and the keys on the way.
    pub fn scan(&self, db: usize, cursor: u64, count: usize) -> (u64, Vec<Vec<u8>>) {
        let Some(database) = self.databases.get(db) else { return (0, Vec::new()) };
        let entries = &database.entries;
        let mask = (entries.len().next_power_of_two().max(4) - 1) as u64;
        // Buckets as the dictionary would have them; one pass, since the keyspace is small.
        let mut buckets: BTreeMap<u64, Vec<&[u8]>> = BTreeMap::new();
        for (hash, key) in entries.keys() {
            buckets.entry(hash & mask).or_default().push(key);
        }
        let mut keys = Vec::new();
        let mut cursor = cursor;
        loop {
            keys.extend(buckets.get(&(cursor & mask)).into_iter().flatten().map(|key| key.to_vec()));
            cursor = ((cursor | !mask).reverse_bits().wrapping_add(1)).reverse_bits();
            if cursor == 0 || keys.len() >= count {
                return (cursor, keys);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn entry(value: &[u8], expires: Option<i64>) -> Entry {
        Entry { value: Value::Str(value.to_vec()), expires, foreign: true }
    }

    #[test]
    fn sizes_expiry_and_empty_collections() {
        let mut store = Store::new([1; 16]);
        store.put(0, b"a", entry(b"xyz", Some(10)));
        store.put(0, b"b", entry(b"xyz", None));
        store.put(0, b"b", entry(b"x", None));
        assert_eq!(store.size(0), (2, 1));
        store.expire(10);
        assert_eq!((store.size(0), store.expired), ((1, 0), 1));
        store.update(0, b"l", || Value::List(VecDeque::new()), |_| ());
        assert_eq!(store.size(0).0, 1);
        store.clear(0);
        assert_eq!((store.bytes(), store.size(0).0), (0, 0));
    }

    proptest! {
        #[test]
        fn scan_sees_every_key_once(count in 0usize..200, step in 1usize..30) {
            let mut store = Store::new([7; 16]);
            for i in 0..count {
                store.put(3, format!("key:{i}").as_bytes(), entry(b"v", None));
            }
            let mut seen = Vec::new();
            let mut cursor = 0;
            loop {
                let (next, keys) = store.scan(3, cursor, step);
                seen.extend(keys);
                cursor = next;
                prop_assert!(cursor < 256);
                if cursor == 0 {
                    break;
                }
            }
            prop_assert_eq!(seen.len(), count);
            prop_assert_eq!(seen.into_iter().collect::<BTreeSet<_>>().len(), count);
        }
    }
}
