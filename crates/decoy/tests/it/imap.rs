//! The imap service against python's imaplib and curl.

use std::{path::Path, process::Command};

use decnet_logline::captured_secret;

use crate::scene::{LOGIN, PASSWORD, Scene, document, field, run, tool};

const SCRIPT: &str = r#"
import imaplib, sys, time
port, user, password, spool = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
imaplib.Debug = 0
def ok(answer):
    assert answer[0] == 'OK', answer
    return answer[1]
m = imaplib.IMAP4('127.0.0.1', port, timeout=30)
assert b'Dovecot (Debian) ready' in m.welcome, m.welcome
try:
    m.login('root', 'toor'); raise SystemExit('root was let in')
except imaplib.IMAP4.error as e:
    assert 'AUTHENTICATIONFAILED' in str(e), e
ok(m.authenticate('PLAIN', lambda _: ('\0%s\0%s' % (user, password)).encode()))
assert len(ok(m.list())) >= 5
count = int(ok(m.select('INBOX'))[0])
ids = ok(m.search(None, 'ALL'))[0].split()
assert len(ids) == count > 5, (len(ids), count)
for number in ids:
    data = ok(m.fetch(number, '(UID FLAGS ENVELOPE BODYSTRUCTURE BODY.PEEK[HEADER.FIELDS (SUBJECT)] BODY.PEEK[])'))
    assert any(isinstance(part, tuple) for part in data), data
last = ids[-1].decode()
import email
raw = ok(m.fetch(last, '(RFC822)'))[0][1]
message = email.message_from_bytes(raw)
assert message['Message-ID'] and message['Date'] and message['From'], raw
subject = email.header.make_header(email.header.decode_header(message['Subject']))
assert last.encode() in ok(m.search(None, 'SUBJECT', '"%s"' % str(subject).replace('"', '')[:20]))[0].split()
assert b'\\Seen' in ok(m.fetch(last, '(FLAGS)'))[0]
ok(m.store(last, '-FLAGS', '\\Seen')); assert last.encode() in ok(m.search(None, 'UNSEEN'))[0].split()
ok(m.create('Own')); ok(m.append('Own', '(\\Flagged)', imaplib.Time2Internaldate(time.time()), b'Subject: mine\r\n\r\nbody\r\n'))
ok(m.copy(last, 'Own')); assert ok(m.status('Own', '(MESSAGES)'))[0].endswith(b'2)')
ok(m.select('Own')); ok(m.store('1:*', '+FLAGS', '\\Deleted')); assert len(ok(m.expunge())) == 2
ok(m.close()); ok(m.delete('Own'))
ok(m.select('INBOX', readonly=True))
import os
def deliver(folder, name, text):
    for sub in ('cur', 'new', 'tmp'): os.makedirs(folder + '/' + sub, exist_ok=True)
    with open(folder + '/tmp/' + name, 'w') as f: f.write(text)
    os.utime(folder + '/tmp/' + name, (int(name.split('.')[0]), int(name.split('.')[0])))
    os.rename(folder + '/tmp/' + name, folder + '/new/' + name)
deliver(spool, '1795500000.M1P7.mx', 'From: Visitor <v@elsewhere.example>\nTo: %s@example\nSubject: planted mail\nMessage-ID: <first@elsewhere.example>\nDate: Tue, 24 Nov 2026 10:00:00 +0000\n\nplanted body\n' % user)
# The invented mail gives way to what is delivered: Dovecot says so to whoever has the old mailbox open.
try:
    m.noop(); raise SystemExit('the session outlived its mailbox')
except imaplib.IMAP4.abort as e:
    assert 'inconsistent' in str(e), e
m = imaplib.IMAP4('127.0.0.1', port, timeout=30); m.login(user, password)
assert int(ok(m.select('INBOX'))[0]) == 1
found = ok(m.search(None, 'SUBJECT "planted mail"'))[0].decode(); assert found == '1', found
assert b'planted body' in ok(m.fetch(found, '(BODY[TEXT])'))[0][1]
assert b'"<first@elsewhere.example>")' in ok(m.fetch(found, '(ENVELOPE)'))[0]
m.send(b'z IDLE\r\n'); assert m.readline().startswith(b'+ idling')
deliver(spool, '1795500060.M1P8.mx', 'From: Visitor <v@elsewhere.example>\nSubject: second\nMessage-ID: <s@elsewhere.example>\n\nmore\n')
assert m.readline().startswith(b'* 2 EXISTS'); assert m.readline().startswith(b'* ')
m.send(b'DONE\r\n'); assert m.readline().startswith(b'z OK Idle completed')
assert ok(m.uid('SEARCH', 'UNSEEN'))[0] == b'2'
assert m.logout()[0] == 'BYE'
print('done')
"#;

#[tokio::test(flavor = "multi_thread")]
async fn imaplib_reads_searches_changes_and_sees_planted_mail() {
    let Some(python) = tool("python3", "python3") else { return };
    let root = tempfile::tempdir().unwrap();
    let spool = root.path().join("var/mail/vhosts/example").join(LOGIN);
    let mut config = document(&["imap"], 9);
    config.root = Some(root.path().to_owned());
    let scene = Scene::of(config).await;
    let mut command = Command::new(python);
    command.args(["-c", SCRIPT, &scene.address("imap").port().to_string(), LOGIN, PASSWORD]).arg(&spool);
    let output = run(command).await;
    assert_eq!(
        String::from_utf8_lossy(&output.stdout).trim_end(),
        "done",
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    scene.lines.nth("auth", 1).await;
    let caught: Vec<_> = scene
        .lines
        .of("auth")
        .iter()
        .map(|record| captured_secret(record).unwrap())
        .map(|secret| (secret.principal.unwrap(), secret.outcome.unwrap()))
        .collect();
    let login = (LOGIN.to_owned(), "success".to_owned());
    assert_eq!(caught, [("root".to_owned(), "failure".to_owned()), login.clone(), login]);
    let reads = scene.lines.of("mail_read");
    assert!(reads.iter().any(|record| field(record, "subject") == "planted mail"));
    let upload = scene.lines.nth("upload", 0).await;
    assert_eq!(scene.artifact(field(&upload, "stored_as")), b"Subject: mine\r\n\r\nbody\r\n");
    assert!(
        scene
            .lines
            .of("command")
            .iter()
            .any(|record| field(record, "cmd") == "IDLE" && field(record, "state") == "selected")
    );
}

fn curl(program: &Path, scene: &Scene, path: &str, args: &[&str]) -> Command {
    let mut command = Command::new(program);
    command
        .args(["-sS", "--max-time", "30", "-u", &format!("{LOGIN}:{PASSWORD}")])
        .args(args)
        .arg(format!("imap://{}/{path}", scene.address("imap")));
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn curl_lists_and_fetches() {
    let Some(program) = tool("curl", "curl") else { return };
    let scene = Scene::start(&["imap"]).await;
    let list = run(curl(&program, &scene, "", &[])).await;
    assert!(
        String::from_utf8_lossy(&list.stdout).contains("* LIST (\\HasNoChildren) \".\" INBOX"),
        "{list:?}"
    );
    let mail = run(curl(&program, &scene, "INBOX;MAILINDEX=1", &[])).await;
    assert!(String::from_utf8_lossy(&mail.stdout).starts_with("From: "), "{mail:?}");
    let wrong = run(curl(&program, &scene, "", &["-u", "root:root"])).await;
    assert_eq!(wrong.status.code(), Some(67), "curl says that the login was refused");
}
