//! `decnet teardown`: removes one decky or all of them; they stay removed.

use anyhow::Result;
use decnet_bus::{
    Topic,
    payload::{TeardownCommand, TeardownScope},
};
use decnet_core::{DeckyName, IdSource, SystemIds};
use decnet_kit::args::CommonArgs;

use crate::{BadInput, block_on, bus, config, gate, operation, render};

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Args {
    /// Remove every decky
    #[arg(long)]
    all: bool,
    /// Remove this decky
    #[arg(long, value_name = "NAME")]
    id: Option<String>,
}

pub(crate) fn run(common: &CommonArgs, args: &Args) -> Result<()> {
    let scope = match &args.id {
        Some(name) => TeardownScope::One(DeckyName::parse(name).map_err(|e| BadInput(e.to_string()))?),
        None => TeardownScope::All,
    };
    let loaded = config::load(common)?;
    gate::master_only(&loaded.settings)?;
    let summary = block_on(async {
        let bus = bus::connect(&loaded).await?;
        let operation = SystemIds.next_id();
        let command =
            TeardownCommand { operation: operation.to_string(), requested_by: "cli".to_owned(), scope };
        operation::order(
            &bus,
            &Topic::CmdTeardown { host: loaded.settings.host.clone() },
            operation,
            &command,
        )
        .await
    })?;
    render::line(&summary)
}
