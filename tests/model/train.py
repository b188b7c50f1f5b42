#!/usr/bin/env python3
"""Trains weightsmith-tiny: a byte-level BPE tokenizer and a small Llama model on text from generate_text.py."""
import argparse
import copy
import math
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM

import export
from generate_text import HELDOUT_BYTES, HELDOUT_SEED, as_text, documents
from text_grammar import Gen

HERE = Path(__file__).resolve().parent
TRAIN_SEED = 7
PARTS = 2   # of a batch, each computed by a thread
DOCUMENT_END, TURN_START, TURN_END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"


def pages(seed, size):
    """Training text as token-ready pages, about `size` bytes of them.  Some documents follow each other with a blank
    line as they do in heldout.txt, and the others end with <|endoftext|>; talks come in chat form, too."""
    g = Gen(f"pages {seed}")
    page, done = "", 0
    for doc in documents(seed):
        if not isinstance(doc, str) and g.chance(0.7):
            yield chat(doc)
            continue
        text = as_text(doc)
        done += len(text) + 2
        page += text
        if g.chance(0.3):
            yield page + DOCUMENT_END
            page = ""
        else:
            page += "\n\n"
        if done >= size:
            return


def chat(turns):
    """The same form as the chat_template in tokenizer_config.json."""
    text = "".join(f"{TURN_START}user\n{question}{TURN_END}\n{TURN_START}assistant\n{answer}{TURN_END}\n"
                   for question, answer in turns)
    return text + DOCUMENT_END


def train_tokenizer(texts, vocab):
    """Byte-level BPE with single digits, as SmolLM2 has it."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Digits(individual_digits=True),
        pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=True, use_regex=True)])
    tokenizer.decoder = decoders.ByteLevel(add_prefix_space=True, trim_offsets=True, use_regex=True)
    tokenizer.train_from_iterator(texts, trainers.BpeTrainer(
        vocab_size=vocab, special_tokens=[DOCUMENT_END, TURN_START, TURN_END], show_progress=False,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet())))
    return tokenizer


def encode(tokenizer, texts):
    ids = tokenizer.encode_batch(list(texts), add_special_tokens=False)
    return numpy.concatenate([numpy.array(e.ids, dtype=numpy.int16) for e in ids])


def batches(ids, steps, tokens, seed):
    """Batches of windows in random order without repetition; every fourth has windows of 512 tokens, else 256."""
    rng = numpy.random.default_rng(seed)
    block = 1024
    order = numpy.empty(0, dtype=numpy.int64)
    for step in range(steps):
        need = tokens // block
        if len(order) < need:
            order = rng.permutation((len(ids) - 1) // block)
        starts, order = order[:need] * block, order[need:]
        length = 512 if step % 4 == 3 else 256
        rows = numpy.stack([ids[s + o:s + o + length + 1] for s in starts for o in range(0, block, length)])
        yield torch.from_numpy(rows.astype(numpy.int64))


def learning_rate(step, steps, peak):
    """Short warm-up, then a cosine down to a fiftieth of the peak."""
    warm = min(1.0, (step + 1) / 100)
    return peak * warm * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * step / steps)))


def replicas(model, n):
    """The model and n - 1 others with the same weights but gradients of their own."""
    others = [copy.deepcopy(model) for _ in range(n - 1)]
    for other in others:
        for mine, shared in zip(other.parameters(), model.parameters()):
            mine.data = shared.data
    return [model] + others


def backward(model, rows, share):
    """Adds the gradients of some rows, weighted by their share of the batch; returns the weighted loss."""
    logits = model(input_ids=rows[:, :-1], use_cache=False).logits
    loss = share * torch.nn.functional.cross_entropy(logits.flatten(0, 1), rows[:, 1:].flatten())
    model.zero_grad(set_to_none=True)
    loss.backward()
    return loss.item()


def train(model, ids, args):
    """One thread for each part of a batch: they meet once a step and not in every operation, so that other load on
    the machine costs little."""
    decay = [p for p in model.parameters() if p.dim() > 1]
    plain = [p for p in model.parameters() if p.dim() <= 1]
    optimizer = torch.optim.AdamW([{"params": decay, "weight_decay": 0.01}, {"params": plain, "weight_decay": 0.0}],
                                  lr=args.lr, betas=(0.9, 0.99), eps=1e-9)
    model.train()
    parts = replicas(model, PARTS)
    start, shown = time.time(), None
    with ThreadPoolExecutor(PARTS) as pool:
        for step, rows in enumerate(batches(ids, args.steps, args.batch, args.seed)):
            loss = sum(pool.map(backward, parts, rows.chunk(PARTS), [1 / PARTS] * PARTS))
            for sums in zip(*(part.parameters() for part in parts)):
                for p in sums[1:]:
                    sums[0].grad += p.grad
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(step, args.steps, args.lr)
            optimizer.step()
            shown = loss if shown is None else 0.95 * shown + 0.05 * loss
            if step % 50 == 0 or step == args.steps - 1:
                spent = time.time() - start
                print(f"step {step} loss {shown:.4f} ppl {math.exp(shown):.3f} {(step + 1) / spent:.2f} steps/s "
                      f"{spent / 60:.1f} min", flush=True)
    return time.time() - start


def perplexity(model, ids, context=512):
    """As llama-perplexity counts it: chunks of `context` tokens, the second half of each is scored."""
    model.eval()
    total, scored = 0.0, 0
    with torch.no_grad():
        for at in range(0, len(ids) - context + 1, context):
            row = torch.from_numpy(ids[at:at + context].astype(numpy.int64))[None]
            logits = model(input_ids=row, use_cache=False).logits[0, context // 2:-1].double()
            target = row[0, context // 2 + 1:]
            total += torch.nn.functional.cross_entropy(logits, target, reduction="sum").item()
            scored += len(target)
    return math.exp(total / scored)


def unigram_perplexity(ids):
    """The best that a model without context can reach on these very tokens."""
    n = len(ids)
    return math.exp(-sum(c / n * math.log(c / n) for c in Counter(ids.tolist()).values()))


def heldout_text():
    """The text that heldout.txt has; it is made anew here so that a changed generator can't go unseen."""
    text = ""
    for doc in documents(HELDOUT_SEED):
        text += as_text(doc) + "\n\n"
        if len(text.encode()) >= HELDOUT_BYTES:
            return text


def parse():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=HERE / "weightsmith-tiny", help="folder of the model to write")
    parser.add_argument("--bytes", type=int, default=20_000_000, help="training text (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=1600, help="optimizer steps (default: %(default)s)")
    parser.add_argument("--batch", type=int, default=1024,
                        help="tokens a step, a multiple of 1024 (default: %(default)s)")
    parser.add_argument("--lr", type=float, default=2.5e-3, help="peak learning rate (default: %(default)s)")
    parser.add_argument("--vocab", type=int, default=2048, help="size of the vocabulary (default: %(default)s)")
    parser.add_argument("--layers", type=int, default=4, help="number of layers (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the weights and the batches (default: %(default)s)")
    return parser.parse_args()


def main():
    args = parse()
    torch.set_num_threads(1)         # in each of the threads of train()
    torch.set_flush_denormal(True)   # else the last tiny gradients cost time
    torch.manual_seed(args.seed)
    args.out.mkdir(parents=True, exist_ok=True)
    texts = list(pages(TRAIN_SEED, args.bytes))
    tokenizer = train_tokenizer(texts[:12000], args.vocab)
    ids = encode(tokenizer, texts)
    heldout = heldout_text()
    if (HERE / "heldout.txt").read_bytes() != heldout.encode():
        raise SystemExit("heldout.txt is not what generate_text.py writes; make it again first")
    test = encode(tokenizer, [heldout])
    unigram = unigram_perplexity(test)
    print(f"{len(ids)} training tokens, {len(test)} held-out tokens of {len(heldout)} characters, "
          f"unigram perplexity {unigram:.2f}", flush=True)

    config = export.model_config(args.vocab, args.layers)
    model = LlamaForCausalLM(LlamaConfig(**config))
    minutes = train(model, ids, args) / 60
    export.write_tokenizer(args.out, tokenizer, config)
    export.write_config(args.out, config)
    weights = {k: v.detach().to(torch.bfloat16).contiguous() for k, v in model.state_dict().items()
               if k != "lm_head.weight"}
    save_file(weights, args.out / "model.safetensors", metadata={"format": "pt"})

    figures = {"unigram": unigram, "float32, before rounding to bfloat16": perplexity(model, test)}
    model = LlamaForCausalLM.from_pretrained(args.out, dtype=torch.float32)
    figures["bfloat16 weights, float32 maths"] = perplexity(model, test)
    facts = {"parameters": sum(v.numel() for v in weights.values()), "vocab": args.vocab, "layers": args.layers,
             "training tokens": args.steps * args.batch, "held-out tokens": len(test), "minutes": round(minutes, 1),
             "torch": torch.__version__}
    export.write_card(args.out, facts, figures)
    print(facts, figures, flush=True)


if __name__ == "__main__":
    main()
