//! Which agents there are.

use super::{Acp, Agent, Claude, Codex, Gemini, OpenCode};

/// All agents that can be ordered, in the order in which they are shown.
static AGENTS: [&dyn Agent; 5] = [&Claude, &Codex, &Gemini, &OpenCode, &Acp];

/// Returns all agents that can be ordered.
#[must_use]
pub fn all() -> &'static [&'static dyn Agent] {
    &AGENTS
}

/// Returns the agent of this name, if there is one.
#[must_use]
pub fn by_name(name: &str) -> Option<&'static dyn Agent> {
    AGENTS.into_iter().find(|agent| agent.name() == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_agent_is_found_by_its_name_and_by_no_other() {
        for agent in all() {
            assert_eq!(by_name(agent.name()).map(Agent::name), Some(agent.name()));
            assert!(!agent.program().is_empty() && !agent.installation().is_empty());
        }
        assert!(by_name("no-such-agent").is_none());
        assert!(by_name("").is_none());
    }
}
