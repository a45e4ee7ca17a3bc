"""`recsys ablate`."""

import os
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from pathlib import Path
from typing import NoReturn

from recsys.errors import InputError
from recsys.progress import step

ABOUT = """Whether searches help, proven or refuted: controls on the same data, a check for leaks, and a verdict.

Trains the model of --config with the real queries, with others' and with none that say anything, and the model without
searches beside it; every control is a normal run in OUTPUT/seed-N/. Writes OUTPUT/ablation.html, .json and .csv. What
is finished is not run again. Flags of `recsys fit`, such as --data.path, change the model of --config."""


class Parser(ArgumentParser):
    """Answers bad input with one sentence."""

    def error(self, message: str) -> NoReturn:
        """Raise what `recsys` turns into exit code 2."""
        raise InputError(f"{message[0].upper()}{message[1:]}. See: {self.prog} --help")


def main(args: list[str]) -> None:
    """Parse and run."""
    parser = Parser("recsys ablate", description=ABOUT, allow_abbrev=False, formatter_class=RawDescriptionHelpFormatter)
    parser.add_argument("--config", "-c", action="append", required=True, help="config of the model with searches")
    parser.add_argument(
        "--baseline", help="config of the model without (default: what the config's warm_start names, or sasrec_qilin)"
    )
    parser.add_argument("--output", default="ablation", help="folder of runs and results (default: %(default)s)")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4], help="seeds (default: 0 1 2 3 4)")
    parser.add_argument("--controls", nargs="+", default=[], help='by name, such as "late" (default: all)')
    parser.add_argument("--metric", default="ndcg@10", help="what gains are counted in (default: %(default)s)")
    own, fit = parser.parse_known_args(args)
    ablate(own.config, fit, own.baseline, Path(own.output), list(dict.fromkeys(own.seeds)), own.controls, own.metric)


def ablate(
    config: list[str],
    fit: list[str],
    baseline: str | None,
    output: Path,
    seeds: list[int],
    controls: list[str],
    metric: str,
) -> None:
    """Plan, run, compare, judge, write and say it."""
    os.environ.setdefault("WANDB_SILENT", "true")
    from recsys import ablation

    configs = [part for each in config for part in ("--config", each)]
    plan = ablation.plan(output, [*configs, *fit], baseline, seeds, controls, metric)
    ablation.carry_out(plan, step)
    evidence = ablation.collect(plan, metric, step)
    verdict = ablation.judge(evidence)
    page = ablation.write(output, evidence, verdict)
    print(f"{verdict.word.capitalize()}. {verdict.sentence}")
    for said in [*verdict.leaks, *verdict.doubts]:
        print(f"  - {said}")
    print(f"Wrote {page}, {page.with_suffix('.json').name} and {page.with_suffix('.csv').name}.")
