//! What only the master does: on an agent host (`DECNET_MODE=agent`) these verbs are not offered, and refuse when they
//! are called all the same, unless `DECNET_DISALLOW_MASTER=false`. Two layers on purpose: help can be forgotten.

use anyhow::{Result, bail};
use clap::Command;
use decnet_kit::settings::{Mode, Settings, Sources};

/// The verbs that decide for the whole fleet or own its database.
const MASTER_ONLY: [&str; 6] = ["up", "deploy", "teardown", "migrate", "init", "realism"];

/// Takes the master's verbs out of the help of an agent host.
pub(crate) fn without_masters_verbs(mut command: Command) -> Command {
    // Settings that cannot be read are told of by the verb itself.
    if Sources::process().load().is_ok_and(|loaded| is_closed(&loaded.settings)) {
        for verb in MASTER_ONLY {
            command = command.mut_subcommand(verb, |verb| verb.hide(true));
        }
    }
    command
}

/// Refuses a master's verb on an agent host.
pub(crate) fn master_only(settings: &Settings) -> Result<()> {
    if is_closed(settings) {
        bail!(
            "this is a verb of the master, and this host is an agent (DECNET_MODE=agent): run it on the master, or set DECNET_DISALLOW_MASTER=false"
        );
    }
    Ok(())
}

fn is_closed(settings: &Settings) -> bool {
    settings.mode == Mode::Agent && settings.disallow_master
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn settings(variables: [(&str, &str); 2]) -> Settings {
        Sources::variables(variables).load().unwrap().settings
    }

    #[test]
    fn an_agent_host_refuses_unless_told_otherwise() {
        let refused = |mode, disallow| {
            master_only(&settings([("DECNET_MODE", mode), ("DECNET_DISALLOW_MASTER", disallow)])).is_err()
        };
        assert!(refused("agent", "true"));
        assert!(!refused("agent", "false") && !refused("master", "true"));
    }

    #[test]
    fn every_gated_verb_exists() {
        let command = crate::Cli::command();
        assert!(MASTER_ONLY.iter().all(|verb| command.find_subcommand(verb).is_some()));
    }
}
