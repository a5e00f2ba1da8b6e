"""Tables of a grid's report, made from its numbers alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..report.format import NOTHING, Report, broken_note, markdown_table, plain, signed

__all__ = [
    "answer_table",
    "arm_table",
    "controls_table",
    "language_table",
    "middle_strength",
    "strength_table",
    "verdict_table",
]


def middle_strength(strengths: Iterable[str]) -> str:
    """The strength of an arm that claims are read at: the middle one in the order of the sweep."""
    names = list(strengths)
    return names[len(names) // 2]


def arm_table(report: Report, condition: str) -> str:
    """The arms of a condition at the strength that claims are read at."""
    arms, k = report["conditions"][condition]["arms"], report["group_k"]
    rows = []
    for arm in arms:
        strength = middle_strength(arms[arm])
        one = arms[arm][strength]
        difference = one.get("difference", {})
        rows.append(
            [
                arm + (f" ({strength})" if len(arms[arm]) > 1 else ""),
                plain(one["measures"]["pass@1"]),
                signed(difference.get("pass@1")),
                signed(one.get("matched"), of=len(one["worlds"])),
                plain(one["measures"][f"pass@{k}"]),
                signed(difference.get(f"pass@{k}")),
                plain(one["measures"]["breadth"]),
                plain(one["measures"]["kind_entropy"]),
                signed(one.get("price")),
                plain(one["waste"], 4),
                str(len(one["worlds"])),
            ]
        )
    header = [
        "arm", "pass@1", "minus control", f"at equal pass@{k}", f"pass@{k}", "minus control", "breadth",
        "kind entropy", "price", "waste", "worlds",
    ]  # fmt: skip
    return markdown_table(header, rows)


def verdict_table(report: Report) -> str:
    """Claims and verdicts."""
    rows = []
    for verdict in report["verdicts"]:
        claim = verdict["claim"]
        rows.append(
            [
                claim["statement"],
                claim["source"],
                claim["endpoint"],
                f"{claim['expected']} {claim['smallest_effect']:g}",
                signed(verdict["estimate"]),
                range_over_settings(verdict),
                _p_of(verdict),
                verdict["verdict"] + (f": {verdict['reason']}" if verdict["reason"] else ""),
            ]
        )
    return markdown_table(
        ["claim", "source", "endpoint", "expected", "ours", "other settings", "p (Holm)", "verdict"], rows
    )


def range_over_settings(verdict: Report) -> str:
    """The range of the difference over learning rates and lengths; a dash where the grid has none."""
    values = [row["value"] for row in verdict["settings"].values()]
    return f"{min(values):+.3f} to {max(values):+.3f}" if values else NOTHING


def _p_of(verdict: Report) -> str:
    """The p-value of contradiction if that is the verdict, of support otherwise."""
    p = verdict["p_contradicted" if verdict["verdict"] == "contradicted" else "p_supported"]
    return "–" if p is None else "<1e-4" if p < 1e-4 else f"{p:.2g}"


def language_table(report: Report, condition: str) -> str:
    """The arms of the language model: planned values, losses, actual values, and differences from their controls."""
    names = {
        "give_up_loss": "give-up loss", "execution_loss": "execution loss",
        "query_token_entropy": "query entropy per token", "policy_tokens": "policy tokens",
        "pass@1_plan": "planned pass@1, test questions", "pass@1": "pass@1, test questions",
    }  # fmt: skip
    k = report["group_k"]
    rows = []
    for arm, one in report["language_model"][condition].items():
        measures, difference = one["measures"], one.get("difference", {})
        rows.append(
            [
                arm,
                plain(measures["pass@1_population"]),
                signed(difference.get("pass@1_population")),
                signed(one.get("matched"), of=len(one["worlds"])),
                plain(measures[f"pass@{k}_population"]),
                signed(difference.get(f"pass@{k}_population")),
                plain(measures["breadth"]),
                plain(measures["kind_entropy"]),
                signed(one.get("price")),
                plain(one["waste"], 4),
                plain(one["greedy"]),
                *(plain(measures[name]) for name in names),
                signed(difference.get("pass@1")),
                plain(measures[f"pass@{k}"]),
                str(len(one["worlds"])) + broken_note(one),
            ]
        )
    header = [
        "arm", "pass@1", "minus control", f"at equal pass@{k}", f"pass@{k}", "minus control", "breadth",
        "kind entropy", "price", "waste", "planned pass@1, greedy", *names.values(), "minus control, test questions",
        f"pass@{k}, test questions", "worlds",
    ]  # fmt: skip
    return markdown_table(header, rows)


def answer_table(report: Report, condition: str) -> str:
    """Worlds with conflicting answers: the value of a group's answers to a user who weighs them at random."""
    arms = report["conditions"][condition]["arms"]
    names = ("searches", "choice@1", "choice@8", "choice@24_searches", "answers@8")
    rows = []
    for arm in arms:
        one = arms[arm][middle_strength(arms[arm])]
        row = [arm, *(plain(one["measures"][name]) for name in names)]
        rows.append([*row, signed(one.get("difference", {}).get("choice@8")), one.get("control", "–")])
    header = ["arm", "searches", *names[1:], "choice@8 minus control", "control"]
    return markdown_table(header, rows)


def controls_table(report: Report, condition: str) -> str:
    """Each arm against other ways to the same pass@k: stopping early, temperature, mixed weights."""
    arms, k = report["conditions"][condition]["arms"], report["group_k"]
    rows = []
    for arm in arms:
        one = arms[arm][middle_strength(arms[arm])]
        if "difference" not in one:
            continue
        of = len(one["worlds"])
        rows.append(
            [
                arm,
                one["control"],
                *(signed(one[name], of=of) for name in ("matched", "matched_by_temperature", "matched_by_mixing")),
                "–" if one["overtakes_at_k"] is None else str(one["overtakes_at_k"]),
            ]
        )
    header = [
        "arm", "control", "pass@1 against the control stopped early", "against the control at another temperature",
        "against mixed weights of its start and end", "above its control from k",
    ]  # fmt: skip
    note = (
        f"pass@1 minus the most that the control has with at least as much pass@{k}, along three curves of the "
        f"control. A dash means that the curve has that pass@{k} in fewer than half of the worlds. Above its control "
        "from k: the interval over worlds lies above 0 from this k on."
    )
    return f"{note}\n\n{markdown_table(header, rows)}"


def strength_table(report: Report, condition: str, names: Mapping[str, str]) -> str:
    """All strengths of the arms that have several; `names` says what the strength of an arm is."""
    arms, k = report["conditions"][condition]["arms"], report["group_k"]
    rows = [
        [
            arm,
            f"{names.get(arm, '')} {strength}".strip(),
            plain(one["measures"]["pass@1"]),
            plain(one["measures"][f"pass@{k}"]),
            plain(one["measures"]["breadth"]),
            signed(one.get("price")),
            plain(one["waste"], 4),
            signed(one.get("matched"), of=len(one["worlds"])),
        ]
        for arm, strengths in arms.items()
        if len(strengths) > 1
        for strength, one in strengths.items()
    ]
    header = ["arm", "strength", "pass@1", f"pass@{k}", "breadth", "price", "waste", f"pass@1 at equal pass@{k}"]
    return f"{condition}:\n\n{markdown_table(header, rows)}" if rows else f"{condition}: one strength each."
