"""What the first edition of the findings claimed, what was wrong, and why; written once, with the figures of both."""

from __future__ import annotations

__all__ = ["CORRECTIONS"]

CORRECTIONS = """\
The first edition (24 training seeds in one world, 512 test questions) is withdrawn. Its arithmetic was right; its
inference was not.

- *Intervals.* All cells shared one world and its questions, so intervals over seeds were about ten times too narrow:
  DARLING in `priced` was given as -.036 [-.037, -.035] of pass@1; over 24 worlds with the same training it is
  -.024 ± .003 in the population.
- *"Nearly all of the tax is avoidable (.035 of .036)"* held policies against a frontier fitted to the very test
  questions. In the population .014 of .024 is, with 256 training questions, and less with more.
- *"The tax is negative in `free` (+.014)"* is 0 by arithmetic: with equal kinds every order has the same pass@1.
- *"+.098 at matched breadth in `steep`"* is +.008 at equal pass@8: breadth is what the bonus pays for.
- Five claims could not have come out otherwise and five others were identities. Claims are now checked by a pilot on
  worlds kept apart before they are registered, and identities are shown as tests of the instrument.
- *Room* to fall was measured down to the start or to the best fixed order, and training can end below both; beside a
  named arm it was measured from that arm's control. That paying for meanings is broader than paying for words by .02
  was "contradicted" with room .293; beside the lexical arm it is .027, so the claim is not decidable here.
- *Other settings.* A sign that flips after fewer steps or at another learning rate makes a claim inconclusive; until
  December 2026 a claim that names an arm, or that is against a start, was not held to this. That set training buys the
  best answer of 8 rollouts, and of 24 queries, was "contradicted" (-.001 and -.003 where .005 was asked); after 40
  steps it is +.002 and +.001, also less than was asked, so both are inconclusive now."""
