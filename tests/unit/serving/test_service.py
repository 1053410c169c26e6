"""The service over HTTP: answers, refusals in one line, exposures that ingestion reads, and a switch of policies."""

import asyncio
import gc
import json
import os
import resource
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from keyart.config import load
from keyart.errors import ConfigError, InputError, SetupError
from keyart.feedback.events import EVENT_TYPES, LOG_COLUMNS
from keyart.feedback.privacy import user_keys
from keyart.policy.resolve import Resolution
from keyart.serving.exposure_log import ExposureLog
from keyart.serving.exposures import CONTEXT, Exposures
from keyart.serving.live import Live
from keyart.serving.policy_bundle import PolicyBundle, point
from keyart.serving.server import service_of
from keyart.serving.service import Service, application

SECRET = b"only-for-tests"
MOMENT = datetime(2026, 2, 5, 12, 0, tzinfo=UTC)


class Clock:
    """A time that tests set."""

    def __init__(self):
        self.moment = MOMENT

    def __call__(self):
        return self.moment


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def served(world, other, tmp_path, clock):
    """A client of a service over two bundles, of which the old one is served."""
    world.write(tmp_path / "bundles")
    other.write(tmp_path / "bundles")
    point(tmp_path / "bundles", "old")
    live = Live(tmp_path / "bundles", lambda folder: PolicyBundle.open(folder, verify=True))
    service = Service(live, Exposures(SECRET), ExposureLog(tmp_path / "log", 1_000_000, 3600), 3600, clock)
    with TestClient(application(service)) as client:
        client.service = service
        yield client


def ask(client, **more):
    return client.post("/v1/artwork", json={"user_id": "member-1", "title_id": "A", "region": "SE"} | more)


def test_an_answer_is_the_resolvers(served, world, clock):
    plain = world.resolver()
    for member in world.ids[:60]:
        key = user_keys(SECRET, [member])[0]
        for region in ("SE", "JP", "unknown"):
            found = ask(served, user_id=member, region=region)
            assert found.status_code == 200
            wanted = plain.resolve(key, "A", region, epoch=clock.moment.date())
            said = found.json()
            assert (said["artwork_id"], said["level"], said["propensity"]) == (
                wanted.artwork_id, wanted.level, wanted.propensity,
            )  # fmt: skip
            assert said["candidate_propensities"] == list(wanted.probabilities)
            assert said["sentence"] == wanted.sentence and said["policy_id"] == said["bundle"] == "old"
            by_key = ask(served, user_id=None, user_key=key, region=region).json()
            assert {**by_key, "exposure": ""} == {**said, "exposure": ""}


def test_kids_and_members_who_opted_out_get_their_regions_artwork(served, world):
    member = next(one for one in world.ids if "A" in world.members.get(user_keys(SECRET, [one])[0], {}))
    assert ask(served, user_id=member).json()["level"] == "user"
    kid, out = ask(served, user_id=member, kids=True).json(), ask(served, user_id=member, opted_out=True).json()
    assert kid["level"] == out["level"] == "region"
    assert kid["exposure"] and out["exposure"] is None


def test_a_page_is_of_one_policy_and_names_what_may_not_be_shown(served):
    asked = {"user_id": "member-3", "region": "JP", "title_ids": ["A", "B", "C", "gone", "unknown"], "columns": 2}
    said = served.post("/v1/page", json=asked).json()
    assert [one["title_id"] for one in said["artworks"]] == ["A", "C"]
    assert [one["title_id"] for one in said["refused"]] == ["B", "gone", "unknown"]
    assert "may not be shown in JP" in said["refused"][0]["error"]
    assert said["policy_id"] == "old" and all(one["policy_id"] == "old" for one in said["artworks"])


def test_a_title_named_twice_on_a_page_is_refused(served):
    found = served.post("/v1/page", json={"user_id": "m", "title_ids": ["A", "C", "A"]})
    assert found.status_code == 400 and "title_ids" in found.json()["error"]
    assert "'A' is named twice" in found.json()["error"]


@pytest.mark.parametrize(
    ("change", "status", "says"),
    [
        ({"title_id": "unknown"}, 404, "no artwork for title unknown"),
        ({"title_id": "gone"}, 403, "no active artwork is left"),
        ({"title_id": "B", "region": "JP"}, 403, "may not be shown in JP"),
        ({"region": "../etc"}, 400, "region"),
        ({"region": 7}, 400, "region"),
        ({"title_id": ""}, 400, "title_id"),
        ({"user_key": "0" * 32}, 400, "user_id or user_key, and not both"),
        ({"user_id": None}, 400, "user_id or user_key"),
        ({"user_id": None, "user_key": "ABC"}, 400, "user_key"),
        ({"propensity": 1}, 400, "propensity"),
    ],
)
def test_bad_questions_get_one_line(served, change, status, says):
    found = ask(served, **change)
    assert found.status_code == status
    assert list(found.json()) == ["error"] and says in found.json()["error"] and "\n" not in found.json()["error"]


def test_other_bad_requests(served):
    broken = served.post("/v1/artwork", content=b'{"user_id": "m",', headers={"content-type": "application/json"})
    assert (broken.status_code, broken.json()) == (400, {"error": "the body is no JSON (at character 16)"})
    assert served.post("/v1/artwork", content=b"x" * (5 << 20)).status_code == 413
    assert served.get("/nowhere").status_code == 404 and served.get("/v1/artwork").status_code == 405
    too_many = {"user_id": "m", "title_ids": ["A"] * 201}
    assert served.post("/v1/page", json=too_many).status_code == 400
    for path in ("/images/..%2Fmanifest.json", "/images/%2e%2e/manifest.json", "/images/" + "a" * 64):
        assert served.get(path).status_code == 404


def test_a_body_too_large_that_comes_in_pieces_is_refused_as_such(served):
    """Without a length in its header, as a stream has none."""
    found = served.post("/v1/artwork", content=(b" " * (1 << 20) for _ in range(5)))
    assert "content-length" not in found.request.headers
    assert found.status_code == 413 and "more than 4194304 bytes" in found.json()["error"]
    assert 'keyart_requests_total{path="/v1/artwork",status="413"} 1.0' in served.get("/metrics").text


def test_a_failure_of_ours_shows_no_stack(served, monkeypatch, caplog):
    monkeypatch.setattr("keyart.serving.answering.title", lambda *_: 1 / 0)
    found = ask(served)
    assert (found.status_code, found.json()) == (500, {"error": "the service failed; its log says how"})
    assert "ZeroDivisionError" in caplog.text and "member-1" not in caplog.text


def test_images_may_be_kept_for_ever(served):
    path = next(one["image"] for n in range(200) if (one := ask(served, user_id=f"m{n}", region="JP").json())["image"])
    found = served.get(path)
    assert found.status_code == 200 and found.headers["content-type"] == "image/jpeg"
    assert "immutable" in found.headers["cache-control"] and found.content.endswith(b"a small picture")
    again = served.get(path, headers={"If-None-Match": found.headers["etag"]})
    assert again.status_code == 304 and not again.content


def test_health_metrics_and_the_description(served):
    ask(served)
    assert served.get("/health").json() == {"status": "ok"}
    assert served.get("/ready").json()["bundle"] == "old"
    text = served.get("/metrics").text
    assert 'keyart_requests_total{path="/v1/artwork",status="200"} 1.0' in text
    assert 'keyart_policy{bundle="old"} 1.0' in text and "member-1" not in text
    said = served.get("/openapi.json").json()
    assert {"/v1/artwork", "/v1/page", "/v1/exposures", "/images/{name}", "/health", "/ready", "/metrics"} <= set(
        said["paths"]
    )
    assert "propensity" in said["components"]["schemas"]["Answer"]["properties"]


def lines(folder):
    return [json.loads(line) for path in sorted(folder.glob("*.jsonl")) for line in path.read_text().splitlines()]


def test_an_exposure_is_a_row_that_ingestion_knows(served, tmp_path, clock):
    said = ask(served, kids=False).json()
    seen = {"token": said["exposure"], "device": "tv", "row": 2, "position": 0, "session_id": "s", "local_hour": 20}
    found = served.post("/v1/exposures", json={"user_id": "member-1", "exposures": [seen]})
    assert found.json() == {"accepted": 1} and lines(tmp_path / "log") == []  # not before it is whole
    served.service.logged.close()
    (row,) = lines(tmp_path / "log")
    assert set(row) <= set(LOG_COLUMNS) and row["event_type"] in EVENT_TYPES and set(CONTEXT) <= set(LOG_COLUMNS)
    for name in ("title_id", "artwork_id", "policy_id", "propensity", "candidate_set", "candidate_propensities"):
        assert row[name] == said[name]
    assert row["user_id"] == "member-1" and row["ts"] == "2026-02-05T12:00:00.000Z" and row["kids"] is False
    assert {name: row[name] for name in seen if name != "token"} == {n: v for n, v in seen.items() if n != "token"}
    assert "already_started" not in row


def test_an_exposure_says_the_members_segment_where_they_are_in_one():
    exposures, day = Exposures(SECRET), MOMENT.date()
    plain = Resolution("a", "region", "SE", 0.5, "p", ("a", "b"), (0.5, 0.5), "")
    for served, said in ((plain, {}), (plain._replace(segment="taste-2"), {"segment": "taste-2"})):
        token = exposures.token(exposures.user_key("member-1"), "A", "SE", day, None, served)
        row = exposures.line(token, "member-1", MOMENT, {})
        assert {name: value for name, value in row.items() if name == "segment"} == said


def test_a_token_sent_twice_is_one_event_and_another_answer_another(served, tmp_path):
    one, two = ask(served).json()["exposure"], ask(served).json()["exposure"]
    for token in (one, one, two):
        served.post("/v1/exposures", json={"user_id": "member-1", "exposures": [{"token": token}]})
    served.service.logged.close()
    first, again, other = (row["event_id"] for row in lines(tmp_path / "log"))
    assert first == again != other


def test_what_is_seen_after_midnight_belongs_to_the_day_it_was_drawn_on(served, tmp_path, clock):
    token = ask(served).json()["exposure"]
    clock.moment = MOMENT + timedelta(hours=14)
    assert served.post("/v1/exposures", json={"user_id": "member-1", "exposures": [{"token": token}]}).is_success
    served.service.logged.close()
    assert lines(tmp_path / "log")[0]["ts"] == "2026-02-05T23:59:59.999Z"
    clock.moment = MOMENT + timedelta(days=3)
    late = served.post("/v1/exposures", json={"user_id": "member-1", "exposures": [{"token": token}]})
    assert late.status_code == 400 and "too late" in late.json()["error"]


def test_forged_exposures_are_refused_and_nothing_of_their_batch_is_logged(served, tmp_path):
    good = ask(served).json()["exposure"]
    body, _, signature = good.partition(".")
    changed = ("B" if body[20] == "A" else "A").join((body[:20], body[21:]))
    for token in ("", "a.b", f"{changed}.{signature}", f"{body}.{'0' * 32}", "é.é", body):
        sent = {"user_id": "member-1", "exposures": [{"token": good}, {"token": token}]}
        found = served.post("/v1/exposures", json=sent)
        assert found.status_code == 400 and "token" in found.json()["error"], token
    stolen = served.post("/v1/exposures", json={"user_id": "member-2", "exposures": [{"token": good}]})
    assert stolen.status_code == 400 and "another member" in stolen.json()["error"]
    served.service.logged.close()
    assert lines(tmp_path / "log") == []


def test_a_token_of_very_many_candidates_is_taken(world):
    many, own = world.resolver().resolve("f" * 32, "A", "SE", epoch=MOMENT.date()), Exposures(SECRET)
    served = many._replace(candidate_set=tuple(f"{n:032x}" for n in range(5_000)), probabilities=(1 / 7_000,) * 5_000)
    token = own.token(own.user_key("m"), "A", "SE", MOMENT.date(), None, served)
    assert len(token) > 200_000 and len(own.line(token, "m", MOMENT, {})["candidate_set"]) == 5_000


def test_tokens_and_addresses_hold_no_id(served):
    import base64

    body = ask(served).json()["exposure"].partition(".")[0]
    assert b"member-1" not in base64.urlsafe_b64decode(body)


def test_without_a_key_members_come_by_key_and_no_exposure_is_taken(world, tmp_path):
    live = Live(world.write(tmp_path), PolicyBundle.open)
    with TestClient(application(Service(live, poll_seconds=3600))) as client:
        assert "no key" in ask(client).json()["error"]
        said = ask(client, user_id=None, user_key="0" * 32).json()
        assert said["exposure"] is None and said["propensity"] > 0
        found = client.post("/v1/exposures", json={"user_id": "m", "exposures": [{"token": "t"}]})
        assert found.status_code == 404 and "logs no exposures" in found.json()["error"]


def test_log_files_appear_whole_by_size_and_age_and_what_a_dead_process_left_too(tmp_path):
    now = [1_000_000.0]
    log = ExposureLog(tmp_path, 50, 60, lambda: now[0])
    log.write([{"a": 1}])
    log.rotate()
    assert not list(tmp_path.glob("*.jsonl"))
    now[0] += 60
    log.rotate()
    assert len(list(tmp_path.glob("*.jsonl"))) == 1
    log.write([{"b": "x" * 50}, {"c": 1}])  # larger than a file may be: a batch stays together
    assert len(list(tmp_path.glob("*.jsonl"))) == 2
    log.write([{"d": 1}])
    (left,) = tmp_path.glob(".exposures-*")
    assert left.stat().st_mode & 0o777 == 0o600
    at = left.stat().st_mtime
    late = [at + 100]
    other = ExposureLog(tmp_path, 50, 60, lambda: late[0])
    late[0] += 100
    other.rotate()
    assert left.exists()  # old, but the process that holds it lives
    os.close(log._file)  # as if it had died
    late[0] -= 100
    other.rotate()
    assert left.exists()  # not old: it may live on a machine whose locks are not seen here
    late[0] += 100
    other.rotate()
    assert not left.exists() and len(lines(tmp_path)) == 4
    with pytest.raises(InputError, match="cannot be written"):
        ExposureLog(next(tmp_path.glob("*.jsonl")) / "folder", 50, 60)


def test_a_log_that_cannot_be_closed_writes_to_nothing_else(tmp_path):
    """The number of the closed file is given to the next connection: no member's id may go there."""
    log = ExposureLog(tmp_path / "log", 1_000, 60)
    log.write([{"a": 1}])
    shutil.rmtree(tmp_path / "log")
    with pytest.raises(FileNotFoundError):
        log.close()
    ends = socket.socketpair()
    for one in ends:
        one.setblocking(False)
    log.write([{"user_id": "member-1"}])
    for one in ends:
        with pytest.raises(BlockingIOError):
            one.recv(100)
    for one in ends:
        one.close()
    log.close()
    assert lines(tmp_path / "log") == [{"user_id": "member-1"}]


def test_a_row_for_which_the_disk_is_full_leaves_the_others_whole(tmp_path):
    log = ExposureLog(tmp_path, 1_000_000, 60)
    log.write([{"a": 1}])
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))  # the kernel writes what fits, then refuses
    try:
        with pytest.raises(OSError, match="too large"):
            log.write([{"b": "x" * 200}])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    log.write([{"c": 1}])
    log.close()
    assert lines(tmp_path) == [{"a": 1}, {"c": 1}]


def test_a_switch_is_followed_and_a_damaged_bundle_is_not(served, tmp_path):
    bundles = tmp_path / "bundles"
    assert served.post("/v1/reload").json() == {"switched": False, "bundle": "old"}
    point(bundles, "new")
    assert ask(served).json()["policy_id"] == "old"  # until it is told, or looks
    assert served.post("/v1/reload").json() == {"switched": True, "bundle": "new"}
    assert ask(served).json()["policy_id"] == "new"
    path = bundles / "old" / "overrides/00002.arrow"
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")
    point(bundles, "old")
    refused = served.post("/v1/reload")
    assert refused.status_code == 400 and "damaged" in refused.json()["error"]
    assert ask(served).json()["policy_id"] == "new"
    text = served.get("/metrics").text
    assert "keyart_policy_failures_total 1.0" in text and 'keyart_policy{bundle="new"} 1.0' in text


def test_whatever_fails_the_watch_goes_on_and_the_next_policy_is_served(world, other, tmp_path, caplog):
    world.write(tmp_path)
    other.write(tmp_path)
    point(tmp_path, "old")
    troubles = [OSError(5, "Input/output error"), ZeroDivisionError("nobody thought of it"), MemoryError()]

    def opened(folder):
        if folder.name == "new" and troubles:
            raise troubles.pop(0)
        return PolicyBundle.open(folder)

    with TestClient(application(Service(Live(tmp_path, opened), poll_seconds=0.01))) as client:
        point(tmp_path, "new")
        end = time.monotonic() + 30
        while ask(client, user_id=None, user_key="0" * 32).json()["bundle"] != "new":
            assert time.monotonic() < end
        assert "keyart_policy_failures_total 3.0" in client.get("/metrics").text
    assert "nobody thought of it" in caplog.text and "Input/output error" in caplog.text


def test_the_log_is_closed_also_where_the_watch_ended_in_an_error(world, tmp_path, monkeypatch):
    async def fails(_):
        raise ZeroDivisionError

    monkeypatch.setattr("keyart.serving.service._watch", fails)
    log = ExposureLog(tmp_path / "log", 1_000, 60)
    service = Service(Live(world.write(tmp_path / "bundles"), PolicyBundle.open), logged=log)
    with pytest.raises(ZeroDivisionError), TestClient(application(service)) as client:
        client.get("/health")
        log.write([{"a": 1}])
    assert lines(tmp_path / "log") == [{"a": 1}]


def test_garbage_is_settled_once_a_switch(world, other, tmp_path):
    world.write(tmp_path)
    other.write(tmp_path)
    point(tmp_path, "old")
    settled = []
    live = Live(tmp_path, PolicyBundle.open)
    service = Service(live, settle=lambda: settled.append(live.bundle.manifest.name))
    assert not service.reload() and settled == []
    point(tmp_path, "new")
    assert service.reload() and not service.reload() and settled == ["new"]
    point(tmp_path, "none")
    with pytest.raises(InputError):
        service.reload()
    assert settled == ["new"]


def test_answers_leave_nothing_for_the_collector(served):
    """Else a service that seldom looks through everything would grow."""
    kinds = [{}, {"title_id": "unknown"}, {"title_id": "gone"}, {"region": 7}]
    bodies = [json.dumps({"user_id": "m", "title_id": "A", "region": "SE"} | one).encode() for one in kinds]
    statuses = []

    async def answered(body):
        async def receive():
            return {"type": "http.request", "body": body}

        async def send(message):
            statuses.append(message.get("status", 0))

        headers = [(b"content-type", b"application/json")]
        scope = {"type": "http", "method": "POST", "path": "/v1/artwork", "query_string": b"", "headers": headers}
        await served.app(scope | {"http_version": "1.1", "root_path": "", "app": served.app}, receive, send)

    async def all_answered(times):
        for body in bodies * times:
            await answered(body)

    with asyncio.Runner() as runner:
        runner.run(all_answered(1))
        gc.collect()
        gc.disable()
        try:
            runner.run(all_answered(50))
            assert gc.collect() < 50  # of 200 answers
        finally:
            gc.enable()
    assert set(statuses) == {0, 200, 400, 403, 404}


def test_settings_that_cannot_serve_say_so(world, tmp_path, monkeypatch):
    with pytest.raises(ConfigError, match="--bundle"):
        service_of(load(None, []))
    with pytest.raises(InputError, match="neither a bundle nor a pointer"):
        service_of(load(None, [f"serve.bundle={tmp_path}"]))
    world.write(tmp_path)
    monkeypatch.delenv("KEYART_USER_KEY", raising=False)
    wanted = [f"serve.bundle={tmp_path}/old", f"serve.log_folder={tmp_path}/log"]
    assert service_of(load(None, wanted[:1])).exposures is None
    with pytest.raises(SetupError, match="KEYART_USER_KEY"):
        service_of(load(None, wanted))


@pytest.fixture
def process(world, other, tmp_path):
    """A real ``keyart serve`` on a free port, ended by SIGTERM; its URL."""
    bundles = tmp_path / "bundles"
    world.write(bundles)
    other.write(bundles)
    point(bundles, "old")
    command = [sys.executable, "-m", "keyart.cli", "serve", "--bundle", str(bundles)]
    for setting in ("serve.port=0", "serve.poll_seconds=0.05", f"serve.log_folder={tmp_path}/log"):
        command += ["--set", setting]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        said = running.stdout.readline()
        assert " on http://" in said, running.communicate()
        yield running, said.split(" on ")[1].strip(), bundles
    finally:
        running.kill()
        running.communicate()


def post(url, path, said):
    request = urllib.request.Request(url + path, json.dumps(said).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def test_policies_are_switched_under_load_without_losing_a_request(process, world, other, tmp_path):
    running, url, bundles = process
    policies = {one.policy.policy_id: one.resolver() for one in (world, other)}
    titles, asked, wrong, policy_ids = ["A", "C", "B"], 120, [], set()

    def member(number):
        for n in range(asked):
            user = f"member-{(number * asked + n) % 300}"
            key = user_keys(SECRET, [user])[0]
            try:
                said = post(url, "/v1/page", {"user_id": user, "region": "NO", "title_ids": titles})
            except (urllib.error.URLError, OSError) as error:
                wrong.append(repr(error))
                continue
            own, day = policies[said["policy_id"]], datetime.fromisoformat(said["epoch"]).date()
            policy_ids.add(said["policy_id"])
            for one in said["artworks"]:
                wanted = own.resolve(key, one["title_id"], "NO", epoch=day)
                if (one["policy_id"], one["bundle"]) != (said["policy_id"], said["policy_id"]) or (
                    one["candidate_propensities"] != list(wanted.probabilities)
                    or one["artwork_id"] != wanted.artwork_id
                ):
                    wrong.append((said["policy_id"], one, wanted))

    members = [threading.Thread(target=member, args=(number,)) for number in range(4)]
    for one in members:
        one.start()
    turns = 0
    while any(one.is_alive() for one in members) and turns < 2000:
        point(bundles, ("new", "old")[turns % 2])
        turns += 1
        time.sleep(0.06)
    for one in members:
        one.join(timeout=60)
    assert not wrong[:1] and policy_ids == {"old", "new"} and turns > 2
    said = post(url, "/v1/artwork", {"user_id": "member-1", "title_id": "A"})
    assert post(url, "/v1/exposures", {"user_id": "member-1", "exposures": [{"token": said["exposure"]}]})
    running.terminate()
    running.wait(timeout=60)
    assert [row["artwork_id"] for row in lines(tmp_path / "log")] == [said["artwork_id"]]  # closed on the way out
    assert "Traceback" not in running.stderr.read()


def test_a_folder_that_is_no_bundle_is_one_line_and_status_2(tmp_path):
    command = [sys.executable, "-m", "keyart.cli", "serve", "--bundle", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and done.stderr.startswith("keyart: ")
    assert Path(tmp_path).name in done.stderr


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "../../etc/passwd"])
def test_hostile_names_are_text_in_answers(served, name):
    answers = [ask(served, title_id=name), ask(served, region="SE", context=name), served.get(f"/images/{name}")]
    answers.append(served.post("/v1/exposures", json={"user_id": name, "exposures": [{"token": name}]}))
    for answer in answers:
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.status_code in (200, 400, 404)
