use super::*;

#[test]
fn what_a_session_takes_goes_by_the_size_of_the_pages() {
    let [small, large] = [4096, 16384].map(PageSize::new);
    // 7 sessions in one value each and 70 expiries fit into a page.
    assert_eq!(small.cost(32, 60, 400, Noted::No), 6144 / 7 + 6144 / 70);
    assert_eq!(large.cost(32, 60, 400, Noted::No), 24576 / 30 + 24576 / 282);
    // 29 heads of sessions whose bodies are apart, which have a page of their own each.
    assert_eq!(small.cost(32, 60, 3000, Noted::No), 6144 / 29 + 4096 + 6144 / 81 + 6144 / 70);
    // On large pages such a session is one value, but for a larger one.
    assert_eq!(large.cost(32, 60, 3000, Noted::No), 24576 / 5 + 24576 / 282);
    assert!(large.cost(32, 60, 9000, Noted::No) > 16384);
    // 7 sessions with a note too, and 70 entries of users.
    let of_nobody = 6144 / 7 + 6144 / 70;
    assert_eq!(small.cost(32, 60, 400, Noted::Nobody), of_nobody);
    assert_eq!(small.cost(32, 60, 400, Noted::Somebody), of_nobody + 6144 / 70);
}

#[test]
fn a_large_body_takes_a_page_for_each_piece() {
    let page = PageSize::new(4096);
    assert!(!page.needs_pieces(4076) && page.needs_pieces(4077));
    let costs = [4076, 4077, 2 * 4080 - 4, 100 * 4080 - 4].map(|body| page.body_cost(32, body));
    assert!(costs[1] > costs[0] && costs[1] - costs[0] < 200);
    assert!((2 * 4096..2 * 4200).contains(&costs[2]));
    assert!((100 * 4096..100 * 4200).contains(&costs[3]));
}
