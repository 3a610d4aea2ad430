"""Which system calls a program may make, as a seccomp filter: what is not named here is refused.

A program computes and prints. It gets memory, time and what Python's own exit needs; it opens nothing (files are not
there), starts nothing, signals nobody, sleeps never and has no sockets. Numbers are those of the kernel's tables for
64-bit x86 and ARM; the latter were read, not run.
"""

import errno
import platform
import struct

__all__ = ["filter_program"]

_X86_64, _AARCH64 = 0xC000003E, 0xC00000B7
"""Of `linux/audit.h`."""

_ALLOWED = {
    # read write close fstat lseek mmap mprotect munmap brk rt_sigaction rt_sigprocmask rt_sigreturn sched_yield mremap
    # madvise getpid exit gettimeofday sigaltstack gettid time futex clock_gettime clock_getres exit_group getrandom
    # membarrier rseq
    _X86_64: (0, 1, 3, 5, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 28, 39, 60, 96, 131, 186, 201, 202, 228, 229, 231, 318,
              324, 334),
    _AARCH64: (63, 64, 57, 80, 62, 222, 226, 215, 214, 134, 135, 139, 124, 216, 233, 172, 93, 169, 132, 178, 98, 113,
               114, 94, 278, 283, 293),
}  # fmt: skip
_NOT_THERE = {
    # open stat lstat access getcwd readlink getdents64 openat newfstatat readlinkat faccessat statx faccessat2
    _X86_64: (2, 4, 6, 21, 79, 89, 217, 257, 262, 267, 269, 332, 439),
    # the same without what this machine never had: openat newfstatat getdents64 getcwd readlinkat faccessat statx
    _AARCH64: (56, 79, 61, 17, 78, 48, 291, 439),
}
"""What asks for a file is told that there is none, so that `import numpy` and `open` fail with the words for it."""

_LOAD_WORD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_NUMBER_AT, _ARCHITECTURE_AT = 0, 4
_KILL, _ALLOW, _ERROR = 0x80000000, 0x7FFF0000, 0x00050000


def filter_program(machine: str = "") -> bytes | None:
    """The filter for this machine (`platform.machine()`), eight bytes an instruction (`struct sock_filter`).

    None where there is no table for it.
    """
    code = {"x86_64": _X86_64, "aarch64": _AARCH64}.get(machine or platform.machine())
    if code is None:
        return None
    verdicts = [(number, _ALLOW) for number in _ALLOWED[code]]
    verdicts += [(number, _ERROR | errno.ENOENT) for number in _NOT_THERE[code]]
    instructions = [
        (_LOAD_WORD, 0, 0, _ARCHITECTURE_AT),
        (_JUMP_IF_EQUAL, 1, 0, code),
        (_RETURN, 0, 0, _KILL),
        (_LOAD_WORD, 0, 0, _NUMBER_AT),
    ]
    for number, verdict in verdicts:
        instructions += [(_JUMP_IF_EQUAL, 0, 1, number), (_RETURN, 0, 0, verdict)]
    instructions.append((_RETURN, 0, 0, _ERROR | errno.EPERM))
    return b"".join(struct.pack("=HBBI", *one) for one in instructions)
