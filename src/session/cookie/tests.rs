use super::*;

const COOKIE: &str = r#"{"originalMaxAge":5,"expires":"2026-11-22T08:50:09.007Z","path":"/"}"#;
const TIME: Millis = 1_795_337_409_007;

fn session(cookie: &str) -> String {
    format!(r#"{{"cookie":{cookie},"views":1}}"#)
}

fn written(templates: &Templates, cookie: CutCookie) -> String {
    let mut text = Vec::new();
    templates.text(cookie).write_to(&mut text);
    assert_eq!(text.len(), templates.text(cookie).len());
    String::from_utf8(text).unwrap()
}

/// The cookie cut out of a session that has it, if it is cut out.
fn cut(templates: &mut Templates, cookie: &str) -> Option<CutCookie> {
    let session = session(cookie);
    let CutBody { head, tail, cookie: found } = templates.cut(session.as_bytes())?;
    assert_eq!((head, tail), (&b"{\"cookie\":"[..], &b",\"views\":1}"[..]));
    assert_eq!(written(templates, found), cookie);
    Some(found)
}

/// Cookie number `number` of as many kinds.
fn kind(number: usize) -> String {
    COOKIE.replace(":5,", &format!(":5{number},"))
}

fn add(templates: &mut Templates, number: usize) -> Option<CutCookie> {
    cut(templates, &kind(number));
    cut(templates, &kind(number))
}

#[test]
fn a_cookie_is_cut_out_from_the_second_time_on_that_its_kind_is_met() {
    let templates = &mut Templates::default();
    assert_eq!(cut(templates, COOKIE), None);
    let found = cut(templates, COOKIE).unwrap();
    assert_eq!(found.time, TIME);
    let other = cut(templates, &COOKIE.replace("2026", "1999")).unwrap();
    assert_eq!(other.template, found.template);
    assert_ne!(other.time, found.time);
}

#[test]
fn cookies_that_are_all_different_do_not_become_templates() {
    let templates = &mut Templates::default();
    for number in 0..1000 {
        assert_eq!(cut(templates, &kind(number)), None);
    }
    assert!(templates.slots.is_empty());
}

#[test]
fn kinds_that_come_in_turns_are_all_found() {
    let templates = &mut Templates::default();
    for number in 0..5 {
        add(templates, number).unwrap();
    }
    for number in [4, 0, 3, 1, 2, 2] {
        assert!(cut(templates, &kind(number)).is_some(), "{number}");
    }
}

#[test]
fn a_cookie_without_a_time_is_cut_out_whole() {
    let templates = &mut Templates::default();
    for cookie in [
        r#"{"originalMaxAge":null,"expires":null,"httpOnly":true,"path":"/"}"#,
        r#"{"expires":"tomorrow"}"#,
        r#"{"expires":"2026-02-30T08:50:09.007Z"}"#,
        "{}",
    ] {
        assert_eq!(cut(templates, cookie), None);
        assert!(cut(templates, cookie).is_some(), "{cookie}");
    }
}

#[test]
fn what_is_no_plain_cookie_stays_in_its_text() {
    let templates = &mut Templates::default();
    let long = format!(r#"{{"domain":"{}"}}"#, "x".repeat(MAX_LENGTH));
    for cookie in ["null", "1", "[]", r#"{"a":{}}"#, r#"{"path":"/é"}"#, &long] {
        assert_eq!(cut(templates, cookie), None);
        assert_eq!(cut(templates, cookie), None, "{cookie}");
    }
    for text in ["", "{}", r#"{"views":1,"cookie":{}}"#, r#"{"cookie":{"#] {
        assert!(templates.cut(text.as_bytes()).is_none(), "{text}");
    }
}

/// Templates of which the first [`KEPT`] are in use.
fn pinned() -> Templates {
    let mut templates = Templates::default();
    for number in 0..KEPT {
        let cookie = add(&mut templates, number).unwrap();
        templates.hold(cookie.template);
    }
    templates
}

#[test]
fn templates_that_nobody_has_make_room_and_their_handles_are_void() {
    let templates = &mut pinned();
    let handle = templates.intern(kind(7).as_bytes()).unwrap();
    let found = templates.lookup(handle, Some(TIME)).unwrap();
    templates.release(found.template);
    assert_eq!(templates.lookup(handle, Some(TIME)), Some(found));

    let newer = templates.intern(kind(1000).as_bytes()).unwrap();
    assert_eq!(templates.lookup(handle, Some(TIME)), None);
    let cookie = templates.lookup(newer, Some(TIME)).unwrap();
    assert_eq!(written(templates, cookie), kind(1000));
    assert_eq!((templates.slots.len(), templates.bytes()), (KEPT, 0));
}

#[test]
fn kinds_that_are_all_in_use_leave_room_for_others() {
    let templates = &mut pinned();
    let ids: Vec<_> = (KEPT..3 * KEPT)
        .map(|number| {
            let cookie = add(templates, number).unwrap();
            templates.hold(cookie.template);
            assert_eq!(cut(templates, &kind(number)), Some(cookie));
            cookie.template
        })
        .collect();
    for number in 0..3 * KEPT {
        assert!(cut(templates, &kind(number)).is_some(), "{number}");
    }
    let each = templates.slots[KEPT].cost();
    assert_eq!(templates.bytes(), 2 * KEPT * each);

    let handle = templates.intern(kind(100).as_bytes()).unwrap();
    let place = 100 - KEPT;
    templates.release(ids[place]);
    assert_eq!(templates.lookup(handle, Some(TIME)), None, "it went with its last record");
    assert_eq!(cut(templates, &kind(100)), None);
    assert_eq!(templates.bytes(), (2 * KEPT - 1) * each);
    for (number, id) in ids.iter().enumerate().filter(|(number, _)| *number != place) {
        templates.release(*id);
        assert_eq!(templates.find(pattern_of(kind(KEPT + number).as_bytes()).unwrap().1), None);
    }
    assert_eq!((templates.bytes(), templates.others.len()), (0, 0));
    add(templates, 500).unwrap();
    assert_eq!(templates.slots.len(), 3 * KEPT, "slots are used again");
}

#[test]
fn of_kinds_that_no_record_has_taken_yet_one_is_kept() {
    let templates = &mut pinned();
    let handles = [1000, 1001, 1002].map(|number| {
        let handle = templates.intern(kind(number).as_bytes()).unwrap();
        assert!(templates.lookup(handle, Some(TIME)).is_some());
        handle
    });
    assert_eq!(templates.slots.len(), KEPT + 1);
    assert_eq!(templates.lookup(handles[1], Some(TIME)), None);
    assert!(templates.lookup(handles[2], Some(TIME)).is_some());
}

#[test]
fn a_template_that_is_gone_is_taken_for_no_cookie() {
    let templates = &mut pinned();
    let last = add(templates, 1000).unwrap();
    templates.hold(last.template);
    templates.release(last.template);
    assert_eq!(cut(templates, "{}"), None);
    assert!(cut(templates, &kind(3)).is_some());
}

#[test]
fn a_handle_takes_a_time_where_its_template_does_and_only_one_it_can_write() {
    let templates = &mut Templates::default();
    let timed = templates.intern(COOKIE.as_bytes()).unwrap();
    let whole = templates.intern(br#"{"path":"/"}"#).unwrap();
    assert!(templates.lookup(timed, Some(TIME)).is_some());
    for time in [None, Some(Millis::MAX), Some(Millis::MIN)] {
        assert_eq!(templates.lookup(timed, time), None);
    }
    assert!(templates.lookup(whole, None).is_some());
    assert_eq!(templates.lookup(whole, Some(TIME)), None);
    assert_eq!(templates.lookup(0, None), None);
    assert_eq!(templates.lookup(u64::MAX, None), None);
    assert_eq!(templates.intern(b"{} "), None);
}

#[test]
fn after_all_were_taken_no_old_handle_fits() {
    let templates = &mut Templates::default();
    let old = templates.intern(COOKIE.as_bytes()).unwrap();
    drop(templates.take());
    templates.intern(br#"{"expires":"2026-11-22T08:50:09.007Z"}"#).unwrap();
    assert_eq!(templates.lookup(old, Some(TIME)), None);
}
