"""What the words mean that a plan, a report or a chat shows, and how to read their values.

The one place for it: reports print a term next to its value, and `scripts/make_docs.py` makes
`docs/guides/glossary.md` of all of them.
"""

from typing import NamedTuple


class Term(NamedTuple):
    name: str
    words: str


TERMS = (
    # --- text ---
    Term(
        "token",
        "A stretch of bytes with a number of its own: a word, a piece of one, a digit, a mark. It "
        "is what a model reads and writes; a common English word is one token, a rare one several.",
    ),
    Term(
        "vocabulary",
        "All tokens that a tokenizer knows, and their number. A larger one makes texts shorter and "
        "the embedding and output head larger; every text can be written with any of them, since "
        "the 256 bytes are always in it.",
    ),
    Term(
        "tokenizer",
        "Turns text into tokens and back. It is learned from a sample of the run's own text before "
        "the model is (byte-pair encoding: the most frequent pair of tokens becomes a new one, "
        "again and again).",
    ),
    Term(
        "bytes per token",
        "How much text a token stands for, on average. 1 would be no better than reading bytes; "
        "the higher it is, the more text fits into the context and into a second of training. Much "
        "less on conversations than on text would mean that the tokenizer does not know their "
        "words.",
    ),
    Term(
        "special token",
        "A token that no text can contain and only the program puts there: where a document or a "
        "turn begins or ends, where the calculator is called. They are not counted in bits per "
        "byte.",
    ),
    Term(
        "document",
        "One text of a corpus: a story, a page, an article. Documents follow each other in a row, "
        "each after an end-of-text token.",
    ),
    Term(
        "held-out text",
        "Text of the same kind that training never reads. What a model does on it is what it has "
        "learned; on text that it was trained on, it may also be what it remembers.",
    ),
    # --- the model ---
    Term(
        "parameter",
        "A number that training changes; all of them together are the model. A million of them "
        "take four megabytes in float32.",
    ),
    Term(
        "parameters in products",
        "Those that are multiplied with every token: all but the embedding, which is looked up, "
        "and the norms. The work of training and the law of sizes follow this number (also: matmul "
        "parameters).",
    ),
    Term(
        "embedding",
        "A table with a vector for every token, from which the model starts. Tokens that are used "
        "alike end up close to each other.",
    ),
    Term(
        "channel",
        "One number of a token's vector. More channels (a wider model) hold more about each token.",
    ),
    Term(
        "layer",
        "A block of attention and MLP, which all tokens go through before the next one. More "
        "layers (a deeper model) can follow more steps of a thought.",
    ),
    Term(
        "residual stream",
        "The vector of a token on its way through the layers. Each layer reads it and adds to it; "
        "nothing is overwritten.",
    ),
    Term(
        "attention head",
        "A part of a layer that looks for one sort of thing in earlier tokens and brings back what "
        "it finds. In a map of it, a row is the token that looks, a column the one looked at, and "
        "every row adds up to 1.",
    ),
    Term(
        "induction head",
        "A head that finds where the present token stood before and says what came after it then. "
        "Two heads that do this together are planted before training, so that small models can "
        "repeat names.",
    ),
    Term(
        "MLP",
        "The part of a layer in which a token thinks for itself: many units that each look for a "
        "pattern and write something if it is there. Most facts of a model are kept here.",
    ),
    Term(
        "norm",
        "In the model: a step that brings a vector to a fixed length. Of a gradient or an update: "
        "its length, the root of the sum of all squares.",
    ),
    Term(
        "output head",
        "The last product: a score for each token of the vocabulary. In a small model it is a "
        "fifth of the work or more, which is why the vocabulary is small.",
    ),
    Term(
        "logit",
        "The score of a token before scores become probabilities (by softmax). Only differences "
        "count: one more means e = 2.7 times as likely.",
    ),
    Term(
        "logit lens",
        "What the model would say if it stopped after this layer: the output head, asked too soon. "
        "It shows in which layer an answer appears.",
    ),
    Term(
        "context",
        "How many tokens a model can look at, what it writes included. What is further back is as "
        "if it had never been said.",
    ),
    Term(
        "KV cache",
        "Keys and values of all tokens so far, kept while a model writes. With it a new token "
        "costs the work of one token, without it that of the whole text again; the words that come "
        "are the same.",
    ),
    # --- training ---
    Term(
        "loss",
        "How surprised the model is by the right token, in nats, on average over the targets: the "
        "number that training makes smaller. Before training it is about the logarithm of the "
        "vocabulary (7.6 for 2,048 tokens), for all are equally likely; 0 would be certainty.",
    ),
    Term(
        "nats",
        "The unit of loss: the negative natural logarithm of the right token's probability. 0.69 "
        "nats are a probability of one half, 2.3 of one in ten. A nat is 1.44 bits.",
    ),
    Term(
        "perplexity",
        "e to the power of the loss: among how many equally likely tokens the model might as well "
        "be choosing. 1 is certainty. It depends on the tokenizer, so only models with the same "
        "one can be compared by it.",
    ),
    Term(
        "target",
        "A token that the model is asked to predict and judged by. In pretraining and midtraining "
        "every token is one, in finetuning only what the assistant writes.",
    ),
    Term(
        "loss mask",
        "Says which tokens are targets. Without it, finetuning would teach to ask questions as "
        "well as to answer them.",
    ),
    Term(
        "loss on answers",
        "The loss on what the assistant says in held-out conversations. It is comparable between "
        "the stages of one run, and should fall clearly from base to mid to SFT.",
    ),
    Term(
        "row",
        "The tokens that are read together in training, as many as the context holds. Documents "
        "are cut to fill rows; conversations are packed whole, if they fit.",
    ),
    Term(
        "batch",
        "The rows of one step. A larger one has a less noisy gradient, but there are fewer steps "
        "in the same time; small runs learn more from many small steps.",
    ),
    Term(
        "micro-batch",
        "The part of a batch that goes through the model at a time, to save memory. The gradient "
        "is the same as that of the whole batch.",
    ),
    Term(
        "step",
        "One round of training: a batch forwards, its gradients backwards, the weights moved a "
        "little.",
    ),
    Term(
        "epoch",
        "One reading of all the data. 0.5 means that half of it was never seen, 4 that each "
        "document came four times; beyond some four the gain of another reading shrinks, and the "
        "text is learned by heart.",
    ),
    Term(
        "gradient",
        "For every parameter, how much the loss grows if the parameter does. Training goes the "
        "other way.",
    ),
    Term(
        "gradient norm",
        "The length of a gradient. It is large at first, then falls and stays of one size; a "
        "sudden leap is a strange batch or a learning rate that is too high.",
    ),
    Term(
        "update norm",
        "How far a step moves the weights, best read relative to their own norm: a thousandth to a "
        "hundredth a step is usual while learning, far more tears down what was learned.",
    ),
    Term(
        "learning rate",
        "How far a step goes along its direction. Too high, and the loss jumps or becomes no "
        "number; too low, and the time runs out first. Reports show it as a share of the peak "
        "rates in the recipe.",
    ),
    Term(
        "warm-up",
        "The first steps of a stage, in which the learning rate rises to its peak: the optimizer "
        "does not know yet how large gradients usually are.",
    ),
    Term(
        "decay",
        "The last part of a stage, in which the learning rate falls. Much of the loss falls with "
        "it: large steps find the valley, small ones its floor.",
    ),
    Term(
        "optimizer",
        "Makes steps of gradients. Here there are two: Muon for the matrices, AdamW for the rest.",
    ),
    Term(
        "momentum",
        "A running mean of past gradients, by which a step goes instead of by the last gradient "
        "alone. 0.95 remembers about the last twenty batches.",
    ),
    Term(
        "Muon",
        "An optimizer for matrices: it makes all directions of an update equally large, so that "
        "what is rare is learned as fast as what is common. For small models it needs fewer tokens "
        "than AdamW.",
    ),
    Term(
        "AdamW",
        "An optimizer that divides each parameter's step by the usual size of its gradient. Here "
        "it trains the embedding, the output head and the norms.",
    ),
    Term(
        "base",
        "The model after pretraining on plain text. It continues what it is given; asked a "
        "question, it may go on with another question.",
    ),
    Term(
        "mid",
        "The model after midtraining: it has met conversations and the calculator, with all of "
        "their tokens as targets.",
    ),
    Term(
        "SFT",
        "Supervised finetuning, and the model after it: trained on the assistant's words alone. "
        "This is the one to chat with.",
    ),
    Term(
        "replay",
        "The share of plain text among the rows of midtraining and finetuning, so that what only "
        "text told is not forgotten.",
    ),
    Term(
        "echo",
        "A row of random tokens that repeat, on which nothing but looking back can be learned. One "
        "row in 25 of pretraining on the curriculum is one.",
    ),
    Term(
        "overfitting",
        "Learning the training text by heart instead of what it has in common with other text. It "
        "shows when the loss in training goes on falling and bits per byte of held-out text rise.",
    ),
    Term(
        "checkpoint",
        "The whole state of training after a step, on disk: weights, optimizer, position. A run "
        "that was stopped goes on from the newest one and ends with the same bytes.",
    ),
    Term(
        "seed",
        "The number that all chance is drawn from. The same seed, recipe and machine give the same "
        "model; another seed gives another one, and the difference between the two says how much "
        "of a result is luck.",
    ),
    Term(
        "recipe",
        "Every setting of a run in one document, `run.json`: with the same machine it gives the "
        "same model again.",
    ),
    # --- machine and work ---
    Term(
        "time budget",
        "How long the run was given, from the plan to the report. Everything else in the plan "
        "follows from it and from the speed of this machine.",
    ),
    Term(
        "FLOP",
        "One multiplication or addition of two floating-point numbers. Training takes about 6 of "
        "them for each parameter in products and each token; GFLOP/s are a thousand million of "
        "them a second.",
    ),
    Term(
        "throughput",
        "Tokens a second, in training or in writing. A model of half the size trains about twice "
        "as many.",
    ),
    Term(
        "ceiling",
        "The fastest that this machine's matrix products go by themselves. A share of 0.6 means "
        "that a training step does its work at six tenths of that speed; 1 cannot be reached, "
        "since a step does more than multiply.",
    ),
    Term(
        "bfloat16",
        "Numbers in two bytes instead of the four of float32, with fewer digits and the same "
        "range. Products in it are several times faster where the processor knows it, and slower "
        "where it does not; the plan measures which.",
    ),
    Term(
        "compiled",
        "The training step translated into one program for this machine, which takes up to a "
        "minute the first time. Otherwise it is eager: one operation after the other.",
    ),
    Term(
        "peak memory",
        "The most memory that the process has had at any time so far. It never falls from one "
        "phase to the next.",
    ),
    Term(
        "scaling law",
        "A formula for the loss as a function of parameters and tokens, fitted to a series of "
        "small runs. The plan chooses the size by it and says which bits per byte to expect.",
    ),
    # --- evaluation ---
    Term(
        "bits per byte",
        "How many bits the model needs for a byte of text that it has not seen; lower is better. "
        "Guessing needs 8. It does not depend on the tokenizer, so any two models can be compared "
        "by it on the same text, and on no other: simple text takes fewer bits.",
    ),
    Term(
        "chance line",
        "The score that guessing gets, or always giving the same answer. A score says something "
        "only by how far it is above this line: 0.25 with four options is nothing.",
    ),
    Term(
        "at chance",
        "The score's interval holds the chance line: this measurement cannot tell the model from "
        "guessing.",
    ),
    Term(
        "confidence interval",
        "Where the score would probably lie if all possible questions were asked: intervals made "
        "like this hold it 95 times in 100. Two scores whose intervals overlap widely are not "
        "known to differ; four times as many questions halve the width.",
    ),
    Term(
        "few-shot examples",
        "Solved questions before the one that is asked, by which a base model sees what is wanted. "
        "Where the context is too small for all of them, the first are left out.",
    ),
    Term(
        "centred score",
        "A score drawn out so that 0 is guessing and 1 is everything right; below 0 is worse than "
        "guessing.",
    ),
    Term(
        "exam",
        "Questions of the starter curriculum that training never shows, in 14 parts. Each part has "
        "a chance line of its own: what the best constant answer would get.",
    ),
    Term(
        "CORE",
        "The mean of 22 published tasks for base models, centred: 0 is guessing, 1 everything "
        "right. Models of a few million parameters stay close to 0, and below it by luck.",
    ),
    Term(
        "ARC-Easy",
        "Grade-school science questions (ARC), nearly all with four options. 0.25 is what guessing "
        "gives.",
    ),
    Term(
        "ARC-Challenge",
        "The questions of ARC that looking words up did not answer. 0.25 is what guessing gives, "
        "and small models stay there.",
    ),
    Term(
        "MMLU",
        "Questions of 57 school and university subjects with four options each. 0.25 is what "
        "guessing gives, and a small model should not be expected to do better.",
    ),
    Term(
        "GSM8K",
        "Grade-school word problems; the number at the end must be right. Guessing gives 0, and "
        "so does nearly any model this small.",
    ),
    Term(
        "HumanEval",
        "164 Python functions to complete, judged by running tests in a sandbox. Guessing gives 0, "
        "and so does a model that has read no programs.",
    ),
    Term(
        "ChatCORE",
        "The mean of the centred scores of ARC, MMLU, GSM8K and HumanEval, taken as conversations: "
        "0 is guessing, 1 everything right.",
    ),
    # --- writing ---
    Term(
        "temperature",
        "How boldly the next token is drawn. 0 always takes the likeliest, 1 follows the model's "
        "probabilities, more makes rare tokens more likely than the model thinks.",
    ),
    Term(
        "top-k",
        "Only the k likeliest tokens may be drawn; 0 allows all, 1 is the same as temperature 0.",
    ),
    Term(
        "top-p",
        "Only the likeliest tokens that make up this share of probability may be drawn: few where "
        "the model is sure, many where it is not. 1 allows all.",
    ),
    Term(
        "min-p",
        "Tokens with less than this share of the likeliest one's probability are not drawn. 0 "
        "allows all.",
    ),
    Term(
        "repetition penalty",
        "Makes tokens that were there before less likely; 1 does nothing, and much more makes it "
        "hard to repeat a name.",
    ),
    Term(
        "tool call",
        "A sum that the model hands to a calculator instead of answering from memory. The result "
        "is put into the text, and the model goes on behind it.",
    ),
    # --- more than one machine ---
    Term(
        "process",
        "A program at work. torchrun starts several on one run, and each takes a part of every "
        "batch.",
    ),
    Term(
        "NCCL, gloo",
        "Two libraries with which processes add up their numbers: NCCL between GPUs, gloo between "
        "processors.",
    ),
    Term(
        "sketch",
        "A recipe by its depth: width, batch, tokens and learning rates follow from it by stated "
        "rules.",
    ),
    Term(
        "FSDP",
        "Cutting the weights themselves up among GPUs, for models that one cannot hold; a block is "
        'put together only while it is computed. A recipe asks for it with shard = "weights".',
    ),
)


def meaning(name: str) -> str:
    """What a term means. Raises KeyError for one that is not here."""
    return {term.name: term.words for term in TERMS}[name]
