//! Everything that descends from a shim: what its process started, and what that started, in
//! whichever group or session it is now.
//!
//! Nothing can leave: the shim is a subreaper, so that whose parent dies falls to it, or to a
//! descendant that is one itself. So nothing is left as soon as the shim has no child left.
//!
//! Numbers are read from `/proc`, and a process of which one was read may be gone by the time that
//! it gets a signal. The shim's own children keep their numbers until it reaps them. To all others a
//! signal goes through a pidfd, and only after what was got hold of with it said of itself that its
//! parent is the one in whose list it stood, or the shim; and a list counts only if whose it is was
//! there, still the same, after it had been read.
//!
//! Whoever ends while it is looked may leave children that fall to where nobody looks any more. So
//! where an end was met, it is looked once more.
//!
//! Source: `proc_pid_task(5)`, `children`; `PR_SET_CHILD_SUBREAPER(2const)`.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;

use rustix::process::{
    Pid, PidfdFlags, Signal, getpid, kill_process, pidfd_open, pidfd_send_signal,
};

use super::children;
use crate::process::platform::{Stat, stat};

/// Processes that are found in one go. What is beyond falls to the shim when these have ended, and
/// is found by the next one.
const FOUND_MAX: usize = 16 * 1024;

/// Sweeps that are made of one question, while each of them meets somebody who has just ended.
const SWEEPS_MAX: u32 = 16;

/// A list of children is read in pieces of this size.
const PIECE_BYTES: usize = 4096;

/// The descendants of one process.
#[derive(Debug)]
pub(super) struct Tree {
    root: Pid,
    /// One of them that is neither counted nor signalled itself.
    spared: Pid,
    source: Source,
}

/// Where it is read who the children of a process are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Source {
    /// In the kernel's own lists.
    Lists,
    /// In the line of each process on the machine, where the kernel was built without the lists.
    Lines,
}

/// What makes sure that a number is still that of the process that was met.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Hold {
    /// The tree grows from it, and it is asked for nothing.
    Root,
    /// It is this process's own child, which keeps its number until it is reaped here.
    Child,
    /// Only when it started, with what is got hold of by its number.
    Handle { start_mark: u64 },
}

/// Number and start of a process.
type Mark = (i32, u64);

/// What the sweeps of one question know of each other.
#[derive(Debug, Default)]
struct Seen {
    /// They were sent the signal, and are not sent it twice: a second interrupt means more than the
    /// first.
    signalled: HashSet<Mark>,
    /// They had ended, and wait for their parents: what they had has fallen elsewhere long ago.
    zombies: HashSet<Mark>,
}

/// What one sweep found.
#[derive(Clone, Copy, Debug)]
struct Swept {
    alive: u32,
    /// Somebody ended meanwhile, and what it had started was perhaps not found.
    met_an_end: bool,
}

/// What is asked of a sweep.
#[derive(Clone, Copy)]
enum Order {
    /// Only whether there is anybody: it ends with the first who is found.
    Any,
    Count,
    /// A signal to all who are not in this group.
    Send(Signal, Option<Pid>),
}

impl Tree {
    pub(super) fn of(root: Pid, spared: Pid) -> Self {
        let list = list_of(root, root.as_raw_nonzero().get());
        let source = if fs::exists(list).unwrap_or(false) { Source::Lists } else { Source::Lines };
        Self { root, spared, source }
    }

    /// Whether any of them lives. Where that cannot be ruled out, one does.
    pub(super) fn is_alive(&self) -> bool {
        self.ask(Order::Any) > 0
    }

    /// Returns how many of them live.
    pub(super) fn count(&self) -> u32 {
        self.ask(Order::Count)
    }

    /// Sends a signal to all who live and are not in the `group`, and returns how many live, whether
    /// or not they could be sent one.
    pub(super) fn send(&self, signal: Signal, group: Option<Pid>) -> u32 {
        self.ask(Order::Send(signal, group))
    }

    fn ask(&self, order: Order) -> u32 {
        let mut seen = Seen::default();
        let mut swept = Swept { alive: 0, met_an_end: true };
        for _ in 0..SWEEPS_MAX {
            swept = self.sweep(order, &mut seen);
            if !swept.met_an_end || (matches!(order, Order::Any) && swept.alive > 0) {
                return swept.alive;
            }
        }
        // They end as fast as it is looked, so there is somebody who starts them.
        swept.alive.max(1)
    }

    /// Goes through all of them, parents first, so that none is there to start another one in place
    /// of a child that has just been ended.
    fn sweep(&self, order: Order, seen: &mut Seen) -> Swept {
        let lines = match self.source {
            Source::Lists => Vec::new(),
            Source::Lines => lines(),
        };
        let mut found = vec![(self.root, Hold::Root)];
        let mut at = 0;
        let mut swept = Swept { alive: 0, met_an_end: false };
        while let Some(&(parent, hold)) = found.get(at) {
            at += 1;
            let children = match self.source {
                Source::Lists => listed(parent),
                Source::Lines => lined(&lines, parent),
            };
            // Not before: it may end while its list is read, and then the list is short. Of those
            // that were sent SIGKILL many have ended by now.
            if !self.is_there(parent, hold) {
                swept.met_an_end = true;
                swept.alive -= u32::from(parent != self.spared);
                if matches!(hold, Hold::Handle { .. }) {
                    // The list is perhaps that of another one, who has its number now.
                    continue;
                }
            }
            for child in children {
                let Some(hold) = self.meet(child, parent, order, seen) else {
                    swept.met_an_end |= seen.is_news(child);
                    continue;
                };
                swept.alive += u32::from(child != self.spared);
                if matches!(order, Order::Any) && swept.alive > 0 {
                    return swept;
                }
                if found.len() < FOUND_MAX {
                    found.push((child, hold));
                }
            }
        }
        swept
    }

    /// Whether a process that was met lives and is still the same. A child that has ended is reaped,
    /// but for the one that is spared.
    fn is_there(&self, process: Pid, hold: Hold) -> bool {
        match hold {
            Hold::Root => true,
            Hold::Child if process == self.spared => living(process).is_some(),
            Hold::Child => children::lives(process),
            Hold::Handle { start_mark } => {
                living(process).is_some_and(|stat| stat.start_mark == start_mark)
            }
        }
    }

    /// Does what is asked with a child that was read of, and returns how it is held, if there is
    /// such a child and it lives.
    fn meet(&self, child: Pid, parent: Pid, order: Order, seen: &mut Seen) -> Option<Hold> {
        if parent != self.root || parent != getpid() {
            return self.meet_by_handle(child, parent, order, seen);
        }
        if child == self.spared {
            living(child)?;
        } else if !children::lives(child) {
            return None;
        } else if let Order::Send(signal, group) = order
            && let Some(stat) = living(child)
            && seen.is_due(child, &stat, group)
        {
            // What may not be signalled is counted as what it is: left.
            let _ = kill_process(child, signal);
        }
        Some(Hold::Child)
    }

    fn meet_by_handle(
        &self,
        child: Pid,
        parent: Pid,
        order: Order,
        seen: &mut Seen,
    ) -> Option<Hold> {
        let handle = pidfd_open(child, PidfdFlags::empty()).ok()?;
        let stat = living(child)?;
        let [parent, root] = [parent, self.root].map(|pid| pid.as_raw_nonzero().get());
        if stat.parent != parent && stat.parent != root {
            return None;
        }
        if let Order::Send(signal, group) = order
            && child != self.spared
            && seen.is_due(child, &stat, group)
        {
            let _ = pidfd_send_signal(&handle, signal);
        }
        Some(Hold::Handle { start_mark: stat.start_mark })
    }
}

impl Seen {
    /// Whether a process is yet to be sent the signal. It will have been.
    fn is_due(&mut self, process: Pid, stat: &Stat, group: Option<Pid>) -> bool {
        group.is_none_or(|group| !stat.is_in(group))
            && self.signalled.insert((process.as_raw_nonzero().get(), stat.start_mark))
    }

    /// Whether the end of a process was not known before the sweep. One that is a zombie and was one
    /// is no news; the rest are gone, or have just become one.
    fn is_news(&mut self, process: Pid) -> bool {
        stat(process).ok().flatten().is_none_or(|stat| {
            !stat.is_zombie
                || self.zombies.insert((process.as_raw_nonzero().get(), stat.start_mark))
        })
    }
}

impl Stat {
    fn is_in(&self, group: Pid) -> bool {
        self.group == group.as_raw_nonzero().get()
    }
}

fn living(process: Pid) -> Option<Stat> {
    stat(process).ok().flatten().filter(|stat| !stat.is_zombie)
}

fn list_of(process: Pid, thread: i32) -> String {
    format!("/proc/{}/task/{thread}/children", process.as_raw_nonzero())
}

/// Returns the children of all threads of a process. Of a parent that reaps meanwhile one may be
/// missed; a shim does not.
fn listed(parent: Pid) -> Vec<Pid> {
    /// Links of a folder without folders in it. It has one more for each.
    const LINKS_MIN: u64 = 2;

    let mut children = Vec::new();
    let first = parent.as_raw_nonzero().get();
    read_list(&list_of(parent, first), &mut children);
    let threads = format!("/proc/{first}/task");
    if fs::metadata(&threads).is_ok_and(|folder| folder.nlink() > LINKS_MIN + 1) {
        for thread in numbers_in(&threads).filter(|&thread| thread != first) {
            read_list(&list_of(parent, thread), &mut children);
        }
    }
    children
}

/// Reads a list of numbers with a blank after each. One that is gone is empty.
fn read_list(path: &str, numbers: &mut Vec<Pid>) {
    let Ok(mut file) = File::open(path) else {
        return;
    };
    let mut piece = [0; PIECE_BYTES];
    let mut number = 0_i32;
    while let Ok(bytes @ 1..) = retry(|| file.read(&mut piece)) {
        for &byte in &piece[..bytes] {
            if byte.is_ascii_digit() {
                number = number.saturating_mul(10).saturating_add(i32::from(byte - b'0'));
            } else {
                numbers.extend(Pid::from_raw(std::mem::take(&mut number)));
            }
        }
    }
}

fn retry(mut read: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match read() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            read => return read,
        }
    }
}

fn numbers_in(folder: &str) -> impl Iterator<Item = i32> + use<> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// Returns parent and number of every process, sorted.
fn lines() -> Vec<(i32, Pid)> {
    let processes = numbers_in("/proc").filter_map(Pid::from_raw);
    let line = |process| Some((stat(process).ok()??.parent, process));
    let mut lines: Vec<_> = processes.filter_map(line).collect();
    lines.sort_unstable_by_key(|&(parent, child)| (parent, child.as_raw_nonzero()));
    lines
}

fn lined(lines: &[(i32, Pid)], parent: Pid) -> Vec<Pid> {
    let parent = parent.as_raw_nonzero().get();
    let from = lines.partition_point(|&(other, _)| other < parent);
    let its_own = lines[from..].iter().take_while(|&&(other, _)| other == parent);
    its_own.map(|&(_, child)| child).collect()
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader, Write as _};
    use std::process::{Child, Command, Stdio};

    use rustix::process::{Pid, Signal, getpid, set_child_subreaper};

    use super::super::children;
    use super::{Hold, Source, Tree};

    /// A shell with two children, of which one has one itself: all three wait for the end of its
    /// input. And one that has ended or will have in a moment, which it does not look at.
    struct Family(Child);

    const SCRIPT: &str = "exec 3<&0
        sh -c 'cat <&3 & echo $!; read line <&3' &
        setsid cat <&3 &
        sleep 0 &
        echo here
        read line <&3";

    impl Family {
        fn new() -> Self {
            let mut command = Command::new("/bin/sh");
            command.args(["-c", SCRIPT]).stdin(Stdio::piped()).stdout(Stdio::piped());
            let mut child = command.spawn().unwrap();
            let lines = BufReader::new(child.stdout.take().unwrap()).lines();
            assert_eq!(lines.take(2).count(), 2);
            Self(child)
        }

        fn tree(&self, source: Source, spared: Pid) -> Tree {
            Tree { source, ..Tree::of(Pid::from_child(&self.0), spared) }
        }
    }

    /// The number of no process here.
    fn nobody() -> Pid {
        Pid::INIT
    }

    #[test]
    fn lists_and_lines_tell_the_same() {
        let mut family = Family::new();
        let trees = [Source::Lists, Source::Lines].map(|source| family.tree(source, nobody()));
        while trees.iter().any(|tree| tree.count() != 3) {
            std::thread::yield_now();
        }
        assert!(trees.iter().all(Tree::is_alive));
        for tree in &trees {
            assert_eq!(tree.send(Signal::CONT, None), 3);
        }
        // All but the shell itself.
        family.0.stdin.take().unwrap().write_all(b"\n").unwrap();
        family.0.wait().unwrap();
        assert_eq!(trees.map(|tree| tree.count()), [0, 0], "nobody has it as a parent any more");
    }

    #[test]
    fn the_spared_one_alone_is_left_out() {
        let family = Family::new();
        let shell = Pid::from_child(&family.0);
        for source in [Source::Lists, Source::Lines] {
            let whole = family.tree(source, nobody());
            let rest = family.tree(source, super::listed(shell)[0]);
            while whole.count() != 3 {
                std::thread::yield_now();
            }
            assert_eq!((rest.count(), rest.is_alive()), (2, true));
        }
    }

    /// Each thread has a list of its own.
    #[test]
    fn children_of_all_threads_are_found() {
        let own = getpid();
        let start = || Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let (sender, receiver) = std::sync::mpsc::channel();
        let (end, ended) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::spawn(move || {
            sender.send(start()).unwrap();
            // What it has started falls to another thread when it ends.
            let _ = ended.recv();
        });
        let mut child = receiver.recv().unwrap();
        assert!(super::listed(own).contains(&Pid::from_child(&child)));
        drop(end);
        thread.join().unwrap();
        drop(child.stdin.take());
        child.wait().unwrap();
    }

    #[test]
    fn a_process_that_is_gone_has_no_descendants() {
        let mut child = Command::new("true").spawn().unwrap();
        let pid = Pid::from_child(&child);
        child.wait().unwrap();
        for source in [Source::Lists, Source::Lines] {
            let tree = Tree { root: pid, spared: nobody(), source };
            assert_eq!((tree.count(), tree.is_alive()), (0, false));
        }
    }

    /// Its parent ends while it is looked, and it falls to where was looked already.
    #[expect(clippy::zombie_processes, reason = "the tree reaps it, as it does for a shim")]
    #[test]
    fn a_child_is_not_missed_while_it_changes_its_parent() {
        const ROUNDS: usize = 100;

        // Each test is a process of its own, so that nobody else's children are reaped.
        set_child_subreaper(Some(getpid())).unwrap();
        for source in [Source::Lists, Source::Lines] {
            let tree = Tree { source, ..Tree::of(getpid(), nobody()) };
            for _ in 0..ROUNDS {
                let mut command = Command::new("/bin/sh");
                command.args(["-c", "exec 3<&0; cat <&3 & exec 3<&-"]).stdin(Stdio::piped());
                let mut parent = command.stdout(Stdio::null()).spawn().unwrap();
                let pid = Pid::from_child(&parent);
                while super::stat(pid).unwrap().is_some_and(|stat| !stat.is_zombie) {
                    assert!(tree.is_alive());
                }
                assert!(tree.is_alive());
                assert!((1..=2).contains(&tree.count()));
                drop(parent.stdin.take());
                while tree.is_alive() {
                    std::thread::yield_now();
                }
                assert!(!children::lives(pid), "it was reaped");
            }
        }
    }

    /// The number of a process that has ended may be another's.
    #[test]
    fn a_number_alone_is_not_the_process_that_was_met() {
        let family = Family::new();
        let shell = Pid::from_child(&family.0);
        let tree = family.tree(Source::Lists, nobody());
        let start_mark = super::living(shell).unwrap().start_mark;
        assert!(tree.is_there(shell, Hold::Handle { start_mark }));
        assert!(!tree.is_there(shell, Hold::Handle { start_mark: start_mark - 1 }));
    }
}
