//! `candor continue`: goes on with an agent's session.

use super::CliError;
use super::agent::prompt;
use super::arguments::Continue;
use super::path_of;
use super::run::{Launching, current_umask, environment, run};
use crate::config::Config;
use crate::serve::ContinueRequest;

pub(super) async fn main(arguments: Continue) -> Result<u8, CliError> {
    let config = Config::read()?;
    let reach = super::reach::Reach::open().await?;
    // The agent's program, where a setting names it, hangs on which agent it is.
    let parent: crate::api::SessionView = reach.get(&path_of(&arguments.id)).await?;
    let program = parent.agent.as_ref().and_then(|agent| config.agents.get(&agent.kind)).cloned();
    let program =
        program.map(|path| super::run::bytes("the agent's program", path.into_os_string()));
    let request = ContinueRequest {
        title: arguments.new.title,
        prompt: prompt(arguments.prompt)?,
        fork: arguments.fork,
        environment: Some(environment(arguments.new.env)?),
        umask: current_umask(),
        graces: arguments.new.grace,
        program: program.transpose()?,
        model: arguments.model.model,
        permission_mode: arguments.model.permission_mode,
        max_turns: arguments.model.max_turns,
        interactive: arguments.model.interactive.then_some(true),
    };
    let path = format!("{}/continue", path_of(&parent.id));
    run(&Launching { path, request, detach: arguments.new.detach, json: arguments.new.json }).await
}
