use super::*;
use proptest::prelude::*;

fn json(text: &str) -> BodyRef<'_> {
    let encoding = if text.is_ascii() { Encoding::Ascii } else { Encoding::Utf8 };
    BodyRef { bytes: text.as_bytes(), encoding, is_json: true }
}

/// A record with just enough room for its body, and the forms it goes with.
struct Kept {
    head: Head,
    room: Vec<u8>,
    forms: Forms,
}

impl Kept {
    fn new(body: BodyRef<'_>) -> Self {
        Self::with_forms(body, Forms::new(usize::MAX))
    }

    fn with_forms(body: BodyRef<'_>, mut forms: Forms) -> Self {
        let body = NewBody::new(body, &mut forms, 0);
        let (mut head, mut room) = (Head::new(0), vec![0; body.len()]);
        RecordMut { head: &mut head, room: &mut room }.overwrite(&body, &forms, 5);
        Self { head, room, forms }
    }

    /// With the cookie cut out.
    fn cut(text: &str) -> Self {
        let mut forms = Forms::new(usize::MAX);
        assert!(forms.templates.cut(text.as_bytes()).is_none(), "not yet");
        let kept = Self::with_forms(json(text), forms);
        assert!(kept.head.used().is_some());
        kept
    }

    fn record(&self) -> Record<'_> {
        Record { head: &self.head, room: &self.room }
    }

    fn overwrite(&mut self, text: &str) {
        let body = NewBody::new(json(text), &mut self.forms, 0);
        self.room = vec![0; body.len()];
        RecordMut { head: &mut self.head, room: &mut self.room }.overwrite(&body, &self.forms, 5);
    }

    fn splice(&mut self, cookie: &str) -> bool {
        let mut record = RecordMut { head: &mut self.head, room: &mut self.room };
        let Some(spliced) = record.spliced(json(cookie), &self.forms, |_| true) else {
            return false;
        };
        self.room = vec![0; spliced.len()];
        RecordMut { head: &mut self.head, room: &mut self.room }.set_spliced(&spliced, 9);
        true
    }

    fn cut_cookie(&mut self, cookie: &str) -> bool {
        let handle = self.forms.templates.intern(cookie.as_bytes()).unwrap();
        let time = cookie.contains("expires").then_some(0);
        let cookie = self.forms.templates.lookup(handle, time).unwrap();
        RecordMut { head: &mut self.head, room: &mut self.room }.set_cut_cookie(cookie, 9)
    }

    fn text(&self) -> String {
        String::from_utf8(self.record().body(&self.forms, 0).to_body().bytes().to_vec()).unwrap()
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
        assert_eq!(kept.head.expires(), 9);
    }
}

#[test]
fn a_cookie_that_is_cut_out_is_there_when_the_body_is_read() {
    let text = format!(r#"{{"cookie":{TIMED},"b":"é"}}"#);
    let mut kept = Kept::cut(&text);
    assert_eq!(kept.text(), text);
    assert_eq!(kept.record().body(&kept.forms, 0).encoding(), Encoding::Utf8);
    assert_eq!(kept.head.len(), text.len() - TIMED.len());
    kept.overwrite(&text.replace("\"b\"", "\"c\""));
    assert_eq!(kept.text(), text.replace("\"b\"", "\"c\""));
    kept.overwrite("{}");
    assert_eq!(kept.text(), "{}");
    assert_eq!(kept.head.used(), None);
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
            assert_eq!(kept.head.used().is_some(), is_cut);
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
    assert_eq!(kept.record().body(&kept.forms, 0).encoding(), Encoding::Utf8);
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
            assert_eq!(kept.head.expires(), 5);
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
fn what_is_spliced_is_as_long_as_the_text_that_is_read() {
    for length in 1..200 {
        let cookie = "1".repeat(length);
        let mut kept = Kept::new(json(r#"{"cookie":0}"#));
        let mut record = RecordMut { head: &mut kept.head, room: &mut kept.room };
        let spliced = record.spliced(json(&cookie), &kept.forms, |_| true).unwrap();
        assert_eq!((kept.text(), kept.head.expires()), (r#"{"cookie":0}"#.to_owned(), 5));
        assert!(kept.splice(&cookie));
        assert_eq!(kept.text(), format!(r#"{{"cookie":{cookie}}}"#));
        assert_eq!(spliced.len(), kept.text().len());
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
