"""keyart every day by Airflow 2.4 or newer: one task runs what has something new, one does the upkeep once a week.

``run-pipeline`` knows by itself what is up to date and goes on where it stopped, so retries are cheap and the order of
stages need not be said again here. Where each stage is to be a task of its own, add ``--set pipeline.stages=[STAGE]``
and, so that status knows the tasks as one run, ``--set pipeline.run_id={{ run_id }}``: PARTS has them with what they
wait for.
"""

from datetime import datetime, timedelta

from airflow import DAG
from airflow.operators.bash import BashOperator

KEYART = (
    "keyart {job} --config /etc/keyart/cluster.yaml --set logging.file=/var/log/keyart.log --set logging.format=json"
)
EVENTS = "s3://logs/keyart/"

PARTS = {
    "ingest-catalog": [],
    "scan-videos": ["ingest-catalog"],
    "select-artwork": ["scan-videos"],
    "ingest-events": ["select-artwork"],
    "measure-sessions": ["ingest-events"],
    "train-taste": ["ingest-events"],
    "train-response": ["train-taste", "measure-sessions"],
    "assign-artwork": ["train-response"],
    "evaluate-policy": ["assign-artwork"],
    "measure-policy": ["evaluate-policy"],
    "promote": ["measure-policy"],
    "publish": ["promote"],
    "build-report": ["promote"],
}

with DAG(
    "keyart",
    schedule="0 4 * * *",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=10)},
):
    # KEYART_USER_KEY comes from the workers' environment: an argument would stand in Airflow's own log.
    run = BashOperator(task_id="run-pipeline", bash_command=f"{KEYART.format(job='run-pipeline')} --events {EVENTS}")
    status = BashOperator(
        task_id="status", bash_command=f"{KEYART.format(job='status')} --json", trigger_rule="all_done", retries=0
    )
    run >> status

with DAG(
    "keyart-upkeep",
    schedule="0 12 * * 0",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
):
    BashOperator(task_id="maintain", bash_command=KEYART.format(job="maintain"))
