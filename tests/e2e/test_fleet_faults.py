"""Issue 6, the checker: a fleet that is hurt at random keeps what it promised (tests/fault/fleet)."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from harness import scale
from harness.control import SERVER

PROGRAM = Path(__file__).resolve().parents[1] / "fault/fleet/main.py"

pytestmark = pytest.mark.skipif(SERVER is None, reason="no valkey-server")


@pytest.mark.begins_first
def test_a_fleet_that_is_hurt_keeps_its_promises(tmp_path):
    minutes = scale.pick(0.12, 30)
    done = subprocess.run([sys.executable, "-B", str(PROGRAM), "--minutes", str(minutes)], capture_output=True, text=True,
                          timeout=minutes * 60 + scale.seconds(120), cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["wrong"] == 0 and told["acknowledged"] > 0 and told["requests"] > 50
