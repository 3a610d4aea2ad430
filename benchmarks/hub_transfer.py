"""How fast the embedded Hub takes and gives a large file, and with how much memory, beside a plain copy of it.

Run: python benchmarks/hub_transfer.py [MiB]. The server is a process of its own; the client is zoo.hub, with the
unmodified huggingface_hub under it. Each upload is synced to the disk and hashed, by the client and by the server; each
download is hashed by the client. The copy is synced too, and hashed by nobody.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from zoo import fingerprint, hub
from zoo.hub import Pinned
from zoo.local_hub import live

_SERVE = """
import sys
from pathlib import Path
from zoo.local_hub import serve
serve(Path(sys.argv[1]), part_bytes=int(sys.argv[2]))
"""


def peak_memory_bytes(process_id: int) -> int:
    lines = Path(f"/proc/{process_id}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def write_random(file: Path, size: int) -> None:
    with file.open("wb") as stream:
        for _ in range(size >> 20):
            stream.write(os.urandom(1 << 20))


def seconds(action: object) -> float:
    start = time.perf_counter()
    assert callable(action)
    action()
    return time.perf_counter() - start


def copy(source: Path, target: Path) -> None:
    shutil.copyfile(source, target)
    with target.open("rb") as stream:
        os.fsync(stream.fileno())


def transfer(size: int, part_bytes: int, folder: Path) -> dict[str, float]:
    root = folder / "hub"
    server = subprocess.Popen([sys.executable, "-c", _SERVE, str(root), str(part_bytes)])
    try:
        while (endpoint := live(root)) is None:
            time.sleep(0.05)
        idle = peak_memory_bytes(server.pid)
        content = folder / "content"
        content.mkdir()
        write_random(content / "weights.gguf", size)
        commits: list[str] = []
        up = seconds(lambda: commits.append(hub.upload(endpoint, "a/b", "model", content, "x", private=True)))
        again = seconds(lambda: commits.append(hub.upload(endpoint, "a/b", "model", content, "x", private=True)))
        down = seconds(lambda: hub.fetch(Pinned("a/b", "model", commits[0], endpoint), folder / "down"))
        assert commits[0] == commits[1]
        assert fingerprint.of_file(folder / "down" / "weights.gguf") == fingerprint.of_file(content / "weights.gguf")
        plain = seconds(lambda: copy(content / "weights.gguf", folder / "copy"))
        return {
            "upload_mb_per_second": size / up / 1e6,
            "unchanged_upload_seconds": again,
            "download_mb_per_second": size / down / 1e6,
            "copy_mb_per_second": size / plain / 1e6,
            "upload_times_a_copy": up / plain,
            "download_times_a_copy": down / plain,
            "server_idle_mb": idle / 1e6,
            "server_peak_mb": peak_memory_bytes(server.pid) / 1e6,
        }
    finally:
        server.terminate()
        server.wait()


def many(count: int, folder: Path) -> dict[str, float]:
    """Small files: as many requests as there are files, and what that costs beside a copy of the folder."""
    root = folder / "hub"
    server = subprocess.Popen([sys.executable, "-c", _SERVE, str(root), str(1 << 20)])
    try:
        while (endpoint := live(root)) is None:
            time.sleep(0.05)
        content = folder / "content"
        content.mkdir()
        for number in range(count):
            (content / f"{number}.txt").write_text(f"content {number}")
        commits: list[str] = []
        up = seconds(lambda: commits.append(hub.upload(endpoint, "a/b", "model", content, "x", private=True)))
        down = seconds(lambda: hub.fetch(Pinned("a/b", "model", commits[0], endpoint), folder / "down"))
        plain = seconds(lambda: shutil.copytree(content, folder / "copy"))
        return {
            "upload_files_per_second": count / up,
            "download_files_per_second": count / down,
            "copy_files_per_second": count / plain,
        }
    finally:
        server.terminate()
        server.wait()


def main() -> None:
    size = int(sys.argv[1] if len(sys.argv) > 1 else 512) << 20
    results: dict[str, dict[str, float]] = {}
    for name, part_bytes in (("one piece", size), ("parts", 64 << 20)):
        with TemporaryDirectory() as folder:
            results[name] = transfer(size, part_bytes, Path(folder))
        print(f"{size >> 20} MiB in {name}:")
        for key, value in results[name].items():
            print(f"    {key:26}{value:10.1f}")
    with TemporaryDirectory() as folder:
        results["400 small files"] = many(400, Path(folder))
    print("400 small files:")
    for key, value in results["400 small files"].items():
        print(f"    {key:26}{value:10.1f}")
    print(json.dumps(results))


if __name__ == "__main__":
    main()
