#!/usr/bin/env python3
"""Gives a trained model the uneven channels that large models grow, without changing what it computes.

A small model trained for minutes has even weights, which even 2 bits carry well. Models trained for long have
channels of very different size, and that is what makes quantization hard. Here each input channel of a matrix is
multiplied by a random factor, and what feeds it is divided by the same factor: the norm before q, k, v, gate and up;
the rows of v before o; the rows of up before down. In exact arithmetic nothing changes."""
import argparse
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file

HEADS, KV_HEADS = 4, 2


def factors(n, sigma, generator):
    return torch.exp(sigma * torch.randn(n, generator=generator))


def spread(weights, layer, sigma, generator):
    def get(name):
        return weights[f"model.layers.{layer}.{name}.weight"]

    for norm, fed in (("input_layernorm", ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj")),
                      ("post_attention_layernorm", ("mlp.gate_proj", "mlp.up_proj"))):
        s = factors(len(get(norm)), sigma, generator)
        get(norm).div_(s)
        for name in fed:
            get(name).mul_(s)
    s = factors(len(get("mlp.up_proj")), sigma, generator)
    get("mlp.up_proj").div_(s[:, None])
    get("mlp.down_proj").mul_(s)
    s = factors(len(get("self_attn.v_proj")), sigma, generator)
    get("self_attn.v_proj").div_(s[:, None])
    get("self_attn.o_proj").mul_(s.view(KV_HEADS, 1, -1).expand(-1, HEADS // KV_HEADS, -1).flatten())


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="folder of the model; its model.safetensors is replaced")
    parser.add_argument("--sigma", type=float, default=0.7, help="of the factors' logarithm (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=2)
    args = parser.parse_args()
    path = args.folder / "model.safetensors"
    with safe_open(path, "pt") as f:
        weights = {name: f.get_tensor(name).float() for name in f.keys()}
    generator = torch.Generator().manual_seed(args.seed)
    layers = sum(name.endswith("input_layernorm.weight") for name in weights)
    for layer in range(layers):
        spread(weights, layer, args.sigma, generator)
    save_file({name: w.to(torch.bfloat16) for name, w in weights.items()}, path, metadata={"format": "pt"})


if __name__ == "__main__":
    main()
