"""What clusters are given: options that this Spark has, settings that load, an image that can be started."""

import os
import re
import signal
import subprocess
import zipfile
from pathlib import Path

import pytest
import yaml

from keyart.config import load
from keyart.jars import jars_folder

ROOT = Path(__file__).resolve().parents[3]
SPARK = ROOT / "conf" / "spark"
PROPERTIES = sorted(SPARK.glob("*.conf"))
SETTINGS = sorted((ROOT / "conf").glob("*.yaml"))

# Options whose last part anyone may name. The rest of them Spark puts together from parts, which no class holds whole.
OPEN = (
    r"spark\.executorEnv\.[A-Z_]+",
    r"spark\.hadoop\.fs\..+",  # Hadoop's own
    r"spark\.kubernetes\.(driver|executor)\.secretKeyRef\.[A-Z_]+",
    r"spark\.kubernetes\.authenticate\.driver\.serviceAccountName",
    r"spark\.kubernetes\.(driver|executor)\.volumes\.persistentVolumeClaim\.[a-z0-9-]+\."
    r"(mount\.(path|readOnly)|options\.(claimName|storageClass|sizeLimit))",
)


def properties(path: Path) -> dict[str, str]:
    """A file of Spark's properties: a name and a value a line."""
    lines = [line for line in path.read_text().splitlines() if line.strip() and not line.startswith("#")]
    pairs = [line.split(maxsplit=1) for line in lines]
    assert len({name for name, _ in pairs}) == len(pairs), f"{path.name} names an option twice"
    return {name: value.strip() for name, value in pairs}


@pytest.fixture(scope="module")
def known() -> set[str]:
    """Every option that stands whole in a class of Spark's or Delta's where options are declared."""
    found = set()
    for jar in [*jars_folder().glob("spark-*.jar"), *jars_folder().glob("delta-*.jar")]:
        with zipfile.ZipFile(jar) as archive:
            for name in archive.namelist():
                if re.search(r"([Cc]onf|package|Constants)[^/]*\.class$", name):
                    found |= set(re.findall(rb"spark\.[A-Za-z0-9_.-]+", archive.read(name)))
    return {name.decode() for name in found}


def unknown(options, known):
    return [name for name in options if name not in known and not any(re.fullmatch(one, name) for one in OPEN)]


def test_spark_has_every_option(known):
    given = {path.name: list(properties(path)) for path in PROPERTIES}
    given |= {path.name: list(load(path).session.options) for path in SETTINGS}
    assert len([name for names in given.values() for name in names]) > 40
    assert {name: missing for name, options in given.items() if (missing := unknown(options, known))} == {}
    for name in [name for names in given.values() for name in names]:
        assert unknown([name + "s"], known) or re.fullmatch("|".join(OPEN), name + "s"), f"{name}s would pass"


@pytest.mark.parametrize("path", SETTINGS, ids=lambda path: path.name)
def test_settings_load(path):
    assert load(path).regions["NO"] == "nordics"


@pytest.mark.parametrize("kind", ["yarn", "kubernetes"])
def test_a_cluster_has_a_folder_that_all_see_and_room_beside_the_heap(kind):
    settings, given = load(ROOT / "conf" / f"{kind}.yaml"), properties(SPARK / f"{kind}.conf")
    assert settings.session.shared_folder.startswith("/")
    assert not settings.session.master
    assert int(given["spark.executor.memoryOverhead"][:-1]) >= int(given["spark.executor.memory"][:-1])
    assert not set(given) & set(settings.session.options), "said twice"


def test_no_secret_stands_in_what_is_deployed():
    """Keys come by name: from a secret, a scope, a shell."""
    texts = {path: path.read_text() for path in [ROOT / "Dockerfile", *SPARK.iterdir(), *SETTINGS]}
    for path, text in texts.items():
        assert not re.search(r"(?im)^[^#\n]*(password|secret_?key|token)[\"']?\s*[=:]\s*\S", text), path
        for line in text.splitlines():
            if "KEYART_USER_KEY" in line and not line.startswith("#"):
                assert "secretKeyRef" in line, f"{path.name}: {line}"


def test_pods_are_not_root_and_run_the_image_that_is_built():
    pod, given = yaml.safe_load((SPARK / "kubernetes-pod.yaml").read_text()), properties(SPARK / "kubernetes.conf")
    image = (ROOT / "Dockerfile").read_text()
    (user,) = re.findall(r"^USER (\d+)$", image, re.MULTILINE)
    assert pod["spec"]["securityContext"]["runAsUser"] == int(user) != 0
    (container,) = pod["spec"]["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {"/tmp", "/home/keyart"} == {mount["mountPath"] for mount in container["volumeMounts"]}
    assert f"WORKDIR {container['volumeMounts'][1]['mountPath']}\n" in image
    assert given["spark.kubernetes.executor.podTemplateFile"] == str((SPARK / "kubernetes-pod.yaml").relative_to(ROOT))
    script = load(ROOT / "conf" / "kubernetes.yaml").session.options["spark.kubernetes.decommission.script"]
    assert Path(script).name in image
    shared = load(ROOT / "conf" / "kubernetes.yaml").session.shared_folder
    mounts = {value for name, value in given.items() if ".shared.mount.path" in name}
    assert mounts == {shared}


def test_the_image_copies_only_what_is_let_in():
    """.dockerignore lets in by name; what the Dockerfile copies from here is among it, and is there."""
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = set()
    for line in re.findall(r"^COPY (.+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE):
        words = [word for word in line.split() if not word.startswith("--")]
        if "--from" not in line:
            copied |= set(words[:-1])
    assert copied
    for path in copied:
        assert (ROOT / path).exists(), path
        assert path.split("/")[0] in let_in, path
    assert let_in == {path.split("/")[0] for path in copied}


@pytest.fixture
def pod(tmp_path):
    """Start the image's entry point with stand-ins for java and spark-submit that print what they were called with."""
    for name in ("java", "spark-submit"):
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(f'#!/bin/sh\nprintf "%s\\n" {name} "$@"\n')
        program.chmod(0o755)

    def start(*words, **environment):
        ours = {"PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}", "SPARK_HOME": "/spark"} | environment
        program = str(SPARK / "kubernetes-entrypoint")
        return subprocess.run([program, *words], env=ours, capture_output=True, text=True, timeout=60)

    return start


EXECUTOR = {
    "SPARK_EXECUTOR_MEMORY": "8g",
    "SPARK_DRIVER_URL": "spark://CoarseGrainedScheduler@driver:7078",
    "SPARK_EXECUTOR_ID": "3",
    "SPARK_EXECUTOR_CORES": "4",
    "SPARK_APPLICATION_ID": "spark-1",
    "SPARK_EXECUTOR_POD_IP": "192.0.2.7",
    "SPARK_RESOURCE_PROFILE_ID": "0",
    "SPARK_EXECUTOR_POD_NAME": "keyart-exec-3",
}


def test_the_image_starts_an_executor(pod):
    options = {f"SPARK_JAVA_OPT_{n}": f"-Dn={n} and a space" for n in range(12)}
    said = pod("executor", **EXECUTOR, **options).stdout.splitlines()
    assert said[0] == "java"
    assert said[1:13] == list(options.values()), "in their order, 10 after 9"
    assert said[13:17] == ["-Xms8g", "-Xmx8g", "-cp", "/spark/jars/*"]
    assert dict(zip(said[18::2], said[19::2], strict=True)) == {
        "--driver-url": EXECUTOR["SPARK_DRIVER_URL"],
        "--executor-id": "3",
        "--cores": "4",
        "--app-id": "spark-1",
        "--hostname": "192.0.2.7",
        "--resourceProfileId": "0",
        "--podName": "keyart-exec-3",
    }
    backend = said[17].replace(".", "/") + ".class"
    (jar,) = jars_folder().glob("spark-kubernetes_*.jar")
    with zipfile.ZipFile(jar) as archive:
        assert backend in archive.namelist()
    missing = pod("executor", **{key: value for key, value in EXECUTOR.items() if key != "SPARK_DRIVER_URL"})
    assert missing.returncode != 0
    assert "SPARK_DRIVER_URL" in missing.stderr


def test_the_image_starts_a_driver_or_any_command(pod):
    said = pod("driver", "--class", "org.x.Y", "local:///a b.py", SPARK_DRIVER_BIND_ADDRESS="192.0.2.1").stdout
    assert said.splitlines() == [
        *("spark-submit", "--deploy-mode", "client", "--conf", "spark.driver.bindAddress=192.0.2.1"),
        *("--conf", "spark.executorEnv.SPARK_DRIVER_POD_IP=192.0.2.1", "--class", "org.x.Y", "local:///a b.py"),
    ]
    assert pod("echo", "keyart serve").stdout == "keyart serve\n"
    assert pod("false").returncode == 1


def test_an_executor_that_has_to_leave_is_told_and_waited_for():
    code = (
        "import signal, sys\n"
        "def leave(*_):\n    print('told', flush=True)\n    sys.stdin.read()\n    sys.exit(7)\n"
        "signal.signal(signal.SIGPWR, leave)\n"
        "print('up', flush=True)\nwhile True: signal.pause()"
    )
    command = ["python3", "-c", code, "x.KubernetesExecutorBackend"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as executor:
        try:
            assert executor.stdout.readline() == b"up\n"
            with subprocess.Popen([str(SPARK / "kubernetes-decommission")]) as script:
                assert executor.stdout.readline() == b"told\n"
                assert script.poll() is None, "it came back before the executor had ended"
                executor.stdin.close()
                assert executor.wait(60) == 7
                assert script.wait(60) == 0
        finally:
            executor.send_signal(signal.SIGKILL)
