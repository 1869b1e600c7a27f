use std::fs;
use std::path::{Path, PathBuf};

use heed::types::Bytes;
use heed::{EnvFlags, EnvOpenOptions};

use super::bytes::{index, u16_at, u64_at};
use super::check;
use super::fault::Fault;
use super::meta::{Database, MAGIC, Meta};
use super::page::{NODE_HEADER, P_BRANCH, P_LEAF, P_OVERFLOW, PAGE_HEADER, nodes};
use crate::engine::shared::space::PageSize;

/// The size of the pages of the files that this system makes.
fn page_size() -> usize {
    PageSize::of_system().bytes()
}

/// A directory that goes when the test ends.
struct Directory(PathBuf);

impl Directory {
    fn new(test: &str) -> Self {
        let name = format!("memorystore-rs-check-{}-{test}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self) -> PathBuf {
        self.0.join("data.mdb")
    }

    fn open(&self, flags: EnvFlags) -> heed::Env {
        let mut options = EnvOpenOptions::new();
        options.map_size(4096 * page_size()).max_dbs(4);
        // SAFETY: the flags are about syncing, and the files of tests may be lost.
        #[expect(unsafe_code, reason = "heed leaves flags to its caller")]
        unsafe {
            options.flags(flags);
        }
        // SAFETY: nobody else knows the directory, and its test opens it once at a time.
        #[expect(unsafe_code, reason = "heed cannot know that nobody else has the file")]
        unsafe {
            options.open(&self.0).unwrap()
        }
    }

    /// What `check` says of a file of these bytes.
    fn verdict(&self, bytes: &[u8]) -> String {
        fs::write(self.file(), bytes).unwrap();
        verdict(&self.file())
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn verdict(path: &Path) -> String {
    check(path).map_or_else(|fault| fault.to_string(), |()| "fine".to_owned())
}

fn fast() -> EnvFlags {
    EnvFlags::WRITE_MAP | EnvFlags::NO_SYNC
}

/// Spreads numbers evenly.
fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 31)).wrapping_mul(0x7FB5_D329_728E_A185);
    (number ^ (number >> 27)).wrapping_mul(0x81DA_DEF4_BC2D_D44D) >> 20
}

/// Puts and deletes entries of all sizes in `rounds` transactions, and checks after each.
fn fill(directory: &Directory, flags: EnvFlags, rounds: u64) {
    let env = directory.open(flags);
    for name in ["a", "b"] {
        for round in 0..rounds {
            let mut txn = env.write_txn().unwrap();
            let database = env.create_database::<Bytes, Bytes>(&mut txn, Some(name)).unwrap();
            for number in 0..80 {
                let random = mix(round * 1000 + number);
                let key = mix(random % 300).to_ne_bytes().repeat(1 + index(random % 60));
                if random % 5 < 2 {
                    database.delete(&mut txn, &key).unwrap();
                } else {
                    let longest = if random.is_multiple_of(11) { 10_000 } else { 600 };
                    let value = vec![b'v'; index(random % longest)];
                    database.put(&mut txn, &key, &value).unwrap();
                }
            }
            txn.commit().unwrap();
            assert_eq!(verdict(&directory.file()), "fine");
        }
    }
    env.prepare_for_closing().wait();
    assert_eq!(verdict(&directory.file()), "fine");
}

/// A file of many pages without the unused rest of its map.
fn filled(directory: &Directory) -> Vec<u8> {
    fill(directory, fast(), 20);
    let mut bytes = fs::read(directory.file()).unwrap();
    bytes.truncate((index(meta(&bytes).last_page) + 1) * page_size());
    bytes
}

fn meta_offset(bytes: &[u8]) -> usize {
    if u64_at(bytes, 144) < u64_at(bytes, page_size() + 144) { page_size() } else { 0 }
}

fn meta(bytes: &[u8]) -> Meta {
    Meta::parse(bytes[meta_offset(bytes)..].first_chunk().unwrap()).unwrap()
}

fn page(bytes: &[u8], number: u64) -> &[u8] {
    &bytes[index(number) * page_size()..][..page_size()]
}

/// The root page of the first named database, a branch, and the record that names it.
fn named_root(bytes: &[u8]) -> (usize, usize) {
    let main = meta(bytes).main.root;
    let nodes = nodes(page(bytes, main), main, P_LEAF).unwrap();
    let record = index(main) * page_size() + nodes[0].offset + NODE_HEADER + nodes[0].key.len();
    (index(Database::parse(nodes[0].data).unwrap().root) * page_size(), record)
}

/// Its first leaf page.
fn named_leaf(bytes: &[u8]) -> usize {
    let (mut at, _) = named_root(bytes);
    while let Ok(nodes) = nodes(&bytes[at..at + page_size()], (at / page_size()) as u64, P_BRANCH) {
        at = index(nodes[0].child()) * page_size();
    }
    at
}

fn node_offset(bytes: &[u8], page: usize, node: usize) -> usize {
    page + usize::from(u16_at(bytes, page + PAGE_HEADER + 2 * node).unwrap())
}

fn put<const N: usize>(bytes: &mut [u8], at: usize, value: [u8; N]) {
    bytes[at..at + N].copy_from_slice(&value);
}

#[test]
fn what_lmdb_writes_is_fine() {
    fill(&Directory::new("map"), fast(), 25);
    fill(&Directory::new("write"), EnvFlags::NO_SYNC, 25);
}

#[test]
fn a_new_file_is_fine() {
    let directory = Directory::new("new");
    let env = directory.open(fast());
    assert_eq!(verdict(&directory.file()), "fine");
    env.prepare_for_closing().wait();
}

#[test]
fn a_file_that_is_not_there_is_not_damaged() {
    let directory = Directory::new("missing");
    assert!(matches!(check(&directory.file()), Err(Fault::Io(_))));
}

#[test]
fn other_files_are_damaged() {
    let directory = Directory::new("other");
    let short = "the file is too short for a meta page";
    assert_eq!(directory.verdict(b""), short);
    assert_eq!(directory.verdict(b"text"), short);
    let kind = "page 0: not the kind of page that is needed here";
    assert_eq!(directory.verdict(&vec![0; 3 * page_size()]), kind);
    let number = "page 0: the header has another page number";
    assert_eq!(directory.verdict(&b"text".repeat(page_size())), number);
}

#[test]
fn a_cut_file_is_damaged() {
    let directory = Directory::new("cut");
    let bytes = filled(&directory);
    assert_eq!(directory.verdict(&bytes), "fine");
    for length in (0..bytes.len() / 2).step_by(1111) {
        assert_ne!(directory.verdict(&bytes[..length]), "fine", "{length}");
    }
}

/// Changes a file and compares what `check` says of it.
fn assert_damage(directory: &Directory, bytes: &[u8], expected: &str, change: impl Fn(&mut [u8])) {
    let mut changed = bytes.to_vec();
    change(&mut changed);
    let verdict = directory.verdict(&changed);
    assert_eq!(verdict.split_once(": ").map_or(&*verdict, |(_, what)| what), expected);
}

#[test]
fn a_damaged_meta_page_is_found() {
    let directory = Directory::new("meta");
    let bytes = filled(&directory);
    let at = meta_offset(&bytes);
    let txn = meta(&bytes).txn;
    let assert = |expected, change: &dyn Fn(&mut [u8])| {
        assert_damage(&directory, &bytes, expected, change);
    };
    assert("not an LMDB file of this byte order", &|b| {
        put(b, at + 16, MAGIC.swap_bytes().to_ne_bytes());
    });
    assert("another data version", &|b| put(b, at + 20, 2_u32.to_ne_bytes()));
    assert("a page size that LMDB does not use", &|b| put(b, 40, 4097_u32.to_ne_bytes()));
    assert("two page sizes", &|b| put(b, page_size() + 40, 8192_u32.to_ne_bytes()));
    assert("a transaction number of the other meta page", &|b| {
        put(b, at + 144, (txn + 1).to_ne_bytes());
    });
    assert("a last page out of range", &|b| put(b, at + 136, u64::MAX.to_ne_bytes()));
    assert("a last page out of range", &|b| put(b, at + 136, 0_u64.to_ne_bytes()));
    assert("the map ends before the last page", &|b| put(b, at + 32, 4096_u64.to_ne_bytes()));
    assert("a page number out of range", &|b| put(b, at + 136, 3_u64.to_ne_bytes()));
    assert("a database has an impossible depth", &|b| {
        put(b, at + 88 + 6, 33_u16.to_ne_bytes());
    });
    assert("a database has an impossible depth", &|b| b[at + 88 + 6] = 0);
    assert("a database has flags that are not used here", &|b| {
        put(b, at + 88 + 4, 4_u16.to_ne_bytes());
    });
    assert("a database has other numbers of pages or entries than it should", &|b| {
        b[at + 88 + 32] ^= 1;
    });
}

#[test]
fn a_damaged_tree_is_found() {
    let directory = Directory::new("tree");
    let bytes = filled(&directory);
    let (root, record) = named_root(&bytes);
    let leaf = named_leaf(&bytes);
    let node = node_offset(&bytes, leaf, 0);
    let assert = |expected, change: &dyn Fn(&mut [u8])| {
        assert_damage(&directory, &bytes, expected, change);
    };
    assert("the header has another page number", &|b| b[leaf] ^= 1);
    assert("not the kind of page that is needed here", &|b| b[leaf + 10] |= 0x10);
    assert("not the kind of page that is needed here", &|b| {
        b[leaf..leaf + page_size()][8..].fill(0);
    });
    assert("the bounds of the free space are wrong", &|b| b[leaf + 12] ^= 1);
    assert("the free space begins in the header", &|b| b[leaf + 12..leaf + 14].fill(0));
    assert("a node leaves the page", &|b| put(b, node + 6, u16::MAX.to_ne_bytes()));
    assert("the nodes are not packed", &|b| b[node + 6..node + 8].fill(0));
    assert("an entry of a kind that is not used here", &|b| b[node + 4] |= 4);
    assert("the keys are not in order", &|b| {
        for byte in 0..2 {
            b.swap(leaf + PAGE_HEADER + byte, leaf + PAGE_HEADER + 2 + byte);
        }
    });
    assert("a key belongs to a later page", &|b| {
        let first = node_offset(&bytes, root, 1);
        b[first + NODE_HEADER..][..8].fill(0);
    });
    assert("a page is used twice", &|b| {
        let (first, second) = (node_offset(&bytes, root, 0), node_offset(&bytes, root, 1));
        b.copy_within(first..first + 6, second);
    });
    assert("a page number out of range", &|b| {
        put(b, node_offset(&bytes, root, 1), 0_u32.to_ne_bytes());
    });
    assert("the file ends before a page that is needed", &|b| {
        put(b, node_offset(&bytes, root, 1), u32::MAX.to_ne_bytes());
    });
    assert("a branch page without branches", &|b| {
        put(b, root + 12, 16_u16.to_ne_bytes());
        put(b, root + 14, u16::try_from(page_size()).unwrap().to_ne_bytes());
    });
    assert("a database has flags that are not used here", &|b| b[record + 4] |= 4);
    assert("not the kind of page that is needed here", &|b| b[record + 6] += 1);
}

#[test]
fn a_damaged_large_value_is_found() {
    let directory = Directory::new("large");
    let bytes = filled(&directory);
    // Some of these pages are free, and what stands in them does not count.
    let is_overflow = |&at: &usize| u16_at(&bytes, at + 10) == Some(P_OVERFLOW);
    let large: Vec<usize> = (0..bytes.len()).step_by(page_size()).filter(is_overflow).collect();
    let assert = |expected, at: usize, value: u8| {
        assert_damage(&directory, &bytes, expected, |b| {
            for page in &large {
                b[page + at] = value;
            }
        });
    };
    assert("a value longer than its pages", 12, 0);
    assert("a page is used twice", 13, 1);
    assert("the header has another page number", 7, 1);
    assert("not the kind of page that is needed here", 10, 2);
}

#[test]
fn a_damaged_list_of_free_pages_is_found() {
    let directory = Directory::new("free");
    let bytes = filled(&directory);
    let root = meta(&bytes).free.root;
    let node = node_offset(&bytes, index(root) * page_size(), 0);
    let list = node + NODE_HEADER + 8;
    assert!(u64_at(&bytes, list) >= Some(2), "the test needs free pages");
    let assert = |expected, change: &dyn Fn(&mut [u8])| {
        assert_damage(&directory, &bytes, expected, change);
    };
    assert("a list of free pages is longer than its record", &|b| b[list + 1] = 0xFF);
    assert("a list of free pages is not in order", &|b| b[list + 16..list + 24].fill(0xFF));
    assert("a page number out of range", &|b| b[list + 8..list + 16].fill(0x7F));
    assert("a page is used twice", &|b| put(b, list + 8, root.to_ne_bytes()));
    assert("free pages of a transaction that never was", &|b| {
        b[node + NODE_HEADER..list].fill(0);
    });
}

/// Whatever stands in a file, `check` returns.
#[test]
fn no_byte_makes_it_panic() {
    let directory = Directory::new("bytes");
    let bytes = filled(&directory);
    let mut found = 0;
    for number in 0..2000 {
        let mut changed = bytes.clone();
        let page = index(mix(number) % (bytes.len() / page_size()) as u64) * page_size();
        for change in 0..3 {
            let random = mix(number * 10 + change + 1);
            let value = if change == 0 { 0xFF } else { random.to_ne_bytes()[2] };
            changed[page + index(random % 100)] = value;
        }
        found += usize::from(directory.verdict(&changed) != "fine");
    }
    assert!(found > 500, "{found}");
}
