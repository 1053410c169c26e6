"""Running the jobs day by day: the graph of stages, what became of them, logs, metrics, upkeep of the tables."""
