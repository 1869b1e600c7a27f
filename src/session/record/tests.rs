use super::*;
use proptest::prelude::*;

fn json(text: &str) -> BodyRef<'_> {
    let encoding = if text.is_ascii() { Encoding::Ascii } else { Encoding::Utf8 };
    BodyRef { bytes: text.as_bytes(), encoding, is_json: true }
}

/// A record and the forms it goes with.
struct Kept {
    record: Record,
    forms: Forms,
}

impl Kept {
    fn new(body: BodyRef<'_>) -> Self {
        let mut forms = Forms::new(usize::MAX);
        let record = Record::new(&NewBody::new(body, &mut forms), &forms, 5, 0);
        Self { record, forms }
    }

    /// With the cookie cut out.
    fn cut(text: &str) -> Self {
        let mut forms = Forms::new(usize::MAX);
        assert!(forms.templates.cut(text.as_bytes()).is_none(), "not yet");
        let record = Record::new(&NewBody::new(json(text), &mut forms), &forms, 5, 0);
        assert!(record.used().is_some());
        Self { record, forms }
    }

    fn overwrite(&mut self, text: &str) {
        let body = NewBody::new(json(text), &mut self.forms);
        self.record.overwrite(&body, &self.forms, 5);
    }

    fn splice(&mut self, cookie: &str) -> bool {
        self.record.set_cookie_text(json(cookie), &self.forms, 9, (usize::MAX, 0))
    }

    fn cut_cookie(&mut self, cookie: &str) -> bool {
        let handle = self.forms.templates.intern(cookie.as_bytes()).unwrap();
        let time = cookie.contains("expires").then_some(0);
        let cookie = self.forms.templates.lookup(handle, time).unwrap();
        self.record.set_cut_cookie(cookie, 9, 0)
    }

    fn text(&self) -> String {
        String::from_utf8(self.record.body(&self.forms, 0).to_body().bytes().to_vec()).unwrap()
    }
}

const TIMED: &str = r#"{"expires":"1970-01-01T00:00:00.000Z","path":"/"}"#;

#[test]
fn a_cookie_of_any_length_takes_the_place_of_the_old_one() {
    let mut kept = Kept::new(json(r#"{"a":1,"cookie":{"x":1},"b":"é"}"#));
    for cookie in
        ["{}", r#"{"x":2}"#, r#"{"x":3,"long":"0123456789012345678901234567890123456789"}"#, "null"]
    {
        assert!(kept.splice(cookie));
        assert_eq!(kept.text(), format!(r#"{{"a":1,"cookie":{cookie},"b":"é"}}"#));
        assert_eq!(kept.record.expires(), 9);
    }
}

#[test]
fn a_cookie_that_is_cut_out_is_there_when_the_body_is_read() {
    let text = format!(r#"{{"cookie":{TIMED},"b":"é"}}"#);
    let mut kept = Kept::cut(&text);
    assert_eq!(kept.text(), text);
    assert_eq!(kept.record.body(&kept.forms, 0).encoding(), Encoding::Utf8);
    assert!(kept.record.allocated() <= text.len() - TIMED.len() + 16);
    kept.overwrite(&text.replace("\"b\"", "\"c\""));
    assert_eq!(kept.text(), text.replace("\"b\"", "\"c\""));
    kept.overwrite("{}");
    assert_eq!(kept.text(), "{}");
    assert_eq!(kept.record.used(), None);
}

#[test]
fn cookies_come_as_text_and_cut_in_any_order() {
    let whole = r#"{"a":1,"cookie":0,"b":2}"#;
    let mut kept = Kept::new(json(whole));
    for round in 0..3 {
        for cookie in [TIMED, "{}", r#"{"path":"/"}"#] {
            let is_cut = (round + cookie.len()) % 2 == 0;
            assert!(if is_cut { kept.cut_cookie(cookie) } else { kept.splice(cookie) });
            assert_eq!(kept.text(), format!(r#"{{"a":1,"cookie":{cookie},"b":2}}"#));
            assert_eq!(kept.record.used().is_some(), is_cut);
        }
    }
}

#[test]
fn all_but_the_cookie_stays_as_it_stands() {
    for rest in ["1.0", r#""\u0041""#, r#"{"b":1,"0":2}"#] {
        let text = format!(r#"{{"cookie":{TIMED},"a":{rest}}}"#);
        for mut kept in [Kept::cut(&text), Kept::new(json(&text))] {
            assert!(kept.splice("5"));
            assert_eq!(kept.text(), format!(r#"{{"cookie":5,"a":{rest}}}"#));
            assert!(kept.cut_cookie("{}"));
            assert_eq!(kept.text(), format!(r#"{{"cookie":{{}},"a":{rest}}}"#));
        }
    }
}

#[test]
fn a_cookie_beyond_ascii_makes_the_body_utf8() {
    let mut kept = Kept::new(json(r#"{"cookie":{}}"#));
    assert!(kept.splice(r#"{"path":"/é"}"#));
    assert_eq!(kept.record.body(&kept.forms, 0).encoding(), Encoding::Utf8);
}

#[test]
fn what_json_stringify_did_not_write_is_left_alone() {
    for own in [
        BodyRef { is_json: false, ..json(r#"{"cookie":{}}"#) },
        BodyRef { encoding: Encoding::Buffer, ..json(r#"{"cookie":{}}"#) },
        json(r#"{"kooky":{}}"#),
    ] {
        let mut kept = Kept::new(own);
        for _ in 0..2 {
            assert!(!kept.splice("1"));
            assert!(!kept.cut_cookie("{}"));
            assert_eq!(kept.text().as_bytes(), own.bytes);
            assert_eq!(kept.record.expires(), 5);
        }
    }
}

#[test]
fn a_new_body_forgets_where_the_old_cookie_was() {
    let mut kept = Kept::new(json(r#"{"cookie":1,"a":2}"#));
    assert!(kept.splice("3"));
    kept.overwrite(r#"{"a":2,"cookie":1}"#);
    assert!(kept.splice("3"));
    assert_eq!(kept.text(), r#"{"a":2,"cookie":3}"#);
}

#[test]
fn a_body_that_fits_stays_where_it_is() {
    let mut kept = Kept::new(json(&"a".repeat(100)));
    let place = kept.record.bytes.as_ptr();
    for length in [99, 112, 60] {
        kept.overwrite(&"b".repeat(length));
        assert_eq!(kept.record.bytes.as_ptr(), place, "{length}");
        assert_eq!(kept.record.text().len(), length);
    }
}

#[test]
fn a_body_that_shrinks_a_lot_gives_its_memory_back() {
    let mut kept = Kept::new(json(&"a".repeat(40_000)));
    kept.overwrite("b");
    assert!(kept.record.bytes.len() < 100);
}

fn session(before: usize, cookie: &str, after: usize) -> String {
    let (before, after) = ("b".repeat(before), "é".repeat(after));
    format!(r#"{{"b":"{before}","cookie":{cookie},"a":"{after}"}}"#)
}

fn long(length: usize) -> String {
    format!(r#""{}""#, "c".repeat(length - 2))
}

#[test]
fn cookies_are_replaced_again_and_again_however_long_and_wherever_they_stand() {
    const KNOWN: usize = u8::MAX as usize;
    let lengths = [KNOWN - 1, KNOWN, KNOWN + 1, KNOWN + 2, 3, 100_000, 2 * KNOWN, 2, KNOWN + 4];
    for (before, after) in [(0, 0), (1, 70_000), (70_000, 1), (300_000, 3)] {
        let mut kept = Kept::new(json(&session(before, "0", after)));
        for length in lengths {
            let cookie = long(length);
            for _ in 0..2 {
                assert!(kept.splice(&cookie), "{length}");
                assert!(kept.text() == session(before, &cookie, after), "{length}");
            }
            // Not where the place is beyond what two bytes count.
            if kept.cut_cookie(TIMED) {
                assert!(kept.text() == session(before, TIMED, after), "{length}");
            } else {
                assert!(before >= 65_536 - 20);
            }
        }
    }
}

#[test]
fn a_splice_may_take_all_the_room_there_is_and_not_a_byte_more() {
    for length in 1..200 {
        let cookie = "1".repeat(length);
        let grown = format!(r#"{{"cookie":{cookie}}}"#);
        let needed = allocated(grown.len());
        let mut kept = Kept::new(json(r#"{"cookie":0}"#));
        let before = kept.record.allocated();
        for room in [0, needed - 16, needed - 1] {
            assert!(
                !kept.record.set_cookie_text(json(&cookie), &kept.forms, 9, (room, 0)),
                "{length}"
            );
            assert_eq!(kept.text(), r#"{"cookie":0}"#);
            assert_eq!((kept.record.expires(), kept.record.allocated()), (5, before));
        }
        assert!(
            kept.record.set_cookie_text(json(&cookie), &kept.forms, 9, (needed, 0)),
            "{length}"
        );
        assert_eq!(kept.text(), grown);
        assert_eq!((kept.record.expires(), kept.record.allocated()), (9, needed));
    }
}

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

#[test]
fn a_body_in_its_first_allocation_takes_what_was_foretold() {
    for length in 0..300 {
        let body = "a".repeat(length);
        let mut forms = Forms::new(usize::MAX);
        let body = NewBody::new(json(&body), &mut forms);
        assert_eq!(Record::new(&body, &forms, 5, 0).allocated(), body.allocated(), "{length}");
    }
}

#[test]
fn a_body_that_overwrites_takes_no_more_than_it_or_the_old_one_would_alone() {
    for from in (0..600).step_by(7) {
        for to in (0..600).step_by(11) {
            let mut kept = Kept::new(json(&"a".repeat(from)));
            let new = "a".repeat(to);
            kept.overwrite(&new);
            assert!([from, to].map(allocated).contains(&kept.record.allocated()), "{from} {to}");
            assert_eq!(kept.text(), new);
        }
    }
}

proptest! {
    /// Whatever cookies come one after the other, and in whatever form, the body is what it
    /// would be had it been written whole.
    #[test]
    fn a_body_reads_as_it_was_written(
        rest in "[a-zé]{0,40}",
        cookies in proptest::collection::vec((any::<bool>(), "[a-z]{0,9}", any::<bool>()), 1..12),
    ) {
        let mut kept = Kept::new(json("0"));
        for (is_touch, path, is_cut) in cookies {
            let cookie = format!(r#"{{"path":"{path}","expires":"1970-01-01T00:00:00.000Z"}}"#);
            let text = format!(r#"{{"cookie":{cookie},"rest":"{rest}"}}"#);
            if !is_touch || kept.text() == "0" {
                kept.overwrite(&text);
            } else if is_cut {
                prop_assert!(kept.cut_cookie(&cookie));
            } else {
                prop_assert!(kept.splice(&cookie));
            }
            prop_assert_eq!(kept.text(), text);
        }
    }
}
