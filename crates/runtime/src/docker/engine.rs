//! The connection to the container engine: made when it is first needed and again after it was lost, with the API version
//! that the engine speaks.
//!
//! Every call of the runtime goes through here, so that an engine that is away gives the same sentence everywhere.

use std::{
    path::PathBuf,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use bollard::{
    BollardRequest, ClientVersion, Docker, body_full,
    errors::Error,
    models::{ContainerCreateBody, ContainerInspectResponse, EndpointSettings},
    query_parameters::{
        CreateContainerOptionsBuilder, InspectContainerOptions, RemoveContainerOptionsBuilder,
        StartContainerOptions, StopContainerOptionsBuilder,
    },
};
use futures_util::FutureExt;
use http_body_util::BodyExt;

use crate::RuntimeError;

/// Where engines listen.
const SOCKET: &str = "/var/run/docker.sock";
/// Longest wait for the head of an answer.
const PATIENCE_S: u64 = 120;
/// Longest wait when it is only asked whether it is there.
const HELLO: Duration = Duration::from_secs(3);
/// The first API version that takes a MAC address per endpoint, and no longer one for the whole container.
const MAC_PER_ENDPOINT: ClientVersion = ClientVersion { major_version: 1, minor_version: 44 };

/// The engine of this host.
#[derive(Debug)]
pub(super) struct Engine {
    socket: PathBuf,
    connected: Mutex<Option<Docker>>,
}

impl Engine {
    pub(super) fn new(socket: Option<PathBuf>) -> Self {
        Self { socket: socket.unwrap_or_else(|| SOCKET.into()), connected: Mutex::default() }
    }

    /// A client that speaks the engine's version.
    pub(super) async fn docker(&self) -> Result<Docker, RuntimeError> {
        let known = self.lock().clone();
        if let Some(docker) = known {
            return Ok(docker);
        }
        let socket = self.socket.to_string_lossy();
        let docker = Docker::connect_with_unix(&socket, PATIENCE_S, bollard::API_DEFAULT_VERSION);
        let docker = docker.map_err(|error| self.away(&error))?;
        let docker = tokio::time::timeout(HELLO, docker.negotiate_version())
            .await
            .map_err(|_| self.away(&"no answer in three seconds"))?
            .map_err(|error| self.away(&error))?;
        *self.lock() = Some(docker.clone());
        Ok(docker)
    }

    /// Its version, if it answers soon.
    pub(super) async fn version(&self) -> Option<String> {
        let docker = self.docker().await.ok()?;
        let version = tokio::time::timeout(HELLO, docker.version()).await.ok()?;
        match version {
            Ok(version) => version.version,
            Err(error) => {
                self.failure("ask the version of", &error);
                None
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Docker>> {
        self.connected.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn away(&self, reason: &dyn std::fmt::Display) -> RuntimeError {
        RuntimeError::NoEngine { socket: self.socket.clone(), reason: reason.to_string() }
    }

    /// What an error of the client means. One of the connection makes the next call negotiate again: another engine may be
    /// there then.
    pub(super) fn failure(&self, what: impl Into<String>, error: &Error) -> RuntimeError {
        match error {
            Error::HyperLegacyError { .. }
            | Error::HyperResponseError { .. }
            | Error::IOError { .. }
            | Error::RequestTimeoutError
            | Error::SocketNotFoundError(_) => {
                *self.lock() = None;
                self.away(error)
            }
            Error::DockerResponseServerError { message, .. } => self.refusal(what, message),
            Error::DockerStreamError { error } => self.refusal(what, error),
            other => self.refusal(what, &other.to_string()),
        }
    }

    #[expect(clippy::unused_self, reason = "the twin of `failure`")]
    fn refusal(&self, what: impl Into<String>, reason: &str) -> RuntimeError {
        let reason = decnet_logline::clean(reason).chars().take(600).collect();
        RuntimeError::Engine { decky: None, what: what.into(), reason }
    }

    /// Makes a container, with the hardware address for its own endpoint where it has one.
    pub(super) async fn create(
        &self,
        name: &str,
        mut body: ContainerCreateBody,
        mac: Option<&str>,
    ) -> Result<String, RuntimeError> {
        let mut docker = self.docker().await?;
        if let Some(mac) = mac {
            if docker.client_version() < MAC_PER_ENDPOINT {
                // The client's types have lost the older field.
                let mac = mac.to_owned();
                docker = docker.with_request_modifier(move |request| with_mac(request, &mac));
            } else {
                let endpoints = body.networking_config.iter_mut().filter_map(|c| c.endpoints_config.as_mut());
                for endpoint in endpoints.flat_map(|map| map.values_mut()) {
                    endpoint.mac_address = Some(mac.to_owned());
                }
            }
        }
        let options = CreateContainerOptionsBuilder::new().name(name).build();
        let made = docker.create_container(Some(options), body).await;
        made.map(|made| made.id).map_err(|error| self.failure(format!("make the container {name}"), &error))
    }

    pub(super) async fn start(&self, name: &str) -> Result<(), RuntimeError> {
        match self.docker().await?.start_container(name, None::<StartContainerOptions>).await {
            Err(error) if status(&error) != Some(304) => {
                Err(self.failure(format!("start the container {name}"), &error))
            }
            _ => Ok(()),
        }
    }

    /// Stops a container; it is no mistake if it does not run.
    pub(super) async fn stop(&self, name: &str, seconds: i32) -> Result<(), RuntimeError> {
        let options = StopContainerOptionsBuilder::new().t(seconds).build();
        match self.docker().await?.stop_container(name, Some(options)).await {
            Err(error) if !matches!(status(&error), Some(304 | 404)) => {
                Err(self.failure(format!("stop the container {name}"), &error))
            }
            _ => Ok(()),
        }
    }

    /// Removes a container with its anonymous volumes; it is no mistake if there is none.
    pub(super) async fn remove(&self, name: &str) -> Result<(), RuntimeError> {
        let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
        match self.docker().await?.remove_container(name, Some(options)).await {
            // 409: somebody else is removing it already.
            Err(error) if !matches!(status(&error), Some(404 | 409)) => {
                Err(self.failure(format!("remove the container {name}"), &error))
            }
            _ => Ok(()),
        }
    }

    /// What there is to know about a container; `None` if there is none.
    pub(super) async fn inspect(&self, name: &str) -> Result<Option<ContainerInspectResponse>, RuntimeError> {
        match self.docker().await?.inspect_container(name, None::<InspectContainerOptions>).await {
            Ok(found) => Ok(Some(found)),
            Err(error) if status(&error) == Some(404) => Ok(None),
            Err(error) => Err(self.failure(format!("look at the container {name}"), &error)),
        }
    }
}

/// The process 1 of a running container, as the host counts.
pub(super) fn pid(container: &ContainerInspectResponse) -> Option<u32> {
    let state = container.state.as_ref()?;
    let pid = u32::try_from(state.pid?).ok()?;
    (state.running == Some(true) && state.restarting != Some(true) && pid > 0).then_some(pid)
}

/// The endpoints of a container.
pub(super) fn endpoints(container: &ContainerInspectResponse) -> impl Iterator<Item = &EndpointSettings> {
    let networks = container.network_settings.as_ref().and_then(|settings| settings.networks.as_ref());
    networks.into_iter().flat_map(|networks| networks.values())
}

/// The HTTP status of a refusal.
pub(super) fn status(error: &Error) -> Option<u16> {
    match error {
        Error::DockerResponseServerError { status_code, .. } => Some(*status_code),
        _ => None,
    }
}

/// Puts the hardware address into the body of a create call, where engines before API 1.44 look for it.
fn with_mac(request: BollardRequest, mac: &str) -> BollardRequest {
    let (mut parts, body) = request.into_parts();
    // The client holds the whole body already, so it never makes us wait.
    let bytes = body.collect().now_or_never().and_then(Result::ok).map(http_body_util::Collected::to_bytes);
    let bytes = bytes.unwrap_or_default();
    let body = match serde_json::from_slice::<serde_json::Value>(&bytes) {
        Ok(mut value) if value.is_object() => {
            value["MacAddress"] = mac.into();
            value.to_string().into()
        }
        _ => bytes,
    };
    parts.headers.remove("content-length");
    BollardRequest::from_parts(parts, body_full(body))
}
