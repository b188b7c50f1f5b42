"""Small model folders, each odd in one way, for check_convert.py. Weights are random: only bytes are compared."""
import json
import shutil

import numpy as np
import torch
from safetensors.torch import save_file
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

ALL = ["auto", "f32", "f16", "bf16", "q8_0"]
TEXT = ["The quick brown fox jumps over the lazy dog, 1234 times; isn't that   much?\n"] * 4 + [
    "Wörter mit Umlauten, naïve café, 東京タワー, дом и сад\n", "\tdef main():\n        return {'a': [1, 2, 3]}\n"] * 4
LLAMA3_SPLIT = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
                r"|\s*[\r\n]+|\s+(?!\S)|\s+")


def llama_config(**changes):
    config = dict(architectures=["LlamaForCausalLM"], model_type="llama", hidden_size=64, intermediate_size=96,
                  num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=512,
                  rms_norm_eps=1e-5, rope_theta=10000.0, vocab_size=2000, tie_word_embeddings=False,
                  bos_token_id=1, eos_token_id=2, torch_dtype="bfloat16", transformers_version="4.44.0")
    config.update(changes)
    return {k: v for k, v in config.items() if v is not ...}


def llama_tensors(config, dtype=torch.bfloat16, biases=(), lm_head=True, extra=None):
    """All tensors of a Llama checkpoint for this configuration."""
    generator = torch.Generator().manual_seed(7)
    get = config.get
    hidden, ff, layers = get("hidden_size", 64), get("intermediate_size", 96), get("num_hidden_layers", 2)
    heads = get("num_attention_heads", 4)
    kv, dim = get("num_key_value_heads") or heads, get("head_dim") or hidden // heads
    vocab = get("vocab_size", 2000)
    shapes = {"model.embed_tokens.weight": (vocab, hidden), "model.norm.weight": (hidden,)}
    if lm_head:
        shapes["lm_head.weight"] = (vocab, hidden)
    rows = {"self_attn.q_proj": (heads * dim, hidden), "self_attn.k_proj": (kv * dim, hidden),
            "self_attn.v_proj": (kv * dim, hidden), "self_attn.o_proj": (hidden, heads * dim),
            "mlp.gate_proj": (ff, hidden), "mlp.up_proj": (ff, hidden), "mlp.down_proj": (hidden, ff)}
    for layer in range(layers):
        for name, shape in rows.items():
            shapes[f"model.layers.{layer}.{name}.weight"] = shape
            if name.split(".")[1] in biases:
                shapes[f"model.layers.{layer}.{name}.bias"] = shape[:1]
        for name in ("input_layernorm", "post_attention_layernorm"):
            shapes[f"model.layers.{layer}.{name}.weight"] = (hidden,)
    tensors = {name: (torch.randn(shape, generator=generator) * 0.3).to(dtype) for name, shape in shapes.items()}
    tensors.update(extra or {})
    return tensors


def byte_bpe(steps=None, vocab_size=500, special=("<unk>", "<s>", "</s>"), post=None, ignore_merges=False):
    """A byte-level BPE tokenizer trained on a few lines."""
    tokenizer = Tokenizer(models.BPE(ignore_merges=ignore_merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(steps or [
        pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(TEXT, trainers.BpeTrainer(
        vocab_size=vocab_size, special_tokens=list(special), show_progress=False,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet())))
    if post:
        tokenizer.post_processor = post
    return tokenizer


def llama_bpe():
    """SentencePiece's BPE as the tokenizers library writes it: byte fallback, U+2581 for spaces."""
    base = ["<unk>", "<s>", "</s>"] + [f"<0x{b:02X}>" for b in range(256)] + ["▁", "t", "h", "e", "a", "▁t", "he", "▁the"]
    merges = [("▁", "t"), ("h", "e"), ("▁t", "he")]
    tokenizer = Tokenizer(models.BPE({t: i for i, t in enumerate(base)}, merges, byte_fallback=True, fuse_unk=True,
                                     unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    tokenizer.add_special_tokens(["<unk>", "<s>", "</s>"])
    return tokenizer


def bos_template(first="<s>", last=None, pair_last=None):
    tail = f" {last}" if last else ""
    tokens = [(first, 1)] + ([(last, 2)] if last else [])
    return processors.TemplateProcessing(single=f"{first} $A{tail}", pair=f"{first} $A{tail} {first} $B{tail}",
                                         special_tokens=tokens)


class Maker:
    """Writes folders below `root`; remembers (folder, types, name of the pre-tokenizer that the reference is told)."""

    def __init__(self, root, spm):
        self.root, self.spm, self.folders = root, spm, []

    def add(self, name, config=None, tensors=None, types=("auto",), spm=True, tokenizer=None, pre=None,
            tokenizer_config=None, files=None, shards=1):
        folder = self.root / name
        folder.mkdir(parents=True)
        config = config or llama_config()
        if tokenizer is not None:
            spm = False
            tokenizer.save(str(folder / "tokenizer.json"))
        if spm:
            shutil.copy(self.spm, folder / "tokenizer.model")
        if tokenizer_config is None:
            tokenizer_config = {"add_bos_token": True, "add_eos_token": False, "bos_token": "<s>", "eos_token": "</s>",
                                "tokenizer_class": "LlamaTokenizer" if spm else "PreTrainedTokenizerFast"}
        if tokenizer_config:
            self.write(folder / "tokenizer_config.json", tokenizer_config)
        self.write(folder / "config.json", config)
        for file, content in (files or {}).items():
            (folder / file).parent.mkdir(exist_ok=True)
            self.write(folder / file, content)
        self.save(folder, tensors if tensors is not None else llama_tensors(config), shards)
        self.folders.append((folder, list(types), pre))

    @staticmethod
    def write(path, content):
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            path.write_text(content if isinstance(content, str) else json.dumps(content, ensure_ascii=False, indent=1))

    @staticmethod
    def save(folder, tensors, shards):
        names = list(tensors)
        if shards == 1:
            save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
            return
        index = {}
        for i in range(shards):
            file = f"model-{i + 1:05}-of-{shards:05}.safetensors"
            part = {n: tensors[n] for n in names[i::shards]}
            save_file(part, folder / file)
            index.update(dict.fromkeys(part, file))
        (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": index}))


def add_shapes(m):
    config = llama_config()
    m.add("plain", types=ALL)
    m.add("biases", llama_config(attention_bias=True, mlp_bias=True), types=ALL, tensors=llama_tensors(
        config, biases=("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")))
    m.add("qkv-biases", llama_config(), llama_tensors(config, biases=("q_proj", "k_proj", "v_proj")))
    m.add("tied", llama_config(tie_word_embeddings=True), llama_tensors(config, lm_head=False), types=ALL)
    m.add("tied-with-head", llama_config(tie_word_embeddings=True))
    m.add("untied-without-head", llama_config(), llama_tensors(config, lm_head=False))
    for heads, kv, dim in ((4, 4, 32), (4, 1, 8), (2, 2, 48), (8, 4, 16)):
        m.add(f"heads-{heads}-{kv}-{dim}",
              llama_config(num_attention_heads=heads, num_key_value_heads=kv, head_dim=dim), types=["f32", "q8_0"])
    m.add("rows-not-of-32", llama_config(hidden_size=40, intermediate_size=72, num_attention_heads=2,
                                         num_key_value_heads=1), types=ALL)
    m.add("layers-12", llama_config(num_hidden_layers=12))
    m.add("wide-row", llama_config(hidden_size=32, intermediate_size=17024, num_hidden_layers=1), types=["q8_0", "f16"])
    m.add("vocab-2100", llama_config(vocab_size=2100))
    m.add("vocab-1900", llama_config(vocab_size=1900))
    m.add("sharded", shards=3, types=ALL)
    m.add("old-tables", config, llama_tensors(config, extra={
        f"model.layers.{i}.self_attn.rotary_emb.inv_freq": torch.rand(8) for i in range(2)}))
    m.add("mistral", llama_config(architectures=["MistralForCausalLM"], model_type="mistral", sliding_window=256,
                                  head_dim=32), types=ALL)


def add_dtypes(m):
    config = llama_config()
    for name, dtype in (("float32", torch.float32), ("float16", torch.float16), ("float64", torch.float64)):
        m.add(f"dtype-{name}", config, llama_tensors(config, dtype=dtype), types=ALL)
    mixed = llama_tensors(config, dtype=torch.float32)
    mixed["lm_head.weight"] = mixed["lm_head.weight"].to(torch.float16)
    mixed["model.embed_tokens.weight"] = mixed["model.embed_tokens.weight"].to(torch.bfloat16)
    m.add("dtype-mixed", config, mixed, types=ALL)
    edges = llama_tensors(config, dtype=torch.float32)
    down = edges["model.layers.0.mlp.down_proj.weight"]
    down[0] = 0
    down[1, :8] = torch.tensor([65519.0, 65520.0, -65520.0, 1e9, -1e30, 6e-8, 2e-8, 1e-40])
    down[2] = torch.linspace(-1, 1, down.shape[1]) * 1e-6
    down[3, :4] = torch.tensor([127.5, -127.5, 0.5, 1.5])
    down[4] = 3.0
    m.add("dtype-edges", config, edges, types=ALL)


def add_configs(m):
    rope = {
        "linear-old": dict(rope_scaling={"type": "linear", "factor": 2.0}),
        "linear-new": dict(rope_parameters={"rope_type": "linear", "factor": 4, "rope_theta": 5000.0}, rope_theta=...),
        "dynamic": dict(rope_scaling={"type": "dynamic", "factor": 2.0}),
        "yarn": dict(rope_scaling={"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 128,
                                   "beta_fast": 32, "beta_slow": 1, "attention_factor": 1.1}),
        "yarn-short": dict(rope_scaling={"rope_type": "yarn", "factor": 4.0}),
        "longrope": dict(rope_scaling={"rope_type": "longrope", "short_factor": [1.0] * 8, "long_factor": [2.0] * 8}),
        "unknown": dict(rope_scaling={"rope_type": "whatever", "factor": 2.0}),
        "int-theta": dict(rope_theta=1000000),
        "none": dict(rope_theta=...),
        "null": dict(rope_theta=None, rope_scaling=None),
        "llama3": dict(rope_theta=500000.0, head_dim=64, rope_scaling={
            "rope_type": "llama3", "factor": 32.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
            "original_max_position_embeddings": 8192}),
        "llama3-128": dict(rope_theta=500000.0, head_dim=128, max_position_embeddings=2048, rope_scaling={
            "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
            "original_max_position_embeddings": 256}),
        "llama3-no-context": dict(head_dim=32, rope_scaling={
            "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}),
        "llama3-incomplete": dict(head_dim=32, rope_scaling={"rope_type": "llama3", "factor": 4.0}),
    }
    for heads, dim, base in ((4, 96, 500000.0), (2, 112, 500000.0), (4, 48, 1e6), (1, 256, 5e6), (2, 80, 10000.0)):
        rope[f"llama3-{dim}"] = dict(rope_theta=base, head_dim=dim, num_attention_heads=heads, num_key_value_heads=1,
                                     max_position_embeddings=4096, rope_scaling={
            "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
            "original_max_position_embeddings": 2048})
    for name, changes in rope.items():
        m.add(f"rope-{name}", llama_config(**changes), types=["auto", "q8_0"])
    m.add("config-short", llama_config(num_key_value_heads=..., rms_norm_eps=..., max_position_embeddings=...),
          llama_tensors(llama_config(num_key_value_heads=4)))
    m.add("config-nulls", llama_config(num_key_value_heads=None, head_dim=None))
    m.add("config-mistral-short", llama_config(architectures=["MistralForCausalLM"], model_type="mistral",
                                               num_attention_heads=8, num_key_value_heads=...,
                                               max_position_embeddings=...),
          llama_tensors(llama_config(num_attention_heads=8, num_key_value_heads=8)))
    m.add("config-no-type", llama_config(model_type=...))
    m.add("config-odd-heads", llama_config(hidden_size=64, num_attention_heads=3, num_key_value_heads=3, head_dim=16))
    m.add("config-extra", llama_config(layer_norm_eps=1e-6, is_causal=False, _name_or_path="some-org/Base-Model-7b"))
    m.add("config-path", llama_config(_name_or_path="/home/me/models/x"))
    m.add("config-empty-path", llama_config(_name_or_path=""))
    m.add("config-pad", llama_config(pad_token_id=0, eos_token_id=[2, 5, 6], sep_token_id=3, unk_token_id=0))


def add_names(m):
    for name in ("TinyLlama-1.1B-Chat-v1.0", "Mistral-7B-Instruct-v0.2", "llama-3.1-8b-it-128k", "bloom-7b1", "my model",
                 "Model_v2", "phi-2", "v1.5-model", "Llama-2-7b-hf", "8x7B-mix-instruct-v0.1-q4_k", "GPT-small",
                 "x-265K-mini-lora", "Nous-Hermes-2-SOLAR-0.3M", "a--b-", "model.with.dots-0.2M-f16", "UPPER-lower-MiXed",
                 "10k", "iter2-model-300K-large", "name-0_3M-chat"):
        m.add(f"names/{name}")


CARDS = {
    "hub": """---
license: apache-2.0
language:
- en
- no
- de
tags:
- text-generation
- "quoted tag"
pipeline_tag: text-generation
base_model: HuggingFaceTB/SmolLM2-135M
datasets:
- HuggingFaceTB/smoltalk
- https://huggingface.co/datasets/x/y
library_name: transformers
---
# A model
""",
    "flow": "---\nlicense: mit\nlanguage: [en, fr]\ntags: ['a', \"b\", c d]\nbase_model: [org/a-7b-v1, 'https://huggingface.co/o/n-2B',"
            " http://example.org/z]\n---\n",
    "own": """---
name: A Name
author: Someone
version: v3
organization: An Org
description: >-
  folded text
  on two lines
finetune: tuned
basename: base
size_label: 9B
url: https://example.org
doi: 10.1/x
uuid: 123e4567
repo_url: https://example.org/repo
license: [mit, apache-2.0]
license_name: both
license_link: LICENSE
base_models:
- name: Parent
  author: P. Author
  version: v1
  organization: P. Org
  description: the parent
  url: https://example.org/p
  doi: 10.1/p
  uuid: p-uuid
  repo_url: https://example.org/p.git
- other/child-v2
dataset_sources:
- name: Data
  repo_url: https://example.org/data
---
""",
    "model-names": "---\nmodel_name: MN\nmodel_creator: MC\nmodel_type: llama\nmodel_description: |\n  line one\n  line two\n"
                   "quantized_by: nobody\nmodel_url: u\nmodel_author: MA\n---\n",
    "nulls": "---\nlicense:\nbase_model: null\ntags: ~\nlanguage: no\nname: ''\n---\n",
    "anchors": "---\nx: &a [one, two]\ntags: *a\nlicense: other\nlicense: mit\n---\n",
    "crlf": "---\r\nlicense: mit\r\ntags:\r\n- a\r\n- b\r\n---\r\ntext\r\n",
    "tabs": "---\nlicense: mit\nlanguage:\n\t- en\n---\n",
    "open": "---\nlicense: mit\ntags: [x]\n",
    "list": "---\n- a\n- b\n---\n",
    "text": "# Only text\n\nlicense: mit\n",
    "empty": "",
    "bare": "---\n---\n",
    "unicode": "---\nauthor: Jürgen Müller\ntags: [日本語, emoji 🚀]\nlicense: \"caf\\u00e9\"\n---\n",
    "data": "---\ndatasets: one/two-3b\nbase_model: solo\nlanguages: [x]\nlanguage: y\n---\n",
}


def add_metadata(m):
    for name, text in CARDS.items():
        m.add(f"cards/{name}", files={"README.md": text.encode()})
    m.add("sampling", files={"generation_config.json": {
        "temperature": 0.6, "top_p": 0.9, "top_k": 20, "min_p": 0.05, "repetition_penalty": 1.05, "eos_token_id": [2, 3],
        "do_sample": True, "sequence": "abc", "mirostat": 2, "mirostat_tau": 5, "xtc_probability": 0.1}})
    m.add("sampling-int", files={"generation_config.json": {"temperature": 1, "top_p": None, "penalty_repeat": 1}})
    m.add("sampling-broken", files={"generation_config.json": "{broken"})


def add_sentencepiece(m):
    decoder = {str(i): {"content": t, "special": True} for i, t in enumerate(["<unk>", "<s>", "</s>"])}
    decoder["2001"] = {"content": "<tool>", "special": False}
    decoder["2003"] = {"content": "a▁b", "special": False}
    decoder["2004"] = {"content": "<|looks|>", "special": False}
    decoder["9999"] = {"content": "beyond", "special": True}
    m.add("spm-added", llama_config(vocab_size=2008),
          tokenizer_config={"added_tokens_decoder": decoder, "add_bos_token": True, "chat_template": "{{ x }}",
                            "add_prefix_space": True, "bos_token": {"content": "<s>", "__type": "AddedToken"}},
          files={"added_tokens.json": {"<pad2>": 2000, "<tool2>": 2001, "far": 5000}})
    m.add("spm-alone", tokenizer_config={})
    m.add("spm-code-llama", llama_config(vocab_size=32016))
    m.add("spm-and-json", tokenizer_config={"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"},
          files={"tokenizer.json": llama_bpe().to_str()})


def add_bpe(m):
    config = llama_config(vocab_size=600)
    fast = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}

    def bpe(name, tokenizer=None, extra=None, pre="smollm", config=config, files=None, **changes):
        m.add(f"bpe/{name}", config, tokenizer=tokenizer or byte_bpe(), pre=pre, files=files,
              tokenizer_config=fast | (extra or {}) if extra is not False else {}, **changes)

    bpe("plain")
    bpe("gpt2", byte_bpe([pre_tokenizers.ByteLevel(add_prefix_space=False)]), pre="gpt-2")
    split = pre_tokenizers.Split(Regex(LLAMA3_SPLIT), "isolated")
    letters = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    bpe("llama3", byte_bpe([split, letters], ignore_merges=True, post=processors.Sequence(
        [processors.ByteLevel(trim_offsets=False), bos_template()])), pre="llama-bpe")
    bpe("template-eos", byte_bpe(post=bos_template(last="</s>")))
    bpe("template-other", byte_bpe(special=("<unk>", "<s>", "</s>", "<|end|>"), post=processors.TemplateProcessing(
        single="<s> $A <|end|>", pair="<s> $A <|end|> $B <|end|>", special_tokens=[("<s>", 1), ("<|end|>", 3)])))
    bpe("roberta", byte_bpe(post=processors.RobertaProcessing(("</s>", 2), ("<s>", 1))))
    bpe("bytelevel-post", byte_bpe(post=processors.ByteLevel()), {"add_bos_token": True})
    bpe("flags", extra={"add_bos_token": True, "add_eos_token": True, "add_prefix_space": False})
    bpe("object-tokens", byte_bpe(post=bos_template(last="</s>")),
        {"bos_token": {"__type": "AddedToken", "content": "<s>", "lstrip": False, "normalized": True, "rstrip": False,
                       "single_word": False}, "pad_token": "</s>", "mask_token": "<unk>", "sep_token": "</s>"})
    bpe("new-tokens", extra={"pad_token": "<pad>", "additional_special_tokens": ["<extra>", "quick"], "img_token": "<img>"})
    added = byte_bpe()
    added.add_tokens([AddedToken("two words", normalized=False), AddedToken("Ġbyteletters", normalized=False),
                      AddedToken("Ġnormalized", normalized=True), AddedToken("sp▁ce", normalized=False),
                      AddedToken("<|marked|>", normalized=False), AddedToken("é", normalized=False),
                      AddedToken("the", normalized=False), AddedToken("<mask>", normalized=True)])
    bpe("added", added)
    bpe("decoder", added, {"added_tokens_decoder": {
        "0": {"content": "<unk>", "special": True, "normalized": False, "lstrip": False, "rstrip": False, "single_word": False},
        "500": {"content": "two words", "special": True, "normalized": False, "lstrip": False, "rstrip": False,
                "single_word": False}}})
    bpe("templates", extra={"chat_template": [{"name": "default", "template": "d"}, {"name": "tool use", "template": "t"}]})
    bpe("jinja", files={"chat_template.jinja": b"line\r\n{{ x }}\n"})
    bpe("jinja-two", files={"chat_template.jinja": b"one", "additional_chat_templates/with-tools.jinja": b"two"})
    bpe("template-json", files={"chat_template.json": {"chat_template": "from json"}})
    bpe("template-null", extra={"chat_template": None}, files={"chat_template.jinja": b"unused"})
    bpe("no-config", extra=False)
    bpe("lowercase", extra={}, tokenizer=lowercased())
    merges = json.loads(byte_bpe().to_str())
    merges["model"]["merges"] = [" ".join(pair) for pair in merges["model"]["merges"]]
    m.add("bpe/merges-text", config, spm=False, pre="smollm", tokenizer_config=fast, files={"tokenizer.json": merges})
    m.add("bpe/llama-json", llama_config(vocab_size=300), tokenizer=llama_bpe(), tokenizer_config=fast)
    more = llama_bpe()
    more.add_tokens([AddedToken("<tool>", special=False), AddedToken("<sp>", special=True)])
    m.add("bpe/llama-json-added", llama_config(vocab_size=300), tokenizer=more,
          tokenizer_config=fast | {"tokenizer_class": "LlamaTokenizer", "pad_token": "<sp>"})


def lowercased():
    tokenizer = byte_bpe()
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    return tokenizer


def make_folders(root, spm):
    np.random.seed(0)
    maker = Maker(root, spm)
    for part in (add_shapes, add_dtypes, add_configs, add_names, add_metadata, add_sentencepiece, add_bpe):
        part(maker)
    return maker.folders
