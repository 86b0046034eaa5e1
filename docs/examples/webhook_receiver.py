#!/usr/bin/env python3
"""A receiver of DECNET webhooks: checks the signature, drops what it has seen, prints one line of JSON an event.

    DECNET_WEBHOOK_SECRET=... python3 webhook_receiver.py --port 8099

Standard library only. Take `verify` into your own receiver; three rules matter:
  * sign the bytes as they came, before any JSON library has touched them;
  * refuse a time that is more than 300 seconds away, so that a caught request cannot be played again later;
  * an event may come twice (we could not know that you had it): its id tells.
Answer 2xx once the event is stored. 5xx or no answer: it is sent again. 4xx (but 408, 425, 429): it is never sent again.
"""

import argparse
import hashlib
import hmac
import http.server
import json
import os
import sys
import time

MAX_AGE = 300
MAX_BODY = 1024 * 1024


def verify(secrets, header, body, now):
    """Whether `body` was signed with one of `secrets` not long ago. `header` is X-DECNET-Signature-V2."""
    fields = [part.strip().split("=", 1) for part in header.split(",") if "=" in part]
    stamps = [value for name, value in fields if name == "t"]
    if len(stamps) != 1 or not stamps[0].isdigit() or abs(now - int(stamps[0])) > MAX_AGE:
        return False
    message = stamps[0].encode() + b"." + body
    good = [hmac.new(secret.encode(), message, hashlib.sha256).hexdigest() for secret in secrets]
    # Two values while the sender's secret is being changed. Every comparison is made, each in constant time.
    given = [value for name, value in fields if name == "v2"]
    return any([hmac.compare_digest(a, b) for a in good for b in given])


class Receiver(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    secrets = []
    seen = set()

    def do_POST(self):
        length = int(self.headers.get("Content-Length", "0"))
        if length > MAX_BODY:
            return self.answer(413)
        body = self.rfile.read(length)
        if not verify(self.secrets, self.headers.get("X-DECNET-Signature-V2", ""), body, time.time()):
            print("refused: bad signature", file=sys.stderr, flush=True)
            return self.answer(401)
        event = json.loads(body)
        if event["id"] not in self.seen:
            self.seen.add(event["id"])
            print(json.dumps(event), flush=True)
        return self.answer(204)

    def answer(self, status):
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--bind", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8099)
    arguments = parser.parse_args()
    Receiver.secrets = [secret for secret in os.environ.get("DECNET_WEBHOOK_SECRET", "").split(",") if secret]
    if not Receiver.secrets:
        sys.exit("set DECNET_WEBHOOK_SECRET to the secret that `decnet webhook add` printed (two, separated by a comma, while you change it)")
    server = http.server.ThreadingHTTPServer((arguments.bind, arguments.port), Receiver)
    print(f"listening on http://{arguments.bind}:{server.server_port}/", file=sys.stderr, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
