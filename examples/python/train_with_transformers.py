"""Trains a small GPT-2 with a Kronecker input on a text, saves it, loads it, and continues a prompt.

    python train_with_transformers.py TOKENIZER_JSON TEXT FOLDER [STEPS]
"""

import sys

import torch
import transformers

from kronecker_cpp.transformers import give_kronecker_input, load

CONTEXT = 64


def main(tokenizer_file, text_file, folder, steps=100):
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_file=tokenizer_file)
    with open(text_file, encoding="utf-8") as file:
        ids = tokenizer(file.read())["input_ids"]
    examples = [{"input_ids": ids[at:at + CONTEXT], "labels": ids[at:at + CONTEXT]}
                for at in range(0, len(ids) - CONTEXT, CONTEXT)]

    config = transformers.GPT2Config(vocab_size=len(tokenizer), n_positions=2 * CONTEXT, n_embd=128, n_layer=2, n_head=4)
    model = transformers.GPT2LMHeadModel(config)
    give_kronecker_input(model, tokenizer, pos_dim=16)  # says what the untied head costs
    settings = transformers.TrainingArguments(folder, max_steps=int(steps), learning_rate=1e-3, report_to=[], logging_steps=10)
    trainer = transformers.Trainer(model, settings, train_dataset=examples)
    trainer.train()
    trainer.save_model(folder)

    prompt = torch.tensor([ids[:8]])
    continued = load(folder).generate(prompt, max_new_tokens=24, do_sample=False, pad_token_id=0)
    print(tokenizer.decode(continued[0]))


if __name__ == "__main__":
    main(*sys.argv[1:])
