"""How tokens are drawn: the numbers that decide it."""

from dataclasses import dataclass

from w2s_probes.errors import InputError


@dataclass(frozen=True)
class Sampling:
    """The distribution that tokens are drawn from, and the tokens that end a text."""

    temperature: float = 1.0  # 0: the likeliest token
    top_p: float = 1.0
    ends: tuple[int, ...] = ()


def refuse_sampling(temperature: float, top_p: float, max_new_tokens: int) -> None:
    """InputError for numbers that no text can be drawn by."""
    if not 0 <= temperature < float("inf"):
        raise InputError(f"temperature={temperature}: give a number from 0, which takes the likeliest token")
    if not 0 < top_p <= 1:
        raise InputError(f"top_p={top_p}: give a number above 0 and up to 1, which keeps every token")
    if max_new_tokens < 1:
        raise InputError(f"max_new_tokens={max_new_tokens}: at least 1 is needed")
