"""Definitions of the terms that plans, reports and chats show, and how to read their values.

This is the only list of them: reports print each term next to its value in the run, and
`scripts/make_docs.py` generates `docs/guides/glossary.md` from all of them.
"""

from typing import NamedTuple


class Term(NamedTuple):
    """A term and its definition: at most three sentences."""

    name: str
    definition: str


TERMS = (
    # --- text ---
    Term(
        "token",
        "A sequence of bytes with a number: a word, part of a word, a digit or a punctuation mark. "
        "Tokens are what a model reads and generates; a common English word is one token, a rare "
        "one is several.",
    ),
    Term(
        "vocabulary",
        "The set of all tokens of a tokenizer, and its size. A larger vocabulary makes texts "
        "shorter, but the embedding and the output head larger. Any text can be encoded with any "
        "vocabulary, since the 256 bytes are always part of it.",
    ),
    Term(
        "tokenizer",
        "Encodes text as tokens and decodes tokens to text. It is trained on a sample of the run's "
        "text before the model is, by byte-pair encoding (BPE): the most frequent pair of tokens "
        "becomes a new token, over and over.",
    ),
    Term(
        "bytes per token",
        "The average number of bytes of text that a token stands for; 1 is no better than encoding "
        "single bytes. The higher it is, the more text fits into the context and into a second of "
        "training. A much lower value on conversations than on text means that the tokenizer was "
        "not trained on their words.",
    ),
    Term(
        "special token",
        "A token that never occurs in text and is only inserted by the program: at the beginning "
        "or end of a document or message, and around calculator calls. Special tokens do not count "
        "in bits per byte.",
    ),
    Term(
        "document",
        "One text of a corpus: a story, a web page, an article. Documents follow each other in a "
        "row, each after an end-of-text token.",
    ),
    Term(
        "held-out text",
        "Text of the same kind as the training data that is never used for training. Results on it "
        "show what the model has learned; results on training text may only show what it has "
        "memorized.",
    ),
    # --- the model ---
    Term(
        "parameter",
        "A number that training changes; all parameters together are the model. A million of them "
        "take four megabytes in float32.",
    ),
    Term(
        "matmul parameters",
        "The parameters that take part in a matrix product for every token: all but the embedding, "
        "which is looked up, and the norms. The cost of training and the scaling law depend on "
        "this number.",
    ),
    Term(
        "embedding",
        "A table with a vector for every token, the input of the first layer. Tokens that are used "
        "in similar ways get similar vectors.",
    ),
    Term(
        "channel",
        "One number of a token's vector. More channels (a wider model) can store more about each "
        "token.",
    ),
    Term(
        "layer",
        "A block of attention and MLP. Each layer processes all tokens before the next one does; "
        "more layers (a deeper model) allow more processing steps.",
    ),
    Term(
        "residual stream",
        "The vector of a token as it passes through the layers. Each layer reads it and adds to "
        "it; nothing is overwritten.",
    ),
    Term(
        "attention head",
        "A part of a layer that looks up one kind of information in earlier tokens. In an "
        "attention map, each row is the token that attends, each column the token attended to, and "
        "every row adds up to 1.",
    ),
    Term(
        "induction head",
        "A head that finds an earlier occurrence of the current token and predicts the token that "
        "followed it. Two heads that do this together are built into the initial weights, so that "
        "small models can repeat names.",
    ),
    Term(
        "MLP",
        "The part of a layer that processes each token by itself: many units, each of which "
        "detects a pattern and writes something to the residual stream if it is present. Most of a "
        "model's facts are stored here.",
    ),
    Term(
        "norm",
        "In the model: an operation that scales a vector to a fixed length. Of a gradient or an "
        "update: its length, the square root of the sum of all squares.",
    ),
    Term(
        "output head",
        "The last matrix product, which computes a logit for each token of the vocabulary. In a "
        "small model it takes a fifth of the FLOPs or more, which is why the vocabulary is small.",
    ),
    Term(
        "logit",
        "The score of a token before softmax turns scores into probabilities. Only differences "
        "matter: one more means e = 2.7 times as likely.",
    ),
    Term(
        "logit lens",
        "What the model would predict if it ended after this layer: the output head applied to an "
        "intermediate state. It shows in which layer an answer appears.",
    ),
    Term(
        "context",
        "The maximum number of tokens that a model can attend to, including those it generates. "
        "Anything further back has no effect.",
    ),
    Term(
        "KV cache",
        "The keys and values of all tokens so far, kept during generation. With it, a new token "
        "costs the work of one token; without it, that of the whole text again. The generated text "
        "is the same.",
    ),
    # --- training ---
    Term(
        "loss",
        "How unlikely the model considered the correct token, in nats, averaged over the targets: "
        "the number that training minimizes. Before training it is about the logarithm of the "
        "vocabulary size (7.6 for 2,048 tokens), since all tokens are equally likely; 0 would be "
        "certainty.",
    ),
    Term(
        "nats",
        "The unit of loss: the negative natural logarithm of the correct token's probability. 0.69 "
        "nats are a probability of one half, 2.3 of one in ten. A nat is 1.44 bits.",
    ),
    Term(
        "perplexity",
        "e to the power of the loss: the number of equally likely tokens that would be as hard to "
        "choose from. 1 is certainty. It depends on the tokenizer, so you can only compare models "
        "with the same one by it.",
    ),
    Term(
        "target",
        "A token that the model is trained to predict. In pretraining and midtraining every token "
        "is a target, in finetuning only the assistant's tokens.",
    ),
    Term(
        "loss mask",
        "Marks which tokens are targets. Without it, finetuning would teach the model to ask "
        "questions as well as to answer them.",
    ),
    Term(
        "loss on answers",
        "The loss on the assistant's messages in held-out conversations. You can compare it "
        "between the stages of a run; it should fall clearly from pretraining to midtraining to "
        "SFT.",
    ),
    Term(
        "row",
        "A sequence of tokens in a training batch, as long as the context. Documents are cut to "
        "fill rows; conversations are packed whole if they fit. Attention does not cross from one "
        "to the next.",
    ),
    Term(
        "batch",
        "The rows of one step. A larger batch gives a less noisy gradient but fewer steps in the "
        "same time; small runs learn more from many small steps.",
    ),
    Term(
        "micro-batch",
        "The part of a batch that passes through the model at a time, to save memory. The gradient "
        "is the same as that of the whole batch.",
    ),
    Term(
        "step",
        "One iteration of training: a forward pass on a batch, a backward pass for the gradients, "
        "and a small update of the weights.",
    ),
    Term(
        "epoch",
        "One pass over all the training data. 0.5 means that half of it was never used, 4 that "
        "each document was used four times; after about four epochs, repeating the data helps less "
        "and less, and the model memorizes it.",
    ),
    Term(
        "gradient",
        "For every parameter, how much the loss grows if the parameter does. Training moves the "
        "parameters in the opposite direction.",
    ),
    Term(
        "gradient norm",
        "The length of the gradient. It is large at first, then falls and stays about the same; a "
        "sudden peak means an unusual batch or a learning rate that is too high.",
    ),
    Term(
        "update norm",
        "How far a step moves the weights, relative to their own norm. A thousandth to a hundredth "
        "per step is usual; much more destroys what the model has learned.",
    ),
    Term(
        "learning rate",
        "The size of a step along its direction. If it is too high, the loss jumps or becomes NaN; "
        "if it is too low, the time runs out first. Reports show it relative to the peak rates in "
        "the recipe.",
    ),
    Term(
        "warm-up",
        "The first steps of a stage, in which the learning rate rises to its peak, because the "
        "optimizer has no estimate yet of how large gradients usually are.",
    ),
    Term(
        "decay",
        "The last part of a stage, in which the learning rate falls. The loss falls with it: large "
        "steps find the valley, small ones its floor.",
    ),
    Term(
        "optimizer",
        "Turns gradients into updates of the weights. Firstwords uses two: Muon for the matrices, "
        "AdamW for the rest.",
    ),
    Term(
        "momentum",
        "A running mean of past gradients, which a step follows instead of the last gradient "
        "alone. 0.95 averages over about the last twenty batches.",
    ),
    Term(
        "Muon",
        "An optimizer for matrices that makes all directions of an update equally large, so that "
        "rare features are learned as fast as common ones. For small models it needs fewer tokens "
        "than AdamW.",
    ),
    Term(
        "AdamW",
        "An optimizer that divides each parameter's step by the usual size of its gradient. "
        "Firstwords uses it for the embedding, the output head and the norms.",
    ),
    Term(
        "pretraining",
        "The first training stage (`pretrain`), on plain text. A pretrained model continues a "
        "text; asked a question, it may continue with another question.",
    ),
    Term(
        "midtraining",
        "The second training stage (`midtrain`): conversations and calculator calls, with all of "
        "their tokens as targets.",
    ),
    Term(
        "SFT",
        "Supervised finetuning, the third training stage (`sft`): conversations with only the "
        "assistant's tokens as targets. Chat with the model after this stage.",
    ),
    Term(
        "reinforcement learning",
        "The optional fourth training stage (`rl`): the finetuned model answers questions, a "
        "program grades the answers, and better ones become more likely.",
    ),
    Term(
        "rollout",
        "An answer that the model samples during reinforcement learning, from its question to its "
        "end. Several to the same question are a group.",
    ),
    Term(
        "reward",
        "What a program says an answer is worth: 1 for a right one and 0 for a wrong one by the "
        "rules of the exam, or any number by a function of your own.",
    ),
    Term(
        "baseline",
        "What a reward is compared with: the mean of its group. Subtracting it leaves the expected "
        "gradient as it is and makes it far less noisy.",
    ),
    Term(
        "advantage",
        "The reward of an answer minus the baseline: how strongly its tokens become more likely, "
        "or less likely if it is negative. If all answers of a group have the same reward, all of "
        "their advantages are 0.",
    ),
    Term(
        "policy gradient",
        "The gradient of the expected reward, estimated from samples: the gradient of each "
        "answer's log-probability times its advantage. The policy is the model.",
    ),
    Term(
        "reward hacking",
        "Getting a high reward without doing what it was meant to pay for, such as answering "
        "nothing where the reward pays for short answers.",
    ),
    Term(
        "KL divergence",
        "How far one distribution is from another, in nats per token; 0 if they are equal. During "
        "reinforcement learning it shows how far the model has moved from the finetuned one.",
    ),
    Term(
        "replay",
        "The share of plain text among the rows of midtraining and finetuning, so that the model "
        "does not forget what it learned from text.",
    ),
    Term(
        "repeated tokens",
        "Rows of random tokens that repeat, which can only be predicted by looking back. They are "
        "one row in 25 of pretraining on the starter curriculum.",
    ),
    Term(
        "overfitting",
        "Memorizing the training text instead of learning what it has in common with other text. "
        "The sign is that the training loss keeps falling while bits per byte of held-out text "
        "rise.",
    ),
    Term(
        "checkpoint",
        "The complete state of training after a step, on disk: weights, optimizer, position. An "
        "interrupted run resumes from the newest one and ends with the same bytes.",
    ),
    Term(
        "seed",
        "The number that determines all random choices. The same seed, recipe and machine give the "
        "same model. Another seed gives another model, and the difference between the two shows "
        "how much of a result is luck.",
    ),
    Term(
        "recipe",
        "All settings of a run in one document, `run.json`. On the same machine, the same recipe "
        "gives the same model again.",
    ),
    # --- machine and work ---
    Term(
        "time budget",
        "The time given to the run, from the plan to the report. The rest of the plan follows from "
        "it and from the speed of the machine.",
    ),
    Term(
        "FLOP",
        "One multiplication or addition of two floating-point numbers. Training takes about 6 of "
        "them per matmul parameter and token; 1 GFLOP/s is a thousand million of them per second.",
    ),
    Term(
        "throughput",
        "Tokens per second, in training or generation. A model of half the size trains on about "
        "twice as many.",
    ),
    Term(
        "ceiling",
        "The fastest speed of this machine's matrix products alone. A share of 0.6 means that a "
        "training step runs at six tenths of that speed. It cannot reach 1, since a step does more "
        "than matrix products.",
    ),
    Term(
        "bfloat16",
        "A number format of two bytes instead of the four of float32, with fewer digits and the "
        "same range. Matrix products in it are several times faster on processors that support it "
        "and slower on others; the plan measures which applies.",
    ),
    Term(
        "native",
        "The training step is one call of C++ code, compiled for this processor in a few seconds. "
        "It keeps what it computes in the processor's caches.",
    ),
    Term(
        "compiled",
        "PyTorch translates the training step into code for this machine, which takes up to a "
        "minute the first time. The alternative is eager: one operation after the other.",
    ),
    Term(
        "peak memory",
        "The most memory that the process has used so far. It never falls from one phase to the "
        "next.",
    ),
    Term(
        "scaling law",
        "A formula for the loss as a function of parameters and tokens, fitted to a series of "
        "small runs. The plan uses it to choose the model's size and to estimate bits per byte.",
    ),
    # --- evaluation ---
    Term(
        "bits per byte",
        "How many bits the model needs per byte of held-out text; lower is better, and guessing "
        "needs 8. It does not depend on the tokenizer, so you can compare any two models by it on "
        "the same text. Results on different texts cannot be compared, because simple text needs "
        "fewer bits.",
    ),
    Term(
        "chance line",
        "The score that guessing or always giving the same answer would get. Only the distance "
        "above this line counts: 0.25 with four options means nothing.",
    ),
    Term(
        "at chance",
        "The score's interval contains the chance line: this measurement cannot distinguish the "
        "model from guessing.",
    ),
    Term(
        "confidence interval",
        "The range in which the score would probably be if all possible questions were asked: 95 "
        "of 100 such intervals contain it. Two scores with widely overlapping intervals may not "
        "differ at all; four times as many questions halve the width.",
    ),
    Term(
        "few-shot examples",
        "Solved questions before the actual one, which show a pretrained model what kind of answer "
        "is expected. If the context is too small for all of them, the first are left out.",
    ),
    Term(
        "centered score",
        "A score rescaled so that 0 is guessing and 1 is perfect; below 0 is worse than guessing.",
    ),
    Term(
        "exam",
        "Questions of the starter curriculum that are not in the training data, in 23 categories. "
        "Each category has its own chance line: the score of the best constant answer.",
    ),
    Term(
        "answers in English",
        "The share of answers to 300 open prompts that no rule calls babble: no invented words, no "
        "endless phrases, no broken grammar. The rules do not know whether an answer is true.",
    ),
    Term(
        "CORE",
        "The mean of the centered scores of 22 published tasks for pretrained models: 0 is "
        "guessing, 1 is perfect. Models of a few million parameters stay close to 0, and may be "
        "below it by bad luck.",
    ),
    Term(
        "BLiMP",
        "Pairs of sentences that differ in one point of English grammar, 67 kinds of them; the "
        "grammatical one must be more likely. Guessing gives 0.5. Models this small can do better.",
    ),
    Term(
        "ARC-Easy",
        "Grade-school science questions (ARC), nearly all with four options. Guessing gives 0.25.",
    ),
    Term(
        "ARC-Challenge",
        "The questions of ARC that word lookup did not answer. Guessing gives 0.25, and small "
        "models stay there.",
    ),
    Term(
        "MMLU",
        "Questions on 57 school and university subjects with four options each. Guessing gives "
        "0.25, and a small model should not be expected to do better.",
    ),
    Term(
        "GSM8K",
        "Grade-school math word problems; the number at the end must be correct. Guessing gives 0, "
        "and nearly every model this small scores 0 too.",
    ),
    Term(
        "HumanEval",
        "164 Python functions to complete, checked by running tests in a sandbox. Guessing gives "
        "0, and so does a model that was not trained on programs.",
    ),
    Term(
        "ChatCORE",
        "The mean of the centered scores of ARC, MMLU, GSM8K and HumanEval, asked as "
        "conversations: 0 is guessing, 1 is perfect.",
    ),
    # --- generation ---
    Term(
        "temperature",
        "How random the choice of the next token is. 0 always picks the most likely token, 1 "
        "samples from the model's probabilities, and higher values make rare tokens more likely.",
    ),
    Term(
        "top-k",
        "Sample only from the k most likely tokens; 0 allows all, 1 is the same as temperature 0.",
    ),
    Term(
        "top-p",
        "Sample only from the most likely tokens that add up to this probability: few where the "
        "model is certain, many where it is not. 1 allows all.",
    ),
    Term(
        "min-p",
        "Exclude tokens with less than this fraction of the most likely token's probability. 0 "
        "allows all.",
    ),
    Term(
        "repetition penalty",
        "Makes tokens that occurred before less likely. 1 has no effect, and high values make it "
        "hard to repeat even a name.",
    ),
    Term(
        "tool call",
        "An expression that the model gives to a calculator instead of answering from memory. The "
        "result is inserted into the text, and the model continues after it.",
    ),
    # --- more than one machine ---
    Term(
        "process",
        "A running program. torchrun starts several for one run, and each trains on a part of "
        "every batch.",
    ),
    Term(
        "NCCL, gloo",
        "Two libraries for communication between processes, used to add up gradients: NCCL between "
        "GPUs, gloo between CPUs.",
    ),
    Term(
        "depth preset",
        "A recipe given by the number of layers: width, batch size, tokens and learning rates are "
        "derived from it.",
    ),
    Term(
        "FSDP",
        "Fully sharded data parallelism: the weights are split across GPUs, for models too large "
        "for one of them, and a block is gathered only while it is computed. Set shard = "
        '"weights" in a recipe to use it.',
    ),
)


def definition_of(name: str) -> str:
    """Return the definition of a term. Raises KeyError if it is not in the glossary."""
    return {term.name: term.definition for term in TERMS}[name]
