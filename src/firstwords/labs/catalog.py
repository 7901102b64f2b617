"""All labs, in order. Light to import: nothing here computes."""

from firstwords.errors import UserError
from firstwords.labs.lab import Lab

LABS = (
    Lab(
        1,
        "causal_mask",
        "Break the causal mask and see the loss cheat",
        minutes=1,
        task="write the causal mask, and a block in which attention goes without one",
        predict={
            "honest": "Loss per token of held-out text, after training with the mask?",
            "cheat": "The same for the model that trains and is measured without the mask?",
            "cheat_alone": "And for that model once the mask is back, as it is in generation?",
            "text": 'How does that model go on after "The capital of"?',
        },
        hints=(
            "Write down five tokens in a row. Which may the third one look at? Those are the True "
            "columns of the third row. torch.ones and Tensor.tril are enough.",
            "Functions are values: old = F.scaled_dot_product_attention keeps one, "
            "F.scaled_dot_product_attention = mine replaces it for everybody who calls it by F.",
            "The model passes is_causal=True and attn_mask=None by name. A function with **options "
            "can take all of them, change one, and call the old function.",
            "A block may be left by an error. try: yield, and in finally: put the old one back.",
        ),
    ),
    Lab(
        2,
        "loss_mask",
        "Lose the loss mask in finetuning",
        minutes=2,
        task="say which tokens of a conversation finetuning learns to write",
        predict={
            "share": "What share of the tokens of the starter's conversations is a target?",
            "answers": "Loss per token of held-out answers: with the mask, and without it?",
            "questions": "Loss per token of what is given to the assistant: with, and without?",
        },
        hints=(
            "Go through the ids once and remember who is speaking. <|im_start|> says that the next "
            "tokens name the speaker.",
            'tokenizer.encode("assistant\\n") gives the tokens that name the assistant: compare '
            "them with the ids behind <|im_start|>. They are no targets themselves.",
            "<|im_end|> of the assistant's turn is a target, or it would never learn to stop. The "
            "line break behind it is not.",
            "The assistant writes <tool_call>, the sum and </tool_call>. From <tool_response> to "
            "</tool_response>, both included, the calculator speaks.",
        ),
    ),
    Lab(
        3,
        "long_conversations",
        "Let a conversation be longer than the row",
        minutes=1,
        task="mend a packer that jams on conversations longer than a row",
        predict={
            "lost": "Rows of 128 tokens: what share of the answers stands in longer conversations?",
            "padding": "What does training do with a batch that is nothing but padding?",
            "full": "What share of your rows will be no padding?",
        },
        hints=(
            "pack as it stands takes every piece that fits, until none is left. What if one never "
            "fits? Then cut has to see to it that all do.",
            "A piece of seq_len inputs has seq_len + 1 tokens: its inputs are all but the last, "
            "its targets all but the first. So neighbours share a token.",
            "Begin with first_target = start + 1. A piece begins one token before that and ends at "
            "min(first_target + seq_len, stop), which is the next one's first_target.",
            "Fuller rows: sort the pieces, the longest first, before you pack them.",
        ),
    ),
    Lab(
        4,
        "learning_rate",
        "A learning rate ten times too high",
        minutes=2,
        task="write the learning rate's course: warmup, stable, decay",
        predict={
            "best": "Which of the rates x 0.1, 0.3, 1, 3, 10 ends with the least loss?",
            "ten": "Loss at the end with ten times the rate, and with the usual one?",
            "diverges": "With which of them does the loss become no number at all?",
        },
        hints=(
            "Three branches: warming up, decaying, and what lies between. Warmup is asked first.",
            "With a warmup of 4 the first four steps have 1/4, 2/4, 3/4, 4/4.",
            "The decay has d = round(steps * decay_fraction) steps. Its first one, number "
            "steps - d, has gone down by one d-th of the way from 1 to final.",
        ),
    ),
    Lab(
        5,
        "vocabulary",
        "A vocabulary of 512 against one of 8,192",
        minutes=2,
        task="write what makes models with different vocabularies comparable",
        predict={
            "bytes": "Bytes of text in a token: with 512 tokens, and with 8,192?",
            "head": "The output head's share of the parameters in products: with each?",
            "bits": "Bits per byte of held-out text after 40 seconds of training: with each?",
        },
        hints=(
            "A loss of n nats is n / ln 2 bits. A token's bits are spread over all of its bytes.",
            "Parameters in a product: n_layer x (q, k, v, o, gate, up, down) and the head. The "
            "embedding is looked up, not multiplied.",
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
        task="count the parts of a model that was drawn for you, on paper",
        predict={
            "layers": "What share of all parameters is in the layers' matrices?",
            "speed": "How many tokens a second does this machine train that model at?",
            "share": "What share is that of what the machine reaches in one large product?",
        },
        hints=(
            "Draw a layer: n_embd numbers go into q, k and v; what the heads find comes back "
            "through o; then gate and up to n_hidden, and down back to n_embd.",
            "There are n_head queries but only n_kv_head keys and values, each of head_dim "
            "numbers; and n_head x head_dim need not be n_embd.",
            "Forwards every parameter of a product is multiplied once and added once, for each "
            "token: 2 FLOPs. Backwards it is twice that: for the input, and for the weight.",
            "Attention has no parameters: each of n_head x head_dim numbers meets the keys and the "
            "values of the tokens before it, half a row in the mean: 2 x 2 FLOPs, and three times "
            "that with the way back.",
        ),
        draws_model=True,
    ),
    Lab(
        7,
        "kv_cache",
        "Generate without the KV cache",
        minutes=1,
        task="write generation without a cache, and count the tokens that go through the model",
        predict={
            "few": "16 tokens without the cache: how many times as long as with it?",
            "many": "320 tokens without the cache: how many times as long as with it?",
            "twice": "Twice the tokens, 320 instead of 160: times as long with it, and without?",
        },
        hints=(
            "ids = list(prompt); then n times: all ids through the model, and the likeliest token "
            "behind them is one more id.",
            "model(torch.tensor([ids]))[0, -1].argmax() is that token, as a tensor; int() of it is "
            "a number. torch.inference_mode() saves the bookkeeping for gradients.",
            "Without a cache p, p + 1, p + 2, ... tokens go through: n sums, whose mean is "
            "p + (n - 1) / 2.",
        ),
    ),
    Lab(
        8,
        "your_name",
        "Teach a model your name and a new fact",
        minutes=2,
        task="write conversations, and find a finetuning that adds them and forgets nothing",
        predict={
            "name": "What share of new questions about who made it will it answer with your name?",
            "capital": "And of new questions about the capital of Zembria?",
            "kept": "What share of what it knew will it still answer as before?",
        },
        hints=(
            "Ask in many words: who, by whom, tell me, please, Excuse me. What all of them have in "
            "common is what is learned.",
            "With new conversations alone it learns that every question has one of two answers. "
            "replay puts old conversations beside them: try a half.",
            "Sixty steps at lr_scale 0.3 are enough for a dozen conversations about each.",
        ),
        takes_run=True,
    ),
    Lab(
        9,
        "contamination",
        "Train on the exam",
        minutes=2,
        task="find out which questions of an exam stand in the training text",
        predict={
            "leaked": "Exam questions that stand in the training text: right before, and after?",
            "fresh": "Exam questions that do not: right before, and after?",
        },
        hints=(
            'Words: re.findall(r"[^\\W_]+", text.lower()) finds stretches of letters and digits.',
            "The stretches of n words are words[i : i + n]. As tuples they go into a set, which is "
            "asked as fast with a million of them as with one.",
            "A question of fewer than n words is one stretch of its own length, so it needs a set "
            "of stretches of that length.",
        ),
        takes_run=True,
    ),
    Lab(
        10,
        "induction",
        "Heads that know how to look back",
        minutes=1,
        task="measure whether a model can repeat what it has just read",
        predict={
            "first": "Repeated tokens found by first weights: with the planted heads, and without?",
            "planted": "After 150 steps on rows that repeat, with the planted heads?",
            "random": "And without them?",
        },
        hints=(
            "torch.cat((half_BT, half_BT), dim=1) are the rows; model(rows).argmax(-1) is at every "
            "place the guess about the next one.",
            "The second half has the tokens half_BT[:, 1:] but for its first. The guesses about "
            "them were made at the places T to 2T - 2.",
            "(guess == truth).float().mean() is the share.",
        ),
    ),
)


def lab_of(number: int) -> Lab:
    """Raises UserError."""
    for lab in LABS:
        if lab.number == number:
            return lab
    raise UserError(
        f"there is no lab {number}", f"choose from 1 to {len(LABS)}; see firstwords lab"
    )
