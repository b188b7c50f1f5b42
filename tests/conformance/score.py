"""What the conformance scripts share: counting checks, running programs."""
import subprocess

passed = failed = 0


def check(ok, what):
    global passed, failed
    passed, failed = passed + bool(ok), failed + (not ok)
    print(("ok   " if ok else "FAIL ") + what, flush=True)


def run(*command, **kw):
    kw = {"check": True, "capture_output": True, "text": True} | kw
    return subprocess.run([str(c) for c in command], **kw)


def finish():
    """The last line; returns the exit code."""
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0
