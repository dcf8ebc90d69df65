//! Starts the workers, kills them at their points, and restarts them until every mail is done.

use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::Result;
use crate::mails::LARGE;
use crate::point::{Blow, Fate, Point};
use crate::relay::{Held, Hold, Relay};
use crate::schedule::Schedule;
use crate::times;

/// Time limit for a worker to end after SIGTERM.
const SHUTDOWN: Duration = Duration::from_secs(20);
/// Time limit for a worker to reach the point of its signal.
const TRAP: Duration = Duration::from_secs(4);
/// Pause before starting a worker that would end without a signal.
const PAUSE: Duration = Duration::from_millis(100);
/// Time for the bytes that a stopped worker has already written to arrive.
const KERNEL: Duration = Duration::from_millis(300);
/// How long a worker continues after SIGCONT before it is killed.
const AFTER_STOP: Duration = Duration::from_millis(500);

/// State shared by the workers and their supervisor.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) schedule: Mutex<Schedule>,
    pub(crate) progress: Mutex<Progress>,
    /// Number of mails that may be in the table.
    pub(crate) share: watch::Receiver<u64>,
    /// True as soon as every mail is done.
    pub(crate) done: watch::Receiver<bool>,
    /// Arguments that all workers have in common.
    pub(crate) arguments: Vec<String>,
    pub(crate) folder: PathBuf,
    pub(crate) mails: u64,
    pub(crate) workers: usize,
}

#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// Number of the last queued mail that the worker reported. Mails are queued one after the other.
    pub(crate) put: u64,
    /// Number of mails that are neither sent nor held.
    pub(crate) left: u64,
    /// Number of worker processes that were started.
    pub(crate) lives: u64,
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps one worker running until every mail is done. The first worker also queues the mails.
pub(crate) async fn keep(shared: Arc<Shared>, number: usize, mut relay: Relay) -> Result<()> {
    let mut done = shared.done.clone();
    while !*done.borrow() {
        let left = lock(&shared.progress).left;
        let (fate, over) = {
            let mut schedule = lock(&shared.schedule);
            (schedule.next(left), schedule.is_over())
        };
        if fate == Fate::Spared && !over && number > 0 {
            // The remaining mails are for workers with a signal to come.
            sleep(PAUSE).await;
            continue;
        }
        relay.arm(match fate {
            Fate::Trap(trap) if trap.point == Point::MidBody => Some(Hold {
                nth: trap.nth,
                // A stopped worker must still have some of the body.
                min_bytes: if trap.blow == Blow::Stop { LARGE } else { 0 },
            }),
            _ => None,
        });
        let mut worker = Worker::start(&shared, number, &relay, fate)?;
        let struck = worker.live(&shared, &mut relay, fate, &mut done).await;
        lock(&shared.schedule).ended(fate, struck?);
    }
    Ok(())
}

struct Worker {
    child: Child,
    stdin: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
    pid: Pid,
}

/// The next event of a worker.
enum Next {
    Line(Option<String>),
    Share,
    Held(Held),
    Due,
    Done,
}

impl Worker {
    fn start(shared: &Shared, number: usize, relay: &Relay, fate: Fate) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        let log = shared.folder.join(format!("worker-{number}.log"));
        command.arg("worker").args(&shared.arguments);
        command.arg("--base-url").arg(relay.base_url());
        command.arg("--log").arg(&log);
        match fate {
            Fate::Trap(trap) if trap.point != Point::MidBody => {
                let blow = if trap.blow == Blow::Kill {
                    "kill"
                } else {
                    "stop"
                };
                command.args(["--blow", blow, "--point", &trap.point.name()]);
                command.args(["--nth", &trap.nth.to_string()]);
            }
            _ => {}
        }
        let mut progress = lock(&shared.progress);
        progress.lives += 1;
        if number == 0 {
            command.args(["--put-from", &(progress.put + 1).to_string()]);
        }
        drop(progress);
        let errors = std::fs::File::options()
            .append(true)
            .create(true)
            .open(&log)?;
        // The pipe closes with the supervisor, and the worker then ends too.
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(errors);
        let mut child = command.kill_on_drop(true).spawn()?;
        let stdout = child
            .stdout
            .take()
            .ok_or("the worker's standard output is missing")?;
        let stdin = child
            .stdin
            .take()
            .ok_or("the worker's standard input is missing")?;
        let pid = child.id().ok_or("the worker has no process id")?;
        Ok(Self {
            child,
            stdin,
            lines: BufReader::new(stdout).lines(),
            pid: Pid::from_raw(i32::try_from(pid)?),
        })
    }

    /// Follows the worker to its end. Returns whether it received the signal of its fate.
    async fn live(
        &mut self,
        shared: &Shared,
        relay: &mut Relay,
        fate: Fate,
        done: &mut watch::Receiver<bool>,
    ) -> Result<bool> {
        let mut struck = false;
        let mut killed = false;
        let mut asked = false;
        let mut late = false;
        // With a single worker, no other worker looks up its mails.
        let asleep = if shared.workers == 1 {
            Duration::ZERO
        } else {
            times::ASLEEP
        };
        let mut share = shared.share.clone();
        share.mark_changed();
        let mut due = match fate {
            Fate::After(blow, time) => Some((Instant::now() + time, blow)),
            Fate::Trap(_) => Some((Instant::now() + TRAP, Blow::Kill)),
            Fate::Spared => None,
        };
        loop {
            let time = due.map(|(time, _)| time);
            let wait = async {
                match time {
                    Some(time) => sleep_until(time).await,
                    None => std::future::pending().await,
                }
            };
            let next = tokio::select! {
                line = self.lines.next_line() => Next::Line(line?),
                Ok(()) = share.changed() => Next::Share,
                held = relay.held() => Next::Held(held),
                () = wait => Next::Due,
                _ = done.wait_for(|done| *done), if !asked => Next::Done,
            };
            match next {
                Next::Line(None) => break,
                Next::Line(Some(line)) => match line.split_once(' ') {
                    Some(("put", mail)) => {
                        lock(&shared.progress).put = mail.parse()?;
                    }
                    _ if line == "reached" => {
                        struck = true;
                        match fate.kind() {
                            Some((Blow::Stop, _)) => {
                                due = Some(self.sleep_over(times::LEASE + asleep).await?);
                            }
                            _ => killed = true,
                        }
                    }
                    _ => return Err(format!("unexpected line from a worker: {line}").into()),
                },
                Next::Share => {
                    let line = format!("{}\n", *share.borrow_and_update());
                    // A worker that was just killed reads nothing.
                    let _ = self.stdin.write_all(line.as_bytes()).await;
                }
                Next::Held(held) => {
                    if matches!(fate.kind(), Some((Blow::Stop, _))) {
                        self.signal(Signal::SIGSTOP)?;
                        // Bytes in the kernel's buffer pass at once, as on a network.
                        let whole = held.release();
                        sleep(KERNEL).await;
                        if whole.load(Ordering::SeqCst) {
                            // The worker has no bytes left that could arrive late.
                            due = Some((Instant::now(), Blow::Kill));
                        } else {
                            struck = true;
                            let lease = times::LEASE + times::UPLOAD;
                            due = Some(self.sleep_over(lease + asleep).await?);
                        }
                    } else {
                        struck = true;
                        self.signal(Signal::SIGKILL)?;
                        killed = true;
                    }
                }
                Next::Due => match due.take() {
                    Some((_, Blow::Stop)) => {
                        struck = true;
                        self.signal(Signal::SIGSTOP)?;
                        due = Some(self.sleep_over(times::LEASE + asleep).await?);
                    }
                    _ => {
                        late = asked;
                        struck |= matches!(fate, Fate::After(..));
                        self.signal(Signal::SIGKILL)?;
                        killed = true;
                    }
                },
                Next::Done => {
                    asked = true;
                    due = Some((Instant::now() + SHUTDOWN, Blow::Kill));
                    self.signal(Signal::SIGTERM)?;
                }
            }
        }
        let status = timeout(SHUTDOWN, self.child.wait()).await??;
        if late {
            return Err("a worker did not end after SIGTERM".into());
        }
        // SIGTERM itself ends a worker that has just started.
        let ended = status.success() || status.signal() == Some(Signal::SIGTERM as i32);
        if killed || asked && ended {
            return Ok(struck);
        }
        Err(format!("a worker ended without a signal: {status}").into())
    }

    /// Keeps a worker stopped for this time, then resumes it. Returns the time at which it is
    /// killed.
    async fn sleep_over(&self, time: Duration) -> Result<(Instant, Blow)> {
        sleep(time).await;
        self.signal(Signal::SIGCONT)?;
        Ok((Instant::now() + AFTER_STOP, Blow::Kill))
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        // Not reaped yet, so that the id is still the worker's.
        kill(self.pid, signal)?;
        Ok(())
    }
}
