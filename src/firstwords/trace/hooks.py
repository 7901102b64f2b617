"""What is shown of a training step, and why it is there: a line for each kind of operation.

A hook is named after what is watched: a module of a block or of the model ("self_attn.q_proj"), an
operation in a function of ours ("Block.forward.add"), or a function as a whole ("rotate"). What
happens under no hook's name is listed with the operation before it, or with the one that it
prepares in the same line. A module that is not here is shown all the same, without its why.
"""

from typing import NamedTuple


class Hook(NamedTuple):
    """`part` is the part of the step that it opens or goes on with, "" for the one before it;
    `shape` says what is counted in each dimension of what comes out."""

    part: str
    title: str
    shape: str
    why: str


PARTS = {
    "text": (
        "Text to tokens",
        "A model reads numbers. The tokenizer, trained in phase 1, gives every frequent stretch of "
        "bytes one.",
    ),
    "row": (
        "A row and its targets",
        "Training asks one question at every place of a row: which token comes next?",
    ),
    "start": ("Into the model", "From here on every token is a vector, and nothing else."),
    "block": (
        "Block",
        "Tokens look at those before them (attention), then each thinks for itself (MLP). Both "
        "only ever add to the vector.",
    ),
    "end": (
        "Logits and loss",
        "The last vector of every token becomes a score for each token of the vocabulary.",
    ),
    "backward": (
        "Gradients, backwards",
        "Automatic differentiation walks the same operations in reverse, and leaves with every "
        "parameter which way the loss grows.",
    ),
    "muon": (
        "Muon, for the matrices of the blocks",
        "The optimizer starts without a memory, as at the first step of every stage: so what you "
        "see comes of this text alone.",
    ),
    "adamw": (
        "AdamW, for embedding, output head and norms",
        "These are tables and scales rather than maps, so each number gets a step of its own.",
    ),
}

ROW = "rows x tokens"
STATES = "rows x tokens x channels"
OF_HEADS = "rows x heads x tokens x channels of a head"
OF_KEYS = "rows x key-value heads x tokens x channels of a head"
HIDDEN = "rows x tokens x hidden units"
BLOCKS = "blocks x rows x columns"

# Functions that several lines call: which of them did says what it is for.
SHARED = ("RMSNorm.forward", "rotate", "orthogonalize")

HOOKS = {
    # --- text: plain Python, so its results are read off and not watched ---
    "Tokenizer.token_bytes": Hook(
        "text",
        "bytes",
        "bytes",
        "All text is bytes (UTF-8), and all 256 of them are tokens: nothing is unknown.",
    ),
    "Tokenizer.encode": Hook(
        "text",
        "tokens",
        "tokens",
        "The merges learned in training join bytes into the longest pieces known, so there is less "
        "to read.",
    ),
    "encode_texts": Hook(
        "text",
        "the document",
        "tokens",
        "A mark in front says that something new begins, since documents follow each other in a "
        "row.",
    ),
    "encode_conversations": Hook(
        "text",
        "the conversation",
        "tokens",
        "Special tokens say who speaks; the mask beside them says which tokens the assistant "
        "wrote itself.",
    ),
    "TextRows.row": Hook(
        "row",
        "inputs and targets",
        "tokens",
        "The targets are the inputs moved by one: every token is the answer to those before it.",
    ),
    "PackedRows.row": Hook(
        "row",
        "inputs and targets",
        "tokens",
        "In finetuning only what the assistant writes is a target: it shall learn to answer, not "
        "to ask. In midtraining everything is.",
    ),
    "Batches.batch": Hook(
        "row",
        "the batch",
        ROW,
        "A batch holds several rows, here one. Which rows it holds depends on seed and step alone, "
        "so a run can go on where it stopped.",
    ),
    # --- the model, forwards ---
    "accumulate.sum": Hook(
        "row",
        "number of targets",
        "",
        "The loss is a mean over the targets of the whole batch, in however many parts that is "
        "taken.",
    ),
    "Transformer.loss.flatten": Hook(
        "",
        "rows end to end",
        "",
        "Which row a place stands in no longer matters.",
    ),
    "Transformer.loss.nonzero": Hook(
        "row",
        "places with a target",
        "places",
        "Only these go on to the output head, the largest product of a small model, with some that "
        "fill their number up to a multiple of an eighth of the batch.",
    ),
    "Transformer.hidden.getitem": Hook(
        "start",
        "angles of the positions",
        "tokens x channels of a head",
        "Cosines and sines by which queries and keys will be turned: the only thing that tells the "
        "model where a token stands.",
    ),
    "embed_tokens": Hook(
        "start",
        "embedding",
        STATES,
        "A token's number picks its row of a table: what is known of it before it has seen the "
        "others.",
    ),
    "input_layernorm": Hook(
        "block",
        "norm before attention",
        STATES,
        "Every vector gets the same length, so what earlier blocks wrote cannot drown what comes.",
    ),
    "self_attn.q_proj": Hook(
        "block", "queries", OF_HEADS, "What each token looks for among those before it."
    ),
    "self_attn.k_proj": Hook(
        "block",
        "keys",
        OF_KEYS,
        "What each token can be found by.",
    ),
    "self_attn.v_proj": Hook(
        "block",
        "values",
        OF_KEYS,
        "What each token hands over to those that find it.",
    ),
    "self_attn.q_norm": Hook(
        "block",
        "norm of the queries",
        OF_HEADS,
        "One length for all queries, so that scores stay within bounds whatever the weights "
        "become.",
    ),
    "self_attn.k_norm": Hook(
        "block",
        "norm of the keys",
        OF_KEYS,
        "The same for the keys: only directions are compared.",
    ),
    "rotate": Hook(
        "block",
        "rotation",
        OF_HEADS,
        "Turned by an angle that grows with the position, two vectors agree by how far apart they "
        "stand.",
    ),
    "Attention.forward.scaled_dot_product_attention": Hook(
        "block",
        "attention",
        OF_HEADS,
        "Each query is compared with the keys up to its own place, never later ones; the values "
        "are mixed by how well they agree.",
    ),
    "self_attn.o_proj": Hook(
        "block",
        "output of attention",
        STATES,
        "What the heads found becomes one change of the token's vector.",
    ),
    "Block.forward.add": Hook(
        "block",
        "residual",
        STATES,
        "The change is added and nothing overwritten: what was there, and the gradient on its way "
        "back, has a straight path.",
    ),
    "post_attention_layernorm": Hook(
        "block", "norm before the MLP", STATES, "The same as before attention."
    ),
    "mlp.gate_proj": Hook(
        "block",
        "gate of the MLP",
        HIDDEN,
        "Each hidden unit looks for one pattern in the token's vector.",
    ),
    "MLP.forward.silu": Hook(
        "block",
        "gate opened",
        HIDDEN,
        "Below zero a unit stays all but shut. Without a bend somewhere, all layers together would "
        "be one matrix.",
    ),
    "mlp.up_proj": Hook("block", "content of the MLP", HIDDEN, "What a unit says if it is open."),
    "MLP.forward.mul": Hook(
        "block", "gated content", HIDDEN, "Open units speak, the others are silent."
    ),
    "mlp.down_proj": Hook(
        "block",
        "output of the MLP",
        STATES,
        "The units write what they know into the token's vector; most of a model's facts are here.",
    ),
    "norm": Hook(
        "end",
        "final norm",
        STATES,
        "The output head sees directions, not the sum's growing length.",
    ),
    "lm_head": Hook(
        "end",
        "logits",
        "places x tokens of the vocabulary",
        "A token's score is how well its row of the head agrees with the vector.",
    ),
    "Transformer.loss.cross_entropy": Hook(
        "end",
        "cross-entropy",
        "",
        "Scores become probabilities; each target costs minus the logarithm of its own, in nats.",
    ),
    "accumulate.div": Hook(
        "end", "mean loss", "", "One number to make smaller: the mean over all targets."
    ),
    # --- backwards ---
    "_backward.backward": Hook(
        "backward",
        "backward pass",
        "",
        "Every product of the way there is two on the way back, one for the weights and one for "
        "what went in.",
    ),
    "Optimizer.gradient_norm": Hook(
        "backward",
        "norm of all gradients",
        "",
        "One number for the report's curve: it says whether this batch was an ordinary one.",
    ),
    "Optimizer.weights": Hook(
        "backward",
        "copy of the weights",
        "",
        "Every tenth step is looked at: the copy is what its changes are measured from.",
    ),
    # --- the optimizer ---
    "learning_rate": Hook(
        "muon",
        "learning rate",
        "",
        "Small at first (warm-up), then the full rate, then less (decay); a stage scales all of "
        "it.",
    ),
    "Optimizer._muon.lerp_": Hook(
        "muon",
        "momentum",
        "",
        "A running mean of gradients: what batches agree on adds up, what is noise cancels.",
    ),
    "Optimizer._muon.cat": Hook(
        "muon",
        "blocks of one shape",
        BLOCKS,
        "Every head, and every 64 hidden units, is a matrix of its own; those of one shape go "
        "together, which is faster.",
    ),
    "orthogonalize": Hook(
        "muon",
        "orthogonal factor",
        BLOCKS,
        "All directions of the update get about the same size, so that rare ones are learned too.",
    ),
    "Optimizer._muon.add_": Hook(
        "muon", "weights moved", "", "The matrices take the step, downhill."
    ),
    "Optimizer.step._fused_adamw_": Hook(
        "adamw",
        "adaptive step",
        "",
        "A gradient is divided by its usual size, so that rare words learn as fast as common ones.",
    ),
    "Optimizer.change_since": Hook(
        "adamw",
        "how far all weights went",
        "",
        "As a share of their norm, for the report: a thousandth to a hundredth is usual.",
    ),
}
