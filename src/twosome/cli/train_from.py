"""``twosome train --from JOURNAL [RUN]``: learn from decisions that were served, and what came of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twosome.errors import ConfigError
from twosome.terminal.parsing import Parser, add_policy_arguments, add_seed_argument, positive, prompting_of

if TYPE_CHECKING:
    from twosome.hindsight.learning import Learned
    from twosome.hindsight.selecting import Source
    from twosome.settings.config import RunConfig


def learn_from(words: list[str]) -> int:
    """Run the command."""
    arguments = _parser().parse_args(words)
    config, source = settings(arguments)
    out = Path(arguments.out or f"runs/from-{Path(arguments.journal).stem}-seed{arguments.seed}")
    from twosome.hindsight.learning import learn
    from twosome.terminal.waiting import waiting

    with waiting(f"learning from {arguments.journal}") as told:

        def stage(words: str) -> None:
            told.status = words

        learned = learn(config, source, out, stage)
    tell(learned, out)
    return 0


def settings(arguments: Any) -> tuple[RunConfig, Source]:
    """The run that the arguments describe, and which decisions of the journal are its agent's own."""
    from twosome.hindsight.selecting import Source
    from twosome.journal.records import adapter_digest
    from twosome.runs.starting import adopt, find_start
    from twosome.settings.config import JournalConfig, LoadingConfig, LoraConfig, RunConfig
    from twosome.temperature import weights_of
    from twosome.tokens.prompting import Prompting

    journal = JournalConfig(
        file=arguments.journal, held_out=arguments.held_out, least_effective=arguments.least_effective
    )
    given: dict[str, Any] = {"ppo": _learning(arguments), "journal": journal, "seed": arguments.seed}
    prompting, model, normalization = prompting_of(arguments), arguments.model, arguments.normalization
    loading = LoadingConfig(trust_remote_code=arguments.trust_remote_code)
    if arguments.source is None:
        config = RunConfig(
            model=model or "embedded",
            normalization=normalization or "word",
            prompting=prompting or Prompting(),
            lora=LoraConfig(targets="all-linear", top_layers=arguments.top_layers),
            loading=loading,
            **given,
        )
        return config, Source(None, config.normalization)
    if arguments.top_layers is not None:
        raise ConfigError("--top-layers shapes a new adapter, and this one is there already; leave it out")
    start = find_start(arguments.source)
    if start.config is not None:
        if prompting not in (None, start.config.prompting):
            raise ConfigError("a run knows how its prompts are put to its model; leave out --template and --joiner")
        if start.config.loading.trust_remote_code and not arguments.trust_remote_code:
            raise ConfigError("the run asks for code that comes with its model; if you trust it: --trust-remote-code")
        config = replace(start.config, algorithm="ppo", **given)
    else:
        config = RunConfig(prompting=prompting or Prompting(), loading=loading, **given)
    config = replace(config, start=arguments.source, normalization=normalization or config.normalization)
    if model is not None:
        config = replace(config, model=model)
    config = adopt(config, {"model"} if model is not None else set())
    return config, Source(adapter_digest(weights_of(Path(arguments.source))), config.normalization)


def tell(learned: Learned, out: Path) -> None:
    """Say what was learned from, what it is worth, and whether to believe it."""
    for reason, count in learned.left_out.items():
        print(f"left out: {count} decisions that {reason}")
    if learned.torn:
        print(f"left out: a last line of {learned.torn} bytes that was not written to its end")
    if learned.option_sets > 1:
        print(f"the decisions had {learned.option_sets} different sets of options")
    print(f"learned from {learned.decisions} decisions, measured on {learned.held_out} others:")
    for name, estimate in (("as served", learned.before), ("now", learned.after), ("gain", learned.gain)):
        print(
            f"  mean reward, {name + ':':<11}{estimate.value:+.3f} (95 %: {estimate.low:+.3f} to {estimate.high:+.3f})"
        )
    print(
        f"  effective sample size: {learned.effective:.1f} of {learned.held_out}, "
        f"largest weight {learned.largest_weight:.1f}"
    )
    for doubt in learned.doubts:
        print(f"not sound: {doubt}")
    print(f"the agent is in {out}")


def _learning(arguments: Any) -> Any:
    from twosome.algorithms.config import PPOConfig

    return PPOConfig(
        policy_learning_rate=arguments.learning_rate,
        epochs=arguments.passes,
        policy_minibatch=arguments.step,
        accumulation_steps=1,
        normalize_advantages="none",
        trust_region="tv",
        trust_radius=arguments.trust_radius,
        target_kl=None,
        entropy_coefficient=arguments.entropy,
        wait_for_reward=False,
    )


def _parser() -> Parser:
    parser = Parser(
        prog="twosome train --from",
        description="Learn from decisions that were served with --record and --sample, and their outcomes.",
    )
    parser.add_argument("--from", required=True, dest="journal", metavar="JOURNAL", help="file or directory of it")
    parser.add_argument(
        "source",
        nargs="?",
        metavar="RUN_OR_ADAPTER",
        help="the agent that was served and learns on; none for the untrained --model",
    )
    add_policy_arguments(parser)
    parser.add_argument("--out", help="run directory (default: runs/from-JOURNAL-seedN)")
    add_seed_argument(parser, "of weights, order and held-out share")
    parser.add_argument("--passes", type=positive, default=10, help="passes over the decisions (default: 10)")
    parser.add_argument("--learning-rate", type=float, default=1e-3, help="of the adapter's AdamW (default: 1e-3)")
    parser.add_argument("--step", type=positive, default=16, help="decisions in a step (default: 16)")
    parser.add_argument(
        "--trust-radius",
        type=float,
        default=0.5,
        help="total variation from the recorded policy beyond which no step takes a decision farther (default: 0.5)",
    )
    parser.add_argument("--entropy", type=float, default=0.0, help="weight of the exact entropy bonus (default: 0)")
    parser.add_argument(
        "--top-layers", type=positive, help="adapt the last so many layers only, which is quicker (default: all)"
    )
    parser.add_argument("--held-out", type=float, default=0.25, help="share that is only measured on (default: 0.25)")
    parser.add_argument(
        "--least-effective",
        type=float,
        default=30.0,
        help="fewest held-out decisions by weight for a sound estimate (default: 30)",
    )
    return parser
