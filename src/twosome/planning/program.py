"""What a training's own program takes of memory: measured here, in a process made of the same parts."""

from __future__ import annotations

from twosome.planning.memory_terms import Program
from twosome.planning.resident import draw_for_nothing, resident_bytes


def measure_imports() -> int:
    """Resident bytes after importing all that a training imports; asked first, before anything else is."""
    import peft  # noqa: F401
    import transformers  # noqa: F401

    import twosome.runs.trainer  # noqa: F401

    return resident_bytes()


def measure_program(imported: int, tokenizer: int) -> Program:
    """All that is measured: ``imported`` and ``tokenizer`` were before."""
    before = resident_bytes()
    _practise()
    running = max(0, resident_bytes() - before)
    return Program(imported, tokenizer, running, draw_for_nothing())


def _practise() -> None:
    """A reading, its gradient, and a step of both optimizers, on a model of two layers that is made up."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from twosome.decision import Decision
    from twosome.models.loading import EMBEDDED, add_adapter, load_tokenizer
    from twosome.models.policy import Critic, LanguageModelPolicy

    tokenizer = load_tokenizer(EMBEDDED)
    config = LlamaConfig(
        hidden_size=64, num_hidden_layers=2, num_attention_heads=2, intermediate_size=128, vocab_size=4096
    )
    model = LlamaForCausalLM(config).eval().requires_grad_(False)
    adapted = add_adapter(model, rank=2, alpha=4, targets="all-linear")
    policy = LanguageModelPolicy(adapted, tokenizer, Critic(64, [8]))
    decisions = [Decision(f"You see the {thing}. You should", ("take it", "go on")) for thing in ("plate", "bowl")]
    with torch.no_grad():
        policy.action_log_probs(decisions)
    optimizer = torch.optim.AdamW([*policy.actor_parameters(), *policy.critic_parameters()], fused=True)
    torch.autograd.backward(policy.action_log_probs(decisions)[:, 0].sum() + policy.values(decisions).sum())
    optimizer.step()
