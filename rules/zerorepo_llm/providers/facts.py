"""What litellm knows of models, asked in a process of its own: it takes seconds to load, and can be ended when it hangs.

The process gets no variable that looks like a secret. Knows nothing of tiers.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from zerorepo.errors import EnvironmentFailure
from zerorepo.redaction import is_secret_name


@dataclass(frozen=True, slots=True)
class Known:
    """Of one model; ``unknown`` says why litellm does not know it, else it is empty."""

    provider: str = ""
    base: str = ""
    """Where it would be asked; "" where that is litellm's own matter."""
    needs: tuple[str, ...] = ()
    """Variables with keys that litellm would look for when it is given none."""
    unknown: str = ""
    is_configured: bool = False
    """Whether ``base`` is the user's own: such a server may need no key."""


async def known(models: Mapping[str, tuple[str, str | None]]) -> dict[str, Known]:
    """For each model, given its name for litellm and the ``api_base`` that is configured for it.

    EnvironmentFailure when litellm does not load. The process ends with whoever waits for it.
    """
    boot = f"import sys; sys.path[:] = {sys.path!r}; from zerorepo_llm.providers.facts import main; main()"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", boot),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={name: value for name, value in os.environ.items() if not is_secret_name(name)},
    )
    try:
        said, wrong = await process.communicate(json.dumps(models).encode())
    finally:
        if process.returncode is None:
            process.kill()
            await asyncio.shield(process.wait())
    if process.returncode:
        lines = wrong.decode("utf-8", "replace").strip().splitlines()
        raise EnvironmentFailure(
            f"litellm cannot be loaded: {lines[-1] if lines else 'it said nothing'}", hint="pip install litellm"
        )
    found = json.loads(said)
    return {model: Known(**{**each, "needs": tuple(each["needs"])}) for model, each in found.items()}


def main() -> None:
    """The process: models on stdin, what is known of each on stdout."""
    from zerorepo_llm.providers.through_litellm import load_litellm

    models = json.load(sys.stdin)
    litellm = load_litellm()
    json.dump({model: asdict(_of(litellm, *each)) for model, each in models.items()}, sys.stdout)


def _of(litellm: Any, model: str, base: str | None) -> Known:
    try:
        _, provider, _, found = litellm.get_llm_provider(model, api_base=base)
    except Exception as error:  # noqa: BLE001  (litellm raises what it likes for a model that it does not know)
        return Known(unknown=str(error).splitlines()[0][:200] or type(error).__name__)
    needs = litellm.validate_environment(model).get("missing_keys") or ()
    return Known(str(provider), str(base or found or ""), tuple(needs), is_configured=base is not None)
