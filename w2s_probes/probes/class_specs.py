"""Classifiers of scikit-learn, and of what follows its manner, by name: `module:Class`, or `module:Class(C=0.1)`.

Importing this module loads neither scikit-learn nor NumPy.
"""

import ast
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from typing import Any

from ..errors import InputError
from ..registries import package_code

EXAMPLE = "e.g. sklearn.naive_bayes:GaussianNB, or sklearn.svm:SVC(C=10, probability=True)"


@dataclass(frozen=True)
class ClassSpec:
    """A class by its module and name, with its arguments, which are numbers, text, True, False, None and lists of them.

    >>> spec = ClassSpec.parse("sklearn.svm:SVC(C=10, probability=True)")
    >>> spec.module, spec.name, spec.arguments
    ('sklearn.svm', 'SVC', (('C', 10), ('probability', True)))
    """

    text: str  # as it was given
    module: str
    name: str
    arguments: tuple[tuple[str, Any], ...]

    @classmethod
    def parse(cls, text: str, where: str = "classifier") -> "ClassSpec":
        """Read a name; nothing is imported. InputError, which begins with `where`, for what is none."""
        module, _, call = text.partition(":")
        name, bracket, rest = call.strip().partition("(")
        words = [*module.strip().split("."), *name.split(".")]
        if not all(word.isidentifier() for word in words):
            raise InputError(f"{where} {text}: is not module:Class; {EXAMPLE}")
        return cls(text, module.strip(), name, _arguments(bracket + rest, text, where) if bracket else ())

    def make(self, where: str = "classifier") -> Any:
        """The unfitted classifier; where it draws at random, from seed 0 unless its arguments say otherwise.

        InputError, which begins with `where`, for what cannot be imported or made, or gives no probabilities.
        """
        try:
            kind: Any = import_module(self.module)
            for word in self.name.split("."):
                kind = getattr(kind, word)
            classifier = kind(**dict(self.arguments))
        except (ImportError, AttributeError, TypeError, ValueError) as error:
            raise InputError(f"{where} {self.text}: cannot be made ({error}); {EXAMPLE}") from error
        missing = [needed for needed in ("fit", "predict_proba", "get_params") if not hasattr(classifier, needed)]
        if missing:
            raise InputError(
                f"{where} {self.text}: has no {missing[0]}, so it is no classifier that gives probabilities"
            )
        if classifier.get_params(deep=False).get("random_state", 0) is None:
            classifier.set_params(random_state=0)
        return classifier

    @property
    def code(self) -> str:
        """A hash for keys: the name and arguments, and the version of the package, or its files where it has none."""
        return hashlib.sha256(f"{self.text} {_package(self.module)}".encode()).hexdigest()


def classifier_names(specs: Sequence[str], where: str = "classifiers") -> list[str]:
    """These names of classifiers, `module:Class(…)`, each once; InputError for one that cannot be made."""
    for spec in specs:
        ClassSpec.parse(spec, where).make(where)
    return list(dict.fromkeys(specs))


@cache
def _package(module: str) -> str:
    top = module.partition(".")[0]
    try:
        return f"{top} {version(packages_distributions().get(top, [top])[0])}"
    except PackageNotFoundError:
        import_module(module)
        return package_code(module)


def _arguments(call: str, text: str, where: str) -> tuple[tuple[str, Any], ...]:
    """The keywords of `(name=value, ...)`."""
    try:
        parsed = ast.parse(f"f{call}", mode="eval").body
        if not isinstance(parsed, ast.Call) or parsed.args or any(one.arg is None for one in parsed.keywords):
            raise ValueError
        return tuple((str(one.arg), ast.literal_eval(one.value)) for one in parsed.keywords)
    except (SyntaxError, ValueError) as error:
        raise InputError(f"{where} {text}: arguments are name=value, of numbers, text and lists; {EXAMPLE}") from error
