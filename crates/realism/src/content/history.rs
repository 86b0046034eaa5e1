//! The shell history of somebody who has worked on a machine for a while.

use rand::RngExt;

use super::Pen;
use crate::{
    Class, Draw,
    words::{Voice, pick},
};

/// What anybody types.
const PLAIN: &[&str] = &[
    "ls",
    "ls -l",
    "ls -la",
    "ls -lt | head",
    "cd",
    "cd ..",
    "cd -",
    "pwd",
    "df -h",
    "du -sh .",
    "du -sh * | sort -h",
    "w",
    "who",
    "date",
    "id",
    "uptime",
    "free -m",
    "history | tail",
    "exit",
    "clear",
    "top",
    "ls -lh",
    "cal",
    "groups",
    "hostname",
    "last | head",
    "cd ~",
    "ll",
    "man find",
    "echo $PATH",
];

/// What people of a field type; slots as in templates, `{dir}` and `{svc}` besides.
const OPS: &[&str] = &[
    "ssh {host}",
    "ping -c 3 {host}",
    "systemctl status {svc}",
    "sudo systemctl restart {svc}",
    "journalctl -u {svc} -n {nn}",
    "sudo tail -f /var/log/syslog",
    "ss -tlnp",
    "ip a",
    "ip r",
    "dig {host}",
    "sudo apt update",
    "apt list --upgradable",
    "sudo less /var/log/auth.log",
    "crontab -l",
    "ps aux | grep {svc}",
    "scp {host}:/tmp/{project}.tar.gz .",
    "mount | grep {project}",
    "lsblk",
    "sudo du -xsh /var/* | sort -h",
    "nc -vz {host} {port}",
    "curl -I http://{host}/",
    "openssl s_client -connect {host}:443 < /dev/null",
    "traceroute {host}",
    "sudo vim /etc/hosts",
    "uname -a",
    "dmesg | tail -n {nn}",
    "df -i",
    "rsync -av {dir}/ {host}:{dir}/",
    "grep -r {host} /etc 2>/dev/null",
    "tail -n {nnn} /var/log/{svc}.log",
    "nslookup {host}",
    "sudo -l",
    "vmstat 1 {n}",
    "cat /etc/os-release",
    "tmux a",
];
const DEV: &[&str] = &[
    "git status",
    "git pull",
    "git log --oneline | head -n {n}",
    "git diff",
    "git checkout -b {ticket}",
    "git commit -am \"{project}: {ticket}\"",
    "git push",
    "cd work/{project}",
    "make",
    "make test",
    "git stash",
    "git branch -a",
    "python3 -m venv .venv",
    "source .venv/bin/activate",
    "pip install -r requirements.txt",
    "pytest -x",
    "grep -rn {svc} .",
    "docker ps",
    "ssh {host}",
    "curl -s http://{host}:{port}/health",
    "psql -h {host} {project}",
    "tail -f {project}.log",
    "vim README.md",
    "git rebase main",
    "npm test",
    "npm run build",
    "git show {ticket}",
    "find . -name '*.py' | xargs wc -l",
    "scp {project}.tar.gz {host}:/tmp/",
    "less {project}.log",
    "git checkout main",
    "git fetch --prune",
];
const OFFICE: &[&str] = &[
    "cd Documents",
    "ls Documents",
    "ls -lt Documents | head -n {n}",
    "mkdir {project}",
    "cp -r {project} {project}-old",
    "unzip {project}.zip",
    "cat {project}.csv | head",
    "wc -l *.csv",
    "grep -i {project} *.txt",
    "less {project}.txt",
    "sort {project}.csv | uniq | wc -l",
    "mv *.pdf {project}/",
    "find . -name '*{project}*'",
    "passwd",
    "libreoffice {project}.ods",
    "head -n {n} {project}.csv",
    "zip -r {project}.zip {project}",
    "rm {project}.zip",
    "ls {dir}",
    "cp {dir}/{project}.csv .",
    "lpr {project}.pdf",
    "lpq",
    "cd {dir}",
    "file {project}.csv",
];

/// Lines of a `.bash_history`: commands of his trade among which he reads, edits and runs `files` (absolute paths).
pub fn shell_history(pen: &Pen<'_>, files: &[String], rng: &mut Draw) -> String {
    let voice = pen.voice(Class::Script);
    let trade = match voice.field {
        "ops" => OPS,
        "dev" => DEV,
        _ => OFFICE,
    };
    let count = rng.random_range(20..=80);
    let editor = pick(&["vim", "nano", "vi", "nano", "vim", "emacs -nw"], rng).unwrap_or("vi");
    let mut lines: Vec<String> = Vec::with_capacity(count);
    while lines.len() < count {
        let line = match rng.random_range(0..10) {
            0..3 => pick(PLAIN, rng).unwrap_or("ls").to_owned(),
            3..6 if !files.is_empty() => on_file(&files[rng.random_range(0..files.len())], pen, editor, rng),
            _ => trade_line(pick(trade, rng).unwrap_or("ls"), &voice, rng),
        };
        // bash with `ignoredups`, as distributions set it.
        if lines.last() != Some(&line) {
            lines.push(line);
        }
    }
    let mut text = lines.join("\n");
    text.push('\n');
    text
}

fn trade_line(template: &str, voice: &Voice<'_>, rng: &mut Draw) -> String {
    const DIRS: &[&str] =
        &["/srv/share", "/srv/data", "/data", "/var/log", "/opt", "/srv/backup", "/mnt/nas", "/home/shared"];
    const SERVICES: &[&str] = &[
        "nginx",
        "postfix",
        "ssh",
        "cron",
        "rsyslog",
        "postgresql",
        "mariadb",
        "redis",
        "smbd",
        "chrony",
        "apache2",
        "dovecot",
    ];
    const PORTS: &[&str] = &["22", "25", "80", "443", "3306", "5432", "6379", "8080", "8443", "9090"];
    let template = template
        .replace("{dir}", pick(DIRS, rng).unwrap_or("/srv"))
        .replace("{svc}", pick(SERVICES, rng).unwrap_or("ssh"))
        .replace("{port}", pick(PORTS, rng).unwrap_or("443"));
    // The host names itself rarely; a slot that the engine knows does the rest.
    let mut text = String::new();
    let mut rest = template.as_str();
    while let Some((before, after)) = rest.split_once('{') {
        text.push_str(before);
        if let Some((slot @ ("host" | "project" | "ticket" | "n" | "nn" | "nnn"), tail)) =
            after.split_once('}')
        {
            text.push_str(&voice.fill(&format!("{{{slot}}}"), rng));
            rest = tail;
        } else {
            text.push('{');
            rest = after;
        }
    }
    text.push_str(rest);
    text
}

/// A command with one of his files, as he would name it.
fn on_file(path: &str, pen: &Pen<'_>, editor: &str, rng: &mut Draw) -> String {
    let home = &pen.resident.home;
    let short = path.strip_prefix(home.as_str()).and_then(|rest| rest.strip_prefix('/'));
    let named = short.map_or_else(
        || path.to_owned(),
        |rest| if rng.random_bool(0.6) { rest.to_owned() } else { format!("~/{rest}") },
    );
    let quoted = match named.strip_prefix("~/") {
        Some(rest) => format!("~/{}", quote(rest)),
        None => quote(&named),
    };
    let base = path.rsplit('/').next().unwrap_or(path);
    let extension = base.rsplit_once('.').map_or("", |(_, extension)| extension);
    let bash = extension == "sh";
    let script = bash || extension == "py" || (extension.is_empty() && path.contains("/bin/"));
    match rng.random_range(0..8) {
        0 | 1 if script && !named.contains('/') => format!("./{quoted}"),
        0 | 1 if script => quoted,
        2 if bash => format!("bash -x {quoted}"),
        2 if script => format!("chmod +x {quoted}"),
        3 => format!("cat {quoted}"),
        4 => format!("less {quoted}"),
        5 => format!("ls -l {quoted}"),
        _ => format!("{editor} {quoted}"),
    }
}

/// A name as the shell's completion would write it.
fn quote(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for letter in name.chars() {
        if !letter.is_alphanumeric() && !matches!(letter, '/' | '.' | '-' | '_') {
            out.push('\\');
        }
        out.push(letter);
    }
    out
}
