"""What llama.cpp allocates, by allocations.cpp: on the CPU, or on pretended GPUs (pretended_gpu)."""
import json
import os
import subprocess
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
PARTS = ["weights", "kv_cache", "compute"]


class Case(NamedTuple):
    """A model and how it is run. flash: 1, 0 or -1 (auto); outputs: 0 for every token's."""
    file: Path
    ctx: int = 4096
    ubatch: int = 512
    batch: int = 2048
    seqs: int = 1
    unified: int = 0
    flash: int = 1
    type_k: str = "f16"
    type_v: str = "f16"
    swa_full: int = 0
    outputs: int = 0
    gpus: int = 0
    gpu_layers: int = 999

    @property
    def name(self):
        return self.file.name.split("-random-")[0] if "-random-" in self.file.name else self.file.name.rsplit("-", 1)[0]

    def line(self, number):
        words = [number, self.file, self.gpu_layers, self.ctx, self.ubatch, self.batch, self.seqs, self.unified, self.flash,
                 self.type_k, self.type_v, self.swa_full, self.outputs]
        return " ".join(map(str, words)) + "\n"

    def options(self):
        """The same for vram-estimate."""
        place = ["--cpu"] if not self.gpus else ["--gpu", f"{self.gpus}x1000GiB"] if self.gpus > 1 else []
        layers = ["--n-gpu-layers", self.gpu_layers] if self.gpus and self.gpu_layers < 999 else []
        return [str(word) for word in (
            *place, *layers, "--ctx", self.ctx, "--ubatch-size", self.ubatch, "--batch-size", self.batch, "--parallel",
            self.seqs, "--kv-unified" if self.unified else "--no-kv-unified", "--flash-attn",
            {1: "on", 0: "off", -1: "auto"}[self.flash], "--cache-type-k", self.type_k, "--cache-type-v", self.type_v,
            "--caller", "server" if self.outputs else "bindings", *(["--swa-full"] if self.swa_full else []))]


def build(oracle, folder):
    sources, libraries = oracle / "llama.cpp", (oracle / "bin").resolve()
    tool = folder / "allocations"
    includes = [f"-I{sources / name}" for name in (".", "include", "ggml/include", "src", "common", "vendor")]
    links = [f"-l{name}" for name in ("llama", "llama-common", "ggml", "ggml-base", "dl")]
    subprocess.run(["g++", "-std=c++17", "-o", tool, HERE / "allocations.cpp", *includes, f"-L{libraries}",
                    f"-Wl,-rpath,{libraries}", *links], check=True)
    return tool


def make(tool, folder, kinds):
    """Headers of test models of these kinds (allocations.cpp)."""
    for kind in kinds:
        subprocess.run([tool, "make", folder, kind], check=True, stderr=subprocess.DEVNULL, env=quiet())
    return sorted(folder.glob("*.gguf"))


def quiet(gpus=0):
    return os.environ | {"GGML_NO_BACKTRACE": "1", "PRETENDED_GPUS": str(gpus)}


def measure(tool, cases, library=None):
    """What llama.cpp allocates: {"GPU 0 weights": bytes, ..., "host compute": bytes} per case, None where it refuses."""
    results = [None] * len(cases)
    for gpus in sorted({case.gpus for case in cases}):
        lines = "".join(case.line(i) for i, case in enumerate(cases) if case.gpus == gpus)
        run = subprocess.run([tool, "measure", *([library] if gpus else [])], input=lines, stdout=subprocess.PIPE,
                             stderr=subprocess.DEVNULL, text=True, errors="replace", env=quiet(gpus), check=True)
        for line in run.stdout.splitlines():
            number, _, buffers = line.partition(" ")
            if number.isdigit() and buffers.endswith("}"):
                results[int(number)] = by_place(json.loads(buffers), gpus)
    return results


def by_place(buffers, gpus):
    cards = {f"CUDA{i}": f"GPU {i}" for i in range(gpus)}
    sums = {f"{place} {part}": 0 for place in (*cards.values(), "host") for part in PARTS}
    for buffer, sizes in buffers.items():
        for part in PARTS:
            sums[f"{cards.get(buffer, 'host')} {part}"] += sizes[part]
    return sums


def estimate(tool, case):
    """The same by vram-estimate, and whether it knows the architecture; or None and why not."""
    run = subprocess.run([tool, case.file, "--json", *case.options()], capture_output=True, text=True)
    if run.returncode != 0:
        return None, run.stderr.strip()
    ours = json.loads(run.stdout)
    places = {f"GPU {i}": device for i, device in enumerate(ours["devices"])} | {"host": ours["host"]}
    sums = {f"{place} {part}": sizes[part + "_bytes"] for place, sizes in places.items() for part in PARTS}
    return sums, ours["model"]["architecture_known"]


def error(ours, theirs):
    """How far the sums are off, as a fraction of all that is allocated."""
    if ours is None:
        return float("inf")
    return sum(abs(ours[key] - theirs[key]) for key in theirs) / max(sum(theirs.values()), 1)


def judge(cases, theirs, ours, odd=(), tolerance=0.0):
    """Print what is exact and what is not; the number of described architectures beyond the tolerance."""
    worst, known, measured = {}, {}, 0
    for case, want, (got, note) in zip(cases, theirs, ours):
        if want is None or (got is None and case.name in odd):
            continue
        measured += 1
        off = error(got, want)
        worst[case.name] = max(worst.get(case.name, 0), off)
        known[case.name] = known.get(case.name, True) and note is True
        if note not in (True, False) or (off > tolerance and note and case.name not in odd):
            print(f"{off:.2%} off: {case.file.name} {' '.join(case.options())}: {note if got is None else difference(got, want)}")
    exact = sorted(name for name in worst if worst[name] == 0)
    near = {name: worst[name] for name in sorted(worst) if worst[name] and known[name]}
    guessed = {name: worst[name] for name in sorted(worst) if worst[name] and not known[name]}
    print(f"{len(exact)} of {len(worst)} architectures exact to the byte in {measured} cases: {' '.join(exact)}")
    print("described, but not exact: " + " ".join(f"{name} {off:.2%}" for name, off in near.items()))
    print("guessed: " + " ".join(f"{name} {off:.0%}" for name, off in guessed.items()))
    return sum(off > tolerance for name, off in near.items() if name not in odd)


def difference(ours, theirs):
    return ", ".join(f"{key} {ours[key]}, llama.cpp {theirs[key]}" for key in theirs if ours[key] != theirs[key])
