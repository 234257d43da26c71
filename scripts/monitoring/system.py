"""The five services, what asks them, and what harms them."""

import concurrent.futures
import contextlib
import http.server
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import threading
import urllib.error
import urllib.request

from prometheus import PLAIN
from wait import free_port, until

SERVICES = ["app", "version", "deployment", "audit", "gateway"]
STORED = SERVICES[:-1]


class Keys(http.server.BaseHTTPRequestHandler):
    """Another issuer of tokens, that has published no key."""

    def do_GET(self):
        body = b'{"keys":[]}'
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class System:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.urls, self.token = {}, ""
        issuer = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Keys)
        threading.Thread(target=issuer.serve_forever, daemon=True).start()
        self.environment = {
            **os.environ,
            "ALM_CLUSTER_DIR": str(self.folder),
            "JWT_JWKS_URL": f"http://127.0.0.1:{issuer.server_port}/",
            "JWT_TTL_SECS": "86400",
            "LOG": os.environ.get("LOG", "warn"),
        }

    def _run(self, *command, **more):
        # In a session of its own, so that an interrupt at the terminal comes here alone; here it ends all that the command has
        # begun, which a build may be. The services have sessions of their own: `down` ends them.
        with subprocess.Popen(command, env={**self.environment, **more}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, start_new_session=True) as running:
            try:
                said, complained = running.communicate()
            except BaseException:
                os.killpg(running.pid, signal.SIGTERM)
                raise
        if running.returncode != 0:
            raise RuntimeError(f"{' '.join(command)} failed: {complained[-2000:] or said[-2000:]}")
        return said

    def up(self):
        """Starts what does not run."""
        self._run("scripts/cluster", "up", "--any-port")
        if not self.token:
            told = dict(re.findall(r"(?m)^export (\w+)=(.*)$", self._run("scripts/cluster", "env")))
            self.urls = {name: told[f"{name.upper()}_URL"] for name in SERVICES}
            self.token = told["TOKEN"]

    def down(self):
        self._run("scripts/cluster", "down")

    def e2e(self):
        self._run("scripts/e2e", TOKEN=self.token, **{f"{name.upper()}_URL": url for name, url in self.urls.items()})

    def targets(self):
        return [(url.removeprefix("http://"), name) for name, url in self.urls.items()]

    def end(self, name, how=signal.SIGKILL):
        """Ends one process, which leaves no time to tell anyone when it is SIGKILL."""
        pid = int((self.folder / "pid" / name).read_text())
        os.kill(pid, how)
        # It is no child of this process. One that has ended may be there still, as a zombie.
        until(f"{name} has ended", lambda: subprocess.run(
            ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True).stdout.strip()[:1] in ("", "Z"))

    # ── Requests ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def call(self, method, service, path, body=None, token=None, timeout=20, **headers):
        """The status, and what the answer's body says; 0 when there is no answer."""
        request = urllib.request.Request(self.urls[service] + path, method=method, headers={
            "authorization": f"Bearer {self.token if token is None else token}", "content-type": "application/json",
            **headers})
        request.data = None if body is None else json.dumps(body).encode()
        try:
            with PLAIN.open(request, timeout=timeout) as answer:
                return answer.status, json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode(errors="replace")
        except OSError as error:
            return 0, str(error)

    def made(self, service, path, body):
        """The id of what is created. What it hangs on may not have been heard of yet."""
        answers = []

        def created():
            answers.append(self.call("POST", service, path, body))
            return answers[-1][0] == 201

        try:
            until(f"POST {path}", created)
        except Exception as error:
            raise RuntimeError(f"POST {path} was answered {answers[-1]}") from error
        return answers[-1][1]["id"]

    def login(self, name, password, address="192.0.2.1"):
        """From another address, so that failures do not keep others out."""
        return self.call("POST", "app", "/login", {"username": name, "password": password}, token="",
                         **{"x-forwarded-for": address})

    @contextlib.contextmanager
    def busy(self, threads, task):
        """Does the task again and again meanwhile, so many at a time."""
        stop = threading.Event()

        def work():
            while not stop.wait(0.01):
                task()

        with concurrent.futures.ThreadPoolExecutor(threads) as pool:
            done = [pool.submit(work) for _ in range(threads)]
            try:
                yield
            finally:
                stop.set()
                for one in done:
                    one.result()

    def crowd(self, service, connections):
        """Opens so many connections at a time."""
        host, port = self.urls[service].removeprefix("http://").split(":")
        with contextlib.ExitStack() as opened:
            for _ in range(connections):
                opened.enter_context(socket.create_connection((host, int(port)), timeout=10))

    # ── Harm ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _psql(self, database):
        port = (self.folder / "port-postgres").read_text()
        return ["psql", "-h", "127.0.0.1", "-p", port, "-U", "alm", "-qAtX", "-v", "ON_ERROR_STOP=1", database]

    def sql(self, database, statements):
        return self._run(*self._psql(database), "-c", statements)

    @contextlib.contextmanager
    def holding(self, database, statement):
        """A session that keeps the locks of the statement meanwhile."""
        session = subprocess.Popen(self._psql(database), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                   start_new_session=True)
        try:
            session.stdin.write(f"SET search_path = alm; BEGIN; {statement};\n\\echo held\n")
            session.stdin.flush()
            # Up to then there are empty lines; after the end there is nothing.
            if not any(line.strip() == "held" for line in iter(session.stdout.readline, "")):
                raise RuntimeError(f"{statement}: psql has ended")
            yield
        finally:
            # With it goes its transaction.
            with contextlib.suppress(BrokenPipeError):
                session.stdin.close()
            session.wait(10)

    def publish(self, subject, payload):
        """Tells NATS, which any program can that gets there."""
        port = int((self.folder / "port-nats").read_text())
        with socket.create_connection(("127.0.0.1", port), timeout=10) as bus:
            bus.sendall(b'CONNECT {"verbose":false}\r\n'
                        + f"PUB {subject} {len(payload)}\r\n".encode() + payload + b"\r\nPING\r\n")
            said = b""
            while b"PONG" not in said:
                more = bus.recv(4096)
                if not more or b"-ERR" in said:
                    raise RuntimeError(f"NATS said {said!r}")
                said += more


def dead_port():
    """An address at which no one answers."""
    return f"127.0.0.1:{free_port()}"
