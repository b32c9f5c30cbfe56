"""The line on what models will say in the debates of a recipe."""

from typing import TYPE_CHECKING

from .units import amount

if TYPE_CHECKING:
    from analyses.debate_costs import DebateCosts


def debate_line(costs: "DebateCosts") -> str:
    """How many generations, tokens and operations, if no turn were there."""
    return (
        f"debates: {costs.generations:,} generations, at most {costs.new_tokens:,} new tokens, "
        f"{amount(costs.flops, 'FLOP')}, if no turn were there"
    )
