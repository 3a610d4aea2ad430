import os
import subprocess
import sys
from pathlib import Path

import pytest

from zoo import fingerprint, records
from zoo.cache import Cache, Finished
from zoo.errors import CacheError, RunLocked
from zoo.records import Metric, StageRecord

KEY = "0" * 64


def record(folder: Path) -> StageRecord:
    files = {
        file.name: {"sha256": fingerprint.of_file(file), "bytes": file.stat().st_size} for file in folder.iterdir()
    }
    return StageRecord(
        name="rows", kind="data", version=1, key=KEY, settings={"tasks": 4}, inputs={}, seed=0,
        metrics={"rows": Metric(4, "rows")}, notes={"dropped": {}}, files=files, versions={}, hardware={},
        started="2026-01-01T00:00:00+00:00", seconds=1.5, peak_memory_bytes=1,
    )  # fmt: skip


def finished(cache: Cache) -> Finished:
    part = cache.begin(KEY)
    (part / "rows.jsonl").write_text("{}\n")
    return cache.finish(KEY, record(part))


def test_what_has_no_record_does_not_exist(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    part = cache.begin(KEY)
    (part / "rows.jsonl").write_text("{}\n")
    assert cache.find(KEY) is None
    (tmp_path / "stages" / KEY).mkdir()
    assert cache.find(KEY) is None


def test_a_finished_stage_is_found_as_it_was_recorded_and_its_scratch_is_gone(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    (cache.scratch(KEY) / "checkpoint").write_text("x")
    assert cache.has_scratch(KEY)
    done = finished(cache)
    found = cache.find(KEY)
    assert found == done
    assert found is not None and found.record.metrics["rows"] == Metric(4, "rows")
    assert not cache.has_scratch(KEY)
    cache.check_digests(found)


def test_what_a_crash_left_is_cleared_away_by_the_next_try(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    (cache.begin(KEY) / "half").write_text("x")
    assert list(cache.begin(KEY).iterdir()) == []


def test_a_missing_a_truncated_and_an_altered_file_are_each_named(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    done = finished(cache)
    file = done.folder / "rows.jsonl"
    file.write_text("[]\n")
    assert cache.find(KEY) is not None
    with pytest.raises(CacheError, match=r"rows\.jsonl has other content"):
        cache.check_digests(done)
    file.write_text("{")
    with pytest.raises(CacheError, match=r"rows\.jsonl has 1 bytes instead of 3"):
        cache.find(KEY)
    file.unlink()
    with pytest.raises(CacheError, match=r"rows\.jsonl is missing"):
        cache.find(KEY)
    (done.folder / records.RECORD_NAME).write_text("{")
    with pytest.raises(CacheError, match="no stage record"):
        cache.find(KEY)
    cache.forget(KEY)
    assert cache.find(KEY) is None


def test_a_lock_is_refused_to_another_process_and_goes_with_its_holder(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib; from zoo.cache import Cache\n"
        f"with Cache(pathlib.Path({str(tmp_path)!r})).lock('pocket'): print('held', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None and holder.stdout.readline() == "held\n"
    with pytest.raises(RunLocked, match=str(holder.pid)), Cache(tmp_path).lock("pocket"):
        pass
    os.kill(holder.pid, 9)
    holder.wait()
    holder.stdout.close()
    if holder.stdin:
        holder.stdin.close()
    with Cache(tmp_path).lock("pocket"):
        pass
