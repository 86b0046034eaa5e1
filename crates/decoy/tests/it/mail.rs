//! Both mail services of one decky over one set of Maildirs, while mail is delivered.

use std::process::Command;

use crate::scene::{LOGIN, PASSWORD, Scene, document, run, tool};

/// Mail arrives by rename from `tmp` while two IMAP sessions and a train of POP3 sessions read: nobody may see half a
/// message, a number twice, or a message that is not where it was.
const SCRIPT: &str = r"
import imaplib, poplib, sys, os, threading, time
imap, pop, user, password, folder = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4], sys.argv[5]
COUNT, TRAILER = 60, b'the last line\r\n'
def ok(answer):
    assert answer[0] == 'OK', answer
    return answer[1]
for sub in ('cur', 'new', 'tmp'): os.makedirs(folder + '/' + sub, exist_ok=True)
def deliver(n):
    # Every third one is older than all before.
    at = 1795500000 + n * 60 if n % 3 else 1795400000 - n * 60
    text = b'From: Visitor <v@elsewhere.example>\r\nSubject: mail %d\r\nMessage-ID: <m%d@elsewhere.example>\r\n\r\n' % (n, n) + (b'x' * 70 + b'\r\n') * 50 + TRAILER
    name = '%d.M%dP1.mx,S=%d' % (at, n, len(text))
    with open(folder + '/tmp/' + name, 'wb') as f: f.write(text)
    os.utime(folder + '/tmp/' + name, (at, at))
    os.rename(folder + '/tmp/' + name, folder + '/new/' + name)
deliver(0)
failures, finals = [], {}
delivered = threading.Event()
def guarded(work):
    def body():
        try: work()
        except BaseException as e: failures.append('%s: %r' % (work.__name__, e))
    return threading.Thread(target=body)
def writer():
    for n in range(1, COUNT):
        deliver(n); time.sleep(0.01)
    delivered.set()
def reader(name):
    def read():
        m = imaplib.IMAP4('127.0.0.1', imap, timeout=30); m.login(user, password); ok(m.select('INBOX', readonly=True))
        seen, deadline = {}, time.time() + 60
        while True:
            done = delivered.is_set()
            ok(m.noop())
            for part in ok(m.uid('FETCH', '%d:*' % (max(seen, default=0) + 1), '(UID RFC822.SIZE BODY.PEEK[])')):
                if not isinstance(part, tuple): continue
                words = part[0].replace(b'(', b' ').split(); uid = int(words[words.index(b'UID') + 1]); size = int(words[words.index(b'RFC822.SIZE') + 1])
                assert len(part[1]) == size and part[1].endswith(TRAILER), (uid, size, part[1][-40:])
                subject = part[1].split(b'\r\n')[1]
                assert seen.setdefault(uid, subject) == subject, uid
            if done and len(seen) == COUNT: break
            assert time.time() < deadline, (done, len(seen))
        assert len(set(seen.values())) == COUNT and sorted(seen) == list(range(1, COUNT + 1)), seen
        finals[name] = seen; m.logout()
    read.__name__ = name
    return read
def popper():
    names, deadline = {}, time.time() + 60
    while True:
        done = delivered.is_set()
        p = poplib.POP3('127.0.0.1', pop, timeout=30); p.user(user); p.pass_(password)
        count, uidl = p.stat()[0], p.uidl()[1]
        assert len(uidl) == count
        text = p.retr(count)[1]
        assert text[-1] + b'\r\n' == TRAILER, text[-1]
        for line in uidl:
            number, uid = line.split()
            assert names.setdefault(uid, number) == number, 'nothing is deleted, so numbers stay'
        p.quit()
        if done and count == COUNT: break
        assert time.time() < deadline, count
    finals['pop'] = {int(uid[:8], 16) for uid in names}
threads = [guarded(work) for work in (writer, reader('one'), reader('two'), popper)]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert not failures, failures
assert finals['one'] == finals['two'] and set(finals['one']) == finals['pop']
print('done')
";

#[tokio::test(flavor = "multi_thread")]
async fn mail_that_arrives_while_it_is_read_is_whole_and_keeps_its_id() {
    let Some(python) = tool("python3", "python3") else { return };
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("var/mail/vhosts/example").join(LOGIN);
    let mut config = document(&["imap", "pop3"], 9);
    config.root = Some(root.path().to_owned());
    let scene = Scene::of(config).await;
    let mut command = Command::new(python);
    command
        .args(["-c", SCRIPT, &scene.address("imap").port().to_string()])
        .args([&scene.address("pop3").port().to_string(), LOGIN, PASSWORD])
        .arg(&folder);
    let output = run(command).await;
    assert_eq!(
        String::from_utf8_lossy(&output.stdout).trim_end(),
        "done",
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
