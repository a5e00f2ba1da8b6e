"""What limits the Hivemind experiment, and what was found wrong with it afterwards; its page prints both."""

from __future__ import annotations

__all__ = ["CORRECTIONS", "LIMITS"]

LIMITS = (
    "Policies that share demonstrations are alike by construction: only how much of it training leaves, and what is "
    "there without them, is found here.",
    "Shares of variance depend on which demonstrators, worlds and methods were chosen; no set of them is natural, and "
    "one distance of demonstrators was tried.",
    "What is gone is held against different questions, which share no record. Policies that share nothing are alike by "
    "chance, too: two even ones by .58. Above that level 0.44 is gone in priced, 0.29 in steep and 1.46 in free, where "
    "policies that share nothing end below it.",
    "Of the two methods of a pair, one may be the imitation that goes on. Between policies of one method 0.11, 0.12 "
    "and 0.20 of the similarity of a policy with itself is gone where they share neither demonstrator nor world; what "
    "other random draws do is part of that.",
    "The demonstrators' habits are opposed, so that policies that share nothing begin less alike (.53) than even ones "
    "(.58). Training adds 0.075 in priced, 0.093 in steep and 0.029 in free to this; up to 0.050 of it needs no more "
    "than that opposed habits are forgotten. In free they end 0.020 below even ones: there the claim that training "
    "makes them more alike holds, and says nothing of a common way that training leads to.",
    "GRPO on a coin for a reward adds 0.15 to the similarity within a policy in each place: as much of what GRPO adds "
    "(0.36, 0.40, 0.19) may be noise of updates at this learning rate.",
    "Some claims could hardly fail. Min-p at temperature 2 never sharpens a table's policy as top-p does. An untrained "
    "policy passes .8 on 0.88 more of the questions by words than by records, as DARLING does. Further demonstrations "
    "of an even demonstrator leave an even table even. One could hardly hold: in steep the best order itself is less "
    "alike above the floor than an even policy, because its queries repeat one word whatever is asked.",
    "Similarity of records knows no words, that of words idealises an encoder; neither is the paper's.",
    "With three kinds and two hops even policies are alike, and a table cannot tell questions of one cue apart.",
    "Demonstrators train from nothing here; the paper's models also share most of their pretraining.",
    "The paper's models differ in size, origin and data at once, so that it cannot tell causes apart either.",
)
"""Numbers with a digit before the point are means of the committed report; a test computes them again."""

CORRECTIONS = (
    "For want of time, a panel of weaker habits, two methods of each panel and some arms that no claim read were cut "
    "while the pilot ran, before any of its values had been looked at.",
    "Of 16 claims no room was computed at first, so that the checks said only that their pilot was not 0. It is now, "
    "but for the three on what is gone. The claims on variance, of which two were contradicted and one was "
    "inconclusive, are not decidable here for it: they ask for a share of .5, and three times that is more than a "
    "share can be. Those on what is gone ask for as much, and nothing bounds what they measure, which can pass 1.",
    "The claims on what is gone could hardly be supported. They ask for .5. Before training, where the demonstrator "
    "makes up 0.999 of the variance, 0.225 is gone in priced; if every policy followed its demonstrator's favourite "
    "order without exception, .58 to .59 would be. So contradicted means that training did not sharpen the "
    "demonstrators' habits. It does not mean that policies owe little to shared demonstrations.",
    "The claims on what is gone and those on the floor name the paper as their source. The paper measures similarity "
    "and suspects shared data; it makes none of the six. verdicts.md counts them among our own.",
    "The rollouts on HotpotQA were played again. As first published, its demonstrator was the script with four ways to "
    "ask, which the agent did not imitate; a quarter of the pairs of the agent at two temperatures shared their random "
    "numbers; intervals of different questions were half as wide as they should be; and a turn ended after 48 tokens, "
    "not after the agent's 64.",
)
