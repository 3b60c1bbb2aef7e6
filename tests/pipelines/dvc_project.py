"""A real DVC project with stages that take no time, for tests of what runs DVC."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
from ruamel.yaml import YAML

from pipelines import query_pool, tables

STAGE = """
import json, pathlib, sys, time
from registry.progress import Progress
name = sys.argv[1]
flag = pathlib.Path('stage-waits')
count = 3
for at in range(1, count + 1):
    print(Progress(f'{at} of {count}', at / count).line(), flush=True)
    while flag.exists() and at == 2:
        time.sleep(0.05)
if pathlib.Path('stage-fails').exists():
    sys.exit('The endpoint at http://127.0.0.1:9/v1 does not answer.')
pathlib.Path('build').mkdir(exist_ok=True)
pathlib.Path(f'build/{name}.txt').write_text(name)
with open('ran.log', 'a') as log:
    log.write(name + '\\n')
if name == 'gate':
    rows = pathlib.Path('data/queries.parquet').stat().st_size
    pathlib.Path('build/registered.json').write_text(json.dumps({'version': '7', 'rows': rows}))
    pathlib.Path('build/gate.json').write_text(json.dumps({'passed': True}))
"""


def make(home: Path) -> Path:
    """Two LLMs, a query, an `answer` stage for each LLM and a `gate` stage after them; `ran.log` lists what ran."""
    (home / "registry").mkdir(parents=True)
    entry = {"name": "A", "endpoint": None, "price": {"input": 1, "output": 1}}
    YAML().dump({"llms": {"first": entry, "second": dict(entry)}}, home / "registry" / "pool.yaml")
    (home / "stage.py").write_text(STAGE)
    shutil.copy(Path(__file__).parents[2] / "params.yaml", home)
    answer = {"cmd": "python stage.py ${key}", "deps": ["data/queries.parquet"], "outs": ["build/${key}.txt"]}
    gate = {"cmd": "python stage.py gate", "deps": ["build/first.txt", "build/second.txt"], "outs": ["build/gate.txt"]}
    stages = {"answer": {"foreach": "${llms}", "do": answer}, "gate": gate}
    YAML().dump({"vars": ["registry/pool.yaml"], "stages": stages}, home / "dvc.yaml")
    row = dict.fromkeys(tables.QUERIES.names, "x") | {"query_id": "q-1", "text": "What is one and one?", "choices": []}
    query_pool.write(pd.DataFrame([row]).to_dict("records"), home / "data" / "queries.parquet")
    for command in (["init", "--no-scm", "-q"], ["config", "core.analytics", "false"], ["add", "-q", "data"]):
        subprocess.run([sys.executable, "-m", "dvc", *command], cwd=home, check=True, env={**os.environ, "DVC_NO_ANALYTICS": "1"})
    return home


def ran(home: Path) -> list[str]:
    """The stages that ran, in order."""
    log = home / "ran.log"
    return log.read_text().split() if log.exists() else []
