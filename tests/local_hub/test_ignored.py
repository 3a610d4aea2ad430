"""A `.gitignore`'s patterns, against what git itself says."""

import shutil
import subprocess
from pathlib import Path

import pytest

from zoo.local_hub.ignored import is_ignored, patterns

RULES = "\n".join(
    [
        "# comment",
        "*.log",
        "!keep.log",
        "/only-root.txt",
        "build/",
        "docs/*.html",
        "**/cache",
        "a/**/z",
        "data/**",
        "!data/x",
        "[ab]?.tmp",
        "\\!odd",
        "trailing.txt   ",
    ]
)
PATHS = [
    *("x.log", "sub/x.log", "keep.log", "sub/keep.log", "only-root.txt", "sub/only-root.txt", "build/x", "sub/build/x"),
    *("buildx", "docs/a.html", "docs/sub/a.html", "cache", "deep/er/cache", "cache/x", "a/z", "a/b/z", "a/b/c/z", "az"),
    *("data/x", "data/y", "data/x/y", "ac.tmp", "cc.tmp", "a.tmp", "!odd", "trailing.txt", "README.md"),
]


def test_it_decides_as_git_does(tmp_path: Path) -> None:
    git = shutil.which("git")
    if git is None:
        pytest.skip("git is not installed")
    subprocess.run([git, "init", "-q", str(tmp_path)], check=True)
    (tmp_path / ".gitignore").write_text(RULES)
    rules = patterns(RULES)
    for path in PATHS:
        outcome = subprocess.run([git, "-C", str(tmp_path), "check-ignore", "-q", "--no-index", path])
        assert is_ignored(path, rules) == (outcome.returncode == 0), path


def test_an_empty_gitignore_leaves_nothing_out() -> None:
    assert patterns("\n# only a comment\n\n") == ()
    assert not is_ignored("a", ())
