"""A minute of even load over loopback: policies change all the time, and the server is killed and started again.

Every answer is 200 and the one that the policy it names gives; nothing fails but what a killed server had under way. Of
exposures the log holds exactly those that were answered, each once; one whose answer was cut off is sent again, as a
page would, and may lie there twice under its one event_id. KEYART_SOAK_SECONDS chooses how long.
"""

import base64
import http.client
import importlib.util
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from datetime import date
from pathlib import Path

import pytest

from keyart.feedback.privacy import user_keys
from keyart.policy.exploration import Best, Softmax, Thompson
from keyart.serving.policy_bundle import discard, point

pytestmark = pytest.mark.soak

SECONDS = float(os.environ.get("KEYART_SOAK_SECONDS", "60"))
CLIENTS, EACH_SECOND = 4, 40
"""Clients and what each asks a second at most: one machine serves and asks."""
KILLS = (0.3, 0.65)
"""When, as shares of the time."""
RULES = {"best": Best(), "softmax": Softmax(0.5), "thompson": Thompson(32, "seed")}
SECRET = "only-for-tests"
SERVE = (
    "serve.poll_seconds=0.05",
    "serve.log_bytes=20000",
    "serve.log_seconds=0.5",
)


def worlds():
    """Three policies of one small world: members' choices are the same, what is explored is not."""
    place = Path(__file__).parents[1] / "unit" / "serving" / "conftest.py"
    spec = importlib.util.spec_from_file_location("worlds", place)
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return {name: made.World(name, rule) for name, rule in RULES.items()}


class Server:
    """``keyart serve`` on one port, killed and started again."""

    def __init__(self, bundles: Path, log: Path):
        self.bundles, self.log, self.port, self.down = bundles, log, 0, []
        self.said = (log.parent / "server.txt").open("w")
        self.start()

    def start(self):
        command = [sys.executable, "-m", "keyart.cli", "serve", "--bundle", str(self.bundles)]
        for setting in (f"serve.port={self.port}", f"serve.log_folder={self.log}", *SERVE):
            command += ["--set", setting]
        environment = os.environ | {"KEYART_USER_KEY": SECRET}
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.said, text=True, env=environment)
        line = self.process.stdout.readline()
        assert " on http://" in line, Path(self.said.name).read_text()
        self.port = int(line.rsplit(":", 1)[1])

    def killed_and_started(self):
        began = time.monotonic()
        self.process.kill()
        self.process.wait(timeout=60)
        self.start()
        self.down.append((began, time.monotonic()))

    def end(self):
        self.process.terminate()
        assert self.process.wait(timeout=60) == -signal.SIGTERM  # uvicorn ends its work and then by the signal
        self.process.stdout.close()
        self.said.close()


class Client(threading.Thread):
    """Asks for artworks and pages, holds answers against the policies, sends exposures until they are answered."""

    def __init__(self, number, server, policies, until):
        super().__init__()
        self.number, self.server, self.policies, self.until = number, server, policies, until
        self.connection, self.failures, self.wrong = None, [], []
        self.answers, self.seen, self.exposed, self.again = 0, Counter(), {}, set()

    def run(self):
        try:
            self.asked()
        except Exception as error:  # a thread's own end is seen by nobody
            self.wrong.append(repr(error))

    def asked(self):
        began, turn = time.monotonic(), 0
        while (now := time.monotonic()) < self.until:
            if (early := began + turn / EACH_SECOND - now) > 0:
                time.sleep(early)
            user = f"member-{(self.number * 77 + turn) % 300}"
            if turn % 3:
                said = self.post("/v1/artwork", {"user_id": user, "region": "SE", "title_id": "A" if turn % 2 else "C"})
                shown = [said]
            else:
                said = self.post("/v1/page", {"user_id": user, "region": "NO", "title_ids": ["A", "C", "B"]})
                shown = said["artworks"]
            for one in shown:
                self.judge(user, "SE" if turn % 3 else "NO", said, one)
            self.expose(user, shown)
            turn += 1

    def judge(self, user, region, said, one):
        wanted = self.policies[said["policy_id"]].resolve(
            user_keys(SECRET.encode(), [user])[0], one["title_id"], region, epoch=date.fromisoformat(said["epoch"])
        )
        found = (one["artwork_id"], one["propensity"], one["candidate_propensities"], one["level"], one["policy_id"])
        right = (wanted.artwork_id, wanted.propensity, list(wanted.probabilities), wanted.level, said["policy_id"])
        if found != right or one["bundle"] != said["bundle"] or not said["bundle"].startswith(said["policy_id"]):
            self.wrong.append((user, one, wanted))
        self.answers += 1
        self.seen[said["policy_id"]] += 1

    def expose(self, user, shown):
        tokens = [{"token": one["exposure"]} for one in shown]
        ids = [json.loads(base64.urlsafe_b64decode(one["token"].split(".")[0]))["event_id"] for one in tokens]
        before = len(self.failures)
        said = self.post("/v1/exposures", {"user_id": user, "exposures": tokens})
        if said != {"accepted": len(tokens)}:
            self.wrong.append(said)
        if len(self.failures) > before:
            self.again.update(ids)
        for event_id, one in zip(ids, shown, strict=True):
            self.exposed[event_id] = (user, one["title_id"], one["artwork_id"], one["policy_id"], one["propensity"])

    def post(self, path, body):
        """The answer; what the server's end cut off is asked again."""
        while True:
            try:
                if self.connection is None:
                    self.connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=30)
                self.connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
                answer = self.connection.getresponse()
                said = answer.read()
            except (OSError, http.client.HTTPException):
                self.failures.append(time.monotonic())
                self.connection = None
                time.sleep(0.05)
                if time.monotonic() > self.until + 120:
                    raise
                continue
            if answer.status != 200:
                self.wrong.append((answer.status, said))
            return json.loads(said)


def switched(bundles, made, until):
    """Points to one policy after the other, now and then to a bundle that was just written, and removes its like."""
    turns, names = 0, {name: name for name in made}
    while time.monotonic() < until:
        name = list(made)[turns % len(made)]
        if turns % 40 == 39:
            fresh = f"{name}-{turns}"
            made[name].write(bundles, fresh)
            point(bundles, fresh)
            time.sleep(0.5)  # a server that had read the old name has opened it
            if names[name] != fresh:
                discard(bundles / names[name])
            names[name] = fresh
        else:
            point(bundles, names[name])
        turns += 1
        time.sleep(0.1)
    return turns


def test_a_load_with_switches_and_killed_servers(tmp_path):
    bundles, log, made = tmp_path / "bundles", tmp_path / "log", worlds()
    for world in made.values():
        world.write(bundles)
    point(bundles, "best")
    server = Server(bundles, log)
    began = time.monotonic()
    until = began + SECONDS
    clients = [
        Client(number, server, {name: world.resolver() for name, world in made.items()}, until)
        for number in range(CLIENTS)
    ]
    turns = []
    switching = threading.Thread(target=lambda: turns.append(switched(bundles, made, until)))
    try:
        for one in (*clients, switching):
            one.start()
        for share in KILLS:
            time.sleep(max(0.0, began + share * SECONDS - time.monotonic()))
            server.killed_and_started()
        for one in (*clients, switching):
            one.join(timeout=SECONDS + 180)
        assert not any(one.is_alive() for one in (*clients, switching))
        patience = time.monotonic() + 60
        while list(log.glob(".*")) and time.monotonic() < patience:
            time.sleep(0.1)  # what killed servers left open is named after three times serve.log_seconds
        server.end()
    finally:
        server.process.kill()

    assert [wrong for one in clients for wrong in one.wrong] == []
    for failure in (when for one in clients for when in one.failures):
        assert any(begin <= failure <= end + 1 for begin, end in server.down), (
            "a request was lost while none was killed"
        )
    policies = Counter()
    for one in clients:
        policies.update(one.seen)
        assert one.answers > SECONDS
    assert set(policies) == set(made) and turns[0] > SECONDS
    assert "Traceback" not in Path(server.said.name).read_text()

    exposed = {event_id: about for one in clients for event_id, about in one.exposed.items()}
    again = set().union(*(one.again for one in clients))
    assert not list(log.glob(".*"))  # every file was closed, also those of killed servers
    rows = [json.loads(line) for path in log.glob("*.jsonl") for line in path.read_text().splitlines()]
    counts = Counter(row["event_id"] for row in rows)
    assert set(counts) == set(exposed)
    assert {event_id for event_id, times in counts.items() if times > 1} <= again and max(counts.values()) <= 2
    for row in rows:
        about = ("user_id", "title_id", "artwork_id", "policy_id", "propensity")
        assert tuple(row[name] for name in about) == exposed[row["event_id"]]
    print(
        f"{sum(policies.values())} artworks answered, {len(exposed)} exposures, {turns[0]} switches, again {len(again)}"
    )
