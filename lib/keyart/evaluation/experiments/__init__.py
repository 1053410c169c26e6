"""Experiments: members are randomised, their totals over all titles compared, and a verdict given with reasons."""
