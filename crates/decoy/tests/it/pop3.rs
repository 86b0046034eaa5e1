//! The pop3 service against python's poplib and curl.

use std::{path::Path, process::Command};

use decnet_logline::captured_secret;

use crate::scene::{LOGIN, PASSWORD, Scene, document, field, run, tool};

const SCRIPT: &str = r"
import poplib, sys, email
port, user, password, folder = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
def start():
    p = poplib.POP3('127.0.0.1', port, timeout=30)
    assert p.getwelcome() == b'+OK Dovecot (Debian) ready.', p.getwelcome()
    return p
p = start()
assert p.capa()['SASL'] == ['PLAIN', 'LOGIN'] and 'UIDL' in p.capa()
try:
    p.user('root'); p.pass_('toor'); raise SystemExit('root was let in')
except poplib.error_proto as e:
    assert '[AUTH] Authentication failed.' in str(e), e
p.user(user); p.pass_(password)
files = open(folder + '/new/1795500000.M1P1.mx', 'rb').read(), open(folder + '/cur/1795500060.M1P2.mx:2,S', 'rb').read()
wire = [text.replace(b'\r\n', b'\n').replace(b'\n', b'\r\n') for text in files]
assert p.stat() == (2, sum(map(len, wire))), p.stat()
assert p.list()[1] == [b'%d %d' % (n + 1, len(wire[n])) for n in (0, 1)]
for n in (0, 1):
    lines = p.retr(n + 1)[1]
    assert b''.join(line + b'\r\n' for line in lines) == wire[n], lines
assert email.message_from_bytes(wire[0]).get_payload().splitlines()[1] == '.dot'
assert p.top(1, 1)[1][-1] == b'first line'
uids = [line.split()[1] for line in p.uidl()[1]]
assert len(set(uids)) == 2 and all(len(uid) == 16 for uid in uids), uids
p.dele(1); p.rset(); p.dele(2)
assert p.stat()[0] == 1
assert b'messages deleted' in p.quit()
p = start(); p.user(user); p.pass_(password)
assert [line.split()[1] for line in p.uidl()[1]] == uids[:1], 'the deleted one is gone, the other has its name'
p.quit()
print('done')
";

/// A message whose lines start with dots and another with bare line feeds, as files of a Maildir.
fn fill(root: &Path) -> std::path::PathBuf {
    let folder = root.join("var/mail/vhosts/example").join(LOGIN);
    for (name, text) in [
        (
            "new/1795500000.M1P1.mx",
            "From: A <a@x.example>\r\nSubject: dots\r\nMessage-ID: <1@x.example>\r\n\r\nfirst line\r\n.dot\r\n..\r\n.\r\nend\r\n",
        ),
        (
            "cur/1795500060.M1P2.mx:2,S",
            "From: B <b@x.example>\nSubject: feeds\nMessage-ID: <2@x.example>\n\none\ntwo\n",
        ),
    ] {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    folder
}

#[tokio::test(flavor = "multi_thread")]
async fn poplib_reads_every_octet_and_deletes() {
    let Some(python) = tool("python3", "python3") else { return };
    let root = tempfile::tempdir().unwrap();
    let folder = fill(root.path());
    let mut config = document(&["pop3"], 9);
    config.root = Some(root.path().to_owned());
    let scene = Scene::of(config).await;
    let mut command = Command::new(python);
    command.args(["-c", SCRIPT, &scene.address("pop3").port().to_string(), LOGIN, PASSWORD]).arg(&folder);
    let output = run(command).await;
    assert_eq!(
        String::from_utf8_lossy(&output.stdout).trim_end(),
        "done",
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    scene.lines.nth("disconnect", 1).await;
    let caught: Vec<_> = scene
        .lines
        .of("auth")
        .iter()
        .map(|record| captured_secret(record).unwrap())
        .map(|secret| (secret.principal.unwrap(), secret.outcome.unwrap()))
        .collect();
    let login = (LOGIN.to_owned(), "success".to_owned());
    assert_eq!(caught, [("root".to_owned(), "failure".to_owned()), login.clone(), login]);
    let reads = scene.lines.of("retr");
    let read: Vec<_> = reads.iter().map(|one| (field(one, "message_num"), field(one, "subject"))).collect();
    assert_eq!(read, [("1", "dots"), ("2", "feeds")]);
    let deletes = scene.lines.of("delete");
    assert_eq!(deletes.iter().map(|one| field(one, "message_num")).collect::<Vec<_>>(), ["1", "2"]);
    let commands = scene.lines.of("command");
    assert!(commands.iter().any(|one| field(one, "cmd") == "UIDL" && field(one, "state") == "transaction"));
    assert!(commands.iter().all(|one| field(one, "cmd") != "PASS" || one.fields.get("args").is_none()));
    // Nothing was taken off the disk: it is evidence and the orchestrator's.
    assert!(folder.join("cur/1795500060.M1P2.mx:2,S").is_file());
}

#[tokio::test(flavor = "multi_thread")]
async fn curl_lists_and_retrieves() {
    let Some(program) = tool("curl", "curl") else { return };
    let root = tempfile::tempdir().unwrap();
    fill(root.path());
    let mut config = document(&["pop3"], 9);
    config.root = Some(root.path().to_owned());
    let scene = Scene::of(config).await;
    let curl = |path: &str, user: &str, args: &[&str]| {
        let mut command = Command::new(&program);
        command.args(["-sS", "--max-time", "30", "-u", user]).args(args);
        command.arg(format!("pop3://{}/{path}", scene.address("pop3")));
        command
    };
    let user = format!("{LOGIN}:{PASSWORD}");
    let list = run(curl("", &user, &[])).await;
    assert_eq!(String::from_utf8_lossy(&list.stdout), "1 97\r\n2 78\r\n", "{list:?}");
    let mail = run(curl("1", &user, &[])).await;
    assert!(mail.stdout.ends_with(b"first line\r\n.dot\r\n..\r\n.\r\nend\r\n"), "{mail:?}");
    // curl prefers PLAIN; this is LOGIN, in steps.
    let steps = run(curl("2", &user, &["--login-options", "AUTH=LOGIN"])).await;
    assert!(steps.stdout.ends_with(b"one\r\ntwo\r\n"), "{steps:?}");
    let wrong = run(curl("", "root:root", &[])).await;
    assert_eq!(wrong.status.code(), Some(67), "curl says that the login was refused");
}
