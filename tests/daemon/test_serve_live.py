"""`cellbench serve --live` as a service starts it: the process is the guardian, its child the daemon."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import httpx
import pytest

from bench.web.address import address_of
from tests.daemon.live_line import standing_line
from tests.daemon.test_command_line import PASSWORD, Shell
from tests.daemon.test_live import FOUR, KILLED_S

pytestmark = pytest.mark.scenario
LONG = pytest.mark.skipif(not os.environ.get("CELLBENCH_ALL"), reason="long: whole in ./scripts/soak")


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])


@LONG
async def test_a_live_daemon_runs_under_its_guardian_and_sigterm_leaves_a_safe_bench(tmp_path: Path) -> None:
    async with standing_line(tmp_path, FOUR) as line:
        shell = Shell(line.data)
        own = tmp_path / "sequences"
        own.mkdir()
        (own / "brief.yaml").write_bytes((Path(__file__).parent / "brief.yaml").read_bytes())
        await shell.user("lin", "operator")
        words = ("--bench", str(line.bench_file), "--live", "--sequences", str(own))
        async with shell.serving(*words) as url:
            daemon = address_of(line.data).pid
            guardian = parent_of(daemon)
            assert guardian != os.getpid()
            assert "live" in await shell.said("status")
            async with httpx.AsyncClient(base_url=f"{url}api/v1/", timeout=60.0) as asking:
                asked = {"name": "lin", "password": PASSWORD, "cookie": False}
                token = (await asking.post("login", json=asked)).json()["token"]
                asking.headers["Authorization"] = f"Bearer {token}"
                request = {
                    "sequence": "tests/brief",
                    "channel": "1",
                    "cell": "nmc-21700",
                    "overrides": {"length": "5 min"},
                }
                check = (await asking.post("check", json=request)).json()
                start = {"request": request, "plan_hash": check["plan_hash"]}
                run = await asking.post("runs", json=start, headers={"Idempotency-Key": "key-of-this-run"})
                assert run.status_code == 201, (check, run.json())
            await line.until("a current flows", lambda: line.carries("1"), 30.0)
            os.kill(guardian, signal.SIGTERM)
            await line.until("everything is off", lambda: not line.energised(), KILLED_S)
            await asyncio.sleep(0)
        assert not (line.data / "daemon.json").exists()
