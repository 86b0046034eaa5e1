//! `/etc/decnet/decnet.ini` as it is first written: what differs from the defaults in an installation, and comments.

use crate::{ETC, Group, InstalledFile, PERSONAS, STATE};

/// The file. An existing one is the operator's and stays.
pub fn settings_file() -> InstalledFile {
    let text = format!(
        "# Settings of DECNET on this machine. `decnet config check` shows every setting, its value and where it came from.\n\
         # Flags and DECNET_* variables win over this file. Passwords do not belong here.\n\
         \n\
         [decnet]\n\
         # What this machine is: master, or agent (a host of deckies of a master elsewhere).\n\
         mode = master\n\
         state-dir = {STATE}\n\
         # What runs the deckies: auto, docker or process.\n\
         #runtime = auto\n\
         \n\
         [database]\n\
         # Shared by all workers of this machine. For more than one host: postgres://user@host/decnet or mysql://..., and\n\
         # an IPAddressAllow= line for that host in the units (systemctl edit decnet-collector.service, ...).\n\
         url = sqlite://{STATE}/database/decnet.db?mode=rwc\n\
         \n\
         [bus]\n\
         #url = nats://127.0.0.1:4222\n\
         \n\
         [api]\n\
         # Reach it from elsewhere through a proxy with TLS on this machine; the unit lets loopback in and nothing else.\n\
         #host = 127.0.0.1\n\
         #port = 8000\n\
         \n\
         [realism]\n\
         # The people of the fleet (docs/examples/personas.json); `decnet realism import-personas` and the API write it.\n\
         personas = {PERSONAS}/email_personas.json\n\
         # A language model for more variety: off, ollama or openai. Life goes on without one.\n\
         #llm = off\n\
         # On another machine, it needs an IPAddressAllow= line too: systemctl edit decnet-orchestrator.service.\n\
         #url = http://127.0.0.1:11434\n\
         #model = llama3.1\n\
         \n\
         [logging]\n\
         # A level, or target=level pairs.\n\
         #filter = info\n\
         #format = text\n"
    );
    InstalledFile { path: format!("{ETC}/decnet.ini"), text, mode: 0o640, group: Group::Workers, keep: true }
}
