//! Where the demo plays: on a LAN of its own with containers, or on loopback with processes; and why.

use std::{
    cell::RefCell,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    rc::Rc,
};

use anyhow::{Context, Result};
use decnet_tests::{
    Stack,
    engine::Engine,
    intruder::Intruder,
    lan::{Lan, Neighbour},
    root_tree,
    stack::{Target, static_decoy},
};
use tokio::process::Command;

/// Root file systems are made once and kept here, below the project's root.
const IMAGES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../.tools/images");

pub(crate) enum Scene {
    /// Machines with addresses of their own.
    Lan(Box<Ground>),
    /// Processes on loopback addresses, and why.
    Loopback(String),
}

pub(crate) struct Ground {
    engine: Engine,
    pub(crate) lan: Lan,
    images: PathBuf,
    shell: &'static str,
    neighbours: RefCell<Vec<Rc<Neighbour>>>,
    /// Where the small root file system is, if that is what there is.
    _folder: Option<tempfile::TempDir>,
}

impl Scene {
    pub(crate) async fn set(bin: &Path) -> Result<Self> {
        match Ground::find(bin).await {
            Ok(ground) => Ok(Self::Lan(Box::new(ground))),
            Err(error) => Ok(Self::Loopback(format!("{error:#}"))),
        }
    }

    pub(crate) fn said(&self) -> String {
        match self {
            Self::Lan(ground) => format!(
                "docker runtime: machines of their own MAC and address on {} (bridge {}), shells of {}; intruders come from network namespaces",
                ground.lan.subnet(),
                ground.lan.bridge,
                ground.shell
            ),
            Self::Loopback(why) => format!(
                "process runtime: low interaction, loopback addresses, no shells ({why}); with an engine (cargo xtask setup --docker) and as root it plays with containers on a LAN of its own"
            ),
        }
    }

    pub(crate) async fn stack(&self, env: &[(&str, &str)]) -> Result<Stack> {
        match self {
            Self::Lan(ground) => Stack::on_lan(&ground.engine, &ground.lan, &ground.images, env).await,
            Self::Loopback(_) => Stack::start_with(env).await,
        }
    }

    /// The INI where it is to be deployed.
    pub(crate) fn placed(&self, ini: &str) -> String {
        match self {
            Self::Lan(ground) => format!("{}\n{ini}", ground.lan.general()),
            Self::Loopback(_) => ini.to_owned(),
        }
    }

    /// Somebody at an address that nobody has used yet.
    pub(crate) fn intruder(&self, number: u8) -> Result<Intruder> {
        match self {
            Self::Lan(ground) => {
                let neighbour = ground.lan.plug()?;
                let intruder = neighbour.intruder();
                ground.neighbours.borrow_mut().push(Rc::new(neighbour));
                Ok(intruder)
            }
            Self::Loopback(_) => Ok(Intruder::at(Ipv4Addr::new(127, 66, number, 10 + number))),
        }
    }

    /// What somebody can try by hand.
    pub(crate) fn explain(&self, targets: &[Target]) {
        let Self::Lan(ground) = self else { return };
        let neighbours = ground.neighbours.borrow();
        let Some(neighbour) = neighbours.first() else { return };
        for target in targets.iter().filter(|target| target.services.iter().any(|s| s == "ssh")).take(1) {
            let Some((user, password)) = target.accounts.first() else { continue };
            println!(
                "Break in: ip netns exec {} ssh {user}@{}   (password {password})",
                neighbour.namespace, target.ip
            );
        }
        println!("Look around: ip netns exec {} nmap -sn {}", neighbour.namespace, ground.lan.subnet());
    }
}

impl Ground {
    /// Where somebody sits.
    pub(crate) fn seat(&self, ip: Ipv4Addr) -> Option<Rc<Neighbour>> {
        self.neighbours.borrow().iter().find(|neighbour| neighbour.ip == ip).cloned()
    }

    async fn find(bin: &Path) -> Result<Self> {
        anyhow::ensure!(rustix::process::geteuid().is_root(), "not root");
        let engine = Engine::find().context("no container engine answers")?;
        static_decoy()?;
        let lan = Lan::new()?;
        let kept = PathBuf::from(IMAGES);
        let (images, shell, folder) = match debian(bin, &kept).await {
            Ok(()) => (kept, "Debian 12", None),
            Err(error) => {
                println!("demo: no Debian for shells ({error:#}); a small Alpine made of busybox instead");
                let folder = tempfile::tempdir()?;
                root_tree::write_alpine(folder.path())?;
                (folder.path().to_owned(), "a small Alpine", Some(folder))
            }
        };
        let neighbours = RefCell::default();
        Ok(Self { engine, lan, images, shell, neighbours, _folder: folder })
    }
}

/// Makes Debian's root file system, if it is not there yet.
async fn debian(bin: &Path, images: &Path) -> Result<()> {
    if images.join("debian.tar").is_file() {
        return Ok(());
    }
    println!("demo: making a Debian for shells, once ({}; one to two minutes)", images.display());
    let made = Command::new(bin.join("decnet"))
        .args(["images", "build", "debian"])
        .env("DECNET_IMAGES_DIR", images)
        .output()
        .await?;
    let said = String::from_utf8_lossy(&made.stderr);
    anyhow::ensure!(made.status.success(), "{}", said.lines().next().unwrap_or("decnet images build failed"));
    Ok(())
}
