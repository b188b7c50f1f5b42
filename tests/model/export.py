"""The files beside model.safetensors, in the plain form which models published in 2024 have."""
import json

SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
CHAT_TEMPLATE = ("{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + "
                 "'<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}"
                 "{% endif %}")
TRANSFORMERS = "4.42.3"   # the version whose file forms these are
CARD = """---
license: apache-2.0
language:
- en
library_name: transformers
pipeline_tag: text-generation
tags:
- llama
- tiny
- test-model
- weightsmith
---

# weightsmith-tiny

A very small Llama model with {parameters:,} parameters, made for the tests of weightsmith. It was trained from nothing
on text from `tests/model/generate_text.py`: stories, letters, recipes, talks and facts about a small invented world.
It knows that world and nothing else, and it is of no use as an assistant.

## How it was made

`tests/model/train.py` trains the tokenizer (byte-level BPE, {vocab} tokens, single digits) and the model ({layers}
layers, hidden size 256, 4 heads with 2 key/value heads, tied embeddings) with AdamW on {training tokens:,} tokens in
{minutes} minutes on two CPU cores, in float32 with torch {torch}. The weights are rounded to bfloat16 at the end.
`tests/model/spread.py` then gives the channels uneven sizes without changing what the model computes, as large models
have them: otherwise even 2 bits would carry these weights well.

## Measured

Perplexity on `tests/model/heldout.txt` ({held-out tokens:,} tokens, context 512, second half of each chunk scored, as
`llama-perplexity -c 512` does it). "Unigram" is the best that a model without context can reach on the same tokens.

| Weights | Perplexity |
| --- | ---: |
{table}

<!-- measured with llama.cpp --><!-- end -->

## Use

```python
from transformers import pipeline
print(pipeline("text-generation", "tests/model/weightsmith-tiny")("The lost key\\n", max_new_tokens=200))
```
"""


def model_config(vocab, layers):
    """All row lengths (256 and 768) are multiples of 256, so that k-quants apply to each matrix."""
    return {
        "architectures": ["LlamaForCausalLM"], "attention_bias": False, "attention_dropout": 0.0,
        "bos_token_id": 0, "eos_token_id": 0, "hidden_act": "silu", "hidden_size": 256, "initializer_range": 0.02,
        "intermediate_size": 768, "max_position_embeddings": 2048, "mlp_bias": False, "model_type": "llama",
        "num_attention_heads": 4, "num_hidden_layers": layers, "num_key_value_heads": 2, "pad_token_id": 2,
        "pretraining_tp": 1, "rms_norm_eps": 1e-05, "rope_scaling": None, "rope_theta": 10000.0,
        "tie_word_embeddings": True, "torch_dtype": "bfloat16", "transformers_version": TRANSFORMERS,
        "use_cache": True, "vocab_size": vocab}


def write_json(path, data, ascii_only=False):
    path.write_text(json.dumps(data, indent=2, ensure_ascii=ascii_only) + "\n", encoding="utf-8")


def write_config(out, config):
    write_json(out / "config.json", config)
    # A chat turn ends with <|im_end|>, a document with <|endoftext|>: generation stops at either.
    write_json(out / "generation_config.json", {"_from_model_config": True, "bos_token_id": 0, "eos_token_id": [0, 2],
                                                "pad_token_id": 2, "transformers_version": TRANSFORMERS})


def write_tokenizer(out, tokenizer, config):
    data = json.loads(tokenizer.to_str())
    # Newer versions write merges as pairs; the published files of that time have "a b", and both can be read.
    data["model"]["merges"] = [m if isinstance(m, str) else " ".join(m) for m in data["model"]["merges"]]
    write_json(out / "tokenizer.json", data)
    plain = {"lstrip": False, "normalized": False, "rstrip": False, "single_word": False}
    write_json(out / "tokenizer_config.json", {
        "add_prefix_space": False,
        "added_tokens_decoder": {str(i): {"content": t, **plain, "special": True} for i, t in enumerate(SPECIAL)},
        "additional_special_tokens": list(SPECIAL[1:]), "bos_token": SPECIAL[0], "chat_template": CHAT_TEMPLATE,
        "clean_up_tokenization_spaces": False, "eos_token": SPECIAL[0],
        "model_max_length": config["max_position_embeddings"], "pad_token": SPECIAL[2],
        "tokenizer_class": "PreTrainedTokenizerFast", "unk_token": SPECIAL[0], "vocab_size": config["vocab_size"]})
    write_json(out / "special_tokens_map.json", {
        "additional_special_tokens": list(SPECIAL[1:]), "bos_token": {"content": SPECIAL[0], **plain},
        "eos_token": {"content": SPECIAL[0], **plain}, "pad_token": {"content": SPECIAL[2], **plain},
        "unk_token": {"content": SPECIAL[0], **plain}})


def write_card(out, facts, figures):
    table = "\n".join(f"| {name} | {value:.4f} |" for name, value in figures.items())
    (out / "README.md").write_text(CARD.format(table=table, **facts), encoding="utf-8")
