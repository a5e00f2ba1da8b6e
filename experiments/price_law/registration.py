"""What the price law claims, written down before a World of it was trained; only the pilot's Worlds had been seen.

Tax = pass@1 of the arm minus that of its control. Price = F(the arm's pass@8) - F(the control's), F the exact frontier
of the population. Tax - price is minus the difference of their wastes, by arithmetic: the claims are about its size.
Worlds in which the price is below `IDENTITY` stay out of R2, where they could only help.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["CLAIMED", "CLAIMS", "IDENTITY", "Kind", "LawClaim"]

IDENTITY = 0.01
"""A World with a smaller price, in pass@1, is of the identity group of that arm."""

Kind = Literal["explained", "little waste", "predicted"]
"""See `LawClaim`."""

CLAIMED = ("darling-0.1", "darling_power-8", "pass_mix-0.5", "pass_at_k-4", "batch-0.8", "entropy-0.1", "maxrl-0")
"""The runs that claims are about; all others are described."""


@dataclass(frozen=True, slots=True)
class LawClaim:
    """One row.

    Attributes:
        run: "arm-strength".
        kind: what is claimed. "explained": R2 of the price for the tax, over Worlds with a price, is at least
            `threshold`. "little waste": the median over these Worlds of the absolute difference of wastes is at most
            `threshold`. "predicted": the median over all Worlds of the absolute error of the tax predicted from the
            World's settings, fitted on the other half of the Worlds, is at most `threshold`.
        threshold: see `kind`.
    """

    run: str
    kind: Kind
    threshold: float

    @property
    def id(self) -> str:
        """Short and stable."""
        return f"{self.kind.replace(' ', '-')}-{self.run}"

    @property
    def statement(self) -> str:
        """The claim in words."""
        said = {
            "explained": f"the frontier explains the tax: R2 >= {self.threshold:g}",
            "little waste": f"the waste differs little from the control's: median <= {self.threshold:g}",
            "predicted": f"the settings of a World predict the tax: median error <= {self.threshold:g}",
        }
        return f"{self.run}: {said[self.kind]}"


_THRESHOLDS: tuple[tuple[Kind, float], ...] = (("explained", 0.9), ("little waste", 0.01), ("predicted", 0.01))

CLAIMS: tuple[LawClaim, ...] = tuple(
    LawClaim(run, kind, threshold) for run in CLAIMED for kind, threshold in _THRESHOLDS
)
"""Bootstrap over Worlds, 95 % for all claims together (Bonferroni): supported if the whole interval lies on the
claimed side of the threshold, contradicted if it lies wholly on the other, inconclusive otherwise; not decidable where
fewer than half of the pilot's Worlds, or of the Worlds, have a price. The run ends with all 208 Worlds, whatever
they show; the page was laid out on the first of them, after the claims."""
