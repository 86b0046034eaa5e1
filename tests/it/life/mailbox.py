# What a mailbox shows by IMAP and by POP3, as JSON: address, own address, port base, then login and password.
import email, email.policy, hashlib, imaplib, json, poplib, socket, sys

host, source, base, user, password = sys.argv[1:]
base = int(base)


class Imap(imaplib.IMAP4):
    def _create_socket(self, timeout):
        return socket.create_connection((self.host, self.port), 20, (source, 0))


class Pop(poplib.POP3):
    def _create_socket(self, timeout):
        return socket.create_connection((self.host, self.port), 20, (source, 0))


def told(raw):
    message = email.message_from_bytes(raw, policy=email.policy.default)
    defects = [str(d) for part in message.walk() for d in part.defects]
    defects += [f"{name}: {d}" for name in message.keys() for d in message[name].defects]
    for part in message.walk():
        if part.get_content_maintype() == "text":
            part.get_content()
    return {
        "sha256": hashlib.sha256(raw).hexdigest(),
        "id": message["Message-ID"],
        "to": message["Delivered-To"],
        "defects": defects,
        "bare": raw.replace(b"\r\n", b"").count(b"\n"),
    }


imap = Imap(host, 143 + base)
imap.login(user, password)
count = int(imap.select("INBOX", readonly=True)[1][0])
shown = []
if count:
    data = imap.fetch(f"1:{count}", "(BODY.PEEK[])")[1]
    shown = [told(part[1]) for part in data if isinstance(part, tuple)]
imap.logout()
pop = Pop(host, 110 + base)
pop.user(user)
pop.pass_(password)
fetched = [told(b"\r\n".join(pop.retr(n + 1)[1]) + b"\r\n") for n in range(pop.stat()[0])]
pop.quit()
json.dump({"imap": shown, "pop3": fetched}, sys.stdout)
