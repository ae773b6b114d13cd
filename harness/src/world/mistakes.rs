//! The mistakes that the world makes when it is a mutant, where they are the session task's.
//!
//! Each is a switch of its own. The supervisor that runs in the world is the shipped one whatever
//! they say: a mistake is made around it.

use std::sync::Arc;

use candor_core::happening::Happening;
use candor_core::ports::Target;
use candor_core::stop::Signal;
use candor_core::supervisor::Supervisor;

use super::task::{Mail, SessionTask};
use crate::executor::poll_once;
use crate::mutant::Mutant;

impl SessionTask {
    /// M01: sends the signal of a stop at once, and keeps the stop until it is delivered. Returns
    /// the mail where nothing is wrong with it.
    pub(super) fn signal_early(&mut self, supervisor: &Supervisor, mail: Mail) -> Option<Mail> {
        let is_stop = matches!(mail.happening, Happening::Stop { .. });
        let is_first = !mail.is_signalled && supervisor.session().intent.is_none();
        let process = supervisor.process().map(Arc::clone);
        match process {
            Some(process) if self.has(Mutant::M01) && is_stop && is_first => {
                let signal = Box::pin(async move {
                    let _delivery = process.signal(Target::Group, Signal::Interrupt).await;
                });
                self.early = Some((signal, Mail { is_signalled: true, ..mail }));
                None
            }
            Some(_) | None => Some(mail),
        }
    }

    /// Returns the stop that was kept, once its signal is delivered.
    pub(super) fn take_early(&mut self) -> Option<Mail> {
        let (signal, _) = self.early.as_mut()?;
        poll_once(signal)?;
        self.early.take().map(|(_, mail)| mail)
    }
}
