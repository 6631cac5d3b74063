"""``twosome demo``: the main job on the embedded model, from nothing to a comparison, on any machine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from twosome.cli.parsing import Parser, not_negative, positive
from twosome.errors import RunError

TASK = "tomato-salad"


def run(words: list[str]) -> int:
    """Run the command."""
    parser = Parser(
        prog="twosome demo",
        description="Train the embedded model on tomato salad, then compare it with chance, with itself before "
        "training, and with the optimum.",
    )
    parser.add_argument("--out", help="run directory (default: runs/demo-seedN, or a numbered one beside it)")
    parser.add_argument("--decisions", type=positive, help="decisions to train for (default: the preset's)")
    parser.add_argument("--episodes", type=positive, default=500, help="episodes for every row of the table")
    parser.add_argument("--seed", type=not_negative, default=0)
    arguments = parser.parse_args(words)

    from twosome.baselines import UniformPolicy
    from twosome.cli.display import command_name, print_evaluations, training_display
    from twosome.cli.train import parse
    from twosome.evaluation.optimum import optimal_play
    from twosome.evaluation.sampled import Evaluation, evaluate
    from twosome.runs.agents import load_agent
    from twosome.runs.trainer import train
    from twosome.types import Policy

    config, _ = parse([TASK, "--seed", str(arguments.seed)])
    if arguments.decisions is not None:
        config = replace(config, decisions=arguments.decisions)
    out = Path(arguments.out) if arguments.out else _free_directory(Path("runs") / f"demo-seed{config.seed}")
    with training_display(config, out) as display:
        trained = train(config, out, display.update, on_stage=display.stage)

    def measure(policy: Policy, greedy: bool = False) -> Evaluation:
        return evaluate(policy, TASK, episodes=arguments.episodes, gamma=config.ppo.gamma, greedy=greedy, seed=1)

    untrained = load_agent(model=config.model, normalization=config.normalization).policy
    rows = [
        ("uniform", measure(UniformPolicy())),
        ("before training (zero-shot)", measure(untrained)),
        ("after training, sampled", measure(trained)),
        ("after training, greedy", measure(trained, greedy=True)),
    ]
    print()
    print_evaluations(rows, optimal_play(TASK, config.ppo.gamma))
    print(f"\nThe run is in {out}. Watch it: {command_name()} play {TASK} --player model --agent {out}")
    return 0


def _free_directory(path: Path) -> Path:
    """``path``, or the first numbered one beside it that is free."""
    for number in range(1, 1000):
        candidate = path if number == 1 else path.with_name(f"{path.name}-{number}")
        if not candidate.exists():
            return candidate
    raise RunError(f"there are a thousand demo runs beside {str(path)!r}; remove some")
