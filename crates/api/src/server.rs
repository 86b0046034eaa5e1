//! From a worker's surroundings to a serving API.

use std::{net::SocketAddr, sync::Arc};

use anyhow::Context;
use decnet_kit::Ctx;
use tokio::net::TcpListener;

use crate::{
    app::{App, Config, Parts, Store},
    live, router, tasks,
};

/// The application of a worker.
pub fn app_of(ctx: &Ctx) -> anyhow::Result<App> {
    App::new(Parts {
        config: Config::from_settings(ctx.settings())?,
        store: Store::Worker(ctx.clone()),
        bus: ctx.bus().clone(),
        clock: Arc::clone(ctx.clock()),
        ids: Arc::clone(ctx.ids()),
        stop: ctx.stop_token(),
    })
}

/// Serves until the worker shall stop.
pub async fn run(ctx: Ctx) -> anyhow::Result<()> {
    let settings = ctx.settings();
    let address = SocketAddr::new(settings.api_host, settings.api_port);
    std::fs::create_dir_all(&settings.state_dir).with_context(|| {
        format!("cannot make {}; check DECNET_STATE_DIR and its owner", settings.state_dir.display())
    })?;
    warn_of_few_files();
    let app = app_of(&ctx)?;
    let listener = TcpListener::bind(address).await.with_context(|| {
        format!("cannot listen on {address}; is another API running? Set DECNET_API_HOST and DECNET_API_PORT")
    })?;
    let address = listener.local_addr()?;
    ctx.spawn("live events", live::follow_bus(app.clone()));
    ctx.spawn("live lines", live::follow_logs(app.clone()));
    ctx.spawn("first administrator", tasks::first_admin(app.clone()));
    ctx.spawn("token sweep", tasks::sweep_tokens(app.clone()));
    ctx.spawn("http", serve(listener, app));
    tracing::info!(%address, "listening on http://{address}");
    ctx.subscribed();
    // Requests feed nothing: a quiet API is a healthy one. What is watched is that this runtime still turns.
    ctx.idle(ctx.stopping()).await;
    Ok(())
}

/// Serves an application on a listener until it shall stop; open streams end with it.
pub async fn serve(listener: TcpListener, app: App) -> anyhow::Result<()> {
    let stop = app.stop().clone();
    let service = router(app).into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, service).with_graceful_shutdown(stop.cancelled_owned()).await?;
    Ok(())
}

/// Every stream and request is a file; the usual soft limit of 1024 is soon reached.
fn warn_of_few_files() {
    let Ok(limits) = std::fs::read_to_string("/proc/self/limits") else { return };
    let soft = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))
        .and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    if let Some(soft) = soft.filter(|soft| *soft < 4096) {
        tracing::warn!(
            soft,
            "few open files are allowed; raise the limit to 4096 or more (LimitNOFILE=, ulimit -n)"
        );
    }
}
