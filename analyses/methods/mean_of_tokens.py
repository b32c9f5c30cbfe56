"""The control of the attention probe: the same tokens, all of them alike."""

from ..experiment import Experiment, Outcome


def mean_of_tokens(experiment: Experiment) -> Outcome:
    """The scores of a probe of the mean of a row's tokens, with the attention probe's penalty and standards."""
    probe = experiment.token_probe(experiment.weak_train, mean=True)
    scores = experiment.calibrated_probe(probe.scores(experiment.read_by_probes), probe.out_of_sample)
    return Outcome(scores, **experiment.probe_settings("attention"))
