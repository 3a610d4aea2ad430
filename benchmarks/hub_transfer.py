"""How fast the embedded Hub takes and gives a large file, and with how much memory, beside a plain copy of it.

Run: python benchmarks/hub_transfer.py [MiB]. The server is a process of its own; the client is zoo.hub, with the
unmodified huggingface_hub under it. Each upload is synced to the disk and hashed, by the client and by the server.
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
        return {
            "upload_mb_per_second": size / up / 1e6,
            "unchanged_upload_seconds": again,
            "download_mb_per_second": size / down / 1e6,
            "copy_mb_per_second": size / seconds(lambda: copy(content / "weights.gguf", folder / "copy")) / 1e6,
            "server_idle_mb": idle / 1e6,
            "server_peak_mb": peak_memory_bytes(server.pid) / 1e6,
        }
    finally:
        server.terminate()
        server.wait()


def main() -> None:
    size = int(sys.argv[1] if len(sys.argv) > 1 else 512) << 20
    results = {}
    for name, part_bytes in (("one piece", size), ("parts", 64 << 20)):
        with TemporaryDirectory() as folder:
            results[name] = transfer(size, part_bytes, Path(folder))
        print(f"{size >> 20} MiB in {name}:")
        for key, value in results[name].items():
            print(f"    {key:26}{value:10.1f}")
    print(json.dumps(results))


if __name__ == "__main__":
    main()
