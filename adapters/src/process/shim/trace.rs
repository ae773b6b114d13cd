//! What a session's shim has left, for whoever asks whether all is well. It only looks.

use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;

use candor_core::session::SessionId;

use super::place::{ExitRecord, Intent, Place, Record, Started};
use crate::process::record::Found;
use crate::process::survey::{ShimLife, ShimTrace, Trace, trace_of};

/// Looks at the folder of a session's shim.
///
/// The lock is tried only where a shim has started, and so never keeps one from starting. It is
/// held for a moment, in which whoever else asks for it asks again.
///
/// # Errors
///
/// What the system said: then nobody knows.
pub fn shim_trace(sessions_folder: &Path, session: SessionId) -> io::Result<ShimTrace> {
    let place = Place::of(sessions_folder, session);
    let mut trace =
        ShimTrace { life: ShimLife::Unstarted, pid: None, damaged: Vec::new(), faults: Vec::new() };
    if !place.is_folder()? {
        // It was removed meanwhile, or is none of ours.
        return Ok(trace);
    }
    let started = place.load::<Started>()?;
    let exit = place.load::<ExitRecord>()?;
    let has_started = started != Found::Nothing || exit != Found::Nothing;
    let intent = place.load::<Intent>()?;
    trace.note_damage(&started);
    if has_started {
        let is_alive = place.is_held()? == Some(true) || place.listens()?;
        // A shim that lived may have recorded the end and left by now, but none can begin.
        let exit = place.load::<ExitRecord>()?;
        trace.note_damage(&exit);
        trace.settle(&started, &exit, is_alive)?;
    }
    // It is not synced, and a power cut may damage it: it is no matter once the process is over.
    if intent == Found::Damaged && trace.life != ShimLife::Over {
        trace.damaged.insert(0, Intent::NAME);
    }
    trace.note_faults(&place)?;
    Ok(trace)
}

impl ShimTrace {
    fn note_damage<R: Record>(&mut self, found: &Found<R>) {
        if matches!(found, Found::Damaged) {
            self.damaged.push(R::NAME);
        }
    }

    fn settle(
        &mut self,
        started: &Found<Started>,
        exit: &Found<ExitRecord>,
        is_alive: bool,
    ) -> io::Result<()> {
        let has_ended = matches!(exit, Found::Whole(_));
        let process = match started {
            Found::Whole(started) if !has_ended => trace_of(&started.identity)?,
            Found::Whole(_) | Found::Damaged | Found::Nothing => Trace::None,
        };
        if let Trace::Runs { pid } = process {
            self.pid = Some(pid);
        }
        self.life = match (is_alive, process) {
            (true, _) => ShimLife::Lives,
            (false, Trace::Runs { .. }) => ShimLife::Unsupervised,
            (false, Trace::Over) => ShimLife::Over,
            (false, Trace::None | Trace::Damaged) if has_ended => ShimLife::Over,
            (false, Trace::None | Trace::Damaged) => ShimLife::Unknown,
        };
        Ok(())
    }

    /// Puts down what keeps a shim from being found, or its records from being read.
    fn note_faults(&mut self, place: &Place) -> io::Result<()> {
        const OWN: u32 = 0o700;

        // Looked at only now: what a shim that lives has not made before it started is not to come.
        let [folder, lock, control] = place.look()?;
        if folder.is_some_and(|folder| folder.mode() & OWN != OWN) {
            self.faults.push("you may not use the folder");
        }
        match &lock {
            Some(lock) if !lock.is_file() => self.faults.push("the lock is no file"),
            Some(lock) if lock.mode() & 0o600 != 0o600 => {
                self.faults.push("you may not use the lock");
            }
            None if self.life == ShimLife::Lives => self.faults.push("the lock is gone"),
            Some(_) | None => {}
        }
        if self.life != ShimLife::Lives {
            return Ok(());
        }
        let is_socket = control.is_some_and(|control| control.file_type().is_socket());
        if !is_socket && place.load::<ExitRecord>()? == Found::Nothing {
            self.faults.push("the socket is gone, and nobody reaches the shim");
        } else if lock.is_some() && place.is_held()? == Some(false) && place.listens()? {
            self.faults.push("the lock is not the one that the shim holds");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::os::unix::net::UnixListener;
    use std::process::{Command, Stdio};

    use candor_core::ports::IdSource as _;
    use candor_core::session::{OutputSizes, SessionId};
    use candor_core::verdict::{Exit, Witness};
    use rustix::process::Pid;
    use uuid::Uuid;

    use super::{ShimLife, shim_trace};
    use crate::ids::UuidV7Source;
    use crate::process::identity::Identity;
    use crate::process::platform::{Life, boot_id, sign_of_life};
    use crate::process::shim::place::{CONTROL, ExitRecord, Intent, Place, Started};

    struct Scene {
        folder: tempfile::TempDir,
        session: SessionId,
        place: Place,
    }

    impl Scene {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let session = UuidV7Source.session_id();
            let place = Place::of(folder.path(), session);
            place.claim().unwrap();
            place.intend(&Intent { session, nonce: Uuid::nil() }).unwrap();
            Self { folder, session, place }
        }

        fn started(&self, pid: Pid, start_mark: u64) {
            let identity = Identity::new(self.session, pid, start_mark, boot_id().unwrap());
            self.place.store(&Started { nonce: Uuid::nil(), identity, cgroup: None }).unwrap();
        }

        fn ended(&self) {
            let record = ExitRecord {
                session: self.session,
                nonce: Uuid::nil(),
                exit: Exit::Code(0),
                oom_killed: false,
                witness: Witness::Parent,
                left_behind: None,
                output: OutputSizes::default(),
                boot_id: String::new(),
            };
            self.place.store(&record).unwrap();
        }

        #[track_caller]
        fn tells(&self, life: ShimLife, pid: Option<u32>, damaged: &[&str], faults: &[&str]) {
            let trace = shim_trace(self.folder.path(), self.session).unwrap();
            assert_eq!((trace.life, trace.pid), (life, pid));
            assert_eq!((&trace.damaged[..], &trace.faults[..]), (damaged, faults));
        }

        fn write(&self, name: &str, text: &str) {
            fs::write(self.place.folder().join(name), text).unwrap();
        }
    }

    #[test]
    fn a_shim_lives_is_missed_or_is_over() {
        let scene = Scene::new();
        // On its way: it would leave if it found its lock taken.
        scene.tells(ShimLife::Unstarted, None, &[], &[]);
        let lock = scene.place.lock().unwrap().unwrap();
        scene.tells(ShimLife::Unstarted, None, &[], &[]);
        let listener = UnixListener::bind(scene.place.folder().join(CONTROL)).unwrap();
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let pid = Pid::from_child(&child);
        let Life::Runs { start_mark } = sign_of_life(pid).unwrap() else { panic!("it runs") };
        scene.started(pid, start_mark);
        scene.tells(ShimLife::Lives, Some(child.id()), &[], &[]);
        drop((lock, listener));
        scene.tells(ShimLife::Unsupervised, Some(child.id()), &[], &[]);
        assert!(scene.place.lock().unwrap().is_some(), "to look keeps nothing");
        child.kill().unwrap();
        child.wait().unwrap();
        scene.tells(ShimLife::Over, None, &[], &[]);
        scene.ended();
        scene.tells(ShimLife::Over, None, &[], &[]);
    }

    /// Others' places are asked, too, and nothing is made in them.
    #[test]
    fn a_place_is_over_when_a_shim_has_started_and_left() {
        let scene = Scene::new();
        assert!(!scene.place.is_over());
        let lock = scene.place.lock().unwrap().unwrap();
        scene.started(Pid::INIT, 0);
        assert!(!scene.place.is_over());
        drop(lock);
        assert!(scene.place.is_over());
        let lock = scene.place.folder().join("lock");
        fs::remove_file(&lock).unwrap();
        assert!(scene.place.is_over() && !lock.exists());
    }

    #[test]
    fn damage_is_named_and_hides_no_life() {
        let scene = Scene::new();
        scene.write("intent", "v1 nonsense");
        scene.write("started", "");
        scene.write("lock", "");
        scene.tells(ShimLife::Unknown, None, &["intent", "started"], &[]);
        let _lock = scene.place.lock().unwrap().unwrap();
        let gone = "the socket is gone, and nobody reaches the shim";
        scene.tells(ShimLife::Lives, None, &["intent", "started"], &[gone]);
        scene.write("exit", "half");
        scene.tells(ShimLife::Lives, None, &["intent", "started", "exit"], &[]);
    }

    /// As a power cut may leave it.
    #[test]
    fn damage_of_an_intent_does_not_matter_once_the_process_is_over() {
        let scene = Scene::new();
        scene.write("intent", "");
        scene.tells(ShimLife::Unstarted, None, &["intent"], &[]);
        scene.ended();
        scene.tells(ShimLife::Over, None, &[], &[]);
    }

    #[test]
    fn what_keeps_a_shim_from_being_found_is_told() {
        let scene = Scene::new();
        scene.started(Pid::from_raw(i32::MAX).unwrap(), 1);
        let held = scene.place.lock().unwrap().unwrap();
        let _listener = UnixListener::bind(scene.place.folder().join(CONTROL)).unwrap();
        let lock = scene.place.folder().join("lock");
        fs::remove_file(&lock).unwrap();
        scene.tells(ShimLife::Lives, None, &[], &["the lock is gone"]);
        scene.write("lock", "");
        scene.tells(ShimLife::Lives, None, &[], &["the lock is not the one that the shim holds"]);
        fs::remove_file(scene.place.folder().join(CONTROL)).unwrap();
        drop(held);
        fs::set_permissions(&lock, fs::Permissions::from_mode(0o400)).unwrap();
        fs::set_permissions(scene.place.folder(), fs::Permissions::from_mode(0o500)).unwrap();
        let faults = ["you may not use the folder", "you may not use the lock"];
        scene.tells(ShimLife::Over, None, &[], &faults);
        fs::set_permissions(scene.place.folder(), fs::Permissions::from_mode(0o700)).unwrap();
        fs::remove_file(&lock).unwrap();
        std::os::unix::fs::symlink("/", &lock).unwrap();
        assert!(shim_trace(scene.folder.path(), scene.session).is_err(), "nobody can tell");
    }
}
