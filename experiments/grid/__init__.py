"""What every experiment stands on: cells, claims, verdicts, reports."""
