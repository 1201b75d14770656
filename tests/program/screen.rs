//! The screen of a training in a terminal, and what is left where its output is
//! redirected.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::num::NonZero;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use gpugan::store::checkpoint;
use nix::pty::{Winsize, openpty};

use crate::run::{SMALL, program, run_folders, starting};

const ROWS: u16 = 50;
/// Longer than any driver compiles.
const PATIENCE: Duration = Duration::from_secs(180);

/// A program in a terminal of its own.
struct Terminal {
    child: Child,
    screen: Arc<Mutex<vt100::Parser>>,
    keys: File,
    columns: u16,
    /// Whether nobody reads any more.
    gone: Arc<AtomicBool>,
}

impl Terminal {
    /// Starts a program in a terminal of so many columns, its output and its errors in
    /// files where those are given.
    fn start(mut command: Command, columns: u16, [out, err]: [Option<&Path>; 2]) -> Self {
        let size = Winsize {
            ws_row: ROWS,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        let terminal = openpty(Some(&size), None).unwrap();
        let slave = || Stdio::from(terminal.slave.try_clone().unwrap());
        let to = |file: Option<&Path>| match file {
            Some(path) => File::create(path).unwrap().into(),
            None => slave(),
        };
        command.stdin(slave()).stdout(to(out)).stderr(to(err));
        let child = command.spawn().unwrap();
        // Else the terminal would not end with the program.
        drop((command, terminal.slave));
        let [rows, wide] = [ROWS, columns].map(|n| NonZero::new(n).unwrap());
        let screen = Arc::new(Mutex::new(vt100::Parser::new(rows, wide, 0)));
        let gone = Arc::default();
        // Programs that other tests start inherit the terminal, but no copy of it.
        let [master, keys] = [(); 2].map(|()| terminal.master.try_clone().unwrap());
        drop(terminal.master);
        read(master, Arc::clone(&screen), Arc::clone(&gone));
        Self {
            gone,
            child,
            screen,
            keys: keys.into(),
            columns,
        }
    }

    /// Rows of the screen that are not empty.
    fn rows(&self) -> Vec<String> {
        let parser = self.screen.lock().unwrap();
        let rows = parser.screen().rows(0, self.columns);
        rows.filter(|row| !row.trim().is_empty()).collect()
    }

    /// The screen as one text, without the ends of its rows.
    fn text(&self) -> String {
        self.rows().concat()
    }

    /// The rows once they are as asked.
    fn until(&mut self, what: &str, mut shown: impl FnMut(&Self) -> bool) -> Vec<String> {
        let begin = Instant::now();
        while !shown(self) {
            let ended = self.child.try_wait().unwrap();
            let rows = self.rows();
            assert!(begin.elapsed() < PATIENCE, "no {what}: {rows:#?}");
            assert!(ended.is_none(), "ended without {what}: {rows:#?}");
            std::thread::sleep(Duration::from_millis(20));
        }
        self.rows()
    }

    /// Ends the terminal, as where a window is closed, and tells the program, which the
    /// system does only if no other one has inherited the terminal.
    fn close(&mut self) {
        // Whoever reads gives it up with the next byte.
        self.gone.store(true, Ordering::SeqCst);
        self.keys = File::open("/dev/null").unwrap();
        std::thread::sleep(Duration::from_millis(500));
        let id = self.child.id().to_string();
        let told = Command::new("kill").args(["-HUP", &id]).output();
        told.unwrap();
    }

    fn ctrl_c(&mut self) {
        self.keys.write_all(b"\x03").unwrap();
    }

    /// Its exit code, once what it wrote last is on the screen.
    fn end(&mut self) -> Option<i32> {
        let code = self.child.wait().unwrap().code();
        std::thread::sleep(Duration::from_millis(200));
        code
    }
}

/// Puts on a screen what comes out of a terminal until that ends.
fn read(master: OwnedFd, screen: Arc<Mutex<vt100::Parser>>, gone: Arc<AtomicBool>) {
    let mut master = File::from(master);
    std::thread::spawn(move || {
        let mut bytes = [0; 4096];
        while let Ok(count @ 1..) = master.read(&mut bytes) {
            if gone.load(Ordering::SeqCst) {
                break;
            }
            screen.lock().unwrap().process(&bytes[..count]);
        }
    });
}

fn is_bar(row: &str) -> bool {
    row.contains(['\u{2588}', '\u{2591}'])
}

/// The program for a terminal of its own, in which Ctrl-C reaches it.
fn in_a_terminal() -> Command {
    let mut command = Command::new("setsid");
    // Whatever the tests were started to ignore.
    command.args(["--ctty", "env", "--default-signal=HUP,INT"]);
    starting(command, &program())
}

/// A training without an end.
fn training(outdir: &Path) -> Command {
    let mut command = in_a_terminal();
    let small = SMALL.iter().filter(|argument| **argument != "--quiet");
    command.args(["train", "--outdir"]).arg(outdir).args(small);
    command.args(["--steps", "900000", "--tick", "40"]);
    command
}

#[test]
fn lines_stay_above_one_bar_and_ctrl_c_leaves_no_trace_of_it() {
    for columns in [60, 80, 200] {
        let outdir = tempfile::tempdir().unwrap();
        let mut terminal = Terminal::start(training(outdir.path()), columns, [None; 2]);
        let rows = terminal.until("tick", |t| t.text().contains("step 40/900000  kimg"));
        assert!(rows[0].starts_with("adapter: "), "{rows:#?}");
        let compiled = rows.iter().any(|row| row.starts_with("kernels: "));
        assert!(compiled, "{rows:#?}");
        // Reports come a moment after the time that is left.
        let mut rows = Vec::new();
        terminal.until("time left", |t| {
            let is_whole = |row: &str| columns < 200 || row.contains(" D(x) ");
            rows = t.rows();
            rows.last()
                .is_some_and(|row| row.contains(" left  ") && is_whole(row))
        });
        let bars: Vec<_> = rows.iter().filter(|row| is_bar(row)).collect();
        assert_eq!(bars, [&rows[rows.len() - 1]], "{rows:#?}");
        let bar = bars[0].trim_end();
        // It takes the whole line but for the room of `^C`, twice.
        assert_eq!(bar.chars().count() + 5, usize::from(columns), "{bar}");
        assert!(bar.contains("/900000"), "{bar}");
        assert_eq!(bar.contains(" D(x) "), columns == 200, "{bar}");

        terminal.ctrl_c();
        assert_eq!(terminal.end(), Some(0));
        let (rows, text) = (terminal.rows(), terminal.text());
        let acknowledged = "stopping after this step; press Ctrl-C again to stop at once";
        assert!(
            rows.iter().any(|row| row.trim() == acknowledged),
            "{rows:#?}"
        );
        assert!(text.contains("stopped at step "), "{rows:#?}");
        assert!(!rows.iter().any(|row| is_bar(row)), "{rows:#?}");
        assert!(!text.contains("^C"), "{rows:#?}");
        let log = run_folders(outdir.path()).remove(0).join("log.txt");
        let log = fs::read_to_string(log).unwrap();
        assert!(
            log.contains("  adapter: ") && log.contains("  stopped at step "),
            "{log}"
        );
    }
}

/// A step of a thousand large updates does not end meanwhile.
#[test]
fn a_second_ctrl_c_ends_at_once_and_one_that_comes_with_the_first_does_not() {
    let outdir = tempfile::tempdir().unwrap();
    let mut command = training(outdir.path());
    command.args(["--set", "batch=1024", "--set", "train.d_steps=1000"]);
    let mut terminal = Terminal::start(command, 80, [None; 2]);
    terminal.until("bar", |t| t.rows().iter().any(|row| is_bar(row)));
    for _ in 0..2 {
        terminal.ctrl_c();
    }
    terminal.until("answer", |t| t.text().contains("stopping after this step"));
    std::thread::sleep(Duration::from_millis(1500));
    assert!(terminal.child.try_wait().unwrap().is_none());
    terminal.ctrl_c();
    assert_eq!(terminal.end(), Some(130));
    let rows = terminal.rows();
    assert_eq!(rows.last().unwrap().trim(), "stopped at once", "{rows:#?}");
    assert!(!rows.iter().any(|row| is_bar(row)), "{rows:#?}");
}

/// A window that is closed takes the terminal away and sends a signal.
#[test]
fn a_training_whose_window_is_closed_saves_what_it_has() {
    let outdir = tempfile::tempdir().unwrap();
    let mut terminal = Terminal::start(training(outdir.path()), 80, [None; 2]);
    terminal.until("bar", |t| t.rows().iter().any(|row| is_bar(row)));
    let tick = |t: &Terminal| t.text().contains("step 40/900000  kimg");
    terminal.until("tick", tick);
    terminal.close();
    let begin = Instant::now();
    let ended = loop {
        match terminal.child.try_wait().unwrap() {
            Some(ended) => break ended,
            None if begin.elapsed() < PATIENCE => std::thread::sleep(Duration::from_millis(20)),
            None => panic!("it goes on without its terminal"),
        }
    };
    assert_eq!(ended.code(), Some(0));
    let run = run_folders(outdir.path()).remove(0);
    let log = fs::read_to_string(run.join("log.txt")).unwrap();
    let stopped = log.split("  stopped at step ").nth(1);
    let step: String = stopped
        .expect(&log)
        .chars()
        .take_while(char::is_ascii_digit)
        .collect();
    let (newest, _) = checkpoint::list(&run).unwrap().pop().unwrap();
    assert_eq!(newest.to_string(), step, "{log}");
}

/// As of `nohup`.
#[test]
fn a_training_that_is_to_outlive_its_terminal_does() {
    let outdir = tempfile::tempdir().unwrap();
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' HUP; exec \"$@\"", "sh"]);
    let mut command = starting(command, &program());
    command.args(["train", "--outdir"]).arg(outdir.path());
    command.args(SMALL).args(["--steps", "60", "--tick", "1"]);
    let mut child = command.spawn().unwrap();
    let begun = || {
        let runs = run_folders(outdir.path());
        runs.first()
            .is_some_and(|run| run.join("stats.jsonl").is_file())
    };
    let begin = Instant::now();
    while !begun() {
        assert!(begin.elapsed() < PATIENCE);
        std::thread::sleep(Duration::from_millis(10));
    }
    let id = child.id().to_string();
    let sent = Command::new("kill").args(["-HUP", &id]).status();
    assert!(sent.unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let run = run_folders(outdir.path()).remove(0);
    assert!(run.join("checkpoint-000060.safetensors").is_file());
}

/// Whatever compiles says how far it is.
#[test]
fn a_classifier_says_that_it_compiles() {
    let home = tempfile::tempdir().unwrap();
    let mut command = in_a_terminal();
    // From nothing, so that it takes a while.
    command.env("MESA_SHADER_CACHE_DIR", home.path());
    command.args([
        "classify", "--data", "digits", "--size", "8", "--epochs", "2",
    ]);
    command.arg("--out").arg(home.path().join("c.safetensors"));
    let mut terminal = Terminal::start(command, 80, [None; 2]);
    let rows = terminal.until("kernels", |t| t.text().contains(" compiling "));
    let bar = rows.last().unwrap();
    assert!(is_bar(bar) && bar.contains(" kernels, "), "{rows:#?}");
    assert!(bar.trim_end().chars().count() < 80, "{bar}");
    assert_eq!(terminal.end(), Some(0));
    assert!(!terminal.text().contains(" compiling "));
}

#[test]
fn ticks_go_where_output_goes_and_the_bar_where_errors_go() {
    for redirected in [[true, false], [false, true], [true, true]] {
        let outdir = tempfile::tempdir().unwrap();
        let files = ["out.txt", "err.txt"].map(|name| outdir.path().join(name));
        let to = [0, 1].map(|i| redirected[i].then_some(&*files[i]));
        let mut terminal = Terminal::start(training(&outdir.path().join("runs")), 80, to);
        let said = |t: &Terminal| match redirected[0] {
            true => fs::read_to_string(&files[0]).unwrap(),
            false => t.text(),
        };
        terminal.until("tick", |t| said(t).contains("step 40/900000  kimg"));
        let [out_redirected, err_redirected] = redirected;
        let rows = match err_redirected {
            true => terminal.rows(),
            false => terminal.until("bar", |t| t.rows().iter().any(|row| is_bar(row))),
        };
        let bars = rows.iter().filter(|row| is_bar(row)).count();
        assert_eq!(bars, usize::from(!err_redirected), "{rows:#?}");
        assert_eq!(
            rows.concat().contains("  kimg "),
            !out_redirected,
            "{rows:#?}"
        );
        terminal.ctrl_c();
        assert_eq!(terminal.end(), Some(0));
        assert!(said(&terminal).contains("stopped at step "));
        let acknowledged = "stopping after this step";
        match err_redirected {
            true => assert!(
                fs::read_to_string(&files[1])
                    .unwrap()
                    .starts_with(acknowledged)
            ),
            false => assert!(terminal.text().contains(acknowledged)),
        }
    }
}
