#!/usr/bin/env python3
"""vram-estimate given a folder or its config.json alone, against what llama.cpp allocates for the file that
convert_hf_to_gguf.py makes of it: small random models of the classes that hf_blueprint.c knows, made by transformers.
Then `--as TYPE` against the size of the file that llama-quantize really writes."""
import argparse
import collections
import json
import logging
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from check_vram_archs import SETS
from llama_allocations import Case, build, difference, estimate, measure

VOCAB = 4000
TYPES = ["q4_k_m", "q5_k_s", "q8_0"]
QUANTIZED = ["qwen3", "qwen3_5_moe", "gemma4", "glm4_moe"]


def sizes(**changes):
    base = dict(hidden_size=256, intermediate_size=768, num_hidden_layers=3, num_attention_heads=8,
                num_key_value_heads=2, head_dim=64, vocab_size=VOCAB, max_position_embeddings=8192, pad_token_id=0,
                bos_token_id=1, eos_token_id=2)
    return {key: value for key, value in (base | changes).items() if value is not ...}


EXPERTS = dict(moe_intermediate_size=256, num_experts=8, num_experts_per_tok=4)
LOCAL_EXPERTS = dict(num_local_experts=8, num_experts_per_tok=4)
DELTA = dict(linear_num_key_heads=4, linear_num_value_heads=8, linear_key_head_dim=32, linear_value_head_dim=32,
             linear_conv_kernel_dim=4, full_attention_interval=3)
EYE = dict(depth=1, num_hidden_layers=1, hidden_size=64, num_heads=2, num_attention_heads=2, out_hidden_size=256,
           intermediate_size=64)
SLIDING = ["sliding_attention", "sliding_attention", "full_attention"]
CONV = ["conv", "conv", "full_attention"]


LATENT = dict(head_dim=..., num_key_value_heads=8, q_lora_rank=128, kv_lora_rank=128, qk_nope_head_dim=64,
              qk_rope_head_dim=32, v_head_dim=64)
ROUTED = dict(moe_intermediate_size=256, n_routed_experts=8, num_experts_per_tok=4, n_shared_experts=1,
              first_k_dense_replace=1)
MAMBA2 = dict(mamba_n_heads=16, mamba_d_head=32, mamba_n_groups=1, mamba_d_state=32)
GRANITE4 = sizes(head_dim=..., num_hidden_layers=4, intermediate_size=256, shared_intermediate_size=256, **MAMBA2)
MIXED = dict(layer_types=["mamba", "attention"] * 2, position_embedding_type="nope")
NEMOTRON = sizes(num_hidden_layers=4, layers_block_type=["mamba", "moe", "attention", "moe"], mamba_num_heads=16,
                 mamba_head_dim=32, n_groups=2, ssm_state_size=32, n_routed_experts=8, num_experts_per_tok=2,
                 moe_intermediate_size=256, moe_shared_expert_intermediate_size=256, n_shared_experts=1)


def narrow(**changes):
    return dict(vocab_size=VOCAB, hidden_size=256, num_hidden_layers=3, num_attention_heads=8, **changes)


def seeing(text, **eye):
    return dict(text_config=text, vision_config=EYE | eye)


MODELS = {
    "qwen3": sizes(),
    "qwen3_next": sizes(**EXPERTS, **DELTA, shared_expert_intermediate_size=256),
    "qwen3_5": seeing(sizes(**DELTA)),
    "qwen3_5_moe": seeing(sizes(**EXPERTS, **DELTA, shared_expert_intermediate_size=256)),
    "qwen3_vl": seeing(sizes(), deepstack_visual_indexes=[0, 0]),
    "gemma3_text": sizes(sliding_window=512),
    "gemma4": seeing(sizes(sliding_window=512, global_head_dim=128, hidden_size_per_layer_input=64, layer_types=2 * SLIDING,
                           vocab_size_per_layer_input=VOCAB, num_kv_shared_layers=3, num_hidden_layers=6)),
    "gemma4 with experts": seeing(sizes(
        sliding_window=512, global_head_dim=128, hidden_size_per_layer_input=0, num_kv_shared_layers=0,
        enable_moe_block=True, num_experts=8, top_k_experts=4, moe_intermediate_size=256, attention_k_eq_v=True,
        num_global_key_value_heads=1, layer_types=SLIDING)),
    "lfm2": sizes(head_dim=..., conv_L_cache=3, layer_types=CONV, block_ff_dim=768, block_auto_adjust_ff_dim=True),
    "lfm2_moe": sizes(head_dim=..., conv_L_cache=3, layer_types=CONV, num_dense_layers=2, **EXPERTS),
    "glm4_moe": sizes(moe_intermediate_size=256, n_routed_experts=8, num_experts_per_tok=4, n_shared_experts=1,
                      first_k_dense_replace=1, use_qk_norm=True, num_nextn_predict_layers=0),
    "gpt_oss": sizes(**LOCAL_EXPERTS),
    "afmoe": sizes(**EXPERTS, num_shared_experts=1, num_dense_layers=1, sliding_window=512,
                   num_hidden_layers=4, layer_types=3 * SLIDING[:1] + SLIDING[2:]),
    "ernie4_5": sizes(),
    "hunyuan_v1_dense": sizes(),
    "exaone4": sizes(head_dim=..., sliding_window=512, sliding_window_pattern=4),
    "arcee": sizes(),
    "apertus": sizes(head_dim=...),
    "olmoe": sizes(head_dim=..., num_key_value_heads=8, num_experts=8, num_experts_per_tok=4),
    "granitemoe": sizes(head_dim=..., **LOCAL_EXPERTS),
    "nemotron": sizes(head_dim=32),
    "stablelm": sizes(head_dim=...),
    "starcoder2": sizes(head_dim=..., use_bias=True),
    "falcon": narrow(),
    "falcon with groups": narrow(num_kv_heads=2, new_decoder_architecture=True),
    "bloom": narrow(),
    "mamba": narrow(state_size=16),
    "falcon_mamba": narrow(state_size=16),
    "mamba2": narrow(num_heads=16, head_dim=32, state_size=32, n_groups=2),
    "gpt2": dict(vocab_size=VOCAB, n_embd=256, n_layer=3, n_head=8, n_positions=1024, n_ctx=1024),
    "gpt_bigcode": dict(vocab_size=VOCAB, n_embd=256, n_layer=3, n_head=8, n_positions=1024),
    "phi": sizes(head_dim=..., num_key_value_heads=..., intermediate_size=1024),
    "phi3": sizes(head_dim=...),
    "phimoe": sizes(head_dim=..., **LOCAL_EXPERTS, lm_head_bias=True, attention_bias=True),
    "olmo": sizes(head_dim=...),
    "olmo3": sizes(head_dim=..., num_hidden_layers=4, sliding_window=512),
    "llama4": seeing(sizes(intermediate_size=256, intermediate_size_mlp=768, num_hidden_layers=4, num_local_experts=8,
                           num_experts_per_tok=1, interleave_moe_layer_step=2)),
    "jamba": sizes(head_dim=..., num_hidden_layers=4, attn_layer_period=2, attn_layer_offset=1, expert_layer_period=2,
                   expert_layer_offset=1, num_experts=8, num_experts_per_tok=2, mamba_d_state=16),
    "falcon_h1": sizes(mamba_d_ssm=512, mamba_n_heads=16, mamba_d_head=32, mamba_d_state=32, mamba_n_groups=2),
    "nemotron_h": NEMOTRON,
    "nemotron_h latent": NEMOTRON | dict(moe_latent_size=128, moe_shared_expert_intermediate_size=512),
    "granitemoehybrid": GRANITE4 | MIXED | LOCAL_EXPERTS,
    "granitemoehybrid dense": GRANITE4 | MIXED | dict(num_local_experts=0, num_experts_per_tok=0),
    "granitemoehybrid alone": GRANITE4 | dict(layer_types=["attention"] * 4) | dict(num_local_experts=0, num_experts_per_tok=0),
    "granite": sizes(head_dim=...),
    "granitemoeshared": sizes(head_dim=..., **LOCAL_EXPERTS, shared_intermediate_size=256),
    "granite_swa": sizes(head_dim=..., num_hidden_layers=4, sliding_window=512),
    "glm": sizes(head_dim=32),
    "glm4v": seeing(sizes(head_dim=...)),
    "glm4v_moe": seeing(sizes(moe_intermediate_size=256, n_routed_experts=8, num_experts_per_tok=4, n_shared_experts=1,
                              first_k_dense_replace=1)),
    "glm4_moe_lite": sizes(**LATENT, **ROUTED),
    "deepseek_v3": sizes(**LATENT, **ROUTED | dict(n_group=2, topk_group=1)),
    "minicpm3": sizes(**LATENT | dict(v_head_dim=32)),
    "exaone_moe": sizes(**EXPERTS, num_hidden_layers=4, sliding_window=512, layer_types=3 * SLIDING[:1] + SLIDING[2:],
                        num_shared_experts=1, first_k_dense_replace=1, n_group=1, topk_group=1),
    "cohere": sizes(head_dim=...),
    "cohere2": sizes(head_dim=..., sliding_window=512, num_hidden_layers=4),
    "cohere2_moe": sizes(num_experts=8, num_experts_per_tok=4, sliding_window=512, num_hidden_layers=4),
    "gemma2": sizes(sliding_window=512),
    "gemma3n_text": sizes(num_hidden_layers=25, num_kv_shared_layers=0, hidden_size_per_layer_input=256, laurel_rank=64,
                          layer_types=5 * (4 * SLIDING[:1] + SLIDING[2:]), vocab_size_per_layer_input=VOCAB,
                          sliding_window=512, activation_sparsity_pattern=25 * [0.0]),
    "llava": seeing(sizes()),
    "smolvlm": seeing(sizes()),
    "lfm2_vl": seeing(sizes(head_dim=..., conv_L_cache=3, layer_types=CONV)),
    "qwen2_vl": seeing(sizes(head_dim=...)),
    "qwen2_5_vl": seeing(sizes(head_dim=...)),
    "qwen2_moe": sizes(head_dim=..., **EXPERTS, shared_expert_intermediate_size=512),
    "mixtral": sizes(head_dim=..., **LOCAL_EXPERTS),
    "glm4": sizes(),
    "seed_oss": sizes(),
    "smollm3": sizes(head_dim=...),
    "dots1": sizes(num_key_value_heads=8, **ROUTED),
    "ernie4_5_moe": sizes(head_dim=..., moe_num_experts=8, moe_k=2, moe_intermediate_size=384, moe_num_shared_experts=1,
                          moe_layer_start_index=1, moe_layer_interval=1),
}
# What published configs say in other words than those that this transformers writes.
SECTIONS = dict(text_config=dict(rope_scaling=dict(rope_type="default", mrope_section=[4, 6, 6])))
PUBLISHED = {
    "falcon": dict(num_kv_heads=1),
    "phimoe": dict(architectures=["PhiMoEForCausalLM"]),
    "cohere2": dict(rotary_pct=1.0),
    "dots1": dict(scoring_func="sigmoid"),
    "exaone_moe": dict(scoring_func="sigmoid"),
    "qwen2_vl": SECTIONS,
    "qwen2_5_vl": SECTIONS,
    "granitemoehybrid": MIXED,
    "granitemoehybrid dense": MIXED,
    "granitemoehybrid alone": dict(layer_types=["attention"] * 4),
    "smolvlm": dict(text_config=dict(architectures=["VLlama3ForCausalLM"])),
    "lfm2_vl": dict(text_config=dict(architectures=["Lfm2ForCausalLM"])),
}


def make_folder(name, folder):
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForImageTextToText
    options = MODELS[name]
    config = AutoConfig.for_model(name.split()[0], **options)
    torch.manual_seed(1)
    torch.set_default_dtype(torch.bfloat16)
    sees = "text_config" in options
    (AutoModelForImageTextToText if sees else AutoModelForCausalLM).from_config(config).save_pretrained(folder)
    torch.set_default_dtype(torch.float32)
    # published configs still carry these beside rope_parameters, and the converter asks for them
    saved = json.loads((folder / "config.json").read_text())
    text = saved.get("text_config", saved)
    for key in ("rope_theta", "partial_rotary_factor"):
        if key in (text.get("rope_parameters") or {}):
            text.setdefault(key, text["rope_parameters"][key])
    if name == "qwen3_vl":
        text["rope_scaling"] = {"mrope_section": [8, 12, 12], "rope_type": "default", "mrope_interleaved": True}
    for key, value in PUBLISHED.get(name, {}).items():
        saved[key] = saved[key] | value if isinstance(value, dict) else value
    if name == "phimoe":
        saved["rope_parameters"]["original_max_position_embeddings"] = 4096
    (folder / "config.json").write_text(json.dumps(saved))
    words = {f"t{i}": i for i in range(VOCAB)}
    (folder / "tokenizer.json").write_text(json.dumps({"model": {"vocab": words}, "added_tokens": []}))


def convert(folder, path):
    """convert_hf_to_gguf.py without a vocabulary: `tokenizer.ggml.model` is "none"."""
    import gguf
    import torch
    from conversion import ModelBase, ModelType, get_model_architecture, get_model_class

    def set_vocab(self):
        self.gguf_writer.add_tokenizer_model("none")
        self.gguf_writer.add_vocab_size(VOCAB)

    config = ModelBase.load_hparams(folder, False)
    known = get_model_class(get_model_architecture(config, ModelType.TEXT))
    members = {"set_vocab": set_vocab, "model_arch": known.model_arch, "no_mtp": True}
    with torch.inference_mode():
        type(known.__name__, (known,), members)(folder, gguf.LlamaFileType.MOSTLY_BF16, path, model_name="test").write()


def make(oracle, folder):
    sys.path[:0] = [str(oracle / "llama.cpp/gguf-py"), str(oracle / "llama.cpp")]
    os.environ |= {"TRANSFORMERS_VERBOSITY": "error", "TQDM_DISABLE": "1"}
    logging.disable(logging.WARNING)
    for name in MODELS:
        target = folder / name.replace(" ", "_")
        make_folder(name, target)
        convert(target, target.with_suffix(".gguf"))


def compare_memory(args, folder):
    """The number of models that differ in any set of options, from the file or from config.json."""
    files = sorted(folder.glob("*.gguf"))
    cases = [Case(path, **options) for path in files for options in SETS]
    theirs = measure(build(args.oracle, folder), cases)
    done = [(case, want) for case, want in zip(cases, theirs) if want]
    wrong = collections.Counter()
    asked = []
    for case, want in done:
        source = case.file.with_suffix("")
        asked += [(case._replace(file=path), want) for path in (case.file, source, source / "config.json")]
    with ThreadPoolExecutor(2) as pool:
        answers = pool.map(lambda ask: estimate(args.bin / "vram-estimate", ask[0]), asked)
        for (case, want), (ours, note) in zip(asked, answers):
            if ours != want:
                wrong[case.file.relative_to(folder)] += 1
                print(f"{case.file.relative_to(folder)}: {difference(ours, want) if ours else note}")
    measured = {case.file for case, _ in done}
    print(f"{len(measured)} of {len(files)} models measured in {len(done)} cases; from the file, its folder and its "
          f"config.json alone: {len(wrong)} differ")
    return len(wrong) + len(files) - len(measured)


def compare_types(args, folder):
    """`--as TYPE FOLDER` and the file that llama-quantize writes."""
    wrong = 0
    for name in QUANTIZED:
        source = folder / f"{name}.gguf"
        for kind in TYPES:
            target = folder / "quantized.gguf"
            subprocess.run([args.oracle / "bin/llama-quantize", source, target, kind], check=True, capture_output=True)
            weights = []
            for options in ([target], [folder / name, "--as", kind]):
                result = subprocess.run([args.bin / "vram-estimate", *options, "--cpu", "--json"], capture_output=True,
                                        text=True, check=True)
                weights.append(json.loads(result.stdout)["host"]["weights_bytes"])
            if weights[0] != weights[1]:
                print(f"{name} --as {kind}: {weights[1]}, really {weights[0]}")
                wrong += 1
    print(f"--as: {len(QUANTIZED) * len(TYPES) - wrong} of {len(QUANTIZED) * len(TYPES)} equal llama-quantize's files")
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", type=Path, required=True, help="folder of the built tools")
    parser.add_argument("--oracle", type=Path, default=Path("/nonexistent"), help="folder made by oracle.sh")
    parser.add_argument("--shared", type=Path, help="unused")
    args = parser.parse_args()
    if not (args.oracle / "llama.cpp").exists():
        print("skipped: no reference (oracle.sh)")
        return 0
    with tempfile.TemporaryDirectory() as tmp:
        make(args.oracle, Path(tmp))
        return compare_memory(args, Path(tmp)) + compare_types(args, Path(tmp)) != 0


if __name__ == "__main__":
    sys.exit(main())
