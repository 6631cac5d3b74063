"""Chat templates, written for the tests: each way of marking turns, and each way in which a template is difficult."""

from __future__ import annotations

from typing import Any

from tests.tiny import byte_level

_EACH = "{%- for message in messages %}"
CHATML = (
    _EACH + "{{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"
)
DEFAULT_SYSTEM = (
    "{%- if messages[0].role != 'system' %}{{- '<|im_start|>system\\nYou are Tiny.<|im_end|>\\n' }}{%- endif %}"
    + CHATML
)
STUBBORN_SYSTEM = (
    "{%- set said = messages[0].content if messages[0].role == 'system' else '' %}"
    "{{- '<|im_start|>system\\n' + (said or 'You are Tiny.') + '<|im_end|>\\n' }}"
) + CHATML.replace("{{- '<|im_start|>' +", "{{- '' if message.role == 'system' else '<|im_start|>' +")
INST = (
    "{{- bos_token }}"
    + _EACH
    + "{%- if message.role == 'system' %}{{- '<<SYS>>\\n' + message.content + '\\n<</SYS>>' }}"
    "{%- elif message.role == 'user' %}{{- '[INST] ' + message.content.strip() + ' [/INST]' }}"
    "{%- else %}{{- ' ' + message.content + ' ' + eos_token }}{%- endif %}{%- endfor %}"
)
GEMMA = (
    "{{- bos_token }}"
    "{%- if messages[0].role == 'system' %}{{- raise_exception('System role not supported') }}{%- endif %}"
    + _EACH
    + "{{- '<start_of_turn>' + ('model' if message.role == 'assistant' else message.role) + '\\n' }}"
    "{{- message.content | trim }}{{- '<end_of_turn>\\n' }}{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<start_of_turn>model\\n' }}{%- endif %}"
)
WORDS = (
    _EACH + "{{- '### Response:\\n' if message.role == 'assistant' else '### Instruction:\\n' }}"
    "{{- message.content + '\\n\\n' }}"
    "{%- endfor %}{%- if add_generation_prompt %}{{- '### Response:\\n' }}{%- endif %}"
)
VICUNA = (
    _EACH + "{{- ('ASSISTANT: ' if message.role == 'assistant' else 'USER: ') + message.content + '\\n' }}{%- endfor %}"
    "{%- if add_generation_prompt %}{{- 'ASSISTANT: ' }}{%- endif %}"
)
CHANNELS = (
    _EACH
    + "{{- '<|start|>' + message.role }}{%- if message.role == 'assistant' %}{{- '<|channel|>final' }}{%- endif %}"
    "{{- '<|message|>' + message.content + '<|end|>' }}{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|start|>assistant' }}{%- endif %}"
)
PARTS = CHATML.replace("message.content", "message.content[0]['text']")
USABLE = {
    "ChatML": CHATML,
    "ChatML, default system text": DEFAULT_SYSTEM,
    "[INST]": INST,
    "Gemma": GEMMA,
    "words": WORDS,
    "a space behind": VICUNA,
    "channels": CHANNELS,
    "content in parts": PARTS,
}

ASSISTANT = "{{- '<|im_start|>assistant\\n' }}"
THINKS = CHATML.replace(ASSISTANT, "{{- '<|im_start|>assistant\\n<think>\\n' }}")
THINKS_AND_CLOSES = THINKS.replace(
    "message.role + '\\n'",
    "message.role + '\\n' + ('<think>\\n\\n</think>\\n\\n' if message.role == 'assistant' else '')",
)
THINKS_IF_ASKED = CHATML.replace(
    ASSISTANT,
    ASSISTANT + "{%- if enable_thinking is not defined or enable_thinking %}{{- '<think>\\n' }}"
    "{%- else %}{{- '<think>\\n\\n</think>\\n\\n' }}{%- endif %}",
)
CHANNEL_FIRST = GEMMA.replace(
    "{{- '<start_of_turn>model\\n' }}", "{{- '<start_of_turn>model\\n<|channel>thought\\n' }}"
)
CHANNEL_IF_ASKED = GEMMA.replace(
    "{{- '<start_of_turn>model\\n' }}",
    "{{- '<start_of_turn>model\\n' }}{%- if not enable_thinking %}{{- '<|channel>thought\\n<channel|>' }}{%- endif %}",
)
DATED = "{{- '<|im_start|>system\\nToday is ' + strftime_now('%d %B %Y, %H:%M') + '.<|im_end|>\\n' }}" + CHATML
DEFAULT_DATED = DEFAULT_SYSTEM.replace("You are Tiny.", "You are Tiny of ' + strftime_now('%Y-%m-%d') + '.")
DATE_UNUSED = "{%- if false %}{{- strftime_now('%Y') }}{%- endif %}" + CHATML
DEAF = CHATML.replace("message.content", "'...'")
NO_SYSTEM_SILENTLY = WORDS.replace(_EACH, _EACH + "{%- if message.role != 'system' %}").replace(
    "{%- endfor %}", "{%- endif %}{%- endfor %}"
)
NEEDS_TOOLS = "{{- tools | length }}" + CHATML
RANDOM = "{{- range(1000) | random }}" + CHATML


def instructed(template: str | None, bos: bool = False) -> Any:
    """A byte-level tokenizer with a chat template, whose ChatML marks are special tokens."""
    tokenizer = byte_level(bos=bos)
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})
    tokenizer.chat_template = template
    return tokenizer
