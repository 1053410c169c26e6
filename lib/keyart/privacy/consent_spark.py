"""At the door: members who were erased are kept out, and what members say of personalisation is heard."""

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from keyart.feedback.events import DROPPED
from keyart.feedback.events_spark import ERASED, keyed
from keyart.feedback.privacy import suppression_secret
from keyart.schemas import OPT_OUTS
from keyart.settings import PrivacySettings
from keyart.tables import Tables

__all__ = ["land_opt_outs", "without_erased"]


def without_erased(rows: DataFrame, tables: Tables, privacy: PrivacySettings) -> DataFrame:
    """A log's rows with a flag for those of erased members; as they are where nobody was erased yet.

    SetupError where somebody was and their key is not in the environment: they would come back.
    """
    if not tables.exists("suppressions"):
        return rows
    erased = tables.read("suppressions").select(
        F.col("suppression_key").alias("_suppression"), F.lit(True).alias("_on")
    )
    return (
        rows.withColumn("_suppression", keyed(suppression_secret(privacy))(F.col("user_id").cast("string")))
        .join(F.broadcast(erased), on="_suppression", how="left")
        .withColumn(ERASED, F.coalesce("_on", F.lit(False)))
        .drop("_suppression", "_on")
    )


def land_opt_outs(tables: Tables, rows: DataFrame) -> None:
    """Keep what each member of the checked rows said last, and take who refuses out of all policies' assignments.

    Of two statements the newer counts, in whichever order they are delivered; of two at one time the refusal.
    """
    last = Window.partitionBy("user_key").orderBy(F.desc("said_at"), F.desc("opted_out"))
    gone = F.coalesce(F.col("reason") == DROPPED["erased"], F.lit(False))
    said = rows.where(F.col("opted_out").isNotNull() & F.col("ts").isNotNull() & ~gone)
    heard = said.select("user_key", "user_bucket", "opted_out", F.col("ts").alias("said_at"))
    earlier = tables.read_or_empty("opt_outs").join(heard.select("user_key"), on="user_key", how="left_semi")
    newest = (
        heard.unionByName(earlier.select(*heard.columns))
        .withColumn("_n", F.row_number().over(last))
        .where(F.col("_n") == 1)
        .select(*OPT_OUTS.names)
    )
    tables.merge("opt_outs", newest)
    tables.remove("user_assignments", newest.where("opted_out"), "user_key")
