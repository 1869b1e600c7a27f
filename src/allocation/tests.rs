use super::*;

#[test]
fn allocations_take_the_sizes_that_there_are() {
    let sizes = [0, 16, 32, 48, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512];
    for pair in sizes.windows(2) {
        for size in pair[0] + 1..=pair[1] {
            assert_eq!(allocated(size), pair[1], "{size}");
        }
    }
    assert_eq!(allocated(0), 0);
    assert_eq!(allocated(usize::MAX), usize::MAX);
}
