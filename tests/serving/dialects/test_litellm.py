"""litellm's client, in an environment of its own, for it would move our locks: every dialect, by the prefixes that it knows them by."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from vendor_world import VendorWorld

pytestmark = [pytest.mark.long, pytest.mark.slow, pytest.mark.timeout(900)]
CALLS = """
import json, sys
import litellm

url, key = sys.argv[1:]
asked = {"messages": [{"role": "user", "content": "what is the sum of 1 and 2 ?"}], "max_tokens": 50, "num_retries": 0}
openai = {"model": "openai/routemoa-single", "api_base": f"{url}/v1", "api_key": key}
anthropic = {"model": "anthropic/routemoa-single", "api_base": url, "api_key": key}
told = {}
for name, where in (("openai", openai), ("anthropic", anthropic)):
    whole = litellm.completion(**where, **asked)
    told[name] = [whole.choices[0].message.content, whole.usage.total_tokens]
    chunks = litellm.completion(**where, stream=True, **asked)
    told[f"{name} streamed"] = ["".join(chunk.choices[0].delta.content or "" for chunk in chunks), 1]
    try:
        litellm.completion(**{**where, "api_key": "rm-wrong"}, **asked)
    except litellm.AuthenticationError as exc:
        told[f"{name} refused"] = [type(exc).__name__, 1]
response = litellm.responses(**openai, input="what is the sum of 1 and 2 ?")
told["responses"] = [response.output[-1].content[0].text, response.usage.total_tokens]
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter that has litellm. Skips, visibly, where it cannot be fetched."""
    folder = tmp_path_factory.mktemp("litellm") / "venv"
    uv = [sys.executable, "-m", "uv"]
    subprocess.run([*uv, "venv", "-q", "--python", sys.executable, str(folder)], check=True)
    fetched = subprocess.run(
        [*uv, "pip", "install", "-q", "-p", str(folder / "bin" / "python"), "litellm>=1.80"], capture_output=True, text=True, check=False
    )
    if fetched.returncode:
        pytest.skip(f"litellm cannot be installed here: {fetched.stderr.strip().splitlines()[-1:]}")
    return folder / "bin" / "python"


def test_litellm_answers_by_every_dialect(python: Path, project: VendorWorld) -> None:
    """Whole, streamed and refused, in the classes that it has for errors."""
    with project.served() as server:
        command = [str(python), "-c", CALLS, server.url, server.key]
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, env={"LITELLM_LOCAL_MODEL_COST_MAP": "True", "PATH": "/usr/bin:/bin"}
        )
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads(done.stdout.strip().splitlines()[-1])
    assert {name for name in told if "refused" in name} == {"openai refused", "anthropic refused"}
    for name, (text, tokens) in told.items():
        assert "refused" in name or "sum of 1 and 2" in text, (name, text)
        assert tokens > 0
