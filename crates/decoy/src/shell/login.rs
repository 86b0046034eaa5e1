//! The last stage before the intruder: takes the terminal, gives up every right that a shell there must not have, and
//! becomes the program. What it is told comes first through its standard input; the rest of that is the intruder's.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    io::{self, Read, Write},
    os::unix::{ffi::OsStringExt, process::CommandExt},
    path::PathBuf,
    process::{Command, ExitCode},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use rustix::{
    fs::Mode,
    process::{Gid, Resource, Rlimit, Uid, getrlimit, ioctl_tiocsctty, setrlimit, setsid, umask},
    thread::{
        CapabilitySet, CapabilitySets, capabilities, capability_is_in_bounding_set,
        clear_ambient_capability_set, remove_capability_from_bounding_set, set_capabilities,
        set_thread_groups, set_thread_res_gid, set_thread_res_uid,
    },
};
use serde::{Deserialize, Serialize};

use super::{During, HANDED_MAX, INTRUDERS_RIGHTS, StageError, close_off, session_program};

/// Files that a program of a login may have open unless it asks for more.
const OPEN_FILES: u64 = 1024;

/// Whom to become and what to run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Plan {
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) groups: Vec<u32>,
    pub(super) home: PathBuf,
    /// The file to run.
    pub(super) program: String,
    /// `argv[0]`.
    pub(super) own_name: String,
    /// The other arguments, base64.
    pub(super) args: Vec<String>,
    pub(super) env: BTreeMap<String, String>,
    /// Whether the standard output is a terminal to take.
    pub(super) terminal: bool,
    /// What to say first.
    pub(super) greeting: String,
}

impl Plan {
    /// How it is handed over: its length, then itself.
    pub(super) fn encode(&self) -> Result<Vec<u8>, StageError> {
        let body = serde_json::to_vec(self).map_err(|error| StageError::Form("a plan", error))?;
        let mut bytes = u32::try_from(body.len()).unwrap_or(u32::MAX).to_be_bytes().to_vec();
        bytes.extend_from_slice(&body);
        Ok(bytes)
    }

    fn read() -> Result<Self, StageError> {
        // Not buffered: what follows is the intruder's.
        let stdin = rustix::stdio::stdin().try_clone_to_owned().during("cannot read the plan")?;
        let mut stdin = std::fs::File::from(stdin);
        let mut len = [0; 4];
        stdin.read_exact(&mut len).during("cannot read the plan")?;
        let len = u64::from(u32::from_be_bytes(len)).min(HANDED_MAX);
        let mut body = vec![0; usize::try_from(len).unwrap_or(0)];
        stdin.read_exact(&mut body).during("cannot read the plan")?;
        serde_json::from_slice(&body).map_err(|error| StageError::Form("the plan", error))
    }
}

/// Becomes the program. Returns only when that failed.
pub(super) fn run() -> Result<ExitCode, StageError> {
    close_off(session_program())?;
    let plan = Plan::read()?;
    setsid().during("cannot begin a session")?;
    if plan.terminal {
        rustix::stdio::dup2_stdin(rustix::stdio::stdout()).during("cannot use the terminal")?;
        ioctl_tiocsctty(rustix::stdio::stdout()).during("cannot take the terminal")?;
    }
    give_up_rights(&plan)?;
    umask(Mode::from_raw_mode(0o022));
    // What a login has; the engine gives its containers more.
    let files = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(OPEN_FILES), maximum: files.maximum });
    let mut out = io::stdout();
    // A terminal that is gone ends us soon enough.
    let _ = out.write_all(plan.greeting.as_bytes());
    let _ = out.flush();
    if let Err(error) = std::env::set_current_dir(&plan.home) {
        eprintln!("Could not chdir to home directory {}: {}", plan.home.display(), text(&error));
        let _ = std::env::set_current_dir("/");
    }
    let args = plan.args.iter().filter_map(|arg| STANDARD.decode(arg).ok()).map(OsString::from_vec);
    let error =
        Command::new(&plan.program).arg0(&plan.own_name).args(args).env_clear().envs(&plan.env).exec();
    eprintln!("{}: {}", plan.program, text(&error));
    Ok(ExitCode::FAILURE)
}

/// As perror(3) says it.
fn text(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}

fn give_up_rights(plan: &Plan) -> Result<(), StageError> {
    for right in CapabilitySet::all().iter().filter(|right| !INTRUDERS_RIGHTS.contains(*right)) {
        // The kernel refuses to speak of rights that it does not know.
        if capability_is_in_bounding_set(right).unwrap_or(false) {
            remove_capability_from_bounding_set(right).during("cannot give up a right")?;
        }
    }
    clear_ambient_capability_set().during("cannot give up rights")?;
    let groups: Vec<_> = plan.groups.iter().map(|id| Gid::from_raw(*id)).collect();
    let (uid, gid) = (Uid::from_raw(plan.uid), Gid::from_raw(plan.gid));
    set_thread_groups(&groups).during("cannot set the groups")?;
    set_thread_res_gid(gid, gid, gid).during("cannot set the group")?;
    let now = capabilities(None).during("cannot read own rights")?;
    set_thread_res_uid(uid, uid, uid).during("cannot set the user")?;
    let keep = if plan.uid == 0 { now.permitted & INTRUDERS_RIGHTS } else { CapabilitySet::empty() };
    // Inheritable too: older engines leave it filled, and root gets it back at every exec.
    let sets = CapabilitySets { effective: keep, permitted: keep, inheritable: CapabilitySet::empty() };
    set_capabilities(None, sets).during("cannot give up rights")
}
