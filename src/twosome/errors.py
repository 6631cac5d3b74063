"""The exceptions a caller of twosome may want to catch.

    TwosomeError
    |-- InvalidDecision      a prompt or an action list that cannot be scored
    |-- InadmissibleAction   an action index past the end of the admissible list
    |-- TokenizationError    a tokenizer that does not keep prompt and action apart
    |   `-- TooLong          a text longer than the model's context
    |-- ModelError           a model or adapter that cannot be loaded or scored exactly
    |-- ConfigError          an unknown or contradictory setting
    |-- EnvironmentFault     an environment that breaks its promises
    |-- NumericalError       a loss or gradient that is not finite
    |-- RemoteError          a decision server that cannot be asked, or whose answer cannot be used
    `-- RunError             a run directory that is missing, occupied or damaged
        `-- RunInUse         one that another process is writing

Every message says what was expected, what came instead and what to do. The command line prints it as one sentence
and exits with status 2.
"""


class TwosomeError(Exception):
    """Base of every error twosome raises on purpose."""


class InvalidDecision(TwosomeError, ValueError):
    """A prompt or an action list that cannot be scored."""


class InadmissibleAction(TwosomeError, IndexError):
    """An action index that is not in the admissible list of the current decision."""


class TokenizationError(TwosomeError, ValueError):
    """A tokenizer that does not keep prompt and action apart, or a text longer than the model's context."""


class TooLong(TokenizationError):
    """A prompt that does not fit into the model's context together with its longest action."""


class ModelError(TwosomeError):
    """A model, tokenizer or adapter that cannot be loaded, or cannot be scored exactly."""


class ConfigError(TwosomeError, ValueError):
    """An unknown, malformed or contradictory setting."""


class EnvironmentFault(TwosomeError):
    """An environment that breaks its promises: a reward that is not finite, an episode that does not replay."""


class NumericalError(TwosomeError, ArithmeticError):
    """A loss or gradient that is not finite; the weights are as they were before the step."""


class RemoteError(TwosomeError):
    """A decision server that cannot be asked, or whose answer cannot be used."""


class RunError(TwosomeError):
    """A run directory that is missing, occupied, unwritable or damaged."""


class RunInUse(RunError):
    """A run directory that another process is writing at the moment."""


def first_line(error: BaseException, most: int = 400) -> str:
    """What another library's error says, as far as it fits into a sentence; its kind where it says nothing.

    Args:
        error: The error.
        most: Characters that are kept.
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if not lines:
        return type(error).__name__
    # "Error(s) in loading state_dict for LlamaForCausalLM:" says nothing without what comes next: both sizes.
    return (" ".join(lines[:2]) if lines[0].endswith(":") else lines[0])[:most]


def kind_and_line(error: BaseException, most: int = 400) -> str:
    """The same with the kind of the error before it, for errors of which nothing is known."""
    said, kind = first_line(error, most), type(error).__name__
    return said if said == kind else f"{kind}: {said}"
