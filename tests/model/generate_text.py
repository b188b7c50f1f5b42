#!/usr/bin/env python3
"""Writes simple English text about a small invented world; the same seed gives the same bytes everywhere."""
import argparse
import sys

from text_grammar import Gen, document
from text_kinds import KINDS, question_answers
from text_stories import STORIES

HELDOUT_SEED, HELDOUT_BYTES = 20240, 160_000
STORY_SHARE, TALK_SHARE = 0.5, 0.08


def documents(seed):
    """An endless row of documents: each a string, or for a talk a list of (question, answer)."""
    g = Gen(seed)
    while True:
        at = g.random()
        if at < TALK_SHARE:
            yield question_answers(g)
        else:
            yield g.weighted(STORIES if at < TALK_SHARE + STORY_SHARE else KINDS)(g)


def as_text(doc):
    """The plain form of a document."""
    if isinstance(doc, str):
        return doc
    return document("Questions and answers", *[f"Q: {question}\nA: {answer}" for question, answer in doc])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=HELDOUT_SEED, help="default: %(default)s, that of heldout.txt")
    parser.add_argument("--bytes", type=int, default=HELDOUT_BYTES,
                        help="stop after the document that reaches this size (default: %(default)s)")
    args = parser.parse_args()
    size = 0
    for doc in documents(args.seed):
        data = as_text(doc).encode() + b"\n\n"
        sys.stdout.buffer.write(data)
        size += len(data)
        if size >= args.bytes:
            break


if __name__ == "__main__":
    main()
