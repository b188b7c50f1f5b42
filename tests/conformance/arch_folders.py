"""Small random folders of architectures that no golden data has, made with transformers: for check_arch.py, which
compares what infer computes with what transformers does, and check_convert.py, which compares converted files."""
import json
import os
import shutil

os.environ["TRANSFORMERS_VERBOSITY"] = "error"

import numpy as np
import torch
import transformers as hf
from transformers.utils import logging
from safetensors.torch import load_file, save_file
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

from convert_folders import TEXT, byte_bpe

logging.disable_progress_bar()
VOCAB = 2000  # of the SentencePiece models; of byte-level BPE less
COMMON = dict(hidden_size=128, intermediate_size=192, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2,
              max_position_embeddings=512, tie_word_embeddings=False, bos_token_id=1, eos_token_id=2, pad_token_id=None)
# Names of their pre-tokenizers, by vocabulary and, where the rules have several names, by model.
PRE = {"bpe": "smollm", "glm": "smollm", "gemma": None, "wordpiece": "jina-v2-en", "unigram": None, "roberta": "roberta-bpe",
       "modernbert": "modern-bert"}
PRE_OF = {"starcoder2": "starcoder", "command-r": "command-r", "command-r-plus": "command-r", "cohere2": "command-r"}
ENCODERS = ("wordpiece", "unigram", "roberta", "modernbert")  # vocabularies of models that make embeddings
ROPE = dict(rope_type="default", rope_theta=10000.0)


def small(**changes):
    return COMMON | dict(vocab_size=500, rope_parameters=dict(ROPE)) | changes


def deepseek(**changes):
    return small(num_key_value_heads=4, kv_lora_rank=64, qk_nope_head_dim=32, qk_rope_head_dim=16, v_head_dim=32,
                 n_routed_experts=8, n_shared_experts=1, num_experts_per_tok=3, moe_intermediate_size=64,
                 first_k_dense_replace=1, routed_scaling_factor=1.5, n_group=4, topk_group=2) | changes


def gemma(**changes):
    return small(vocab_size=VOCAB, head_dim=48, tie_word_embeddings=True, bos_token_id=2, eos_token_id=1, pad_token_id=0,
                 hidden_activation="gelu_pytorch_tanh") | changes


EYES = dict(depth=2, hidden_size=64, num_heads=4, intermediate_size=96, out_hidden_size=128, fullatt_block_indexes=[1])
GRANITE = small(num_local_experts=6, num_experts_per_tok=3, embedding_multiplier=6.0, attention_multiplier=0.1,
                residual_multiplier=0.5, logits_scaling=4.0)

# name: (configuration, vocabulary)
MODELS = {
    "gemma": (lambda: hf.GemmaConfig(**gemma()), "gemma"),
    "qwen2moe": (lambda: hf.Qwen2MoeConfig(**small(num_experts=6, num_experts_per_tok=3, moe_intermediate_size=64,
                                                   shared_expert_intermediate_size=96, norm_topk_prob=False)), "bpe"),
    "gptoss": (lambda: hf.GptOssConfig(**small(
        head_dim=32, num_local_experts=4, num_experts_per_tok=2, sliding_window=8, layer_types=[
            "sliding_attention", "full_attention", "sliding_attention"],
        rope_parameters=dict(rope_type="yarn", rope_theta=150000.0, factor=8.0, beta_fast=32.0, beta_slow=1.0,
                             truncate=False, original_max_position_embeddings=128))), "bpe"),
    "gptoss-mxfp4": (lambda: MODELS["gptoss"][0](), "bpe"),
    "deepseek2": (lambda: hf.DeepseekV2Config(**deepseek(q_lora_rank=64, topk_method="group_limited_greedy")), "bpe"),
    "deepseek2-full": (lambda: hf.DeepseekV2Config(**deepseek(q_lora_rank=None, topk_method="greedy", n_group=1,
                                                              topk_group=1)), "bpe"),
    "deepseek3": (lambda: hf.DeepseekV3Config(**deepseek(q_lora_rank=64, norm_topk_prob=True, scoring_func="sigmoid")), "bpe"),
    "qwen2vl": (lambda: hf.Qwen2_5_VLConfig(text_config=small(
        tie_word_embeddings=True, rope_parameters=ROPE | dict(mrope_section=[4, 6, 6])), vision_config=EYES), "bpe"),
    "qwen3vl": (lambda: hf.Qwen3VLConfig(text_config=small(
        head_dim=48, rope_parameters=ROPE | dict(mrope_section=[8, 8, 8], mrope_interleaved=True)), vision_config=dict(
            depth=2, hidden_size=64, num_heads=4, intermediate_size=96, out_hidden_size=128,
            deepstack_visual_indexes=[0, 1], num_position_embeddings=16)), "bpe"),
    "gemma3-eyes": (lambda: hf.Gemma3Config(text_config=gemma(num_hidden_layers=7, query_pre_attn_scalar=48, sliding_window=8, rope_parameters=dict(
        full_attention=ROPE, sliding_attention=ROPE)), vision_config=dict(
            hidden_size=64, intermediate_size=96, num_hidden_layers=1, num_attention_heads=4, image_size=28, patch_size=14),
        mm_tokens_per_image=4), "gemma"),
    "embeddinggemma": (lambda: hf.Gemma3TextConfig(**gemma(
        num_hidden_layers=7, query_pre_attn_scalar=48, sliding_window=8, use_bidirectional_attention=True, rope_parameters=dict(
            full_attention=ROPE, sliding_attention=ROPE), architectures=["Gemma3TextModel"])), "gemma"),
    "llama-headless": (lambda: hf.LlamaConfig(**small(architectures=["LlamaModel"])), "bpe"),
    "qwen2-headless": (lambda: hf.Qwen2Config(**small(architectures=["Qwen2Model"])), "glm"),
    "qwen3-headless": (lambda: hf.Qwen3Config(**small(head_dim=48, architectures=["Qwen3Model"])), "bpe"),
    "mistral3": (lambda: hf.Mistral3Config(text_config=hf.MistralConfig(**small(head_dim=48)), vision_config=dict(
        model_type="pixtral", hidden_size=64, intermediate_size=96, num_hidden_layers=1, num_attention_heads=4, head_dim=16)),
        "bpe"),
    "ministral3": (lambda: hf.Ministral3Config(**small(head_dim=32, rope_parameters=dict(
        rope_type="yarn", rope_theta=10000.0, factor=16.0, original_max_position_embeddings=32, beta_fast=32.0, beta_slow=1.0,
        mscale=1.0, mscale_all_dim=1.0, llama_4_scaling_beta=0.1))), "bpe"),
    "glm4": (lambda: hf.Glm4Config(**small(head_dim=48, attention_bias=True, rope_parameters=ROPE | dict(
        partial_rotary_factor=0.5))), "glm"),
    "smollm3": (lambda: hf.SmolLM3Config(**small(num_hidden_layers=5, tie_word_embeddings=True)), "bpe"),
    "command-r": (lambda: hf.CohereConfig(**small(tie_word_embeddings=True)), "bpe"),
    "command-r-plus": (lambda: hf.CohereConfig(**small(tie_word_embeddings=True, use_qk_norm=True)), "bpe"),
    "cohere2": (lambda: hf.Cohere2Config(**small(tie_word_embeddings=True, num_hidden_layers=5, sliding_window=8)), "bpe"),
    "phi2": (lambda: hf.PhiConfig(**small(num_key_value_heads=4, intermediate_size=512, rope_parameters=ROPE | dict(
        partial_rotary_factor=0.5))), "bpe"),
    "stablelm": (lambda: hf.StableLmConfig(**small(use_qkv_bias=True, rope_parameters=ROPE | dict(
        partial_rotary_factor=0.25))), "bpe"),
    "stablelm-parallel": (lambda: hf.StableLmConfig(**small(use_parallel_residual=True, rope_parameters=ROPE | dict(
        partial_rotary_factor=0.25))), "bpe"),
    "starcoder2": (lambda: hf.Starcoder2Config(**small(tie_word_embeddings=True)), "bpe"),
    "seed_oss": (lambda: hf.SeedOssConfig(**small(head_dim=48)), "bpe"),
    "exaone4": (lambda: hf.Exaone4Config(**small(num_hidden_layers=5, sliding_window=8)), "bpe"),
    "exaone4-small": (lambda: hf.Exaone4Config(**small(sliding_window=None, layer_types=["full_attention"] * 3, rope_parameters=dict(
        rope_type="llama3", rope_theta=10000.0, factor=16.0, low_freq_factor=1.0, high_freq_factor=4.0,
        original_max_position_embeddings=64))), "bpe"),
    "olmo3": (lambda: hf.Olmo3Config(**small(num_hidden_layers=5, sliding_window=8, rope_parameters=dict(
        sliding_attention=ROPE, full_attention=dict(
            rope_type="yarn", rope_theta=10000.0, factor=8.0, beta_fast=32.0, beta_slow=1.0, attention_factor=1.2079441541679836,
            original_max_position_embeddings=64)))), "bpe"),
    "hunyuan": (lambda: hf.HunYuanDenseV1Config(**small(
        head_dim=48, tie_word_embeddings=True, max_position_embeddings=32768, rope_parameters=dict(
            rope_type="dynamic", rope_theta=10000.0, alpha=1000.0, factor=1.0))), "bpe"),
    "ernie4_5": (lambda: hf.Ernie4_5Config(**small(vocab_size=VOCAB, head_dim=48, tie_word_embeddings=True)), "gemma"),
    "olmoe": (lambda: hf.OlmoeConfig(**small(num_experts=6, num_experts_per_tok=3, rms_norm_eps=1e-5)), "bpe"),
    "granitemoe": (lambda: hf.GraniteMoeConfig(**GRANITE), "bpe"),
    "granitemoe-shared": (lambda: hf.GraniteMoeSharedConfig(**GRANITE, shared_intermediate_size=96), "bpe"),
    "bert": (lambda: hf.BertConfig(vocab_size=300, hidden_size=128, num_hidden_layers=3, num_attention_heads=4,
                                   intermediate_size=192, max_position_embeddings=64), "wordpiece"),
    "bert-old": (lambda: MODELS["bert"][0](), "wordpiece"),
    "distilbert": (lambda: hf.DistilBertConfig(vocab_size=300, dim=128, n_layers=3, n_heads=4, hidden_dim=192,
                                               max_position_embeddings=64), "wordpiece"),
    "roberta": (lambda: hf.RobertaConfig(vocab_size=500, hidden_size=128, num_hidden_layers=3, num_attention_heads=4,
                                         intermediate_size=192, max_position_embeddings=66, type_vocab_size=1), "roberta"),
    "xlm-roberta": (lambda: hf.XLMRobertaConfig(vocab_size=302, hidden_size=128, num_hidden_layers=3, num_attention_heads=4,
                                                intermediate_size=192, max_position_embeddings=66, type_vocab_size=1),
                    "unigram"),
    "xlm-roberta-json": (lambda: MODELS["xlm-roberta"][0](), "unigram"),
    "modernbert": (lambda: hf.ModernBertConfig(
        vocab_size=500, hidden_size=128, num_hidden_layers=7, num_attention_heads=4, intermediate_size=192, pad_token_id=1,
        bos_token_id=0, eos_token_id=2, cls_token_id=0, sep_token_id=2, max_position_embeddings=512, local_attention=8,
        architectures=["ModernBertModel"]), "modernbert"),
    "nomicbert": (lambda: hf.NomicBertConfig(vocab_size=300, hidden_size=128, num_hidden_layers=3, num_attention_heads=4,
                                             intermediate_size=192, architectures=["NomicBertModel"]), "wordpiece"),
}


def is_encoder(name):
    return MODELS[name][1] in ENCODERS or name == "embeddinggemma" or name.endswith("-headless")


def randomize(model, seed):
    """Weights of about the size that training gives them, norms near one."""
    generator = torch.Generator().manual_seed(seed)
    named = [*model.named_parameters(), *((n, b) for n, b in model.named_buffers() if n.endswith("correction_bias"))]
    with torch.no_grad():
        for name, p in named:
            r = torch.randn(p.shape, generator=generator)
            norm = "norm" in name.lower()
            if norm and name.endswith("weight"):
                base = 0 if model.config.model_type.startswith("gemma") else 1
                p.copy_(base + 0.15 * r)
            elif name.endswith("bias") or p.ndim < 2:
                p.copy_(0.1 * r)
            elif "embed" in name:
                p.copy_(r * 0.3)
            else:
                p.copy_(r / p.shape[-2 if p.ndim == 3 else -1] ** 0.5)


def wordpiece():
    words = ["the", "quick", "brown", "fox", "jump", "over", "lazy", "dog", "##s", "##ed", "##ing", "a", "b", "c", "d", "e",
             "##a", "##b", "##c", "##d", "##e", ".", ",", "!", "?"]
    vocab = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]
    vocab += [f"word{i}" for i in range(300 - len(vocab))]
    tokenizer = Tokenizer(models.WordPiece({t: i for i, t in enumerate(vocab)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens(vocab[:5])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    return tokenizer, vocab


def roberta_bpe():
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    tokenizer = byte_bpe([pre_tokenizers.ByteLevel(add_prefix_space=False)], special=special)
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), trim_offsets=True, add_prefix_space=False)
    return tokenizer


def modern_bpe():
    tokenizer = roberta_bpe()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
    return tokenizer


def unigram(folder, vocab_size=300):
    """XLM-RoBERTa's: a SentencePiece model, and its pieces in the order that fairseq gave them."""
    import sentencepiece
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXT * 3), model_prefix=str(folder / "spm"), vocab_size=vocab_size, model_type="unigram",
        hard_vocab_limit=False, minloglevel=3)
    (folder / "spm.vocab").unlink()
    (folder / "spm.model").rename(folder / "sentencepiece.bpe.model")
    model = sentencepiece.SentencePieceProcessor(str(folder / "sentencepiece.bpe.model"))
    pieces = [("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    pieces += [(model.id_to_piece(i), model.get_score(i)) for i in range(3, len(model))] + [("<mask>", 0.0)]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=3))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    tokenizer.add_special_tokens(["<s>", "<pad>", "</s>", "<unk>", "<mask>"])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
    return tokenizer


def add_vocabulary(folder, kind, spm):
    if kind == "gemma":
        shutil.copy(spm / "gemma2000.model", folder / "tokenizer.model")
        config = {"tokenizer_class": "GemmaTokenizer", "add_bos_token": True, "bos_token": "<s>", "eos_token": "</s>"}
    elif kind == "wordpiece":
        tokenizer, vocab = wordpiece()
        tokenizer.save(str(folder / "tokenizer.json"))
        (folder / "vocab.txt").write_text("\n".join(vocab) + "\n")
        config = {"tokenizer_class": "BertTokenizer", "do_lower_case": True, "cls_token": "[CLS]", "sep_token": "[SEP]",
                  "unk_token": "[UNK]", "pad_token": "[PAD]", "mask_token": "[MASK]"}
    elif kind in ("roberta", "unigram"):
        (roberta_bpe() if kind == "roberta" else unigram(folder)).save(str(folder / "tokenizer.json"))
        config = {"tokenizer_class": "RobertaTokenizer" if kind == "roberta" else "XLMRobertaTokenizer", "bos_token": "<s>",
                  "eos_token": "</s>", "cls_token": "<s>", "sep_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>",
                  "mask_token": "<mask>"}
        pooling = {"pooling_mode_cls_token": True} if kind == "unigram" else {"pooling_mode_mean_tokens": True}
        (folder / "1_Pooling").mkdir()
        (folder / "1_Pooling/config.json").write_text(json.dumps({"word_embedding_dimension": 128} | pooling))
        (folder / "modules.json").write_text(json.dumps([
            {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
            {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}]))
    elif kind == "modernbert":
        modern_bpe().save(str(folder / "tokenizer.json"))
        config = {"tokenizer_class": "PreTrainedTokenizerFast", "cls_token": "<s>", "sep_token": "</s>", "unk_token": "<unk>",
                  "pad_token": "<pad>", "mask_token": "<mask>"}
    else:
        tokenizer = byte_bpe()
        if kind == "glm":
            tokenizer.add_special_tokens(["<|endoftext|>", "<|user|>"])
        tokenizer.save(str(folder / "tokenizer.json"))
        config = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>", "eos_token": "</s>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))


def complete_config(folder, config):
    """Published files have these fields, and the reference converter wants them."""
    path = folder / "config.json"
    written = json.loads(path.read_text())
    if config.model_type == "modernbert":
        path.write_text(json.dumps(written | {"layer_norm_eps": 1e-5, "global_attn_every_n_layers": 3}))
    if config.model_type == "cohere2":
        path.write_text(json.dumps(written | {"rotary_pct": 1.0}))
    if config.model_type != "nomic_bert":
        return
    path.write_text(json.dumps(written | {
        "n_embd": config.hidden_size, "n_layer": config.num_hidden_layers, "n_head": config.num_attention_heads,
        "n_inner": config.intermediate_size, "n_positions": 8192, "activation_function": "swiglu", "causal": False,
        "qkv_proj_bias": False, "mlp_fc1_bias": False, "mlp_fc2_bias": False, "prenorm": False, "rotary_emb_base": 1000,
        "rotary_emb_fraction": 1.0, "rotary_emb_interleaved": False, "rotary_emb_scale_base": None}))


def only_json(folder):
    """The tokenizer without the SentencePiece model, whose map of characters moves into it."""
    from sentencepiece import sentencepiece_model_pb2
    model = sentencepiece_model_pb2.ModelProto()
    model.ParseFromString((folder / "sentencepiece.bpe.model").read_bytes())
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.normalizer = normalizers.Precompiled(model.normalizer_spec.precompiled_charsmap)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), tokenizer.pre_tokenizer])
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "sentencepiece.bpe.model").unlink()


def age(folder):
    """Names of tensors as TensorFlow's checkpoints of 2018 had them, below the head that they were trained with."""
    path = folder / "model.safetensors"
    tensors = {}
    for name, tensor in load_file(path).items():
        if "LayerNorm" in name:
            name = name.replace(".weight", ".gamma").replace(".bias", ".beta")
        tensors["bert." + name] = tensor
    tensors["cls.predictions.bias"] = torch.zeros(300)
    save_file(tensors, path, metadata={"format": "pt"})


def pack_experts(folder, seed):
    """OpenAI's form of the experts: blocks of 32 4-bit floats, two in a byte, and their scales."""
    generator = torch.Generator().manual_seed(seed)
    path, config = folder / "model.safetensors", folder / "config.json"
    tensors = {}
    for name, tensor in load_file(path).items():
        if tensor.ndim != 3 or "experts" not in name:
            tensors[name] = tensor
            continue
        experts, n_in, n_out = tensor.shape
        shape = (experts, n_out, n_in // 32)
        tensors[name + "_blocks"] = torch.randint(0, 256, (*shape, 16), generator=generator, dtype=torch.uint8)
        tensors[name + "_scales"] = torch.randint(118, 124, shape, generator=generator, dtype=torch.uint8)
    save_file(tensors, path, metadata={"format": "pt"})
    config.write_text(json.dumps(json.loads(config.read_text()) | {"quantization_config": {
        "quant_method": "mxfp4", "modules_to_not_convert": ["model.layers.*.self_attn", "model.layers.*.mlp.router",
                                                            "model.embed_tokens", "lm_head"]}}))


def make(name, folder, spm, seed=0):
    """The folder of a model with weights in bfloat16; returns the model in float32."""
    config, kind = MODELS[name]
    torch.set_num_threads(2)
    config = config()
    kind_of = hf.AutoModel if is_encoder(name) else hf.AutoModelForCausalLM
    if hasattr(config, "vision_config"):
        kind_of = hf.AutoModelForImageTextToText
    model = kind_of.from_config(config, attn_implementation="eager").float()
    randomize(model, seed)
    model.tie_weights()
    model.to(torch.bfloat16).save_pretrained(folder)
    complete_config(folder, model.config)
    add_vocabulary(folder, kind, spm)
    if name.endswith("-json"):
        only_json(folder)
    if name.endswith("-old"):
        age(folder)
    if name.endswith("mxfp4"):
        pack_experts(folder, seed)
        return kind_of.from_pretrained(folder, dtype=torch.bfloat16, attn_implementation="eager",
                                       quantization_config=hf.Mxfp4Config(dequantize=True)).float().eval()
    return kind_of.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()


def logits(model, ids):
    with torch.no_grad():
        return model(torch.tensor([ids]), use_cache=False).logits[0, -1].numpy().astype(np.float64)


def states(model, ids):
    """Of the last layer, one row per token."""
    with torch.no_grad():
        return model(torch.tensor([ids])).last_hidden_state[0].numpy().astype(np.float64)
