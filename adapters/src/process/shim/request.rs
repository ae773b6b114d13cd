//! The order to launch, from a daemon to the shim that it has just started.
//!
//! It goes through a socket and touches no disk, since the values of the environment are in it.
//! Both ends are the same program, so it has no version.

use std::ffi::{CString, OsStr};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use candor_core::session::SessionId;
use uuid::Uuid;

use crate::process::plan::Plan;
use crate::process::quota::OutputQuota;

/// More than any kernel takes of arguments and variables together.
pub(super) const REQUEST_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The length in front.
const LENGTH_BYTES: usize = 4;

/// What a shim is told.
#[derive(Debug)]
pub(super) struct Request {
    /// Whose process it will be.
    pub(super) session: SessionId,
    /// Names this launch, as its `intent` does.
    pub(super) nonce: Uuid,
    /// The folder of all sessions, absolute.
    pub(super) sessions: PathBuf,
    /// Whether the session is put into a cgroup of its own, where the system lets us.
    pub(super) wants_cgroup: bool,
    /// What is kept of each output.
    pub(super) quota: Option<OutputQuota>,
    /// What to execute.
    pub(super) plan: Plan,
}

/// Returns the order as it travels, or `None` for one that is too long for any kernel.
pub(super) fn encode(
    session: SessionId,
    nonce: Uuid,
    sessions: &Path,
    wants_cgroup: bool,
    quota: Option<OutputQuota>,
    plan: &Plan,
) -> Option<Vec<u8>> {
    let mut writer = Writer(vec![0; LENGTH_BYTES]);
    writer.0.extend_from_slice(session.as_uuid().as_bytes());
    writer.0.extend_from_slice(nonce.as_bytes());
    writer.text(sessions.as_os_str().as_bytes())?;
    writer.number(u32::from(wants_cgroup));
    writer.0.extend_from_slice(&quota.map_or(0, OutputQuota::bytes).to_le_bytes());
    writer.text(plan.folder.as_bytes())?;
    writer.number(plan.umask);
    writer.number(u32::from(plan.holds_input));
    writer.number(u32::from(plan.ends_rest));
    writer.text(&plan.search)?;
    writer.texts(&plan.arguments)?;
    writer.texts(&plan.variables)?;
    let length = writer.0.len() - LENGTH_BYTES;
    if length > REQUEST_BYTES_MAX {
        return None;
    }
    writer.0[..LENGTH_BYTES].copy_from_slice(&u32::try_from(length).ok()?.to_le_bytes());
    Some(writer.0)
}

/// Waits for an order.
///
/// # Errors
///
/// When whoever gives it dies before it is whole, or it is none.
pub(super) fn read(stream: &mut impl Read) -> io::Result<Request> {
    let mut length = [0; LENGTH_BYTES];
    stream.read_exact(&mut length)?;
    let length = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
    if length > REQUEST_BYTES_MAX {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes)?;
    decode(&bytes).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

fn decode(bytes: &[u8]) -> Option<Request> {
    let mut reader = Reader(bytes);
    let request = Request {
        session: SessionId::from_uuid(Uuid::from_slice(reader.bytes(16)?).ok()?),
        nonce: Uuid::from_slice(reader.bytes(16)?).ok()?,
        sessions: PathBuf::from(OsStr::from_bytes(reader.text()?)),
        wants_cgroup: reader.number()? != 0,
        quota: OutputQuota::new(u64::from_le_bytes(reader.bytes(8)?.try_into().ok()?)),
        plan: Plan {
            folder: CString::new(reader.text()?).ok()?,
            umask: reader.number()?,
            holds_input: reader.number()? != 0,
            ends_rest: reader.number()? != 0,
            search: reader.text()?.to_vec(),
            arguments: reader.texts()?,
            variables: reader.texts()?,
        },
    };
    reader.0.is_empty().then_some(request)
}

struct Writer(Vec<u8>);

impl Writer {
    fn number(&mut self, number: u32) {
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    fn text(&mut self, text: &[u8]) -> Option<()> {
        self.number(u32::try_from(text.len()).ok()?);
        self.0.extend_from_slice(text);
        Some(())
    }

    fn texts(&mut self, texts: &[CString]) -> Option<()> {
        self.number(u32::try_from(texts.len()).ok()?);
        texts.iter().try_for_each(|text| self.text(text.as_bytes()))
    }
}

struct Reader<'bytes>(&'bytes [u8]);

impl<'bytes> Reader<'bytes> {
    fn bytes(&mut self, count: usize) -> Option<&'bytes [u8]> {
        let (bytes, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(bytes)
    }

    fn number(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.bytes(4)?.try_into().ok()?))
    }

    fn text(&mut self) -> Option<&'bytes [u8]> {
        let count = usize::try_from(self.number()?).ok()?;
        self.bytes(count)
    }

    /// The count is not believed: each text must be there.
    fn texts(&mut self) -> Option<Vec<CString>> {
        let count = self.number()?;
        (0..count).map(|_| CString::new(self.text()?).ok()).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::CString;
    use std::path::Path;

    use candor_core::ports::IdSource as _;
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::{OutputQuota, Plan, decode, encode, read};
    use crate::ids::UuidV7Source;

    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(1..=u8::MAX, 0..20)
    }

    prop_compose! {
        fn plan()(
            arguments in prop::collection::vec(bytes(), 0..5),
            variables in prop::collection::vec(bytes(), 0..5),
            search in bytes(),
            folder in bytes(),
            umask in 0..0o1000_u32,
            holds_input: bool,
        ) -> Plan {
            let texts = |texts: Vec<Vec<u8>>| {
                texts.into_iter().map(|text| CString::new(text).unwrap()).collect()
            };
            let folder = CString::new(folder).unwrap();
            let (arguments, variables) = (texts(arguments), texts(variables));
            Plan { arguments, variables, search, folder, umask, holds_input, ends_rest: umask % 3 == 0 }
        }
    }

    proptest! {
        #[test]
        fn an_order_comes_across(plan in plan(), wants_cgroup: bool, quota: Option<u32>) {
            let quota = quota.and_then(|bytes| OutputQuota::new(bytes.into()));
            let (session, nonce) = (UuidV7Source.session_id(), Uuid::now_v7());
            let place = Path::new("/some/where");
            let sent = encode(session, nonce, place, wants_cgroup, quota, &plan).unwrap();
            let request = read(&mut &sent[..]).unwrap();
            prop_assert_eq!(request.session, session);
            prop_assert_eq!(request.nonce, nonce);
            prop_assert_eq!(request.sessions, place);
            prop_assert_eq!(request.wants_cgroup, wants_cgroup);
            prop_assert_eq!(request.quota, quota);
            prop_assert_eq!(format!("{:?}", request.plan), format!("{plan:?}"));
        }

        #[test]
        fn a_part_of_an_order_is_none(plan in plan(), at: prop::sample::Index) {
            let (session, nonce) = (UuidV7Source.session_id(), Uuid::now_v7());
            let sent = encode(session, nonce, Path::new("/"), true, None, &plan).unwrap();
            let at = at.index(sent.len());
            prop_assert!(read(&mut &sent[..at]).is_err());
        }

        #[test]
        fn anything_else_is_none_or_an_order(bytes: Vec<u8>) {
            drop(decode(&bytes));
        }
    }
}
