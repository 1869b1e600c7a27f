use proptest::prelude::*;

use super::*;

const NOTE: [u8; 4] = *b"note";

const EXPRESS: &[u8] = b"abcdefghijklmnopqrstuvwxyzAB-_09";

fn add(nodes: &mut Nodes, sid: &Sid) -> NodeId {
    nodes.add(&Key::of(sid), 10, 5)
}

#[test]
fn a_sid_of_express_session_takes_24_bytes() {
    let (packed, whole) = (Sid::with_hash(EXPRESS, 1), Sid::with_hash(&[b'.'; 32], 1));
    assert_eq!(Key::of(&packed).bytes().len(), 24);
    assert_eq!(Key::of(&whole).bytes().len(), 32);
    let mut nodes = Nodes::new(NOTE.len());
    let id = add(&mut nodes, &packed);
    assert_eq!(nodes.sid(id), packed);
}

#[test]
fn sids_with_one_hash_are_told_apart() {
    let mut nodes = Nodes::new(NOTE.len());
    let packed = Sid::with_hash(EXPRESS, 1);
    // The bytes that are kept of the first one.
    let bytes = Sid::with_hash(Key::of(&packed).bytes(), 1);
    let ids = [&packed, &bytes].map(|sid| add(&mut nodes, sid));
    assert!(nodes.is(ids[0], &Key::of(&packed)) && nodes.is(ids[1], &Key::of(&bytes)));
    assert!(!nodes.is(ids[0], &Key::of(&bytes)) && !nodes.is(ids[1], &Key::of(&packed)));
    assert_eq!(ids.map(|id| nodes.sid(id)), [packed, bytes]);
}

#[test]
fn a_node_is_the_same_when_its_body_gets_another_size() {
    let mut nodes = Nodes::new(NOTE.len());
    for bytes in [EXPRESS, b"short", &[b'x'; 5000]] {
        let sid = Sid::with_hash(bytes, 7);
        let id = add(&mut nodes, &sid);
        nodes.note_mut(id).copy_from_slice(&NOTE);
        let [older, newer] = [NodeId::of(3), NodeId::of(4)];
        nodes.set_older(id, older);
        nodes.set_newer(id, newer);
        nodes.set_first(id, true);
        nodes.record_mut(id).room[..10].fill(77);
        for room in [100_000, 300, 10] {
            nodes.set_room(id, room, 10);
            assert_eq!(nodes.record(id).room[..10], [77; 10]);
            assert!((room..room + room / 4 + 8).contains(&nodes.room(id)));
            assert_eq!(nodes.size(id), nodes.size_for(&Key::of(&sid), room));
            assert_eq!((nodes.sid(id), nodes.hash(id)), (sid.clone(), sid.hash()));
            assert_eq!((nodes.older(id), nodes.newer(id)), (older, newer));
            assert!(nodes.is_first(id));
            assert_eq!((nodes.note(id), nodes.head(id).last_use()), (&NOTE[..], 5));
        }
    }
    nodes.validate(3);
}

proptest! {
    #[test]
    fn a_node_gives_the_sid_back_that_it_was_made_for(
        bytes in prop_oneof![
            "[A-Za-z0-9_-]{32}".prop_map(String::into_bytes),
            "[A-Za-z0-9+/=-]{30,34}".prop_map(String::into_bytes),
            proptest::collection::vec(any::<u8>(), 0..70),
        ],
        hash in any::<u64>(),
    ) {
        let mut nodes = Nodes::new(NOTE.len());
        let sid = Sid::with_hash(&bytes, hash);
        let id = add(&mut nodes, &sid);
        prop_assert!(nodes.is(id, &Key::of(&sid)));
        prop_assert_eq!(nodes.sid(id), sid);
    }
}
