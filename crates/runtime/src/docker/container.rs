//! What the engine is told when a container is made: limits, rights, network and mounts of a plan (spec 20.3).

use std::{collections::HashMap, path::Path};

use bollard::models::{
    ContainerCreateBody, EndpointIpamConfig, EndpointSettings, HostConfig, HostConfigCgroupnsModeEnum,
    HostConfigLogConfig, Mount, MountType, NetworkingConfig, ResourcesUlimits, RestartPolicy,
    RestartPolicyNameEnum,
};
use decnet_fleet::{
    DeckyPlan,
    plan::{CONFIG_PATH, ContainerPlan, ContainerRole, NetworkJoin},
};

use super::{decky::Host, paths::Paths, tiny};
use decnet_core::shell::SHELL_PROGRAM;

/// Where a front finds the folder of its lines.
const OUT: &str = "/out";
/// Where a front puts captured files.
pub(super) const ARTIFACTS: &str = "/artifacts";

/// The body of the create call for `container` of `plan`.
pub(super) fn body(
    host: &Host,
    plan: &DeckyPlan,
    container: &ContainerPlan,
    image: String,
    paths: &Paths,
) -> ContainerCreateBody {
    let is_front = container.role == ContainerRole::Decky;
    let text = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let command = match container.role {
        ContainerRole::Decky => Some(text(&[
            tiny::PROGRAM,
            "run",
            "--config",
            CONFIG_PATH,
            "--output",
            &format!("{OUT}/{}", crate::output::LINES),
            "--health-file",
            &format!("{OUT}/health.json"),
            "--artifacts",
            ARTIFACTS,
        ])),
        ContainerRole::Shell => Some(text(&[SHELL_PROGRAM, "shell-server"])),
        ContainerRole::Service => (!container.command.is_empty()).then(|| container.command.clone()),
    };
    let (mode, endpoints) = match &container.network {
        NetworkJoin::Own { network } => {
            let address =
                EndpointIpamConfig { ipv4_address: Some(plan.ip().to_string()), ..Default::default() };
            let endpoint = EndpointSettings { ipam_config: Some(address), ..Default::default() };
            (network.clone(), Some(HashMap::from([(network.clone(), endpoint)])))
        }
        NetworkJoin::SharedWith { container } => (format!("container:{container}"), None),
    };
    let signed = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let memory = Some(signed(container.limits.memory));
    let artifacts = host.artifacts_of(plan.name());
    let restart = match container.role {
        // Neither runs before its containment stands: the engine, which knows of none, must not start them. A shell's
        // program is put into it before each start, too.
        ContainerRole::Shell | ContainerRole::Service => RestartPolicyNameEnum::NO,
        ContainerRole::Decky => RestartPolicyNameEnum::UNLESS_STOPPED,
    };
    let host_config = HostConfig {
        memory,
        // No more of it by swapping.
        memory_swap: memory,
        nano_cpus: Some(signed(container.limits.nano_cpus)),
        pids_limit: Some(i64::from(container.limits.pids)),
        cap_drop: Some(text(&["ALL"])),
        cap_add: Some(container.cap_add.clone()),
        security_opt: container.no_new_privileges.then(|| text(&["no-new-privileges"])),
        sysctls: is_front.then(|| plan.sysctls.clone().into_iter().collect()),
        log_config: Some(HostConfigLogConfig {
            typ: Some("json-file".to_owned()),
            config: Some(HashMap::from([
                ("max-size".to_owned(), container.logs.max_size.to_string()),
                ("max-file".to_owned(), container.logs.max_files.to_string()),
            ])),
        }),
        restart_policy: Some(RestartPolicy { name: Some(restart), maximum_retry_count: None }),
        // Else /proc/self/cgroup begins with the engine's name and the container's id.
        cgroupns_mode: Some(HostConfigCgroupnsModeEnum::PRIVATE),
        network_mode: Some(mode),
        mounts: is_front.then(|| vec![mount(&paths.out(), OUT), mount(&artifacts, ARTIFACTS)]),
        // A crash must not leave the decoy's memory, with its seed, on the disk.
        ulimits: is_front.then(|| {
            let name = Some("core".to_owned());
            vec![ResourcesUlimits { name, soft: Some(0), hard: Some(0) }]
        }),
        ..Default::default()
    };
    let env = container.env.iter().map(|(name, value)| format!("{name}={value}")).collect();
    ContainerCreateBody {
        // A container that shares a network has its host name from there.
        hostname: is_front.then(|| plan.persona.hostname.clone()),
        image: Some(image),
        cmd: command,
        env: Some(env),
        working_dir: (container.role != ContainerRole::Service).then(|| "/".to_owned()),
        labels: Some(host.ours.of_container(container)),
        host_config: Some(host_config),
        networking_config: endpoints.map(|map| NetworkingConfig { endpoints_config: Some(map) }),
        ..Default::default()
    }
}

/// A folder of the host, which must be there.
fn mount(source: &Path, target: &str) -> Mount {
    Mount {
        typ: Some(MountType::BIND),
        source: Some(source.display().to_string()),
        target: Some(target.to_owned()),
        ..Mount::default()
    }
}
