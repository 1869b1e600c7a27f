use super::*;
use proptest::prelude::*;

fn notes() -> impl Strategy<Value = Option<Note>> {
    let note = (any::<i64>(), any::<i64>(), any::<[u8; 16]>());
    let note = note.prop_map(|(created, used, owner)| Note { created, used, owner: User(owner) });
    proptest::option::of(note)
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(
        version in any::<u64>(), expires in any::<i64>(), sequence in any::<u64>(),
        cookie_at in any::<u32>(), body in any::<u32>(),
        place in 0..3_usize, encoding in 0..5_usize, note in notes(), text in any::<Vec<u8>>(),
    ) {
        let head = Head {
            version, due: Due { expires, sequence }, cookie_at, body,
            place: PLACES[place], encoding: ENCODINGS[encoding], note, cookie: &text,
        };
        let bytes = &mut Vec::new();
        head.write_to(b"sid", bytes);
        prop_assert_eq!(Head::read(b"sid", bytes), Some(head));
        prop_assert_eq!(bytes.len(), HEAD + if note.is_some() { 32 } else { 0 } + text.len());
        let tombstone = Tombstone { version, at: expires };
        prop_assert_eq!(read_tombstone(&tombstone_value(tombstone)), Some(tombstone));
        let state = State {
            format: version, version, bytes: 1, tombstone_bytes: 2, cleared: 3, forgotten: 4,
            allocated: 5, generation: 6,
        };
        prop_assert_eq!(State::read(&state.bytes()), Some(state));
        let owner = Owner { sid: b"sid", version };
        write_body(owner, [&text, b"rest"], bytes);
        prop_assert_eq!(read_body(owner, bytes), Some(&[&text[..], b"rest"].concat()[..]));
        prop_assert_eq!(Due::read(&head.due.key()), Some(head.due));
        tombstone_key(version, &text, bytes);
        prop_assert_eq!(read_tombstone_key(bytes), Some((version, &text[..])));
    }

    #[test]
    fn keys_are_in_the_order_of_their_expiry(
        one in (-2..3_i64, any::<u64>()), other in (any::<i64>(), any::<u64>()),
    ) {
        let [one, other] = [one, other].map(|(expires, sequence)| Due { expires, sequence });
        prop_assert_eq!(one.cmp(&other), one.key().cmp(&other.key()));
    }

    #[test]
    fn what_has_a_flipped_bit_is_not_read(
        text in any::<Vec<u8>>(), note in notes(), bit in any::<usize>(),
    ) {
        let flip = |bytes: &mut [u8]| {
            let bit = bit % (8 * bytes.len());
            bytes[bit / 8] ^= 1 << (bit % 8);
        };
        let bytes = &mut Vec::new();
        let owner = Owner { sid: b"sid", version: 1 };
        write_body(owner, [&text, b"x"], bytes);
        flip(bytes);
        prop_assert_eq!(read_body(owner, bytes), None);
        let head = Head {
            version: 1, due: Due { expires: 2, sequence: 3 }, body: 3, cookie_at: 4, place: Cookie::Cut,
            encoding: Encoding::Ascii, note, cookie: &text,
        };
        head.write_to(owner.sid, bytes);
        flip(bytes);
        prop_assert_eq!(Head::read(owner.sid, bytes), None);
        let mut state = State { format: FORMAT, version: 1, ..State::default() }.bytes();
        flip(&mut state);
        prop_assert_eq!(State::read(&state), None);
    }

    #[test]
    fn what_is_of_another_session_or_version_is_not_read(
        text in any::<Vec<u8>>(), sid in any::<[u8; 8]>(), version in any::<u64>(),
    ) {
        let owner = Owner { sid: &sid, version };
        let mut other_sid = sid;
        other_sid[3] ^= 1;
        let bytes = &mut Vec::new();
        write_body(owner, [&text, b""], bytes);
        prop_assert_eq!(read_body(Owner { sid: &other_sid, ..owner }, bytes), None);
        prop_assert_eq!(read_body(Owner { version: version ^ 1, ..owner }, bytes), None);
        let head = Head {
            version, due: Due { expires: 2, sequence: 3 }, body: 3, cookie_at: 4, place: Cookie::Cut,
            encoding: Encoding::Ascii, note: None, cookie: &text,
        };
        head.write_to(&sid, bytes);
        prop_assert_eq!(Head::read(&other_sid, bytes), None);
    }

    #[test]
    fn no_bytes_make_reading_panic(bytes in any::<Vec<u8>>()) {
        let owner = Owner { sid: b"sid", version: 1 };
        let _ = (Head::read(owner.sid, &bytes), read_tombstone(&bytes), State::read(&bytes));
        let _ = (read_body(owner, &bytes), read_expiry((&bytes, &bytes)), read_tombstone_key(&bytes));
    }
}
