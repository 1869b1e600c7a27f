//! Systems whose pages are larger than 4 KiB. The test binary runs itself as a process that a
//! preloaded library tells another size than the system has.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::super::space::PageSize;
use super::super::{SharedEngine, verify};
use super::{Folder, START, body_ref, read};
use crate::engine::{Condition, Engine, Options};
use crate::time::NEVER;

/// Tells a child which folder is the store's, and whether it is to fill it.
const FOLDER: &str = "MEMORYSTORE_TEST_FOLDER";
const FILLS: &str = "MEMORYSTORE_TEST_FILLS";

const SOURCE: &str = r#"
    #define _GNU_SOURCE
    #include <dlfcn.h>
    #include <stdlib.h>
    #include <unistd.h>

    long sysconf(int name) {
        if (name == _SC_PAGESIZE) return atol(getenv("MEMORYSTORE_TEST_PAGE"));
        return ((long (*)(int))dlsym(RTLD_NEXT, "sysconf"))(name);
    }
"#;

/// The library that tells another size.
fn library(folder: &Path) -> PathBuf {
    let (source, library) = (folder.join("pagesize.c"), folder.join("pagesize.so"));
    std::fs::write(&source, SOURCE).unwrap();
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-o"]).args([&library, &source]).arg("-ldl");
    assert!(compiler.status().unwrap().success());
    library
}

const COUNT: u64 = 450;

fn body_of(number: u64) -> String {
    let length = number * 131 % [500, 5000, 70_000][usize::try_from(number % 3).unwrap()];
    format!("{number}:{}", "x".repeat(usize::try_from(length).unwrap()))
}

fn set(engine: &SharedEngine, number: u64, body: &str) {
    let (sid, body) = (engine.sid(&number.to_be_bytes()), body_ref(body));
    engine.set(sid, body, Condition::None, (START, NEVER), &mut Vec::new()).unwrap().unwrap();
}

/// Writes each session twice, and removes some.
fn fill(engine: &SharedEngine) {
    for round in 0..2 {
        for number in 0..COUNT {
            let body = if round == 0 { "first".repeat(300) } else { body_of(number) };
            set(engine, number, &body);
        }
    }
    for number in (0..COUNT).step_by(10) {
        let sid = engine.sid(&number.to_be_bytes());
        assert!(engine.destroy(&sid, START, &mut Vec::new()).unwrap());
    }
}

fn assert_is_filled(engine: &SharedEngine) {
    for number in 0..COUNT {
        let found = engine.found(&engine.sid(&number.to_be_bytes()), START, read);
        let expected = (number % 10 > 0).then(|| body_of(number));
        assert!(found == expected, "session {number} is another");
    }
    engine.validate();
}

/// Looks at a filled store, and fills it again.
fn goes_on(folder: &Folder) {
    assert!(verify::check(&folder.path().join("data.mdb")).is_ok());
    let engine = folder.open(Options::default());
    assert_is_filled(&engine);
    fill(&engine);
    assert_is_filled(&engine);
}

#[test]
fn a_file_has_the_pages_of_the_system_that_made_it_and_is_used_by_any() {
    let name = "a_file_has_the_pages_of_the_system_that_made_it_and_is_used_by_any";
    if let Some(path) = std::env::var_os(FOLDER) {
        let folder = Folder(path.into());
        if std::env::var_os(FILLS).is_some() {
            fill(&folder.open(Options::default()));
        }
        goes_on(&folder);
        // Its parent removes it.
        std::mem::forget(folder);
        return;
    }
    let tools = Folder::new();
    std::fs::create_dir(tools.path()).unwrap();
    let library = library(tools.path());
    let module = module_path!().split_once("::").unwrap().1;
    for size in [16 << 10, 32 << 10, 64 << 10_usize] {
        let run = |folder: &Folder, fills: bool| {
            let mut child = Command::new(std::env::current_exe().unwrap());
            child.args([&format!("{module}::{name}"), "--exact"]);
            child.env("LD_PRELOAD", &library).env("MEMORYSTORE_TEST_PAGE", size.to_string());
            child.env(FOLDER, folder.path());
            if fills {
                child.env(FILLS, "1");
            }
            let output = child.output().unwrap();
            let told = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success(), "pages of {size}: {told}");
        };
        let folder = Folder::new();
        run(&folder, true);
        let page = folder.open(Options::default()).limits().unwrap().page;
        assert_eq!(page.bytes(), size.min(32 << 10));
        goes_on(&folder);
        run(&folder, false);

        let folder = Folder::new();
        let engine = folder.open(Options::default());
        assert_eq!(engine.limits().unwrap().page, PageSize::of_system());
        fill(&engine);
        drop(engine);
        run(&folder, false);
        goes_on(&folder);
    }
}
