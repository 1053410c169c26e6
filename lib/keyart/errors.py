"""Everything keyart raises on purpose. The message is one line and says what to do next."""

__all__ = [
    "ConfigError",
    "InputError",
    "KeyartError",
    "LimitError",
    "ModelError",
    "SchemaError",
    "SetupError",
    "TableError",
    "TrackingError",
    "VideoError",
]


class KeyartError(Exception):
    """Base of all; ``exit_code`` is what the command line answers with (1 the job failed, 2 mend your input)."""

    exit_code = 1


class SetupError(KeyartError):
    """Java, jars or an optional package is missing or wrong."""

    exit_code = 2


class ConfigError(KeyartError):
    """A configuration key is unknown, of the wrong type or impossible; the message names file and key."""

    exit_code = 2


class InputError(KeyartError):
    """A manifest, folder or log handed to a job cannot be used."""

    exit_code = 2


class SchemaError(KeyartError):
    """A frame does not have the columns its table promises; the message lists every discrepancy at once."""


class TableError(KeyartError):
    """A table is missing, or a write lost its race more often than allowed."""


class VideoError(KeyartError):
    """A film or a segment of it cannot be decoded."""


class ModelError(KeyartError):
    """A model is missing, or the data cannot support the one asked for."""


class TrackingError(KeyartError):
    """MLflow does not answer, or refuses what it is asked."""


class LimitError(KeyartError):
    """A quality or safety limit of the configuration was passed; nothing was published."""
