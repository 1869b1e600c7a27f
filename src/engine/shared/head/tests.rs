use super::super::body::{Owner, read_body, write_body};
use super::*;
use proptest::prelude::*;

fn notes() -> impl Strategy<Value = Option<Note>> {
    let note = (any::<i64>(), any::<i64>(), any::<[u8; 16]>());
    let note = note.prop_map(|(created, used, owner)| Note { created, used, owner: User(owner) });
    proptest::option::of(note)
}

/// Heads with and without a body behind them, whose bytes are those of `sid` at their version.
fn heads() -> impl Strategy<Value = (Head<'static>, Vec<u8>, Option<Vec<u8>>)> {
    let dues = (any::<i64>(), any::<u64>(), proptest::option::of((any::<i64>(), any::<u64>())));
    let parts = (any::<u64>(), any::<u32>(), any::<u32>(), 0..3_usize, 0..5_usize, notes());
    let texts = (any::<Vec<u8>>(), proptest::option::of(any::<Vec<u8>>()));
    (dues, parts, texts).prop_map(|((expires, sequence, entry), parts, (cookie, here))| {
        let (version, cookie_at, body, place, encoding, note) = parts;
        let due = Due { expires, sequence };
        let entry = entry.map_or(due, |(expires, sequence)| Due { expires, sequence });
        let body = here.as_ref().map_or(body, |here| u32::try_from(here.len()).unwrap());
        let here = here.map(|here| {
            let mut bytes = Vec::new();
            write_body(Owner { sid: b"sid", version }, [&here, &[]], &mut bytes);
            bytes
        });
        let (place, encoding) = (PLACES[place], Encoding::ALL[encoding]);
        let head = Head {
            version,
            due,
            entry,
            cookie_at,
            body,
            place,
            encoding,
            note,
            cookie: &[],
            here: None,
        };
        (head, cookie, here)
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_again((head, cookie, here) in heads()) {
        let head = Head { cookie: &cookie, here: here.as_deref(), ..head };
        let bytes = &mut Vec::new();
        head.write_to(b"sid", bytes);
        prop_assert_eq!(Head::read(b"sid", bytes), Some(head));
        let note = if head.note.is_some() { 32 } else { 0 };
        let entry = if head.entry == head.due { 0 } else { 16 };
        let here = head.here.unwrap_or_default().len();
        prop_assert_eq!(bytes.len(), HEAD + note + entry + cookie.len() + here);
    }

    #[test]
    fn what_has_a_flipped_bit_is_not_read((head, cookie, here) in heads(), bit in any::<usize>()) {
        let head = Head { cookie: &cookie, here: here.as_deref(), ..head };
        let bytes = &mut Vec::new();
        head.write_to(b"sid", bytes);
        let bit = bit % (8 * bytes.len());
        bytes[bit / 8] ^= 1 << (bit % 8);
        let owner = Owner { sid: b"sid", version: head.version };
        // In the body, its own checksum tells.
        let read = Head::read(b"sid", bytes);
        let read = read.filter(|read| read.here.is_none_or(|it| read_body(owner, it).is_some()));
        prop_assert_eq!(read, None);
    }

    #[test]
    fn what_is_of_another_session_is_not_read((head, cookie, here) in heads()) {
        let head = Head { cookie: &cookie, here: here.as_deref(), ..head };
        let bytes = &mut Vec::new();
        head.write_to(b"sid", bytes);
        prop_assert_eq!(Head::read(b"dis", bytes), None);
    }

    #[test]
    fn no_bytes_make_reading_panic(bytes in any::<Vec<u8>>()) {
        let _ = Head::read(b"sid", &bytes);
    }
}
