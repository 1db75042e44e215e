"""`zoo doctor`: check the installation, the stores and the recorded studies, and repair the databases."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from zoo.cli import common

if TYPE_CHECKING:
    from zoo.diagnosis import Finding


@click.command("doctor")
@common.study_argument()
@click.option("--repair", is_flag=True, help="Make Optuna's and MLflow's record again from the event logs.")
@common.json_option
def command(study: str | None, repair: bool, as_json: bool) -> int:
    """Check the installation, the stores and the recorded studies; say what to do for each problem.

    Checks all recorded studies of this folder, or only STUDY. The exit status is 1 if there is a problem.
    """
    common.start_loading_keras()
    from zoo.diagnosis import diagnose, repair_studies

    names = [study] if study else []
    findings = diagnose(names)
    if repair and any(one.can_repair for one in findings):
        repair_studies(findings, common.display())
        findings = diagnose(names)
    if as_json:
        click.echo(json.dumps([asdict(one) for one in findings], indent=1))
    else:
        common.print_table([_row(one) for one in findings], indent="")
    if any(one.can_repair for one in findings) and not repair:
        common.print_next((f"zoo doctor{f' {study}' if study else ''} --repair", "repair the databases"))
    return 0 if all(one.is_ok for one in findings) else 1


def _row(finding: Finding) -> tuple[str, str, str]:
    fix = finding.fix or ("zoo doctor --repair" if finding.can_repair else "")
    if finding.is_ok:
        return "ok", finding.subject, finding.text
    return "problem", finding.subject, f"{finding.text}{f' → {fix}' if fix else ''}"
