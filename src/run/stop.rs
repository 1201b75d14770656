//! Ctrl-C: the first asks a loop to end cleanly, the second ends the program.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::progress::Progress;

/// The exit code of programs that Ctrl-C ends.
const EXIT: i32 = 130;

/// Signals that come so close together are one: `timeout` and terminals send several.
const SAME: Duration = Duration::from_secs(1);

/// Whether the user asked to stop.
static ASKED: AtomicBool = AtomicBool::new(false);

/// What a stop does, and whom it tells.
static LISTENER: Mutex<Listener> = Mutex::new(Listener {
    first: None,
    finishes: None,
    say: None,
});

/// Shows words, the last ones of the program where that is so.
type Voice = Box<dyn Fn(&str, bool) + Send>;

struct Listener {
    /// When the user asked first.
    first: Option<Instant>,
    /// What a loop does before it ends, where one listens.
    finishes: Option<&'static str>,
    say: Option<Voice>,
}

/// What a signal leads to.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    /// The loop ends when it can, as this says.
    Finish(String),
    /// Nothing: it is the same signal again.
    Same,
    /// The program ends now, with these words.
    End(&'static str),
}

/// A signal ends the program at once from here on, because there is nothing to save
/// yet, and says so where `progress` shows.
pub(crate) fn listen(progress: &Progress) {
    let mut listener = lock();
    listener.finishes = None;
    listener.say = Some(Box::new(progress.voice()));
    let outlives = outlives_its_terminal();
    // A second handler cannot be set, as where a process trains twice; the first goes
    // on listening.
    let _ = ctrlc::set_handler(signalled);
    if outlives {
        ignore_its_end();
    }
}

/// Whether whoever started the program made it ignore the end of its terminal, as `nohup`
/// does. That of Ctrl-C is another matter: scripts ignore it for all that they start with `&`.
#[cfg(unix)]
fn outlives_its_terminal() -> bool {
    // SAFETY: a disposition is asked for and none is set; all bytes of it may be zero.
    unsafe {
        let mut now: libc::sigaction = std::mem::zeroed();
        libc::sigaction(libc::SIGHUP, std::ptr::null(), &raw mut now) == 0
            && now.sa_sigaction == libc::SIG_IGN
    }
}

/// Ignores the end of the terminal again, which a handler listens to.
#[cfg(unix)]
fn ignore_its_end() {
    // SAFETY: to ignore is an action that runs nothing.
    unsafe { libc::signal(libc::SIGHUP, libc::SIG_IGN) };
}

#[cfg(not(unix))]
fn outlives_its_terminal() -> bool {
    false
}

#[cfg(not(unix))]
fn ignore_its_end() {}

/// As [`listen`], but from here on a loop asks whether it shall stop, after what it
/// `finishes` first, as "this step".
pub(crate) fn finishing(progress: &Progress, finishes: &'static str) {
    listen(progress);
    lock().finishes = Some(finishes);
}

/// Whether the user has asked to stop.
pub(crate) fn asked() -> bool {
    ASKED.load(Ordering::SeqCst)
}

fn lock() -> std::sync::MutexGuard<'static, Listener> {
    LISTENER.lock().unwrap_or_else(PoisonError::into_inner)
}

fn signalled() {
    let mut listener = lock();
    let answer = listener.answer(Instant::now());
    let say = |text: &str, last| {
        if let Some(say) = &listener.say {
            say(text, last);
        }
    };
    match answer {
        Answer::Finish(text) => {
            ASKED.store(true, Ordering::SeqCst);
            say(&text, false);
        }
        Answer::Same => {}
        Answer::End(text) => {
            say(text, true);
            end();
        }
    }
}

/// Ends the program without exit handlers: a driver's would free what the thread that
/// waits for the device still uses.
#[cfg(unix)]
fn end() -> ! {
    // SAFETY: it takes any number, and returns to nothing.
    unsafe { libc::_exit(EXIT) }
}

#[cfg(not(unix))]
fn end() -> ! {
    std::process::exit(EXIT)
}

impl Listener {
    fn answer(&mut self, now: Instant) -> Answer {
        match (self.first, self.finishes) {
            (Some(first), _) if now.duration_since(first) < SAME => Answer::Same,
            (Some(_), _) => Answer::End("stopped at once"),
            (None, None) => Answer::End("stopped before the first step"),
            (None, Some(finishes)) => {
                self.first = Some(now);
                Answer::Finish(format!(
                    "stopping after {finishes}; press Ctrl-C again to stop at once"
                ))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_signal_asks_its_echo_is_ignored_and_the_second_ends() {
        let mut listener = Listener {
            first: None,
            finishes: Some("this step"),
            say: None,
        };
        let begin = Instant::now();
        let after = |millis| begin + Duration::from_millis(millis);
        let said = "stopping after this step; press Ctrl-C again to stop at once";
        assert_eq!(listener.answer(begin), Answer::Finish(said.to_owned()));
        assert_eq!(listener.answer(after(30)), Answer::Same);
        assert_eq!(listener.answer(after(999)), Answer::Same);
        assert_eq!(listener.answer(after(1000)), Answer::End("stopped at once"));
    }

    #[test]
    fn before_a_loop_there_is_nothing_to_wait_for() {
        let mut listener = Listener {
            first: None,
            finishes: None,
            say: None,
        };
        let answer = listener.answer(Instant::now());
        assert_eq!(answer, Answer::End("stopped before the first step"));
    }
}
