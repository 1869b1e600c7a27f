use std::collections::HashSet;

use lru::LruCache;

use super::*;

/// Keyed as an engine's is, but the same in every run.
fn numbered(count: u64) -> impl Iterator<Item = SidHash> {
    (0..count).map(|number| {
        let mut hasher = std::hash::DefaultHasher::new();
        number.hash(&mut hasher);
        SidHash(hasher.finish())
    })
}

#[test]
fn equal_bytes_make_equal_sids_for_one_hasher() {
    let hasher = RandomState::new();
    for bytes in [&b""[..], b"a sid", &[0xFF; 33], &[7; 5000]] {
        let sid = Sid::new(bytes, &hasher);
        assert_eq!(sid.as_bytes(), bytes);
        assert_eq!(sid, Sid::new(bytes, &hasher));
        assert_eq!(sid.hash(), Sid::new(bytes, &hasher).hash());
    }
}

#[test]
fn sids_that_share_a_hash_are_not_equal() {
    let (one, other) = (Sid::with_hash(b"one", 5), Sid::with_hash(b"other", 5));
    assert_ne!(one, other);

    let mut map = LruCache::unbounded_with_hasher(UseSidHash::default());
    map.put(one.clone(), 1);
    map.put(other.clone(), 2);
    assert_eq!(map.peek(&one), Some(&1));
    assert_eq!(map.peek(&other), Some(&2));
    assert_eq!(map.pop(&one), Some(1));
    assert_eq!(map.peek(&other), Some(&2));
}

#[test]
fn a_map_of_sids_can_be_searched_by_hash() {
    let mut map = LruCache::unbounded_with_hasher(UseSidHash::default());
    let sid = Sid::with_hash(b"a sid", 5);
    map.put(sid.clone(), 1);
    assert_eq!(map.peek(&sid.hash()), Some(&1));
    assert_eq!(map.peek(&SidHash(6)), None);
}

#[test]
fn engines_hash_differently() {
    let bytes = b"a sid";
    let hashes: HashSet<u64> =
        (0..8).map(|_| Sid::new(bytes, &RandomState::new()).hash().0).collect();
    assert!(hashes.len() > 1, "an attacker cannot know the hash");
}

#[test]
fn sids_spread_over_all_parts_evenly() {
    // However many there are: a power of two or not.
    for count in [256, 300, 7] {
        let mut shards = vec![0; count];
        for hash in numbered(count as u64 * 100) {
            shards[hash.shard(count)] += 1;
        }
        assert!(shards.iter().all(|sids| (50..=200).contains(sids)));
    }
}

#[test]
fn every_hash_has_a_shard() {
    for count in [1, 256, 300] {
        assert_eq!(SidHash(0).shard(count), 0);
        assert_eq!(SidHash(u64::MAX).shard(count), count - 1);
    }
}

#[test]
fn a_sid_allocates_only_where_it_is_longer_than_a_node_has_room_for() {
    let hasher = RandomState::new();
    for length in [0, 31, INLINE_SID] {
        assert_eq!(Sid::new(&vec![b'a'; length], &hasher).allocated(), 0);
    }
    for length in [33, 40, 41, 64, 1000] {
        let taken = Sid::new(&vec![b'a'; length], &hasher).allocated();
        assert!((length..length + length / 4 + 16).contains(&taken), "{length}: {taken}");
    }
}

#[test]
fn the_sids_of_a_part_differ_in_the_bits_that_its_map_uses() {
    let in_shard = numbered(300 * 100).filter(|hash| hash.shard(300) == 3);
    let (lowest, highest): (HashSet<u64>, HashSet<u64>) =
        in_shard.map(|SidHash(hash)| (hash & 31, hash >> 59)).unzip();
    assert!(lowest.len() > 16 && highest.len() > 16);
}
