use proptest::prelude::*;

use super::*;

const LARGE: usize = 64 * 1024;

/// Writes something to a block that no other one has.
fn mark(blocks: &mut Blocks, id: BlockId, mark: u8) {
    blocks.get_mut(id).fill(mark);
}

fn is_marked(blocks: &Blocks, id: BlockId, mark: u8) -> bool {
    blocks.get(id).iter().all(|byte| *byte == mark)
}

#[test]
fn a_block_is_hardly_larger_than_what_it_is_made_for() {
    for length in (0..5000).chain([100_000, 1_000_000]) {
        let size = size_of_block(length);
        assert!(size >= length.max(STEP));
        let steps = if length > SHARED { 4 } else { STEPS };
        assert!(size < length + STEP.max(length / steps) + 1, "{length}: {size}");
        assert_eq!(size_of_block(size), size);
    }
}

#[test]
fn each_size_has_a_class_of_its_own_in_order() {
    let mut sizes: Vec<usize> = (0..=SHARED).map(size_of_block).collect();
    sizes.dedup();
    let classes: Vec<usize> = sizes.iter().map(|size| class_of(*size)).collect();
    assert_eq!(classes, (0..sizes.len()).collect::<Vec<_>>());
}

#[test]
fn a_freed_block_is_the_next_one_of_its_size() {
    let mut blocks = Blocks::default();
    let ids: Vec<_> = (0..3000).map(|_| blocks.add(100)).collect();
    assert!(blocks.chunks.len() > 2);
    for id in [ids[5], ids[2990], ids[1500]] {
        assert_eq!(blocks.remove(id), None);
        assert_eq!(blocks.add(100), id);
    }
    blocks.validate(ids.len());
}

#[test]
fn a_chunk_without_blocks_is_freed_and_its_number_is_used_again() {
    let mut blocks = Blocks::default();
    for round in 0..3 {
        let ids: Vec<_> = (0..3000).map(|_| blocks.add(100 + round)).collect();
        let chunks = blocks.chunks.len();
        assert_eq!(chunks, 3000_usize.div_ceil(blocks_of(size_of_block(100 + round))));
        let freed = ids.into_iter().filter_map(|id| blocks.remove(id)).count();
        blocks.validate(0);
        assert_eq!((freed, blocks.vacant.len()), (chunks, chunks));
    }
}

#[test]
fn a_large_block_has_memory_of_its_own_which_can_be_dropped_elsewhere() {
    let mut blocks = Blocks::default();
    let (large, other) = (blocks.add(10 * LARGE), blocks.add(10 * LARGE));
    mark(&mut blocks, large, 1);
    mark(&mut blocks, other, 2);
    assert!(is_marked(&blocks, large, 1));
    assert_eq!(blocks.remove(large).map(|freed| freed.len()), Some(10 * LARGE));
    assert!(is_marked(&blocks, other, 2));
    blocks.validate(1);
}

#[test]
fn hardly_anything_of_a_chunk_is_left_over() {
    for size in (1..=SHARED).map(size_of_block) {
        let bytes = blocks_of(size) * size;
        assert!((1..=MOST_BLOCKS).contains(&blocks_of(size)));
        assert!(allocated(bytes) - bytes <= bytes / 24, "{size}");
    }
}

#[test]
fn what_is_kept_of_a_block_that_gets_another_size_is_copied() {
    for from in [100, 200, 10 * LARGE] {
        for to in [50, 100, 104, 5000, 20 * LARGE] {
            let mut blocks = Blocks::default();
            let others = [from, to].map(|length| blocks.add(length));
            for other in others {
                mark(&mut blocks, other, 9);
            }
            let id = blocks.add(from);
            mark(&mut blocks, id, 1);
            let kept = from.min(to);
            let (new, freed) = blocks.resize(id, to, kept);
            assert_eq!(
                freed.map(|freed| freed.len()),
                (from > SHARED).then(|| size_of_block(from))
            );
            assert!(blocks.get(new)[..kept].iter().all(|byte| *byte == 1));
            assert_eq!(blocks.get(new).len(), size_of_block(to));
            assert!(others.iter().all(|other| is_marked(&blocks, *other, 9)));
            blocks.validate(3);
        }
    }
}

#[test]
fn all_memory_can_be_taken_out_bit_by_bit() {
    let mut blocks = Blocks::default();
    for length in 0..1000 {
        blocks.add(length);
    }
    let chunks = blocks.chunks.len();
    assert_eq!(std::iter::from_fn(|| blocks.take_chunk()).count(), chunks);
}

proptest! {
    /// Whatever comes and goes, each block keeps what was written to it, and nothing piles up.
    #[test]
    fn blocks_keep_what_was_written_to_them(
        steps in proptest::collection::vec((any::<bool>(), 0..3000_usize, any::<u8>()), 1..600),
    ) {
        let mut blocks = Blocks::default();
        let mut kept: Vec<(BlockId, u8)> = Vec::new();
        for (is_added, number, content) in steps {
            if is_added || kept.is_empty() {
                // Sizes that recur, and a few large ones.
                let length = if number > 2900 { number * 20 } else { 64 + number % 7 * 90 };
                let id = blocks.add(length);
                prop_assert!(kept.iter().all(|(other, _)| *other != id));
                prop_assert!(blocks.get(id).len() >= length);
                mark(&mut blocks, id, content);
                kept.push((id, content));
            } else {
                let (id, content) = kept.swap_remove(number % kept.len());
                prop_assert!(is_marked(&blocks, id, content));
                blocks.remove(id);
            }
            blocks.validate(kept.len());
        }
        for (id, content) in &kept {
            prop_assert!(is_marked(&blocks, *id, *content));
        }
    }
}
