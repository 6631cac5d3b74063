"""An agent as an object: ``Agent.load(run).decide(prompt, actions)``."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch

from twosome.deciding.beginnings import Beginnings, remembering
from twosome.deciding.judgement import Judgement
from twosome.decision import Decision
from twosome.errors import ConfigError
from twosome.functional.normalization import is_ours, resolve_normalization, sum_logits
from twosome.models.policy import LanguageModelPolicy
from twosome.runs.agents import Agent as Loaded
from twosome.runs.agents import LoadBase, load_agent
from twosome.runs.building import load_base
from twosome.runs.directory import CONFIG_FILE
from twosome.scoring.memory import LIMIT, Memory
from twosome.scoring.readers import PackedReader
from twosome.temperature import check_temperature
from twosome.tokens.prompting import Prompting
from twosome.types import ActionScores


class Agent:
    """A model that decides: which of some phrases, after a prompt, with which probability.

        agent = Agent.load("runs/tomato-salad")
        agent.decide("... you should now", ["chop the tomato", "serve the dish"])

    A decision gets the same bits whatever it is asked together with, in whatever order its actions stand, today and
    tomorrow: those of ``twosome score`` and of ``twosome serve``. May be asked from several threads; one computes.

    Args:
        loaded: Policy and configuration; :meth:`load` is the usual way to get them.
        temperature: What the policy's logits are divided by; 1 is the policy as it was trained. Default: what was
            fitted to it (``twosome calibrate``), else 1.
        threads: How many CPU threads to compute with. The bits are promised for equal numbers of them, and that nothing
            else in a batch changes them for 1.
        memory_limit: Bytes that answers may take which are remembered; the least recently used goes first.

    Raises:
        ConfigError: If the agent reads numbers, not words, or a setting is out of its range.
    """

    def __init__(
        self, loaded: Loaded, *, temperature: float | None = None, threads: int = 1, memory_limit: int = LIMIT
    ) -> None:
        if temperature is not None:
            check_temperature(temperature)
        if threads < 1:
            raise ConfigError(f"threads must be at least 1, got {threads}")
        self.loaded = loaded
        self.temperature = self.policy.temperature if temperature is None else temperature
        self.threads = threads
        self._normalize = resolve_normalization(self.policy.normalization)
        self._together = _same_in_company(self.policy)
        self._answers: Memory[Decision, Judgement] = Memory(memory_limit)
        # Of one state of the weights each: the critic reads with the adapter off.
        self._beginnings, self._frozen_beginnings = Beginnings(memory_limit), Beginnings(memory_limit)
        self._computing = threading.Lock()
        self._remembering = threading.Lock()  # of its own: a look at what is known must not wait for a computation

    @classmethod
    def load(
        cls,
        source: str | Path | None = None,
        *,
        model: str | None = None,
        normalization: str | None = None,
        prompting: Prompting | None = None,
        trust_remote_code: bool = False,
        temperature: float | None = None,
        threads: int = 1,
        memory_limit: int = LIMIT,
        load: LoadBase = load_base,
    ) -> Agent:
        """The agent of a run or an adapter, or an untrained model.

        Args:
            source: A run directory, an adapter directory, or else a model: hub id, directory, GGUF file; None for the
                embedded model.
            model: Base model of a run or adapter; default: the one it was trained on.
            normalization: Default: the run's, else ``word``.
            prompting: How prompts and phrases are put to a model that has no run to say so.
            trust_remote_code: Run code that comes with the model, if you trust its author.
            temperature: See :class:`Agent`.
            threads: See :class:`Agent`.
            memory_limit: See :class:`Agent`.
            load: How to get the base model; :class:`~twosome.deciding.bases.Bases` loads each but once.

        Raises:
            ConfigError: If a setting contradicts the run, or the agent reads numbers.
            RunError: If the run is damaged, or asks for code you do not trust.
            ModelError: If model or adapter cannot be loaded, or do not fit.
        """
        if source is not None and model is None and not _holds_agent(Path(source)):
            source, model = None, str(source)
        with computing_with(threads):
            loaded = load_agent(
                source,
                model=model,
                normalization=normalization,
                trust_remote_code=trust_remote_code,
                prompting=prompting,
                temperature=temperature,
                load=load,
            )
        return cls(loaded, temperature=temperature, threads=threads, memory_limit=memory_limit)

    @property
    def policy(self) -> LanguageModelPolicy:
        """The policy that it asks."""
        return self.loaded.language

    @property
    def trained(self) -> bool:
        """Whether trained weights were loaded."""
        return self.loaded.trained

    @property
    def has_critic(self) -> bool:
        """Whether it can say what it expects."""
        return self.policy.critic is not None

    def decide(self, prompt: str, actions: Sequence[str]) -> dict[str, float]:
        """The probability of each action after a prompt, in the order given; they sum to 1.

        Args:
            prompt: What the model reads, without white space at its end.
            actions: What it may do; no two alike.

        Raises:
            InvalidDecision: If prompt or actions break a rule of :class:`~twosome.decision.Decision`.
            TokenizationError: If the prompt is too long, or the tokenizer merges it with an action.
        """
        return self.judge([Decision(prompt, tuple(actions))])[0].by_action

    def judge(self, decisions: Sequence[Decision], *, values: bool = False) -> list[Judgement]:
        """All there is to say about some decisions; what is new among them is computed together.

        Args:
            decisions: What is asked; may repeat.
            values: Ask the critic, too, if there is one.

        Raises:
            TokenizationError: If a prompt is too long, or the tokenizer merges it with an action.
            NumericalError: If the model's numbers are none.
        """
        with self._computing, computing_with(self.threads), torch.no_grad():
            known: dict[Decision, Judgement] = {}
            missing: list[Decision] = []
            for decision in dict.fromkeys(decisions):
                answer = self.recall(decision)
                if answer is None:
                    missing.append(decision)
                else:
                    known[decision] = answer
            for answer in self._computed(missing):
                known[answer.decision] = answer
                self._keep(answer)
            answers = [known[decision] for decision in decisions]
            if not values or not self.has_critic:
                return [answer if answer.value is None else replace(answer, value=None) for answer in answers]
            unvalued = [answer for answer in answers if answer.value is None]
            expected = self._valued([answer.decision for answer in unvalued])
            for answer in unvalued:
                self._keep(replace(answer, value=expected[answer.decision.prompt]))
            return [replace(a, value=expected.get(a.decision.prompt, a.value)) for a in answers]

    def recall(self, decision: Decision, *, values: bool = False) -> Judgement | None:
        """The answer if it is remembered, at once, even while something else is computed.

        Args:
            decision: What is asked.
            values: Whether an answer without the critic's value will not do.
        """
        with self._remembering:
            answer = self._answers.get(decision)
        if answer is None or (values and self.has_critic and answer.value is None):
            return None
        return answer

    def check(self, decision: Decision) -> None:
        """Raise what :meth:`judge` would raise because of this decision alone, without reading anything.

        Its tokens stay remembered for that. May be asked while another thread judges, and does not wait for it.
        """
        self.policy.scorer.encode(decision)

    def _keep(self, answer: Judgement) -> None:
        with self._remembering:
            self._answers.put(answer.decision, replace(answer, remembered=True), _size(answer))

    def _computed(self, decisions: Sequence[Decision]) -> Iterator[Judgement]:
        scorer = self.policy.scorer
        for company in _companies(decisions, self._together):
            with remembering(scorer.reader, self._beginnings if self._together else None):
                scores = scorer.scores(company)
            logits, sums = self._logits(scores), sum_logits(scores).tolist()
            for row, decision in enumerate(company):
                encoded = scorer.encode(decision)
                lengths = tuple(map(len, encoded.action_ids))
                yield Judgement(
                    decision,
                    logits=tuple(logits[row][: len(lengths)]),
                    log_probabilities=tuple(sums[row][: len(lengths)]),
                    action_tokens=lengths,
                    prompt_tokens=len(encoded.prompt_ids),
                    cut_tokens=encoded.cut,
                    temperature=self.temperature,
                )

    def _logits(self, scores: ActionScores) -> list[list[float]]:
        """The policy's logits of each decision's actions."""
        if is_ours(self.policy.normalization):
            found: list[list[float]] = self._normalize(scores).tolist()
            return found
        # Each by itself, so that no normalisation sees how far its company is padded.
        logits = []
        for row, decision in enumerate(scores.decisions):
            widest = int(scores.token_mask[row].sum(-1).max())
            own = slice(row, row + 1), slice(len(decision.actions)), slice(widest)
            alone = ActionScores((decision,), scores.token_log_probs[own], scores.token_mask[own])
            logits.append(self._normalize(alone)[0].tolist())
        return logits

    def _valued(self, decisions: Sequence[Decision]) -> dict[str, float]:
        """What the critic expects after each prompt."""
        by_prompt = {decision.prompt: decision for decision in decisions}
        found: dict[str, float] = {}
        for company in _companies(list(by_prompt.values()), self._together):
            # (Where a frozen copy reads, in place of the same reader with its adapter off, nothing is remembered.)
            with remembering(self.policy.scorer.reader, self._frozen_beginnings if self._together else None):
                self.policy.features([decision.prompt for decision in company])
            # One at a time: a product of few rows rounds otherwise than one of many.
            found.update((decision.prompt, float(self.policy.values([decision])[0])) for decision in company)
        return found


def _holds_agent(path: Path) -> bool:
    """Whether a path is a run or an adapter, rather than a model."""
    return (path / CONFIG_FILE).is_file() or (path / "adapter_config.json").is_file()


def _companies(decisions: Sequence[Decision], together: bool) -> list[list[Decision]]:
    """Decisions that may be read together without a trace in any bit."""
    if together:
        return [list(decisions)] if decisions else []
    return [[decision] for decision in decisions]


def _same_in_company(policy: LanguageModelPolicy) -> bool:
    """Whether a decision has the same bits whatever it is read with.

    Packs on a CPU have that (:mod:`twosome.tokens.packing` says how). Rows that are padded to the longest have not;
    nor have experts, as how many rows each is given depends on the pack; nor is it known of a GPU's kernels.
    """
    model = policy.model
    experts = any("expert" in name.rpartition(".")[2] for name, _ in model.named_modules())
    return isinstance(policy.scorer.reader, PackedReader) and model.device.type == "cpu" and not experts


def _size(answer: Judgement) -> int:
    """Bytes a remembered answer takes, about."""
    texts = len(answer.decision.prompt) + sum(map(len, answer.decision.actions))
    return 4 * texts + 200 * len(answer.decision.actions)


@contextmanager
def computing_with(threads: int) -> Iterator[None]:
    """Let torch compute with so many threads while the context lasts."""
    before = torch.get_num_threads()
    if before == threads:
        yield
        return
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
