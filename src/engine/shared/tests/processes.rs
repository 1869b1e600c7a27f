//! Several processes at one file. The test binary runs itself as the other process: the same test
//! with a variable in its environment that tells it what to do, or with commands that come by its
//! standard input.

use std::collections::{HashMap, HashSet};
use std::io::{BufRead, BufReader, Lines, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use super::super::SharedEngine;
use super::formats::{assert_has_all, of_format_3};
use super::{Folder, MAP, START, body_ref, read};
use crate::engine::tests::conflicts::add_word;
use crate::engine::{Condition, Durable, Engine, Options, Reading};
use crate::time::NEVER;

/// Tells a child which folder is the store's.
const FOLDER: &str = "MEMORYSTORE_TEST_FOLDER";

/// Tells a child which one it is.
const NUMBER: &str = "MEMORYSTORE_TEST_NUMBER";

/// Tells a child in which folder to do what it is told by its standard input.
const OBEYS: &str = "MEMORYSTORE_TEST_OBEYS";

/// What begins a line that a child prints for its parent, amid what the test harness prints.
const MARK: &str = "told:";

/// What a child has been told. `None` in the parent.
fn told() -> Option<(Arc<SharedEngine>, u64)> {
    let folder = PathBuf::from(std::env::var_os(FOLDER)?);
    let number = std::env::var(NUMBER).unwrap().parse().unwrap();
    let opened = SharedEngine::open(&folder, MAP, Options::default()).unwrap();
    assert_eq!(opened.set_aside, None);
    Some((opened.engine, number))
}

/// Obeys until its standard input ends. Does nothing in the parent.
#[test]
fn a_child_obeys() {
    let Some(folder) = std::env::var_os(OBEYS) else {
        return;
    };
    let mut engine = None;
    while let Some(line) = next_command() {
        let answer = obey(&mut engine, folder.as_ref(), &line);
        tell(&answer.unwrap_or_else(|error| format!("{:?} {error}", error.code())));
    }
}

fn next_command() -> Option<String> {
    let mut line = String::new();
    let length = std::io::stdin().read_line(&mut line).unwrap();
    (length > 0).then(|| line.trim_end().to_owned())
}

/// Does what a line says. What it answers begins with the code where it is an error.
fn obey(
    engine: &mut Option<Arc<SharedEngine>>,
    folder: &Path,
    line: &str,
) -> crate::engine::Result<String> {
    let words: Vec<&str> = line.split(' ').collect();
    if words[0] == "open" {
        *engine = Some(SharedEngine::open(folder, MAP, Options::default())?.engine);
        return Ok("done".into());
    }
    let opened = engine.as_ref().unwrap();
    match words[..] {
        ["close"] => *engine = None,
        ["follow"] => opened.follow()?,
        ["set", sid, body] => {
            let (sid, body) = (opened.sid(sid.as_bytes()), body_ref(body));
            let times = (START, NEVER);
            opened.set(sid, body, Condition::None, times, &mut Vec::new())?.unwrap();
        }
        ["get", sid] => {
            let mut found = "none".into();
            let sid = opened.sid(sid.as_bytes());
            opened
                .read(&sid, Reading::Get, START, &mut Vec::new(), &mut |body| found = read(body))?;
            return Ok(found);
        }
        ["hold"] => {
            // In the middle of a transaction until it is told to go on.
            let files = opened.files().unwrap();
            let _writing = files.writer_lock.lock().unwrap();
            let _transaction = files.env.write_txn().unwrap();
            tell("holding");
            next_command();
        }
        _ => panic!("{line}"),
    }
    Ok("done".into())
}

fn tell(what: &str) {
    println!("{MARK}{what}");
}

/// Waits in a child until its parent kills it, or has ended.
fn wait_for_the_end() {
    let _ = std::io::stdin().read_line(&mut String::new());
}

/// A child, killed when it is dropped.
pub(super) struct Running {
    child: Child,
    commands: Option<ChildStdin>,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Running {
    /// Runs the test called `name` of this module as child `number`.
    fn new(folder: &Folder, name: &str, number: u64) -> Self {
        let module = module_path!().split_once("::").unwrap().1;
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args([&format!("{module}::{name}"), "--exact", "--nocapture"])
            .env(FOLDER, folder.path())
            .env(NUMBER, number.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, commands: None, lines }
    }

    /// A child that obeys, and has the store of the folder open.
    pub(super) fn obeying(folder: &Path) -> Self {
        let mut child = Self::waiting(folder);
        assert_eq!(child.obey("open"), "done");
        child
    }

    /// A child that obeys.
    pub(super) fn waiting(folder: &Path) -> Self {
        let module = module_path!().split_once("::").unwrap().1;
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args([&format!("{module}::a_child_obeys"), "--exact", "--nocapture"])
            .env(OBEYS, folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let commands = child.stdin.take();
        Self { child, commands, lines }
    }

    /// Has the child do something, and does not wait for it.
    pub(super) fn begin(&mut self, command: &str) {
        writeln!(self.commands.as_mut().unwrap(), "{command}").unwrap();
    }

    pub(super) fn obey(&mut self, command: &str) -> String {
        self.begin(command);
        self.answer()
    }

    pub(super) fn answer(&mut self) -> String {
        self.next().expect("the child has ended")
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(super) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// The next thing that the child tells.
    fn next(&mut self) -> Option<String> {
        self.lines.by_ref().find_map(|line| {
            let line = line.unwrap();
            line.split_once(MARK).map(|(_, told)| told.to_owned())
        })
    }

    fn succeeds(mut self) {
        while self.next().is_some() {}
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn set(engine: &SharedEngine, sid: &str, body: &str) {
    let (sid, body) = (engine.sid(sid.as_bytes()), body_ref(body));
    engine.set(sid, body, Condition::None, (START, NEVER), &mut Vec::new()).unwrap().unwrap();
}

fn get(engine: &SharedEngine, sid: &str) -> Option<String> {
    engine.found(&engine.sid(sid.as_bytes()), START, read)
}

#[test]
fn no_write_of_processes_that_merge_into_one_session_is_lost() {
    if let Some((engine, number)) = told() {
        for word in 0..200 {
            assert!(add_word(&*engine, &engine.sid(b"sid"), &format!("{number}:{word}")));
        }
        return;
    }
    let folder = Folder::new();
    let engine = folder.open(Options::default());
    set(&engine, "sid", "0");
    let name = "no_write_of_processes_that_merge_into_one_session_is_lost";
    let children: Vec<Running> = (0..3).map(|number| Running::new(&folder, name, number)).collect();
    children.into_iter().for_each(Running::succeeds);
    let body = get(&engine, "sid").unwrap();
    assert_eq!(body.split(' ').collect::<HashSet<_>>().len(), 1 + 3 * 200);
    engine.validate();
}

#[test]
fn what_one_process_does_the_next_read_of_another_sees() {
    if let Some((engine, _)) = told() {
        assert_eq!(get(&engine, "first").as_deref(), Some("1"));
        set(&engine, "second", "2");
        assert!(engine.destroy(&engine.sid(b"first"), START, &mut Vec::new()).unwrap());
        tell("done");
        wait_for_the_end();
        return;
    }
    let folder = Folder::new();
    let engine = folder.open(Options::default());
    set(&engine, "first", "1");
    let name = "what_one_process_does_the_next_read_of_another_sees";
    let mut child = Running::new(&folder, name, 0);
    assert_eq!(child.next().as_deref(), Some("done"));
    assert_eq!(get(&engine, "first"), None);
    assert_eq!(get(&engine, "second").as_deref(), Some("2"));
    engine.validate();
}

#[test]
fn a_process_that_allows_the_file_more_does_not_disturb_one_that_allows_it_less() {
    if let Some((engine, _)) = told() {
        for number in 0..3000 {
            set(&engine, &number.to_string(), &"x".repeat(5000));
        }
        tell("done");
        wait_for_the_end();
        return;
    }
    let folder = Folder::new();
    let engine = folder.open_sized(4 << 20, Options::default());
    let name = "a_process_that_allows_the_file_more_does_not_disturb_one_that_allows_it_less";
    let mut child = Running::new(&folder, name, 0);
    assert_eq!(child.next().as_deref(), Some("done"));
    set(&engine, "parent", "1");
    assert_eq!(get(&engine, "parent").as_deref(), Some("1"));
    assert!(engine.stats().unwrap().sessions > 100);
    engine.validate();
}

/// A body that says whose it is and has any length, so that one that is mixed up is noticed.
fn numbered_body(number: u64, round: u64) -> String {
    let length = usize::try_from((number * 37 + round * 11) % 3000).unwrap();
    format!("{number}:{round}:{}", "x".repeat(length))
}

/// The child that nobody listens to.
const BYSTANDER: u64 = 1_000_000;

/// Writes until it is killed, and tells what it has written.
fn write_until_killed(engine: &SharedEngine, number: u64) {
    for round in 0.. {
        let sid = format!("{number}:{}", round % 50);
        let done = if round % 7 == 6 {
            engine.destroy(&engine.sid(sid.as_bytes()), START, &mut Vec::new()).unwrap();
            format!("destroyed {sid}.")
        } else {
            let body = numbered_body(number, round);
            set(engine, &sid, &body);
            format!("set {sid} {body}.")
        };
        if number != BYSTANDER {
            tell(&done);
        }
    }
}

/// What the sessions of a child are to be, by what it told, and which of them the operation that
/// was under way when it was killed may have changed.
#[derive(Default)]
struct Acknowledged {
    sessions: HashMap<String, Option<String>>,
    count: u64,
}

impl Acknowledged {
    fn note(&mut self, told: &str) {
        self.count += 1;
        let (what, rest) = told.trim_end_matches('.').split_once(' ').unwrap();
        match what {
            "set" => {
                let (sid, body) = rest.split_once(' ').unwrap();
                self.sessions.insert(sid.into(), Some(body.into()));
            }
            _ => drop(self.sessions.insert(rest.into(), None)),
        }
    }

    fn validate(&self, engine: &SharedEngine, number: u64) {
        let next = format!("{number}:{}", self.count % 50);
        for (sid, body) in self.sessions.iter().filter(|(sid, _)| **sid != next) {
            assert_eq!(get(engine, sid), *body, "{sid}");
        }
        // It is as it was, or as the next operation makes it.
        let found = get(engine, &next);
        let is_old = found == self.sessions.get(&next).cloned().flatten();
        let body = numbered_body(number, self.count);
        let is_new = if self.count % 7 == 6 { found.is_none() } else { found == Some(body) };
        assert!(is_old || is_new, "{next} is neither");
    }
}

#[test]
fn what_a_process_has_acknowledged_is_there_whenever_it_is_killed() {
    if let Some((engine, number)) = told() {
        write_until_killed(&engine, number);
    }
    let folder = Folder::new();
    let engine = folder.open(Options::default());
    let name = "what_a_process_has_acknowledged_is_there_whenever_it_is_killed";
    let bystander = Running::new(&folder, name, BYSTANDER);
    for number in 0..100 {
        let mut child = Running::new(&folder, name, number);
        let mut acknowledged = Acknowledged::default();
        // At any moment: the child has gone on by the time that it is told of.
        while acknowledged.count <= number * 29 % 113 {
            acknowledged.note(&child.next().unwrap());
        }
        for round in 0..number % 10 {
            set(&engine, "parent", &numbered_body(number, round));
            assert_eq!(get(&engine, "parent"), Some(numbered_body(number, round)));
        }
        child.child.kill().unwrap();
        // The last line may have been cut off.
        while let Some(told) = child.next().filter(|told| told.ends_with('.')) {
            acknowledged.note(&told);
        }
        acknowledged.validate(&engine, number);
        if number % 10 == 0 {
            engine.validate();
        }
    }
    drop(bystander);
    engine.clear_stale_readers().unwrap();
    engine.validate();
    for number in 0..100_u64 {
        for sid in 0..50 {
            if let Some(body) = get(&engine, &format!("{number}:{sid}")) {
                let round = body.split(':').nth(1).unwrap().parse().unwrap();
                assert_eq!(body, numbered_body(number, round));
            }
        }
    }
}

#[test]
fn a_file_of_an_earlier_format_loses_nothing_whenever_who_opens_it_is_killed() {
    if let Some((engine, number)) = told() {
        write_until_killed(&engine, number);
    }
    let name = "a_file_of_an_earlier_format_loses_nothing_whenever_who_opens_it_is_killed";
    for number in 0..20 {
        let folder = Folder::new();
        of_format_3(&folder);
        let mut child = Running::new(&folder, name, number);
        let mut acknowledged = Acknowledged::default();
        // Some are killed while they open it.
        std::thread::sleep(Duration::from_micros(500 * number));
        while number % 4 == 3 && acknowledged.count <= number * 7 {
            acknowledged.note(&child.next().unwrap());
        }
        child.child.kill().unwrap();
        while let Some(told) = child.next().filter(|told| told.ends_with('.')) {
            acknowledged.note(&told);
        }
        child.child.wait().unwrap();
        let engine = folder.open(Options::default());
        assert_has_all(&engine);
        acknowledged.validate(&engine, number);
        engine.validate();
    }
}
