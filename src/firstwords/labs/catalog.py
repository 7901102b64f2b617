"""All labs, in order. This module imports nothing heavy."""

from firstwords.common.errors import UserError
from firstwords.labs.lab import Lab

LABS = (
    Lab(
        1,
        "causal_mask",
        "Break the causal mask and see the loss cheat",
        minutes=1,
        task="write the causal mask, and a context manager that removes it from attention",
        predict={
            "honest": "Loss per token of held-out text, for a model trained with the mask?",
            "cheat": "The same for a model that is trained and measured without the mask?",
            "cheat_alone": "And for that model with the mask again, as in generation?",
            "text": 'How does that model continue "The capital of"?',
        },
        hints=(
            "Write down five tokens in a row. Which of them may the third one look at? These are "
            "the True columns of the third row. torch.ones and Tensor.tril are enough.",
            "Functions are values: old = F.scaled_dot_product_attention saves one, and "
            "F.scaled_dot_product_attention = mine replaces it for all code that calls it as F.",
            "The model passes is_causal=True and attn_mask=None by name. A function with **options "
            "can accept all of them, change one, and call the old function.",
            "The block can end with an error. Use try: yield, and in finally: restore the old "
            "function.",
        ),
    ),
    Lab(
        2,
        "loss_mask",
        "Lose the loss mask in finetuning",
        minutes=2,
        task="mark the tokens of a conversation that are targets in supervised finetuning",
        predict={
            "share": "What share of the tokens of the starter's conversations are targets?",
            "answers": "Loss per token of held-out answers: with the mask, and without it?",
            "questions": "Loss per token of what is given to the assistant: with, and without?",
        },
        hints=(
            "Go through the ids once and keep track of who is speaking. After <|im_start|> come "
            "the tokens that name the speaker.",
            'tokenizer.encode("assistant\\n") returns the tokens that name the assistant: compare '
            "them with the ids after <|im_start|>. They are not targets themselves.",
            "<|im_end|> of the assistant's turn is a target, or the model would never learn to "
            "stop. The line break after it is not.",
            "The assistant writes <tool_call>, the expression and </tool_call>. The calculator "
            "writes everything from <tool_response> to </tool_response>, both included.",
        ),
    ),
    Lab(
        3,
        "long_conversations",
        "Let a conversation be longer than the row",
        minutes=1,
        task="fix a packer that hangs on conversations longer than a row",
        predict={
            "lost": "Rows of 128 tokens: what share of the answers is in longer conversations?",
            "padding": "What happens if training gets a batch of nothing but padding?",
            "full": "What share of your rows will not be padding?",
        },
        hints=(
            "pack takes every segment that fits until none is left. What if one never fits? Then "
            "cut has to make sure that all of them do.",
            "A segment of seq_len inputs has seq_len + 1 tokens: its inputs are all but the last, "
            "its targets all but the first. So adjacent segments share a token.",
            "Start with first_target = start + 1. A segment starts one token before that and stops "
            "at min(first_target + seq_len, stop), which is the next segment's first_target.",
            "To fill rows better, sort the segments by length, longest first, before you pack "
            "them.",
        ),
    ),
    Lab(
        4,
        "learning_rate",
        "A learning rate ten times too high",
        minutes=2,
        task="write the schedule of the learning rate: warmup, constant, decay",
        predict={
            "best": "Which of the rates x 0.1, 0.3, 1, 3, 10 ends with the lowest loss?",
            "ten": "Final loss with ten times the rate, and with the usual one?",
            "diverges": "With which of them does the loss become NaN or infinite?",
        },
        hints=(
            "There are three cases: warmup, decay, and the steps between. Test for warmup first.",
            "With a warmup of 4 the first four steps have 1/4, 2/4, 3/4, 4/4.",
            "The decay has d = round(steps * decay_fraction) steps. Its first one, step number "
            "steps - d, has gone one d-th of the way from 1 to final.",
        ),
    ),
    Lab(
        5,
        "vocabulary",
        "A vocabulary of 512 against one of 8,192",
        minutes=2,
        task="write the measures that make models with different vocabularies comparable",
        predict={
            "bytes": "Bytes of text per token: with 512 tokens, and with 8,192?",
            "head": "The output head's share of the parameters in matrix products: with each?",
            "bits": "Bits per byte of held-out text after 40 seconds of training: with each?",
        },
        hints=(
            "A loss of n nats is n / ln 2 bits. Divide a token's bits by its bytes.",
            "Parameters in matrix products: n_layer x (q, k, v, o, gate, up, down) and the head. "
            "The embedding is looked up, not multiplied.",
            "q and o are n_embd x n_head x head_dim; k and v are n_embd x n_kv_head x head_dim.",
            "If all V tokens are equally likely, each has the probability 1 / V, and the loss is "
            "minus its logarithm.",
        ),
    ),
    Lab(
        6,
        "by_hand",
        "Count parameters and FLOPs by hand",
        minutes=1,
        task="count the parts of a random model configuration, on paper",
        predict={
            "layers": "What share of all parameters is in the layers' matrices?",
            "speed": "On how many tokens per second does this machine train that model?",
            "share": "What share is that of the machine's speed in one large matrix product?",
        },
        hints=(
            "Draw a layer: n_embd numbers go into q, k and v; the heads' results go through o; "
            "then gate and up lead to n_hidden, and down back to n_embd.",
            "There are n_head queries but only n_kv_head keys and values, each of head_dim "
            "numbers; and n_head x head_dim can differ from n_embd.",
            "In the forward pass every parameter of a matrix product is multiplied once and added "
            "once for each token: 2 FLOPs. The backward pass takes twice that: once for the "
            "gradient of the input, once for that of the weight.",
            "Attention has no parameters: each of n_head x head_dim numbers is multiplied with the "
            "keys and the values of the tokens before it, half a row on average: 2 x 2 FLOPs, and "
            "three times that with the backward pass.",
        ),
        has_random_model=True,
    ),
    Lab(
        7,
        "kv_cache",
        "Generate without the KV cache",
        minutes=1,
        task="write generation without a cache, and count the tokens that run through the model",
        predict={
            "few": "16 tokens without the cache: how many times as long as with it?",
            "many": "320 tokens without the cache: how many times as long as with it?",
            "twice": "320 tokens instead of 160: how many times as long with it, and without?",
        },
        hints=(
            "Start with ids = list(prompt). Then n times: run all ids through the model and append "
            "the most likely next token.",
            "model(torch.tensor([ids]))[0, -1].argmax() is that token as a tensor; int() converts "
            "it. torch.inference_mode() saves the bookkeeping for gradients.",
            "Without a cache p, p + 1, p + 2, ... tokens run through the model: n numbers with a "
            "mean of p + (n - 1) / 2.",
        ),
    ),
    Lab(
        8,
        "your_name",
        "Teach a model your name and a new fact",
        minutes=2,
        task="write conversations, and find a finetuning that adds them and forgets nothing",
        predict={
            "name": "What share of new questions about its maker will it answer with your name?",
            "capital": "And of new questions about the capital of Zembria?",
            "kept": "What share of what it knew will it still answer as before?",
        },
        hints=(
            "Ask with many wordings: who, by whom, tell me, please, excuse me. The model learns "
            "what they have in common.",
            "With only new conversations it learns that every question has one of two answers. "
            "replay_fraction mixes in old conversations: try a half.",
            "Sixty steps at lr_scale 0.3 are enough for a dozen conversations about each.",
        ),
        uses_run=True,
    ),
    Lab(
        9,
        "contamination",
        "Train on the exam",
        minutes=2,
        task="find the questions of an exam that are in the training text",
        predict={
            "leaked": "Exam questions in the training text: right before, and after?",
            "fresh": "Exam questions that are not in it: right before, and after?",
        },
        hints=(
            're.findall(r"[^\\W_]+", text.lower()) finds words: runs of letters and digits.',
            "The n-grams are words[i : i + n]. Put them into a set as tuples: a lookup is as fast "
            "among a million of them as in one.",
            "A question of fewer than n words is one n-gram of its own length, so it needs a set "
            "of n-grams of that length.",
        ),
        uses_run=True,
    ),
    Lab(
        10,
        "induction",
        "Heads that know how to look back",
        minutes=1,
        task="measure whether a model can repeat what it has just read",
        predict={
            "first": "Repeated tokens that initial weights predict: with planted heads, without?",
            "planted": "After 150 steps on rows that repeat, with the planted heads?",
            "random": "And without them?",
        },
        hints=(
            "torch.cat((half_BT, half_BT), dim=1) are the rows; model(rows).argmax(-1) is the "
            "prediction of the next token at every position.",
            "Without its first token the second half is half_BT[:, 1:]. These tokens are predicted "
            "at the positions T to 2T - 2.",
            "(prediction == truth).float().mean() is the share.",
        ),
    ),
    Lab(
        11,
        "policy_gradient",
        "Write the advantage, and close the hole of a reward",
        minutes=2,
        task="write the advantage of reinforcement learning, and a reward that cannot be hacked",
        predict={
            "baseline": "Words per answer: before, after training with the mean subtracted, and "
            "after training without?",
            "hole": "Wrong answers with fewer words than any right one: before, and after training "
            "on fewer words?",
            "closed": "Right answers: before, after training on fewer words, and after training on "
            "your reward?",
        },
        hints=(
            "Each row of rewards_QG is one question's group. rewards_QG.mean(axis=1, "
            "keepdims=True) has one column, so it can be subtracted from all.",
            "Do not divide by the standard deviation: a group with one right answer would weigh "
            "more than one in which half are right.",
            "The model finds whatever the reward pays for. Ask of every answer that you can think "
            "of, also the empty one: is it worth less than the worst answer that you want?",
            "1 / (1 + n) falls with the number of words n and stays above 0, so wrong answers can "
            "be worth 0.",
        ),
        uses_run=True,
    ),
)


def find_lab(number: int) -> Lab:
    """Return the lab of that number. Raises UserError if there is none."""
    for lab in LABS:
        if lab.number == number:
            return lab
    raise UserError(f"there is no lab {number}", f"choose 1 to {len(LABS)}; see firstwords lab")
