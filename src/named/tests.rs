use super::*;
use crate::engine::Engine;

#[test]
fn all_that_open_a_name_get_one_engine_until_the_last_has_left() {
    let options = Options::default();
    let one = Lease::open("shared", options).unwrap();
    let other = Lease::open("shared", options).unwrap();
    let first = Arc::downgrade(one.engine());
    assert!(Arc::ptr_eq(one.engine(), other.engine()));
    assert!(!Arc::ptr_eq(one.engine(), Lease::open("another", options).unwrap().engine()));
    assert!(!one.end());
    assert!(first.upgrade().is_some());
    let third = Lease::open("shared", options).unwrap();
    assert!(Arc::ptr_eq(other.engine(), third.engine()));
    drop(third);
    assert!(other.end());
    assert!(first.upgrade().is_none());
    let anew = Lease::open("shared", options).unwrap();
    assert!(anew.engine().length().unwrap() == 0);
}

#[test]
fn whoever_has_other_options_is_told_which() {
    let options = Options::default();
    let _lease = Lease::open("options", options).unwrap();
    let wrong = [
        ("max", Options { max: 5, ..options }),
        ("maxBytes", Options { max_bytes: 5, ..options }),
        ("stale", Options { stale: true, ..options }),
        ("dispose", Options { keep_removed: true, ..options }),
        ("noDisposeOnSet", Options { keep_replaced: true, ..options }),
        ("destroyed", Options { destroyed_is_final: true, ..options }),
        ("touchAfter", Options { touch_after: 5, ..options }),
    ];
    for (name, options) in wrong {
        assert_eq!(Lease::open("options", options).err(), Some(name));
    }
    assert!(Lease::open("options", options).is_ok());
}
