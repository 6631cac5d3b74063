"""Checks a task from end to end: its texts, its interface, and what a tokenizer makes of it."""

from __future__ import annotations

import random
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from twosome.decision import Decision
from twosome.errors import (
    EnvironmentFault,
    InvalidDecision,
    ModelError,
    TokenizationError,
    TwosomeError,
    first_line,
)
from twosome.evaluation.exact import JUDGED_AT
from twosome.functional.words import count_words
from twosome.principles.api import api_faults
from twosome.principles.checking import check
from twosome.principles.faults import Fault, Finding, collect, of_the_world
from twosome.principles.repeating import repeats
from twosome.principles.walking import Seen, Walk, walk
from twosome.runs.building import check_joiner
from twosome.settings.wording import worded
from twosome.success import UNKNOWN, Way
from twosome.text.guard import words_of
from twosome.text.states import traits
from twosome.text.tasks import gamma_of, open_task
from twosome.tokens.encoding import encode_decision, make_frame, special_tokens, specials_in
from twosome.tokens.prompting import PLAIN, Frame, Prompting

MOST_READ = 30_000
"""Phrases of random play that a tokenizer reads, each with its prompt; a thousand a decision would take hours."""


@dataclass(frozen=True)
class Report:
    """What a check found.

    Attributes:
        task: The task's name.
        model: The model whose tokenizer was used, or None.
        exhaustive: Whether every reachable state was seen, rather than those of random play.
        measures: Counts of what was looked at, and extremes, by name.
        success_by: How the world says what success is: told or paid (:mod:`twosome.success`), or None.
        findings: Errors first.
        skipped: Checks that were not made, and why.
    """

    task: str
    model: str | None
    exhaustive: bool
    measures: dict[str, int]
    success_by: Way | None
    findings: tuple[Finding, ...]
    skipped: dict[str, str]

    def count(self, severity: str) -> int:
        """How many kinds of faults of a severity there are."""
        return sum(finding.severity == severity for finding in self.findings)


def check_environment(
    task: str,
    *,
    model: str | None = None,
    environment: Mapping[str, Any] | None = None,
    decisions: int = 2000,
    seed: int = 0,
    elsewhere: bool = True,
    prompting: Prompting | None = None,
    say: bool | None = None,
) -> Report:
    """Check a task's environment.

    Args:
        task: See :func:`twosome.text.tasks.make_task`.
        model: Hub id, directory or GGUF file of the model whose tokenizer is used; None takes the embedded model, if it
            is there.
        environment: Further arguments of the environment.
        decisions: Of random play, where the world does not show its states.
        seed: Of random play.
        elsewhere: Also play seeded episodes in other processes, which takes a few seconds.
        prompting: How prompts and phrases are put to the model; default: joined as the environment says.
        say: Whether the model itself is loaded and asked what it would say; None if a model is named.

    Raises:
        ConfigError: If the task cannot be made, or its narrator contradicts its world.
        ModelError: If there is no such model.
    """
    skipped: dict[str, str] = {}
    environment = worded(task, environment or {}, model) if model is not None else environment
    reader = _reader(model, skipped)
    discount = gamma_of(task, JUDGED_AT)
    with open_task(task, **(environment or {})) as env:
        says = traits(env)
        prompting = prompting or Prompting(joiner="none" if says.joiner == "" else "space")
        check_joiner(says.joiner, prompting)
        frame = make_frame(reader.tokenizer, prompting) if reader is not None else PLAIN
        try:
            walked = walk(env, discount=discount, decisions=decisions, seed=seed)
            faults = [*check(walked), *api_faults(env), *_unsaid(walked)]
            found, why = repeats(env, task, environment or {}, seed, elsewhere=elsewhere)
        except TwosomeError:
            raise
        except (Exception, SystemExit) as error:  # whatever somebody's environment or narrator raises
            last = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{last.filename}, line {last.lineno}"
            raise EnvironmentFault(
                f"{task!r} raised {type(error).__name__} while it was walked through: {words_of(error)} ({where})"
            ) from None
    faults = [of_the_world(fault, quotes=says.quotes, replays=says.replays) for fault in [*faults, *found]]
    if why is not None:
        skipped["repeats"] = why
    if not walked.exhaustive:
        skipped["told-apart"] = "not every state was looked at, so the best actions are not known"
    measures = _measures(walked.seen, walked.exhaustive)
    if reader is not None:
        met = list(_valid(walked.seen))
        read = met if walked.exhaustive else _drawn(met, seed)
        if len(read) < len(met):
            skipped["the tokens of all decisions"] = (
                f"they have {_phrases(met):,} phrases; {len(read)} of the {len(met)} decisions were read, drawn by the "
                "seed, with that of most phrases and that of the longest prompt"
            )
        faults += check_tokens(reader.tokenizer, read, reader.context, frame)
        measures["longest_sentence_tokens"] = _longest(reader.tokenizer, read, frame)
    if say is None:
        say = model is not None
    if not say:
        skipped["likely"] = "no model was asked what it would say; name one with --model, without --tokenizer-only"
    elif any(fault.severity == "error" for fault in faults):
        skipped["likely"] = "there are errors; the model is asked once they are gone"
    elif reader is not None:
        faults += _unlikely(reader.name, walked, prompting, seed)
    return Report(
        task, reader.name if reader else None, walked.exhaustive, measures, walked.success_by, collect(faults), skipped
    )


def _unlikely(model: str, walked: Walk, prompting: Prompting, seed: int) -> list[Fault]:
    """Phrases that the model itself would hardly ever say."""
    from twosome.evaluation.phrases import PhraseScores
    from twosome.evaluation.unlikely import unlikely_phrases
    from twosome.runs.building import load_base
    from twosome.scorer import Scorer
    from twosome.settings.config import LoadingConfig

    scorer = Scorer(*load_base(model, LoadingConfig()), prompting=prompting)
    return list(unlikely_phrases(PhraseScores(scorer), walked.seen, seed))


def _unsaid(walked: Walk) -> Iterator[Fault]:
    if walked.success_by is None:
        where = "any way to an end" if walked.exhaustive else "the episodes of random play"
        yield Fault("success", "note", f"{UNKNOWN}; until then success is not counted", f"seen in {where}")


def check_tokens(
    tokenizer: Any, decisions: Sequence[Decision], context: int | None, frame: Frame = PLAIN
) -> Iterator[Fault]:
    """Yield where a tokenizer keeps a decision from being scored, or actions from being told apart.

    Args:
        tokenizer: A Hugging Face tokenizer.
        decisions: What to read.
        context: The most tokens the model reads, or None for no limit.
        frame: What is put around prompts.
    """
    specials = {**dict.fromkeys(frame.marks), **special_tokens(tokenizer)}
    unknown = getattr(tokenizer, "unk_token_id", None)
    for decision in decisions:
        try:
            encoded = encode_decision(tokenizer, decision, frame)
        except TokenizationError as error:
            yield Fault("tokens", "error", "an action has no tokens of its own after its prompt", str(error))
            continue
        if len(set(encoded.action_ids)) < len(encoded.action_ids):
            message = "two actions of a decision are the same tokens, so the model cannot tell them apart"
            yield Fault("tokens", "error", message, f"after {decision.prompt!r}: {decision.actions}")
        if unknown is not None and any(unknown in ids for ids in (encoded.prompt_ids, *encoded.action_ids)):
            message = "the tokenizer does not know some text, so the model cannot read it"
            yield Fault(
                "tokens", "warning", message, f"{frame.framed(decision.prompt)}{frame.gap}{decision.actions[0]}"
            )
        for content in specials_in(specials, decision, encoded):
            message = (
                "a text holds a special token, which the model does not read as text; leave it out unless it is meant"
                if specials[content] is not None
                else "a text holds what the chat template marks turns with; leave it out unless it is meant"
            )
            yield Fault("tokens", "warning", message, f"{content!r} in {decision.prompt!r}: {decision.actions}")
        longest = len(encoded.prompt_ids) + max(map(len, encoded.action_ids))
        if context is not None and longest > context:
            message = f"a prompt with its longest action has more than the {context} tokens that the model reads"
            yield Fault("context", "error", message, f"{longest} tokens: {decision.prompt[:60]!r}...")


@dataclass(frozen=True)
class _Reader:
    """A tokenizer, the name of its model, and the most tokens the model reads."""

    name: str
    tokenizer: Any
    context: int | None


def _reader(model: str | None, skipped: dict[str, str]) -> _Reader | None:
    """The tokenizer and context of a model, without its weights."""
    from twosome.models.loading import EMBEDDED, EMBEDDED_DIRECTORY, load_tokenizer, locate

    if model is None and not EMBEDDED_DIRECTORY.is_dir():
        skipped["tokens"] = skipped["context"] = "this copy of twosome has no embedded model; name one with --model"
        return None
    name = model or EMBEDDED
    return _Reader(name, load_tokenizer(name), _context(locate(name)[0], name))


def _context(source: str, name: str) -> int | None:
    from transformers import AutoConfig

    from twosome.scorer import context_length

    try:
        return context_length(SimpleNamespace(config=AutoConfig.from_pretrained(source, trust_remote_code=False)))
    except (OSError, ValueError) as error:
        raise ModelError(f"cannot read the configuration of the model {name!r}: {first_line(error)}") from None


def _valid(walked: Sequence[Seen]) -> Iterator[Decision]:
    """The different decisions of a walk; what cannot be scored at all has been reported elsewhere."""
    for prompt, actions in dict.fromkeys((seen.prompt, seen.actions) for seen in walked):
        with suppress(InvalidDecision):
            yield Decision(prompt, actions)


def _drawn(decisions: Sequence[Decision], seed: int) -> list[Decision]:
    """Decisions of about ``MOST_READ`` phrases in all, in the order in which they were met; all, if they have less.

    The widest and the longest are among them, as what does not fit is found there if anywhere.
    """
    if _phrases(decisions) <= MOST_READ:
        return list(decisions)
    order = random.Random(seed).sample(range(len(decisions)), len(decisions))
    extremes = [len(each.actions) for each in decisions], [len(each.prompt) for each in decisions]
    chosen, left = [sizes.index(max(sizes)) for sizes in extremes], MOST_READ
    for index in order:
        left -= len(decisions[index].actions)
        if left < 0:
            break
        chosen.append(index)
    return [decisions[index] for index in sorted(set(chosen))]


def _phrases(decisions: Sequence[Decision]) -> int:
    return sum(len(each.actions) for each in decisions)


def _measures(walked: Sequence[Seen], exhaustive: bool) -> dict[str, int]:
    counts = {"states": len(walked)} if exhaustive else {}
    return counts | {
        "decisions": len({(seen.prompt, seen.actions) for seen in walked}),
        "prompts": len({seen.prompt for seen in walked}),
        "phrases": len({action for seen in walked for action in seen.actions}),
        "longest_prompt_words": max((count_words(seen.prompt) for seen in walked), default=0),
    }


def _longest(tokenizer: Any, decisions: Sequence[Decision], frame: Frame) -> int:
    """Tokens of the longest sentence."""
    framed = {prompt: frame.framed(prompt) + frame.gap for prompt in {decision.prompt for decision in decisions}}
    sentences = sorted({framed[decision.prompt] + action for decision in decisions for action in decision.actions})
    read = tokenizer(sentences, add_special_tokens=frame.begins)["input_ids"] if sentences else []
    return max(map(len, read), default=0)
