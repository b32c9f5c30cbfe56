"""Which point of a training is chosen: after a ramp, and by which criterion."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score

from tests.conftest import planted
from w2s_probes import InputError
from w2s_probes.losses import LOSS_NAMES, LossName
from w2s_probes.students import HeadStudent
from w2s_probes.students.finetuning.settings import STOPS
from w2s_probes.students.stopping import Criterion

DATA, VAL = planted(n=400, noise=0.25), planted(n=150, noise=0.25, seed=1)
BATCHES = 16  # an epoch of 400 rows: batches of 25
RAMPED = ("logconf", "logconf-batch", "entropy", "entropy-detached", "adaptconf", "dispersion")


def head(**settings: object) -> HeadStudent:
    return HeadStudent(**settings).fit(DATA.X, DATA.weak, VAL.X, VAL.weak)  # type: ignore[arg-type]


@pytest.mark.parametrize("loss", ["logconf", "logconf-batch", "entropy", "adaptconf", "dispersion"])
def test_losses_with_a_ramp_are_chosen_after_it_and_say_at_which_weight(loss: str) -> None:
    fitted = head(loss=loss, epochs=40, warm_up=0.3, patience=40)
    assert fitted.n_epochs_ > 12
    assert fitted.alpha_ == 0.5
    never = head(loss=loss, epochs=5, warm_up=10_000)
    assert never.n_epochs_ == 5  # the ramp outlasts the training: the last epoch is all there is
    assert never.alpha_ is not None
    assert never.alpha_ < 0.1
    assert head(loss="xent", epochs=5).alpha_ is None


def test_each_criterion_is_what_its_name_says() -> None:
    rng = np.random.default_rng(0)
    margins, soft = rng.normal(size=50), rng.random(50)
    side = soft > 0.5
    scores = {stop: Criterion.of(stop, soft) for stop in STOPS}
    assert all(scores.values())
    p = expit(margins)
    by_hand = -np.mean(soft * np.log(p) + (1 - soft) * np.log(1 - p))
    assert scores["log_loss"].score(margins) == pytest.approx(-by_hand)  # type: ignore[union-attr]
    hard = Criterion.of("log_loss", side.astype(float))
    assert hard is not None
    assert hard.score(margins) == pytest.approx(-log_loss(side, p))
    assert scores["auroc"].score(margins) == pytest.approx(roc_auc_score(side, margins))  # type: ignore[union-attr]
    assert scores["agreement"].score(margins) == ((margins > 0) == side).mean()  # type: ignore[union-attr]
    assert Criterion.of("log_loss", np.array([1.0])).score(np.array([-1e4])) == -1e4  # type: ignore[union-attr]


@pytest.mark.parametrize("stop", ["auroc", "log_loss", "agreement"])
def test_the_epoch_kept_is_the_best_by_its_criterion(stop: str) -> None:
    """One training for each number of epochs, without validation rows: the oracle of what each epoch was."""
    kept = head(stop=stop, epochs=12, patience=12)
    criterion = Criterion.of(stop, VAL.weak)  # type: ignore[arg-type]
    assert criterion is not None
    by_epoch = []
    for epochs in range(1, 13):
        alone = HeadStudent(epochs=epochs).fit(DATA.X, DATA.weak)
        by_epoch.append(criterion.score(VAL.X @ alone.coef_[0] + alone.intercept_[0]))
    assert kept.n_epochs_ == int(np.argmax(np.round(by_epoch, 9))) + 1


def test_the_penalty_shrinks_and_ends_where_scikit_learns_ends() -> None:
    light, heavy = (HeadStudent(l2=l2, epochs=30).fit(DATA.X, DATA.weak) for l2 in (0.0, 1.0))
    assert np.linalg.norm(heavy.coef_) < 0.3 * np.linalg.norm(light.coef_)
    l2, n = 0.05, len(DATA.X)
    center, scale = DATA.X.mean(axis=0), DATA.X.std(axis=0)
    ours = HeadStudent(l2=l2, epochs=300, learning_rate=1e-3).fit(DATA.X, DATA.weak)
    theirs = LogisticRegression(C=1 / (2 * l2 * n), tol=1e-8).fit((DATA.X - center) / scale, DATA.weak)
    assert ours.coef_[0] * scale == pytest.approx(theirs.coef_[0], abs=0.05)


def test_labels_on_one_side_teach_and_log_loss_judges_them_while_auroc_cannot() -> None:
    soft, soft_val = 0.5 * DATA.weak, 0.5 * VAL.weak
    fitted = HeadStudent(epochs=20, stop="log_loss").fit(DATA.X, soft, VAL.X, soft_val)
    assert fitted.n_epochs_ <= 20
    assert roc_auc_score(VAL.truth, VAL.X @ fitted.coef_[0]) > 0.9
    assert HeadStudent(epochs=4, stop="auroc").fit(DATA.X, soft, VAL.X, soft_val).n_epochs_ == 4
    with pytest.raises(InputError, match="one class only"):
        HeadStudent().fit(DATA.X, np.full(len(DATA.X), 0.3))


def test_settings_that_do_not_exist_are_refused() -> None:
    with pytest.raises(InputError, match="stop='aurok': did you mean 'auroc'"):
        head(stop="aurok")
    with pytest.raises(InputError, match="l2=-1: the penalty"):
        head(l2=-1)


@pytest.mark.parametrize("loss", LOSS_NAMES)
def test_every_loss_is_kept_bit_for_bit_at_its_best_epoch_of_all_or_of_those_after_its_ramp(loss: LossName) -> None:
    """A ramp of just three epochs; the oracle trains to each epoch with nothing to stop it."""
    settings = {"loss": loss, "warm_up": 3 * BATCHES, "seed": 4}
    kept = head(**settings, epochs=9, patience=9)
    epochs = [HeadStudent(**settings, epochs=n).fit(DATA.X, DATA.weak) for n in range(1, 10)]  # type: ignore[arg-type]
    scores = [roc_auc_score(VAL.weak, VAL.X @ epoch.coef_[0]) for epoch in epochs]
    first = 3 if loss in RAMPED else 0
    best = first + int(np.argmax(np.round(scores[first:], 9)))
    assert kept.n_epochs_ == best + 1
    assert np.array_equal(kept.coef_, epochs[best].coef_)
    assert kept.alpha_ == epochs[best].alpha_ == (0.5 if loss in RAMPED else None)


def test_patience_counts_from_the_first_epoch_after_the_ramp(monkeypatch: pytest.MonkeyPatch) -> None:
    """Turned round, the validation labels prefer the student that is least sure: the first that can be chosen."""
    scores: list[NDArray[np.float64]] = []
    measure = Criterion.scores

    def counted(self: Criterion, margins: NDArray[np.floating]) -> NDArray[np.float64]:
        scores.append(measure(self, margins))
        return scores[-1]

    monkeypatch.setattr(Criterion, "scores", counted)
    settings = {"loss": "logconf", "warm_up": 3 * BATCHES}
    kept = HeadStudent(**settings, stop="log_loss", patience=5)  # type: ignore[arg-type]
    kept.fit(DATA.X, DATA.truth, DATA.X, 1 - DATA.truth)
    fourth = HeadStudent(**settings, epochs=4).fit(DATA.X, DATA.truth)  # type: ignore[arg-type]
    assert len(scores) == 1 + 5
    assert kept.n_epochs_ == 4
    assert kept.coef_ == pytest.approx(fourth.coef_)


def test_the_new_settings_are_parameters_and_penalties_of_nothing_change_nothing() -> None:
    copy = clone(HeadStudent(l2=0.5, stop="agreement"))
    assert (copy.l2, copy.stop) == (0.5, "agreement")
    assert {"l2", "stop"} <= set(copy.get_params())
    assert np.array_equal(head(epochs=5).coef_, head(epochs=5, l2=0.0, stop="auroc").coef_)


@pytest.mark.parametrize("stop", STOPS)
def test_validation_labels_that_are_no_probabilities_or_too_few_are_refused(stop: str) -> None:
    for wrong in (2 * VAL.weak, VAL.weak * np.nan):
        with pytest.raises(InputError, match=r"validation labels must be .* in \[0, 1\]"):
            HeadStudent(stop=stop, epochs=2).fit(DATA.X, DATA.weak, VAL.X, wrong)  # type: ignore[arg-type]
    for few in (1, 5):
        with pytest.raises(InputError, match=f"{few} validation labels but 150 rows"):
            HeadStudent(stop=stop, epochs=2).fit(DATA.X, DATA.weak, VAL.X, VAL.weak[:few])  # type: ignore[arg-type]
