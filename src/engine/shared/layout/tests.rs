use super::*;
use proptest::prelude::*;

proptest! {
    #[test]
    fn what_is_written_is_read_again(
        version in any::<u64>(), expires in any::<i64>(), sequence in any::<u64>(),
        text in any::<Vec<u8>>(),
    ) {
        let bytes = &mut Vec::new();
        let tombstone = Tombstone { version, at: expires };
        prop_assert_eq!(read_tombstone(&tombstone_value(tombstone)), Some(tombstone));
        let state = State {
            format: version, version, bytes: 1, tombstone_bytes: 2, cleared: 3, forgotten: 4,
            allocated: 5, generation: 6,
        };
        prop_assert_eq!(State::read(&state.bytes()), Some(state));
        let due = Due { expires, sequence };
        prop_assert_eq!(Due::read(&due.key()), Some(due));
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
    fn what_has_a_flipped_bit_is_not_read(bit in any::<usize>()) {
        let mut state = State { format: FORMAT, version: 1, ..State::default() }.bytes();
        let bit = bit % (8 * state.len());
        state[bit / 8] ^= 1 << (bit % 8);
        prop_assert_eq!(State::read(&state), None);
    }

    #[test]
    fn no_bytes_make_reading_panic(bytes in any::<Vec<u8>>()) {
        let _ = (read_tombstone(&bytes), State::read(&bytes));
        let _ = (read_expiry((&bytes, &bytes)), read_tombstone_key(&bytes));
    }
}
