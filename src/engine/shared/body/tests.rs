use super::*;
use proptest::prelude::*;

proptest! {
    #[test]
    fn what_is_written_is_read_again(text in any::<Vec<u8>>(), version in any::<u64>()) {
        let (owner, bytes) = (Owner { sid: b"sid", version }, &mut Vec::new());
        write_body(owner, [&text, b"rest"], bytes);
        prop_assert_eq!(read_body(owner, bytes), Some(&[&text[..], b"rest"].concat()[..]));
    }

    #[test]
    fn what_has_a_flipped_bit_is_not_read(text in any::<Vec<u8>>(), bit in any::<usize>()) {
        let (owner, bytes) = (Owner { sid: b"sid", version: 1 }, &mut Vec::new());
        write_body(owner, [&text, b"x"], bytes);
        let bit = bit % (8 * bytes.len());
        bytes[bit / 8] ^= 1 << (bit % 8);
        prop_assert_eq!(read_body(owner, bytes), None);
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
    }

    #[test]
    fn no_bytes_make_reading_panic(bytes in any::<Vec<u8>>()) {
        let _ = read_body(Owner { sid: b"sid", version: 1 }, &bytes);
    }
}
