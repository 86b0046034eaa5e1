//! From a worker's surroundings to a serving API.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context;
use axum::{extract::ConnectInfo, http::Request};
use decnet_kit::Ctx;
use hyper::{
    body::Incoming,
    server::conn::http1,
    service::{Service, service_fn},
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    app::{App, Config, Parts, Store},
    live, router, tasks,
};

/// Connections at the same time.
const CONNECTIONS: usize = 512;
/// How long a client may take to send the head of a request, and how long a connection may lie idle.
const HEAD_TIME: Duration = Duration::from_secs(30);

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
///
/// Not `axum::serve`, which bounds neither the number of connections nor the time a client takes for its request head.
pub async fn serve(listener: TcpListener, app: App) -> anyhow::Result<()> {
    let stop = app.stop().clone();
    let service = TowerToHyperService::new(router(app));
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    let connections = TaskTracker::new();
    loop {
        // Beyond the bound, clients wait in the kernel's queue.
        let accept = async {
            let slot = Arc::clone(&slots).acquire_owned().await.map_err(std::io::Error::other)?;
            listener.accept().await.map(|(stream, peer)| (slot, stream, peer))
        };
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = accept => accepted,
        };
        match accepted {
            Ok((slot, stream, peer)) => {
                let connection = connection(stream, peer, service.clone(), stop.clone());
                connections.spawn(async move {
                    connection.await;
                    drop(slot);
                });
            }
            Err(error) => {
                // Out of files, most likely: some will be closed in a moment.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    connections.close();
    connections.wait().await;
    Ok(())
}

/// One connection to its end.
async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    service: TowerToHyperService<axum::Router>,
    stop: CancellationToken,
) {
    // Events are small and must not wait for more to come.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        service.call(request)
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .serve_connection(TokioIo::new(stream), service);
    let mut serving = std::pin::pin!(serving);
    let served = tokio::select! {
        served = serving.as_mut() => served,
        () = stop.cancelled() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = served {
        tracing::debug!(%error, "connection ended early");
    }
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
