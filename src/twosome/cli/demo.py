"""``twosome demo``: the main job, from nothing to a comparison, on any machine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from twosome.errors import RunError
from twosome.terminal.parsing import Parser, add_seed_argument, positive

if TYPE_CHECKING:
    from twosome.settings.config import RunConfig
    from twosome.types import Policy

TASK, PRETRAINED_TASK = "tomato-salad", "food-preparation"


def run(words: list[str]) -> int:
    """Run the command."""
    parser = Parser(
        prog="twosome demo",
        description="Train the embedded model on tomato salad, then compare it with chance, with itself before "
        "training, and with the optimum. With --model: train a pretrained one on food preparation, then measure it, "
        "untouched, on that and on the tasks of the same world that it has never seen.",
    )
    parser.add_argument("--model", help="a Hugging Face hub id, a directory, or a GGUF file")
    parser.add_argument("--out", help="run directory (default: runs/demo-seedN, or a numbered one beside it)")
    parser.add_argument("--decisions", type=positive, help="decisions to train for (default: the preset's)")
    parser.add_argument(
        "--episodes", type=positive, default=500, help="episodes for every row, without --model (default: 500)"
    )
    add_seed_argument(parser, "of the training")
    arguments = parser.parse_args(words)

    from twosome.cli.train import parse

    model = ["--model", arguments.model] if arguments.model else []
    task = PRETRAINED_TASK if arguments.model else TASK
    config, _ = parse([task, "--seed", str(arguments.seed), *model])
    if arguments.decisions is not None:
        config = replace(config, decisions=arguments.decisions)
    out = Path(arguments.out) if arguments.out else _free_directory(Path("runs") / f"demo-seed{config.seed}")

    from twosome.collector import importing

    with importing():
        from twosome.runs.trainer import train
        from twosome.terminal.display import training_display

    with training_display(config, out) as display:
        trained = train(config, out, display.update, on_stage=display.stage)
    if arguments.model:
        _pretrained(config, out, trained)
    else:
        _embedded(config, out, trained, arguments.episodes)
    return 0


def _embedded(config: RunConfig, out: Path, trained: Policy, episodes: int) -> None:
    """One table of played episodes."""
    from twosome.baselines import UniformPolicy
    from twosome.evaluation.optimum import optimal_play
    from twosome.evaluation.sampled import Evaluation, evaluate
    from twosome.runs.agents import load_agent
    from twosome.terminal.display import command_name, print_evaluations

    def measure(policy: Policy, greedy: bool = False) -> Evaluation:
        return evaluate(policy, config.task, episodes=episodes, gamma=config.ppo.gamma, greedy=greedy, seed=1)

    untrained = load_agent(model=config.model, normalization=config.normalization).policy
    rows = [
        ("uniform", measure(UniformPolicy())),
        ("before training (zero-shot)", measure(untrained)),
        ("after training, sampled", measure(trained)),
        ("after training, greedy", measure(trained, greedy=True)),
    ]
    print()
    print_evaluations(rows, optimal_play(config.task, config.ppo.gamma))
    print(f"\nThe run is in {out}. Watch it: {command_name()} play {config.task} --player model --agent {out}")


def _pretrained(config: RunConfig, out: Path, trained: Policy) -> None:
    """One table over tasks, computed over all states, and the report."""
    from twosome.baselines import UniformPolicy
    from twosome.cli.report import REPORT_FILE, record_episodes
    from twosome.evaluation.generalization import measure_on, tasks_like
    from twosome.evaluation.measurement import Subject
    from twosome.report import write_report
    from twosome.runs.agents import load_agent
    from twosome.settings.wording import carried
    from twosome.terminal.generalization import print_generalization
    from twosome.terminal.waiting import waiting

    tasks = (config.task, *tasks_like(config.task))
    given = {task: {**carried(config.environment, task), **config.narration} for task in tasks}
    given[config.task] = {**config.environment, **config.narration}
    untrained = load_agent(model=config.model, normalization=config.normalization, prompting=config.prompting).policy
    rows = {}
    for name, policy in (("uniform", UniformPolicy()), ("untrained", untrained), ("trained", trained)):
        with waiting(f"measuring the {name} policy on {len(tasks)} tasks"):
            rows[name] = list(measure_on(policy, Subject(name), tasks, given, (False,)))
    print()
    print_generalization(config.task, rows)
    record_episodes([out])
    write_report([out], out / REPORT_FILE)
    print(f"\nThe run is in {out}; {out / REPORT_FILE} is for any browser.")


def _free_directory(path: Path) -> Path:
    """``path``, or the first numbered one beside it that is free."""
    for number in range(1, 1000):
        candidate = path if number == 1 else path.with_name(f"{path.name}-{number}")
        if not candidate.exists():
            return candidate
    raise RunError(f"there are a thousand demo runs beside {str(path)!r}; remove some")
