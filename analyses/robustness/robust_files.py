"""Names of the files that `w2s robust` writes, and their columns. No package is imported here."""

ROBUST_RECORD = "robust.json"
PAYOFF, DRAWS, STUDENTS_CHOSEN, GREEDY = "payoff.csv", "payoff_draws.parquet", "undominated.csv", "greedy.csv"
CONTROLS_BESIDE, REPLAYED, REPLAY_CURVES = "controls.csv", "replay.csv", "replay_curves.csv"

HELD_OUT_ROWS, TEST_ROWS = "held-out", "test"  # what a payoff was judged on; the second is an oracle's
EVERY_TASK = "(all)"  # the mean over tasks, where there are several

PAYOFF_COLUMNS = ["task", "seed", "student", "family", "rate", "judged", "metric", "value", "low", "high"]
PAYOFF_COLUMNS += ["n", "seeds", "trusted", "oracle"]
STUDENT_COLUMNS = ["task", "student", "mean", "worst", "worst_at", "margin", "error", "low", "high", "delta"]
STUDENT_COLUMNS += ["undominated", "pareto", "best_at", "found", "seeds", "trusted", "oracle"]
GREEDY_COLUMNS = ["task", "step", "student", "gain", "error", "at", "taken", "oracle"]
CONTROL_COLUMNS = ["task", "control", "student", "judged", "mean", "worst", "oracle"]
REPLAY_COLUMNS = ["schedule", "learner", "reward", "regret", "low", "high", "bound", "trusted", "oracle"]
CURVE_COLUMNS = ["schedule", "learner", "round", "regret", "low", "high", "oracle"]

# The tables that a report reads, in the order in which they are written; the draws are read by nobody here.
COLUMNS_OF = {
    PAYOFF: PAYOFF_COLUMNS,
    STUDENTS_CHOSEN: STUDENT_COLUMNS,
    GREEDY: GREEDY_COLUMNS,
    CONTROLS_BESIDE: CONTROL_COLUMNS,
    REPLAYED: REPLAY_COLUMNS,
    REPLAY_CURVES: CURVE_COLUMNS,
}
ROBUST_TABLES = (PAYOFF, DRAWS, STUDENTS_CHOSEN, GREEDY, CONTROLS_BESIDE, REPLAYED, REPLAY_CURVES)
