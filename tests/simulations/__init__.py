"""How often intervals hold what they should, and verdicts are false: long tables of planted truths."""
