"""Shuffled labels are the same labels, and those of related rows stay together."""

import numpy as np

from w2s_probes.labels.shuffled import shuffled_labels


def test_shuffling_keeps_the_labels_of_a_group_together() -> None:
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(50), 4)[rng.permutation(200)]
    p = (groups * 0.01 + rng.integers(0, 2, size=50)[groups] * 0.5).round(2)
    dealt = shuffled_labels(p, groups, rng)
    assert sorted(dealt) == sorted(p)
    assert not np.array_equal(dealt, p)
    for group in range(50):
        assert len(set(dealt[groups == group])) == 1  # each group has got one other group's labels, all of them
    alone = shuffled_labels(p, None, rng)
    assert sorted(alone) == sorted(p)
    assert max(len(set(alone[groups == group])) for group in range(50)) > 1
