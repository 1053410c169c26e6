"""stream-feedback from a broker: Kafka itself, as Maven Central has it, on this machine's loopback address."""

import base64
import json
import os
import socket
import subprocess
import sys
import time
import uuid
from pathlib import Path
from random import Random

import pyspark
import pytest
from conftest import ROOT, skip_unless_ci
from feeding import catalogue, click, lines, shown
from kafka import KafkaProducer
from kafka.errors import KafkaError
from killing import CONFIG, KEYART, after_first_write, differences, drive, rows_of

from keyart.cli import run_job
from keyart.jars import jars_folder
from keyart.session import INTERPRETED
from keyart.tables import Tables

pytestmark = pytest.mark.spark

CONNECTOR = f"org.apache.spark:spark-sql-kafka-0-10_2.13:{pyspark.__version__}"
BROKER = "org.apache.kafka:kafka_2.13:3.9.2"
FROM_MAVEN = {"spark.jars.ivy": str(ROOT / "build" / "ivy")} | (
    {"spark.jars.repositories": os.environ["KEYART_MAVEN"]} if os.environ.get("KEYART_MAVEN") else {}
)
LOOPBACK = {"spark.ui.enabled": "false", "spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"}
RESOLVE = """
from json import loads
from sys import argv
from pyspark.sql import SparkSession
builder = SparkSession.builder.master("local[1]")
for name, value in loads(argv[1]).items():
    builder = builder.config(name, value)
session = builder.getOrCreate()
print("jars:", *session.sparkContext._jsc.sc().listJars().mkString(" ").split())
session.stop()
"""
"""Fetches packages as a job does, and says which jars they are."""
PROPERTIES = """
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{beside}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{beside}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs={data}
num.partitions=2
offsets.topic.replication.factor=1
"""
SECONDS = 60


def free_ports(count: int) -> list[int]:
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports


@pytest.fixture(scope="module")
def broker(tmp_path_factory) -> str:
    """Address of a broker that keeps its topics in a folder of the tests."""
    home = tmp_path_factory.mktemp("kafka")
    wanted = json.dumps({"spark.jars.packages": f"{CONNECTOR},{BROKER}"} | FROM_MAVEN | LOOPBACK)
    found = subprocess.run([sys.executable, "-c", RESOLVE, wanted], capture_output=True, text=True, timeout=600)
    if found.returncode:
        skip_unless_ci(f"Maven Central has not given Kafka: {found.stderr[-1500:]}")
    (line,) = [line for line in found.stdout.splitlines() if line.startswith("jars:")]
    folder = Path(FROM_MAVEN["spark.jars.ivy"]) / "jars"
    jars = ":".join(str(folder / Path(name).name) for name in line.split()[1:])
    home_of_java = os.environ.get("JAVA_HOME")
    java = [str(Path(home_of_java, "bin", "java")) if home_of_java else "java", "-Xmx256m"]
    java += ["-cp", f"{jars}:{jars_folder()}/*"]
    port, beside = free_ports(2)
    (home / "server.properties").write_text(PROPERTIES.format(port=port, beside=beside, data=home / "data"))
    name = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    made = ["kafka.tools.StorageTool", "format", "-t", name, "-c", str(home / "server.properties")]
    done = subprocess.run([*java, *made], capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 0, done.stderr[-2000:]
    with (home / "broker.out").open("wb") as said:
        server = subprocess.Popen(
            [*java, "kafka.Kafka", str(home / "server.properties")], stdout=said, stderr=subprocess.STDOUT
        )
    try:
        until = time.monotonic() + SECONDS
        while True:
            try:
                KafkaProducer(bootstrap_servers=f"127.0.0.1:{port}").close()
                break
            except KafkaError:
                assert server.poll() is None and time.monotonic() < until, (home / "broker.out").read_text()[-2000:]
                time.sleep(0.5)
        yield f"127.0.0.1:{port}"
    finally:
        server.kill()
        server.wait()


def test_a_topic_lands_once_though_its_reader_was_killed(spark, broker, tmp_path):
    """As the same lines as files do: the reader of the first is killed once events have landed; more come meanwhile."""
    first = [
        shown(1, 1, "a1"), click(1, 1), '{"event_type": ', shown(2, 2, "a2"), shown(3, 2, "a1"), click(3, 2),
        {**click(2, 2), "event_type": "thumbs", "rating": -1},
    ]  # fmt: skip
    later = [shown(1, 1, "a1"), {**click(2, 9), "event_type": "fast_forward"}]
    told = ["--config", str(CONFIG), "--once", "--set=session.shuffle_partitions=2"]
    told += ["--set=events.max_quarantine_share=0.5"]
    options = json.dumps({"spark.jars.packages": CONNECTOR} | FROM_MAVEN | INTERPRETED)
    topic = json.dumps({"kafka.bootstrap.servers": broker, "subscribe": "log", "startingOffsets": "earliest"})
    root, files = tmp_path / "broker" / "tables", tmp_path / "files" / "tables"
    read = [str(KEYART), "stream-feedback", *told, "--tables", str(root), f"--set=session.options={options}"]
    read += ["--set=stream.format=kafka", f"--set=stream.options={topic}"]
    for home in (root, files):
        catalogue(spark, home)

    def send(rows):
        producer = KafkaProducer(bootstrap_servers=broker)
        for row in rows:
            producer.send("log", (row if isinstance(row, str) else json.dumps(row)).encode()).get(SECONDS)
        producer.close()

    send(first)
    ended = drive(read, tmp_path / "said.txt", after_first_write(root, Random(1), most=0.1, of=("events",)))
    assert ended.killed, ended.said[-3000:]
    send(later)
    ended = drive(read, tmp_path / "said.txt")
    assert ended.status == 0 and "2 batches" in ended.said, ended.said[-3000:]

    for number, rows in enumerate([first, later]):
        lines(tmp_path / "in" / f"{number}.jsonl", rows)
    assert run_job("stream-feedback", [*told, "--tables", str(files), "--events", str(tmp_path / "in")]) == 0
    found, wanted = rows_of(spark, root), rows_of(spark, files)
    for tables in (found, wanted):  # figures of batches, and where a bad line came from
        del tables["data_quality"], tables["quarantine"]
    assert found["events"].total() == 7 and not differences(found, wanted)
    set_aside = [
        Tables(spark, str(home)).read("quarantine").select("reason", "payload").collect() for home in (root, files)
    ]
    assert len(set_aside[0]) == 1 and set_aside[0] == set_aside[1]
