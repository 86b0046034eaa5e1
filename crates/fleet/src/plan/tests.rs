//! A plan is a function of its request, tells no secret of the fleet, and moves nothing that need not move.

use super::*;
use crate::{
    ini,
    spec::{DeckySpec, ServiceChoice},
};

struct Bench {
    spec: FleetSpec,
    secret: FleetSecret,
    runtime: RuntimeKind,
    host: HostId,
    detected: Option<HostNetwork>,
    used: HashSet<IpAddr>,
    previous: Option<DecnetConfig>,
    shells: Option<BTreeSet<String>>,
}

impl Bench {
    fn ini(text: &str) -> Self {
        Self {
            spec: ini::parse(text.as_bytes()).unwrap(),
            secret: FleetSecret::from_number(1),
            runtime: RuntimeKind::Process,
            host: HostId::default(),
            detected: None,
            used: HashSet::new(),
            previous: None,
            shells: None,
        }
    }

    fn docker(text: &str) -> Self {
        Self { runtime: RuntimeKind::Docker, ..Self::ini(text) }
    }

    fn try_plan(&self) -> Result<Plan, PlanErrors> {
        plan(&PlanRequest {
            spec: &self.spec,
            secret: &self.secret,
            runtime: self.runtime,
            generation: 3,
            host: &self.host,
            detected: self.detected.as_ref(),
            used: &self.used,
            previous: self.previous.as_ref(),
            shells: self.shells.as_ref(),
        })
    }

    fn plan(&self) -> Plan {
        self.try_plan().unwrap()
    }

    fn errors(&self) -> String {
        self.try_plan().unwrap_err().to_string()
    }
}

const FLEET: &str = "\
[web]
archetype=linux-server
amount=3
[mail]
archetype=mail-server
[any]
amount=4
[cache]
services=redis
[cache.redis]
version=7.0.15
";

fn ips(plan: &Plan) -> Vec<String> {
    plan.deckies.iter().map(|d| d.ip().to_string()).collect()
}

#[test]
fn one_secret_makes_one_plan_and_another_secret_another() {
    let bench = Bench::ini(FLEET);
    let first = bench.plan();
    assert_eq!(first, bench.plan());
    let other = Bench { secret: FleetSecret::from_number(2), ..Bench::ini(FLEET) }.plan();
    assert_ne!(first.networks[0].subnet, other.networks[0].subnet);
    for (a, b) in first.deckies.iter().zip(&other.deckies) {
        assert_eq!(a.name(), b.name());
        assert_ne!(a.config.hostname, b.config.hostname);
        assert_ne!(a.mac, b.mac);
        assert_ne!(a.seed, b.seed);
        assert_ne!(a.persona.accounts, b.persona.accounts);
        assert_ne!(a.plan_hash, b.plan_hash);
    }
}

#[test]
fn what_must_be_unique_is() {
    let plan = Bench::docker(
        "[general]\nnet=10.0.0.0/22\n[a]\namount=100\n[b]\namount=100\narchetype=linux-server\n",
    )
    .plan();
    let unique = |of: &dyn Fn(&DeckyPlan) -> String| {
        assert_eq!(plan.deckies.iter().map(of).collect::<HashSet<_>>().len(), 200);
    };
    unique(&|d| d.config.hostname.to_lowercase());
    unique(&|d| d.mac.clone());
    unique(&|d| d.ip().to_string());
    unique(&|d| d.seed.to_hex());
    unique(&|d| d.plan_hash.clone());
    unique(&|d| d.persona.accounts[0].password.clone());
    assert_eq!(plan.deckies.iter().map(|d| &d.persona.domain).collect::<HashSet<_>>().len(), 1);
}

#[test]
fn documents_survive_the_bus() {
    let bench = Bench::docker(
        "[general]\nnet=10.0.0.0/24\ngw=10.0.0.1\n[a]\nservices=ssh,mine\n[custom-mine]\nbinary=x\nports=99\n",
    );
    for plan in [bench.plan(), Bench::ini(FLEET).plan()] {
        let text = serde_json::to_string(&plan).unwrap();
        assert_eq!(serde_json::from_str::<Plan>(&text).unwrap(), plan);
    }
}

#[test]
fn a_plan_tells_no_secret_of_the_fleet_and_eyes_see_no_seed() {
    let bench = Bench::ini(FLEET);
    let plan = bench.plan();
    let root = bench.secret.seed().to_hex();
    let text = serde_json::to_string(&plan).unwrap();
    assert!(!text.contains(&root));
    for node in ["decky", "company", "loopback", "traffic"] {
        assert!(!text.contains(&bench.secret.seed().child(node).to_hex()), "{node}");
    }
    let decky = &plan.deckies[0];
    let own = bench.secret.seed().child("decky").child("local:web-01");
    assert_eq!(decky.seed, own);
    let shown = plan.redacted().unwrap().to_string();
    for decky in &plan.deckies {
        assert!(!shown.contains(&decky.seed.to_hex()));
        assert!(shown.contains(&serde_json::to_string(&decky.persona.accounts[0].password).unwrap()));
    }
    let records = serde_json::to_string(&plan.config()).unwrap();
    assert!(
        !records.contains(&decky.seed.to_hex()) && !records.contains(&decky.persona.accounts[0].password)
    );
}

#[test]
fn random_services_are_built_ones_and_differ() {
    let plan = Bench::ini("[any]\namount=14\n").plan();
    let sets: HashSet<Vec<String>> = plan.deckies.iter().map(|d| d.config.services.clone()).collect();
    assert!(sets.iter().flatten().all(|slug| crate::catalogue::service(slug).unwrap().available));
    assert!(sets.iter().all(|set| (1..=3).contains(&set.len())));
    // There are 14 sets of one to three out of four; twenty tries each find most of them.
    assert!(sets.len() >= 11, "{}", sets.len());
}

#[test]
fn an_archetype_deploys_what_is_built_and_says_so() {
    let plan = Bench::ini(FLEET).plan();
    let mail = plan.decky("mail").unwrap();
    assert_eq!(mail.config.services, ["pop3", "imap"]);
    assert_eq!(mail.services[0].ports.iter().map(ToString::to_string).collect::<Vec<_>>(), ["110/tcp"]);
    assert_eq!(mail.services[1].ports.iter().map(ToString::to_string).collect::<Vec<_>>(), ["143/tcp"]);
    assert!(
        plan.warnings
            .iter()
            .any(|w| w == "archetype mail-server: smtp not built yet, so mail serve only pop3, imap"),
        "{:?}",
        plan.warnings
    );
}

#[test]
fn distributions_rotate_and_stacks_follow_the_archetype() {
    let plan = Bench::ini(
        "[w]\nservices=ssh\narchetype=linux-server\namount=5\n[p]\nservices=http\narchetype=printer\n",
    )
    .plan();
    let distros: Vec<&str> = plan.deckies.iter().map(|d| d.config.distro.as_str()).collect();
    assert_eq!(distros, ["debian", "ubuntu22", "rocky9", "fedora", "debian", "debian"]);
    let rocky = plan.decky("w-03").unwrap();
    assert!(rocky.config.hostname.ends_with(".localdomain"));
    assert!(!rocky.persona.hostname.contains('.'));
    assert!(rocky.persona.kernel.contains("el9"));
    let printer = plan.decky("p").unwrap();
    assert_eq!(printer.os_family, OsFamily::Embedded);
    assert_eq!(printer.sysctls["net.ipv4.ip_default_ttl"], "255");
    assert_eq!(printer.persona.accounts[0].login, "admin");
}

#[test]
fn addresses_come_from_the_fleets_own_loopback_range() {
    let plan = Bench::ini(FLEET).plan();
    let network = &plan.networks[0];
    assert_eq!((network.driver, network.gateway), (NetworkDriver::Loopback, None));
    assert!(plan.deckies.iter().all(|d| d.ip().is_loopback()
        && network.subnet.contains(&match d.ip() {
            IpAddr::V4(ip) => ip,
            IpAddr::V6(_) => unreachable!(),
        })));
    assert_eq!(network.routes.len(), plan.deckies.len());
    assert_eq!(plan.config().interface, "lo");
    let named = Bench::ini("[general]\nnet=127.5.5.0/24\n[a]\nip=127.5.5.9\n[b]\n").plan();
    assert_eq!(ips(&named), ["127.5.5.9", "127.5.5.1"]);
    // A named address outside the own range does not drag the others there.
    let mixed = Bench::ini("[a]\nip=127.9.9.9\n[b]\n").plan();
    assert!(
        network.subnet.contains(&mixed.deckies[1].ip().to_string().parse::<std::net::Ipv4Addr>().unwrap())
    );
}

#[test]
fn a_lan_is_named_or_detected() {
    let detected = HostNetwork {
        interface: "ens3".into(),
        subnet: "192.168.4.17/24".parse().unwrap(),
        gateway: Some([192, 168, 4, 1].into()),
        address: Some([192, 168, 4, 2].into()),
    };
    let used = HashSet::from([IpAddr::from([192, 168, 4, 4])]);
    let mut bench =
        Bench { detected: Some(detected), used, ..Bench::docker("[a]\n[b]\nip=192.168.4.3\n[c]\n") };
    let plan = bench.plan();
    assert_eq!(ips(&plan), ["192.168.4.5", "192.168.4.3", "192.168.4.6"]);
    assert_eq!(plan.networks[0].parent.as_deref(), Some("ens3"));
    assert_eq!(plan.networks[0].ip_range, "192.168.4.0/29".parse().unwrap());
    bench.spec.ip_start = Some([192, 168, 4, 100].into());
    assert_eq!(ips(&bench.plan()), ["192.168.4.100", "192.168.4.3", "192.168.4.101"]);
    let lonely = Bench::docker("[general]\nnet=10.9.0.0/24\n[a]\n").plan();
    assert_eq!(ips(&lonely), ["10.9.0.2"]);
    assert_eq!(lonely.warnings.len(), 2, "{:?}", lonely.warnings);
    assert!(Bench::docker("[a]\n").errors().starts_with("no subnet"));
}

#[test]
fn every_error_of_a_plan_in_one_go() {
    let mut bench = Bench::ini("[general]\nnet=127.1.0.0/29\n[a]\nip=127.1.0.1\n[b]\namount=6\n[c]\n[d]\n");
    bench.used.insert([127, 1, 0, 1].into());
    let twin = bench.spec.deckies[0].clone();
    bench.spec.deckies.push(DeckySpec { ip: Some([127, 2, 0, 1].into()), ..twin });
    bench.spec.deckies[7].services = ServiceChoice::Listed(vec!["smb".into(), "gopher".into()]);
    bench.spec.deckies[8].archetype = Some("printer".into());
    insta::assert_snapshot!(bench.errors());
}

#[test]
fn the_process_runtime_refuses_what_it_cannot_do() {
    let lan = Bench::ini("[general]\nnet=10.0.0.0/24\n[a]\n");
    assert!(lan.errors().contains("loopback addresses only and 10.0.0.0/24 is none"));
    assert!(lan.spec.needs_lan() && !Bench::ini("[a]\nip=127.3.3.3\n").spec.needs_lan());
    assert_eq!(RuntimeKind::auto(&lan.spec, false), RuntimeKind::Docker);
    let custom = Bench::ini("[a]\nservices=mine\n[custom-mine]\nbinary=x\n");
    assert!(custom.errors().contains("[a]: service mine is an image of yours"), "{}", custom.errors());
    assert!(Bench::ini("[a]\nip=10.0.0.1\n").errors().contains("is outside the subnet 127.0.0.0/8"));
}

/// A redeploy moves nothing that need not move: neither addresses nor hashes of the deckies that stay.
#[test]
fn a_redeploy_touches_only_what_differs() {
    let before = Bench::ini("[a]\nservices=ssh\n[b]\nservices=http\n[c]\nservices=redis\n").plan();
    let mut next = Bench::ini("[new]\nservices=imap\n[c]\nservices=redis\n[b]\nservices=http,ssh\n");
    next.previous = Some(before.config());
    let after = next.plan();
    let diff = after.diff(Some(&before));
    let names = |list: &[DeckyName]| list.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    assert_eq!(names(&diff.unchanged), "c");
    assert_eq!(names(&diff.changed), "b");
    assert_eq!(names(&diff.added), "new");
    assert_eq!(names(&diff.removed), "a");
    assert_eq!(after.decky("b").unwrap().ip(), before.decky("b").unwrap().ip());
    assert!(after.diff(Some(&after)).is_empty());
    assert_eq!(after.diff(None).added.len(), 3);
}

#[test]
fn a_newcomer_changes_nobodys_drawn_services() {
    let before = Bench::ini("[a]\namount=9\n").plan();
    let mut next = Bench::ini("[b]\namount=4\n[a]\namount=9\n");
    next.previous = Some(before.config());
    assert_eq!(next.plan().diff(Some(&before)).unchanged.len(), 9);
}

#[test]
fn what_only_schedules_does_not_restart_a_decky() {
    let before = Bench::ini("[a]\nservices=ssh\n").plan();
    let later = Bench::ini("[general]\nmutate_interval=5\n[a]\nservices=ssh\nmutate_interval=9\n").plan();
    assert_eq!((before.mutate_interval, later.mutate_interval), (Some(30), Some(5)));
    assert_eq!(later.deckies[0].config.mutate_interval, Some(9));
    assert!(later.diff(Some(&before)).is_empty());
    let mut setting = Bench::ini("[a]\nservices=ssh\n[a.ssh]\npassword=toor\n").plan();
    assert_eq!(setting.diff(Some(&before)).changed.len(), 1);
    assert_eq!(setting.deckies[0].persona.accounts[0].password, "toor");
    assert!(setting.remove("a") && !setting.remove("a"));
    assert!(setting.networks[0].routes.is_empty());
}

#[test]
fn the_decoy_gets_its_own_document() {
    let plan = Bench::ini("[a]\nservices=ssh,redis\n[a.redis]\nversion=6.2.1\n").plan();
    let decky = &plan.deckies[0];
    let standard = decky.decoy_config(&DecoyPlacement::default());
    assert_eq!(standard.services[0].bind, [decky.ip()]);
    assert_eq!(
        (standard.services[1].port_base, standard.services[1].settings["version"].as_str()),
        (0, "6.2.1")
    );
    assert_eq!(standard.seed, decky.seed);
    let root = Some(PathBuf::from("/tmp/a"));
    let placement = DecoyPlacement {
        bind: vec![[127, 0, 0, 1].into()],
        port_base: 20_000,
        root,
        artifacts: None,
        shell: false,
    };
    let moved = decky.decoy_config(&placement);
    assert_eq!(moved.services[0].bind, placement.bind);
    assert_eq!((moved.services[0].port_base, &moved.root), (20_000, &placement.root));
}

/// What the two fleets of one host have apart: tag, network, host link, labels.
#[test]
fn two_fleets_of_one_host_share_no_name() {
    let text = "[general]\nnet=192.0.2.0/24\ngw=192.0.2.1\ninterface=eth0\n[a]\nservices=ssh\n";
    let (one, two) =
        (Bench::docker(text), Bench { secret: FleetSecret::from_number(2), ..Bench::docker(text) });
    let (one, two) = (one.plan(), two.plan());
    for plan in [&one, &two] {
        let network = &plan.networks[0];
        assert_eq!(network.name, format!("decnet-{}", plan.fleet));
        assert_eq!((network.name.len(), network.shim.as_ref()), (15, Some(&network.name)));
        assert!(plan.deckies[0].containers.iter().all(|c| c.labels["decnet.fleet"] == plan.fleet));
    }
    assert_ne!(one.fleet, two.fleet);
    assert_eq!(Bench::ini("[a]\n").plan().networks[0].shim, None);
    // A plan file of the version before.
    let mut old = serde_json::to_value(&one).unwrap();
    old.as_object_mut().unwrap().remove("fleet");
    old["networks"][0].as_object_mut().unwrap().remove("shim");
    let old: Plan = serde_json::from_value(old).unwrap();
    assert_eq!((old.fleet.as_str(), old.deckies), ("", one.deckies));
}

#[test]
fn a_decky_with_a_login_gets_a_distribution_that_has_a_shell() {
    let head = "[general]\nnet=192.0.2.0/24\ngw=192.0.2.1\ninterface=eth0\n";
    let mut bench = Bench::docker(&format!(
        "{head}[w]\nservices=ssh\narchetype=linux-server\namount=4\n[h]\nservices=http\narchetype=linux-server\namount=4\n"
    ));
    let distros = |bench: &Bench| -> Vec<String> {
        bench.plan().deckies.iter().map(|d| d.config.distro.clone()).collect()
    };
    let all = ["debian", "ubuntu22", "rocky9", "fedora", "debian", "ubuntu22", "rocky9", "fedora"];
    assert_eq!(distros(&bench), all, "nothing known");
    bench.shells = Some(BTreeSet::from(["debian".into(), "rocky9".into(), "kali".into()]));
    assert_eq!(distros(&bench)[..4], ["debian", "rocky9", "debian", "rocky9"]);
    assert_eq!(distros(&bench)[4..], all[4..], "without a login any will do");
    bench.shells = Some(BTreeSet::from(["kali".into()]));
    assert_eq!(distros(&bench)[..4], ["kali"; 4], "better than none");
    bench.spec.deckies[0].distro = crate::spec::DistroChoice::Fixed("debian".into());
    bench.spec.deckies[1].distro = crate::spec::DistroChoice::Random;
    assert!(
        bench.errors().starts_with("line 5 [w-01]: it offers a login and there is no shell image of debian")
            && bench.errors().contains("`decnet images build debian`"),
        "{}",
        bench.errors()
    );
    bench.runtime = RuntimeKind::Process;
    bench.spec.subnet = None;
    assert!(bench.try_plan().is_ok(), "the process runtime has no shells");
}

/// The shape that the container runtime is given.
#[test]
fn containers_by_layout() {
    let text = "[general]\nnet=10.0.0.0/24\ngw=10.0.0.1\ninterface=eth0\n[a]\nservices=redis\n[b]\nservices=ssh,http,my_own\n[custom-my_own]\nbinary=reg/x:1\nexec=/x --y\nports=8080\n";
    let plan = Bench::docker(text).plan();
    let names = |decky: &str| -> Vec<String> {
        plan.decky(decky).unwrap().containers.iter().map(|c| c.name.clone()).collect()
    };
    assert_eq!(names("a"), ["a"]);
    assert_eq!(names("b"), ["b", "b-ssh", "b-my-own"]);
    let decky = plan.decky("b").unwrap();
    let labels = |i: usize| &decky.containers[i].labels;
    assert_eq!(labels(0)["decnet.fleet.service_name"], "ssh,http");
    assert_eq!(labels(1)["decnet.fleet.service_name"], "ssh");
    assert_eq!(labels(2)["decnet.fleet.service_name"], "my_own");
    assert_eq!((labels(2)["decnet.layout"].as_str(), decky.layout), ("split", Layout::Split));
    let shell = &decky.containers[1];
    assert_eq!(exec_target("b", &decky.config.services), shell.name);
    assert_eq!(exec_target("a", &["redis"]), "a");
    assert_eq!(exec_target("c", &["telnet", "http"]), "c-telnet");
    assert_eq!(shell.network, NetworkJoin::SharedWith { container: "b".into() });
    assert_eq!(shell.image, Image::Full { distro: decky.config.distro.clone() });
    assert_eq!(shell.limits, Limits { memory: 256 << 20, nano_cpus: 500_000_000, pids: 256 });
    assert_eq!(decky.containers[0].limits.memory, 64 << 20);
    assert_eq!(
        (decky.containers[0].cap_add.as_slice(), decky.containers[0].no_new_privileges),
        (&["NET_BIND_SERVICE".to_owned()][..], true)
    );
    assert!(!shell.no_new_privileges, "su and sudo work");
    for never in ["NET_ADMIN", "NET_RAW", "SYS_ADMIN", "SYS_PTRACE", "MKNOD", "SYS_MODULE", "DAC_READ_SEARCH"]
    {
        assert!(!shell.cap_add.iter().any(|right| right == never), "{never}");
    }
    let decoy = decky.decoy_config(&DecoyPlacement::default());
    assert_eq!(decoy.services.len(), 2, "an image of the operator is not the decoy's affair");

    let mut label_set: Vec<(String, String)> =
        plan.deckies[0].containers[0].labels.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
    label_set.retain(|(key, _)| key != "decnet.plan_hash");
    insta::assert_debug_snapshot!(label_set);
    assert_eq!(labels(0)["decnet.plan_hash"], decky.plan_hash);
    assert_eq!(Bench::ini("[a]\nservices=ssh\n").plan().deckies[0].containers[0].image, Image::HostProcess);
}

#[test]
fn a_swarm_host_is_written_down() {
    let host: HostId = "6f1cbd3e-6d5a-4d6a-9d0c-0f8a2a5f3d11".parse().unwrap();
    let mut bench = Bench { host: host.clone(), ..Bench::ini("[a]\n") };
    assert_eq!(bench.plan().deckies[0].config.host_uuid, None);
    bench.spec.mode = Mode::Swarm;
    let plan = bench.plan();
    assert_eq!(plan.deckies[0].config.host_uuid, Some(host));
    assert_eq!(plan.deckies[0].id.to_string(), "6f1cbd3e-6d5a-4d6a-9d0c-0f8a2a5f3d11:a");
}

/// Pins a plan: a change here moves every decky of every fleet in the field.
#[test]
fn golden_plan() {
    let mut plan = Bench::ini("[a]\narchetype=linux-server\n").plan();
    plan.warnings.clear();
    insta::assert_json_snapshot!(plan.redacted().unwrap());
}
